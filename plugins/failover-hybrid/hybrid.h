/* What the parts of failover-hybrid share: its options, and the weighing of evidence that decide() judges. */
#pragma once
#include "azlin-plugin.h"

typedef struct {
  guint32 fall;       /* dark probes in a row before a vantage is settled */
  guint32 interval_s; /* seconds between probes of a suspect */
  double probe_timeout_s;
  double prior;
  double threshold; /* confidence from which a switch may be automatic */
} Hybrid;

typedef enum {
  HYBRID_POWER_OPEN, /* running, or nobody could say */
  HYBRID_POWER_ENDED,
  HYBRID_POWER_REQUESTED,
  HYBRID_POWER_OFF_UNEXPLAINED
} HybridPower;

typedef struct {
  double log_odds;      /* that the machine is out of service and nobody wanted that */
  double best_log_odds; /* the same once every counting vantage has settled as dark */
  guint counting;       /* vantages whose dark probes are evidence */
  guint settled;        /* of those: dark for long enough */
  double dark_seconds;  /* the longest darkness among them */
  gboolean long_enough; /* that is as long as the last of `fall` probes takes to end, or a refusal explains it */
  double wait_s;        /* until the slowest of them can settle */
  gboolean blind;       /* nothing but this host looked, and it reached no other machine either */
  HybridPower power;
  const char *veto; /* vantage that sees the machine alive; borrowed, or NULL */
  GArray *weights;  /* of AzlinWeight */
} HybridSum;

double hybrid_span_s(const Hybrid *self);
HybridPower hybrid_power(const AzlinVm *vm);
/* Adds up what the vantages and the platform say; the caller owns ret_sum->weights. */
void hybrid_weigh(const Hybrid *self, const AzlinDecisionInput *input, HybridSum *ret_sum);
/* Targets, best first, each line "region: reasons"; of char*. */
GPtrArray *hybrid_rank(const AzlinDecisionInput *input);
double hybrid_probability(double log_odds);
