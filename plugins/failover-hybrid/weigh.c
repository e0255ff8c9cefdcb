/* Weighs evidence: log-odds per vantage and of the platform, with the reason for each that does not count. */
#include "hybrid.h"
#include <math.h>

/* Rates at which a vantage was dark for 35 s and healed by itself: a laptop's road, a data centre's. */
#define HEALED_HERE 3e-3
#define HEALED_WITNESS 1e-3
#define DARK_PROBE 5.0        /* likelihood ratio of one dark probe */
#define NO_SELF_CHECK 30.0    /* all that a vantage may say that did not prove its own road */
#define PLATFORM_ENDED 1000.0 /* the provider saw the machine end and knows of no request */
#define PLATFORM_FAILED 50.0  /* the provider reports its own hardware as failed */
#define RUNNING_WEIGHT (-1.2) /* "last known state": weak */
#define CONTROL_PLANE_WEIGHT 1.6

double
hybrid_probability(double log_odds)
{
  return 1.0 / (1.0 + exp(-log_odds));
}

HybridPower
hybrid_power(const AzlinVm *vm)
{
  if (vm == NULL || vm->power == AZLIN_POWER_UNKNOWN || vm->power == AZLIN_POWER_RUNNING)
    return HYBRID_POWER_OPEN;
  if (vm->stop_cause == AZLIN_STOP_REQUESTED)
    return HYBRID_POWER_REQUESTED;
  if (vm->stop_cause == AZLIN_STOP_ENDED && vm->power == AZLIN_POWER_STOPPED)
    return HYBRID_POWER_ENDED;
  return HYBRID_POWER_OFF_UNEXPLAINED;
}

G_GNUC_PRINTF(3, 4)
static void
add(HybridSum *sum, double weight, const char *format, ...)
{
  AzlinWeight line = { .weight = weight };
  va_list arguments;

  va_start(arguments, format);
  line.what = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_array_append_val(sum->weights, line);
  sum->log_odds += weight;
  sum->best_log_odds += weight;
}

static double
cap_of(const AzlinVantage *vantage)
{
  return log(1.0 / (g_str_equal(vantage->vantage, "here") ? HEALED_HERE : HEALED_WITNESS));
}

/* From the first to the last of `fall` probes. */
double
hybrid_span_s(const Hybrid *self)
{
  return (double) (self->fall - 1) * self->interval_s;
}

static gboolean
is_settled(const Hybrid *self, const AzlinVantage *vantage, HybridPower power)
{
  /* A reset is an answer: no pause, no lost packet and no slow road sends one. */
  if (vantage->refused && power == HYBRID_POWER_ENDED)
    return TRUE;
  return vantage->dark_probes >= self->fall && vantage->dark_seconds >= hybrid_span_s(self);
}

static void
weigh_counting(const Hybrid *self, const AzlinVantage *vantage, HybridSum *sum)
{
  double cap = cap_of(vantage);
  gboolean settled = is_settled(self, vantage, sum->power);
  double weight = settled && vantage->dark_probes < self->fall ? cap : MIN(vantage->dark_probes * log(DARK_PROBE), cap);
  double missing = hybrid_span_s(self) + self->probe_timeout_s - vantage->dark_seconds;

  sum->counting++;
  add(sum, weight, "vantage %s: %u dark probe%s in a row over %.0f s%s%s", vantage->vantage, vantage->dark_probes,
      vantage->dark_probes == 1 ? "" : "s", vantage->dark_seconds, vantage->refused ? ", refused" : "",
      settled ? ", settled" : "");
  sum->best_log_odds += cap - weight;
  sum->dark_seconds = MAX(sum->dark_seconds, vantage->dark_seconds);
  sum->long_enough |= settled && vantage->dark_probes < self->fall;
  if (settled)
    sum->settled++;
  else
    /* Where only the number of probes is missing, hurrying would make one look out of many. */
    sum->wait_s = MAX(sum->wait_s, missing > 0 ? CLAMP(missing, 1.0, (double) self->interval_s) : self->interval_s);
}

static void
weigh_vantage(const Hybrid *self, const AzlinVantage *vantage, HybridSum *sum)
{
  if (vantage->fresh_success) {
    sum->veto = vantage->vantage;
    add(sum, -cap_of(vantage), "vantage %s: sees the machine alive (vetoes an automatic switch)", vantage->vantage);
    return;
  }
  if (vantage->dark_probes == 0) {
    add(sum, 0.0, "vantage %s: not counted, it has not looked", vantage->vantage);
    return;
  }
  if (sum->power == HYBRID_POWER_REQUESTED || sum->power == HYBRID_POWER_OFF_UNEXPLAINED) {
    add(sum, 0.0, "vantage %s: dark, which the stopped machine explains", vantage->vantage);
    return;
  }
  if (!vantage->was_up) {
    add(sum, 0.0, "vantage %s: not counted, it had not seen the machine up before", vantage->vantage);
    return;
  }
  if (!vantage->self_check_ok) {
    add(sum, MIN(vantage->dark_probes * log(DARK_PROBE), log(NO_SELF_CHECK)),
        "vantage %s: dark, but it reached no other machine either: its own road may be down", vantage->vantage);
    return;
  }
  weigh_counting(self, vantage, sum);
}

static const AzlinEvidence *
find_probe(const AzlinHealth *health, const char *probe)
{
  for (const AzlinEvidence *const *evidence = health->evidence; evidence != NULL && *evidence != NULL; evidence++)
    if (g_strcmp0((*evidence)->probe, probe) == 0)
      return *evidence;
  return NULL;
}

static gboolean
probe_says(const AzlinHealth *health, const char *probe, const char *outcome)
{
  const AzlinEvidence *evidence = find_probe(health, probe);

  return evidence != NULL && g_strcmp0(evidence->outcome, outcome) == 0;
}

/* The control plane of the suspect's region fails alone: what took it down may have taken the machine too. */
static gboolean
control_plane_fails_alone(const AzlinDecisionInput *input)
{
  guint fine = 0;

  if (!probe_says(input->source, "power", "error"))
    return FALSE;
  for (const AzlinHealth *const *other = input->others; other != NULL && *other != NULL; other++) {
    if (find_probe(*other, "power") == NULL)
      continue;
    if (probe_says(*other, "power", "error") || probe_says(*other, "power", "timeout"))
      return FALSE;
    fine++;
  }
  return fine > 0;
}

static void
weigh_platform(const Hybrid *self, const AzlinDecisionInput *input, HybridSum *sum)
{
  const AzlinVm *vm = input->source->vm;

  if (sum->power == HYBRID_POWER_ENDED)
    add(sum, log(PLATFORM_ENDED), "provider: the machine ended by itself, no stop is on record");
  if (sum->power == HYBRID_POWER_REQUESTED)
    add(sum, 0.0, "provider: the machine was stopped on request");
  if (sum->power == HYBRID_POWER_OFF_UNEXPLAINED)
    /* Cancels the prior: that somebody meant it is then as likely as that nobody did. */
    add(sum, -log(self->prior / (1.0 - self->prior)), "provider: the machine is off, and why is not on record");
  if (vm != NULL && vm->power == AZLIN_POWER_RUNNING)
    add(sum, RUNNING_WEIGHT, "provider: last known state is running");
  if (control_plane_fails_alone(input))
    add(sum, CONTROL_PLANE_WEIGHT, "provider: its control plane fails for this region and answers for others");
  if (probe_says(input->source, "platform", "unavailable"))
    add(sum, log(PLATFORM_FAILED), "provider: reports a platform failure under this machine");
}

void
hybrid_weigh(const Hybrid *self, const AzlinDecisionInput *input, HybridSum *ret_sum)
{
  guint looked = 0, sighted = 0;

  *ret_sum = (HybridSum){ .power = hybrid_power(input->source->vm),
                          .weights = g_array_new(FALSE, FALSE, sizeof(AzlinWeight)) };
  add(ret_sum, log(self->prior / (1.0 - self->prior)), "prior: such an outage is rare");
  for (const AzlinVantage *const *vantage = input->vantages; vantage != NULL && *vantage != NULL; vantage++) {
    weigh_vantage(self, *vantage, ret_sum);
    looked++;
    if ((*vantage)->self_check_ok || (*vantage)->fresh_success)
      sighted++;
  }
  ret_sum->blind = input->blind || (looked > 0 && sighted == 0);
  /* a hair less than the sum: times are measured, not counted */
  ret_sum->long_enough |= ret_sum->dark_seconds >= hybrid_span_s(self) + self->probe_timeout_s - 0.01;
  weigh_platform(self, input, ret_sum);
}
