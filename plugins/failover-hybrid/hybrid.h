/* What the parts of failover-hybrid share: its options, the weighing of evidence, the ranking and the judgement. */
#pragma once
#include "azlin-plugin.h"

typedef struct {
  guint32 fall;       /* dark probes in a row before a vantage is settled */
  guint32 interval_s; /* seconds between probes of a suspect */
  double probe_timeout_s;
  double threshold; /* confidence from which a switch may be automatic */
  double prior;     /* of an outage, before anything was seen */
  char **never_promote;
  gboolean auto_on_platform_stop, auto_on_maintenance;
} Hybrid;

typedef enum {
  HYBRID_POWER_OPEN, /* running, or nobody could say */
  HYBRID_POWER_ENDED,
  HYBRID_POWER_PLATFORM, /* ended, and the platform says that it was its doing */
  HYBRID_POWER_REQUESTED,
  HYBRID_POWER_OFF_UNEXPLAINED
} HybridPower;

typedef struct {
  double log_odds;      /* that the machine is out of service and nobody wanted that */
  double best_log_odds; /* the same once every counting vantage has settled as dark */
  guint counting;       /* vantages whose dark probes are evidence */
  guint settled;        /* of those: dark for long enough, each by itself */
  double dark_seconds;  /* the longest darkness among them */
  gboolean long_enough; /* that is as long as `fall` probes take to their end, or a refusal explains it */
  double wait_s;        /* until the slowest of them can settle */
  gboolean blind;       /* nothing but this host looked, and it reached no other machine either */
  gboolean here_alive;  /* this host itself sees the machine alive */
  HybridPower power;
  const char *veto; /* vantage that sees the machine alive; borrowed, or NULL */
  GArray *weights;  /* of AzlinWeight */
} HybridSum;

HybridPower hybrid_power(const AzlinHealth *health);
/* From the first to the last of `fall` probes, seconds: how long each vantage must have seen darkness. */
double hybrid_span_s(const Hybrid *self);
/* Until the last of them has ended: how long one of the vantages must have. */
double hybrid_settling_s(const Hybrid *self);
/* Adds up what the vantages and the platform say; the caller owns ret_sum->weights. */
void hybrid_weigh(const Hybrid *self, const AzlinDecisionInput *input, HybridSum *ret_sum);
double hybrid_probability(double log_odds);
/* Targets, best first, each line "region: reasons"; of char*. `ret_best` the region of the first that may become
 * primary by itself, borrowed from `input`; NULL = none. */
GPtrArray *hybrid_rank(const Hybrid *self, const AzlinDecisionInput *input, const AzlinHealth **ret_best);
/* Fills verdict, reason, what_would_change and whether it is automatic; the numbers of `out` are there already. */
void hybrid_judge(const Hybrid *self, const AzlinDecisionInput *input, const HybridSum *sum, const AzlinHealth *best,
                  AzlinDecision *out);
