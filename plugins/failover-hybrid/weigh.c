/* Weighs evidence: log-odds per vantage and of the platform, with the reason for each that does not count. */
#include "hybrid.h"
#include <math.h>

/* Rates per ten minutes at which a vantage was dark for 35 s and healed by itself: a laptop's road, a data centre's.
 * They hold until azlin has a history of its own. */
#define HEALED_HERE 3e-3
#define HEALED_WITNESS 1e-3
#define HEALED_LEAST 1e-4
#define DARK_PROBE 5.0        /* likelihood ratio of one dark probe */
#define NO_SELF_CHECK 30.0    /* all that a vantage may say that did not prove its own road */
#define PLATFORM_ENDED 1000.0 /* the provider saw the machine end and knows of no request */
#define PLATFORM_FAILED 50.0  /* the provider reports its own hardware as failed */
#define SERVICE_PRIOR 10.0    /* how much likelier than a machine a service of it fails */
#define RUNNING_WEIGHT (-1.2) /* "last known state": weak */
#define CONTROL_PLANE_WEIGHT 1.6
#define HAIR_S 0.01 /* times are measured, not counted */

double
hybrid_probability(double log_odds)
{
  return 1.0 / (1.0 + exp(-log_odds));
}

double
hybrid_span_s(const Hybrid *self)
{
  return (double) (self->fall - 1) * self->interval_s;
}

double
hybrid_settling_s(const Hybrid *self)
{
  return hybrid_span_s(self) + self->probe_timeout_s;
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

HybridPower
hybrid_power(const AzlinHealth *health)
{
  const AzlinVm *vm = health->vm;

  if (vm == NULL || vm->power == AZLIN_POWER_UNKNOWN || vm->power == AZLIN_POWER_RUNNING)
    return HYBRID_POWER_OPEN;
  if (vm->stop_cause == AZLIN_STOP_REQUESTED)
    return HYBRID_POWER_REQUESTED;
  if (vm->stop_cause == AZLIN_STOP_ENDED && probe_says(health, "platform", "unavailable"))
    return HYBRID_POWER_PLATFORM;
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

/* The most that a vantage can say: how rarely it is dark for long without an outage. */
static double
cap_of(const AzlinVantage *vantage)
{
  double rate = g_str_equal(vantage->vantage, "here") ? HEALED_HERE : HEALED_WITNESS;

  if (vantage->healed_rate > 0)
    rate = CLAMP(vantage->healed_rate, HEALED_LEAST, 1.0);
  return log(1.0 / rate);
}

static double
log_of_probes(const AzlinVantage *vantage)
{
  return vantage->dark_probes * log(DARK_PROBE);
}

static gboolean
is_settled(const Hybrid *self, const AzlinVantage *vantage, HybridPower power)
{
  /* A reset is an answer: no pause, no lost packet and no slow road sends one. */
  if (vantage->refused && (power == HYBRID_POWER_ENDED || power == HYBRID_POWER_PLATFORM))
    return TRUE;
  return vantage->dark_probes >= self->fall && vantage->dark_seconds >= hybrid_span_s(self) - HAIR_S;
}

static void
weigh_counting(const Hybrid *self, const AzlinVantage *vantage, HybridSum *sum)
{
  double cap = cap_of(vantage);
  gboolean settled = is_settled(self, vantage, sum->power);
  gboolean explained = settled && vantage->dark_probes < self->fall;
  double weight = explained ? cap : MIN(log_of_probes(vantage), cap);
  double missing = hybrid_settling_s(self) - vantage->dark_seconds;
  g_autofree char *history
      = vantage->healed_rate > 0 ? g_strdup_printf(", by its own history at most %+.2f", cap) : NULL;

  sum->counting++;
  add(sum, weight, "vantage %s: %u dark probe%s in a row over %.0f s%s%s%s", vantage->vantage, vantage->dark_probes,
      vantage->dark_probes == 1 ? "" : "s", vantage->dark_seconds, vantage->refused ? ", refused" : "",
      settled ? ", settled" : "", history != NULL ? history : "");
  sum->best_log_odds += cap - weight;
  sum->dark_seconds = MAX(sum->dark_seconds, vantage->dark_seconds);
  sum->long_enough |= explained;
  if (settled)
    sum->settled++;
  /* Where only the number of probes is missing, hurrying would make one look out of many. */
  sum->wait_s = MAX(sum->wait_s, missing > 0 ? CLAMP(missing, 1.0, (double) self->interval_s) : self->interval_s);
}

static void
weigh_vantage(const Hybrid *self, const AzlinVantage *vantage, HybridSum *sum)
{
  if (vantage->fresh_success) {
    sum->here_alive |= g_str_equal(vantage->vantage, "here");
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
    add(sum, MIN(log_of_probes(vantage), MIN(log(NO_SELF_CHECK), cap_of(vantage))),
        "vantage %s: dark, but it reached no other machine either: its own road may be down", vantage->vantage);
    return;
  }
  weigh_counting(self, vantage, sum);
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

static double
prior_weight(double prior)
{
  return log(prior / (1.0 - prior));
}

static gboolean
is_of_service(const AzlinDecisionInput *input)
{
  return input->source->failure == AZLIN_FAILURE_SSH_CONNECTION_FAILED;
}

static void
weigh_prior(const Hybrid *self, const AzlinDecisionInput *input, HybridSum *sum)
{
  if (is_of_service(input) && sum->power == HYBRID_POWER_OPEN)
    add(sum, prior_weight(MIN(self->prior * SERVICE_PRIOR, MAX(self->prior, 0.5))),
        "prior: SSH alone fails more often than machines are lost");
  else
    add(sum, prior_weight(self->prior), "prior: such an outage is rare");
}

static void
weigh_platform(const Hybrid *self, const AzlinDecisionInput *input, HybridSum *sum)
{
  const AzlinVm *vm = input->source->vm;

  if (sum->power == HYBRID_POWER_ENDED)
    add(sum, log(PLATFORM_ENDED), "provider: the machine ended by itself, no stop is on record");
  if (sum->power == HYBRID_POWER_PLATFORM) /* one word of one provider: its two halves are not added up */
    add(sum, log(PLATFORM_ENDED), "provider: the machine ended with a failure of the platform");
  if (sum->power == HYBRID_POWER_REQUESTED)
    add(sum, 0.0, "provider: the machine was stopped on request");
  if (sum->power == HYBRID_POWER_OFF_UNEXPLAINED)
    /* Cancels the prior: that somebody meant it is then as likely as that nobody did. */
    add(sum, -prior_weight(self->prior), "provider: the machine is off, and why is not on record");
  if (vm != NULL && vm->power == AZLIN_POWER_RUNNING && is_of_service(input))
    add(sum, 0.0, "provider: running, as a machine does whose SSH alone fails");
  else if (vm != NULL && vm->power == AZLIN_POWER_RUNNING)
    add(sum, RUNNING_WEIGHT, "provider: last known state is running");
  if (control_plane_fails_alone(input))
    add(sum, CONTROL_PLANE_WEIGHT, "provider: its control plane fails for this region and answers for others");
  if (sum->power != HYBRID_POWER_PLATFORM && probe_says(input->source, "platform", "unavailable"))
    add(sum, log(PLATFORM_FAILED), "provider: reports a platform failure under this machine");
}

void
hybrid_weigh(const Hybrid *self, const AzlinDecisionInput *input, HybridSum *ret_sum)
{
  guint looked = 0, sighted = 0;

  *ret_sum
      = (HybridSum){ .power = hybrid_power(input->source), .weights = g_array_new(FALSE, FALSE, sizeof(AzlinWeight)) };
  weigh_prior(self, input, ret_sum);
  for (const AzlinVantage *const *vantage = input->vantages; vantage != NULL && *vantage != NULL; vantage++) {
    weigh_vantage(self, *vantage, ret_sum);
    looked++;
    if ((*vantage)->self_check_ok || (*vantage)->fresh_success)
      sighted++;
  }
  ret_sum->blind = input->blind || (looked > 0 && sighted == 0);
  ret_sum->long_enough |= ret_sum->dark_seconds >= hybrid_settling_s(self) - HAIR_S;
  weigh_platform(self, input, ret_sum);
}
