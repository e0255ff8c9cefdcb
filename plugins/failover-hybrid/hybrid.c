/* failover-hybrid: the pure judgement whether a primary is lost: automatic when the evidence is clear, manual
 * otherwise. */
#include "hybrid.h"
#include <math.h>

/* A verdict: its sentence and what would change it; both owned by the decision that takes them. */
G_GNUC_PRINTF(2, 3)
static void
say(char **slot, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  g_free(*slot);
  *slot = g_strdup_vprintf(format, arguments);
  va_end(arguments);
}

/* Rounded down: certainty is never claimed. */
static double
percent(double confidence)
{
  return floor(confidence * 1000) / 10;
}

static const char *
failure_words(AzlinFailure failure)
{
  return failure == AZLIN_FAILURE_SSH_CONNECTION_FAILED ? "SSH fails" : "the machine is unreachable";
}

/* Verdicts that no amount of probing turns into an automatic switch. */
static gboolean
judge_power(const HybridSum *sum, AzlinDecision *out)
{
  if (sum->power == HYBRID_POWER_REQUESTED) {
    say(&out->reason, "the machine was stopped on request: that is intent, not an outage");
    say(&out->what_would_change, "start it again (azlin vm start), or switch yourself with --to REGION");
    return TRUE;
  }
  if (sum->power == HYBRID_POWER_OFF_UNEXPLAINED) {
    say(&out->reason, "the machine is off and why is not on record: it may be intended");
    say(&out->what_would_change, "start it again (azlin vm start), or switch yourself with --to REGION");
    return TRUE;
  }
  return FALSE;
}

static gboolean
judge_failure(AzlinFailure failure, AzlinDecision *out)
{
  switch (failure) {
  case AZLIN_FAILURE_NETWORK_UNREACHABLE:
  case AZLIN_FAILURE_SSH_CONNECTION_FAILED:
    return FALSE;
  case AZLIN_FAILURE_NONE:
    say(&out->reason, "the primary is healthy");
    say(&out->what_would_change, "nothing has to: a planned switch is --to REGION");
    return TRUE;
  case AZLIN_FAILURE_AUTH_FAILED:
    say(&out->reason, "the machine answers but refuses the key: a matter of access, not an outage");
    say(&out->what_would_change, "restore the key on the machine");
    return TRUE;
  case AZLIN_FAILURE_HOST_KEY_CHANGED:
    say(&out->reason, "the host key is not the pinned one: somebody may stand in between, never automatic");
    say(&out->what_would_change, "verify the machine, then register its new key");
    return TRUE;
  case AZLIN_FAILURE_PERFORMANCE_DEGRADED:
    say(&out->reason, "the machine is slow but serves: whether to switch is a judgement of people");
    say(&out->what_would_change, "switch yourself with --to REGION");
    return TRUE;
  case AZLIN_FAILURE_VM_STOPPED:
  case AZLIN_FAILURE_VM_DEALLOCATED:
  case AZLIN_FAILURE_UNKNOWN:
  default:
    say(&out->reason, "the failure cannot be told apart from an intended state");
    say(&out->what_would_change, "look at the machine, or switch yourself with --to REGION");
    return TRUE;
  }
}

static gboolean
judge_observers(const HybridSum *sum, AzlinDecision *out)
{
  if (sum->veto != NULL) {
    say(&out->reason, "%s sees the machine alive: it is unreachable from some places only, a path problem",
        g_str_equal(sum->veto, "here") ? "this host" : sum->veto);
    say(&out->what_would_change, "darkness from every vantage; look at the network in between");
    return TRUE;
  }
  if (sum->blind) {
    say(&out->reason, "this host reaches no other machine either: its own network may be down, it cannot tell");
    say(&out->what_would_change, "a working network here, or a run from another host");
    return TRUE;
  }
  if (sum->counting < 2) {
    say(&out->reason, "%u vantage%s with evidence, an automatic switch needs two", sum->counting,
        sum->counting == 1 ? "" : "s");
    say(&out->what_would_change, "a further region whose machine was seen to reach this one (azlin regions health "
                                 "stores that while all is well)");
    return TRUE;
  }
  return FALSE;
}

static void
judge_sum(const Hybrid *self, AzlinMode mode, const HybridSum *sum, AzlinDecision *out)
{
  gboolean settled = sum->settled == sum->counting && sum->long_enough;
  gboolean confident = out->confidence >= self->threshold;

  if (settled && confident && mode == AZLIN_MODE_MANUAL) {
    say(&out->reason, "%s from %u vantages, clear enough to switch, but the mode is manual",
        failure_words(out->failure), sum->counting);
    say(&out->what_would_change, "your word: --to REGION; or mode=hybrid in [failover.hybrid]");
    return;
  }
  if (settled && confident) {
    out->should_auto_failover = TRUE;
    g_autofree char *span = g_strdup_printf(" for %.0f s", sum->dark_seconds);
    say(&out->reason, "%s from %u of %u vantages%s, confidence %.1f %% (needed: %.1f %%)",
        sum->power == HYBRID_POWER_ENDED ? "the machine ended by itself and is dark" : failure_words(out->failure),
        sum->settled, sum->counting, sum->dark_seconds > 0 ? span : "", percent(out->confidence),
        self->threshold * 100);
    say(&out->what_would_change, "one vantage that sees the machine alive");
    return;
  }
  out->more_evidence_helps = mode != AZLIN_MODE_MANUAL && hybrid_probability(sum->best_log_odds) >= self->threshold;
  out->wait_seconds = sum->wait_s > 0 ? sum->wait_s : self->interval_s;
  if (!settled)
    say(&out->reason, "%s from %u vantages, but not for long enough yet (%u of %u settled)",
        failure_words(out->failure), sum->counting, sum->settled, sum->counting);
  else
    say(&out->reason, "%s from %u vantages, but confidence is %.1f %% where %.1f %% is needed",
        failure_words(out->failure), sum->counting, percent(out->confidence), self->threshold * 100);
  if (out->more_evidence_helps)
    say(&out->what_would_change, "darkness of %u probes in a row, %.0f s in all, in each of them", self->fall,
        hybrid_span_s(self) + self->probe_timeout_s);
  else
    say(&out->what_would_change, "a further vantage, or word from the provider that the machine failed");
}

static void
decide(gpointer data, const AzlinDecisionInput *input, AzlinDecision *out)
{
  const Hybrid *self = data;
  HybridSum sum;

  hybrid_weigh(self, input, &sum);
  out->weights = sum.weights;
  out->ranking = hybrid_rank(input);
  out->confidence = hybrid_probability(sum.log_odds);
  out->should_auto_failover = FALSE;
  out->more_evidence_helps = FALSE;
  out->wait_seconds = 0;
  out->failure = input->source->failure;
  /* A machine that ended by itself is judged by its darkness: its power state is then a symptom, not an intent. */
  if (sum.power == HYBRID_POWER_ENDED && out->failure == AZLIN_FAILURE_VM_STOPPED)
    out->failure = AZLIN_FAILURE_NETWORK_UNREACHABLE;
  if (judge_power(&sum, out) || judge_failure(out->failure, out) || judge_observers(&sum, out))
    return;
  judge_sum(self, input->mode, &sum, out);
}

static const AzlinOption options[] = {
  { "mode", "s", "hybrid", NULL, NULL, "auto, hybrid: clear failures are automatic; manual: only ever proposes" },
  { "primary-interval", "u", "5", "1", "60", "seconds between probes of the primary, and of any suspect" },
  { "interval", "u", "15", "1", "3600", "seconds between probes of the other regions while all is calm" },
  { "probe-timeout", "d", "4", "0.1", "60", "seconds that one probe of the detector may take" },
  { "fall", "u", "7", "1", "100", "dark probes in a row before a vantage counts as settled" },
  { "rise", "u", "2", "1", "100", "probes in a row that see life before a region counts as up" },
  { "witnesses", "u", "3", "0", "16", "machines of other regions that are asked about a suspect" },
  { "threshold", "d", "0.85", "0.5", "0.9999", "confidence from which a switch may be automatic" },
  { "prior", "d", "0.0001", "0.000001", "0.5", "how likely an outage is before anything was seen" },
  { "cool-down", "u", "3600", "0", "604800",
    "seconds after an automatic switch without another one, unless acknowledged" },
  { "max-sync-age", "u", "0", "0", "31536000", "oldest data, in seconds, that an automatic switch accepts; 0: any" },
  { "never-promote", "as", "", NULL, NULL, "regions that never become primary by themselves" },
  { "unfenced", "s", "epoch", NULL, NULL,
    "when the old primary is not confirmed off: epoch (go on, fence later) or never" },
  { "commit-window", "u", "0", "0", "86400",
    "seconds in which an automatic switch must be confirmed, else it is taken back; "
    "0: none" },
  { "hook-timeout", "u", "30", "1", "600", "seconds that hooks/failover-pre and failover-post may take" },
  { "auto-on-platform-stop", "b", "false", NULL, NULL, "switch by itself when the platform stopped the machine" },
  { "auto-on-maintenance", "b", "false", NULL, NULL, "switch, synced, ahead of announced maintenance of the primary" },
  { 0 },
};

static gboolean
check_mode(AzlinHost *host, GError **error)
{
  static const char *const modes[] = { "auto", "hybrid", "manual", NULL };
  g_autoptr(GVariant) value = host->api->option(host, "mode");
  const char *mode = g_variant_get_string(value, NULL);

  if (g_strv_contains(modes, mode))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[failover.hybrid] mode=%s: it is one of auto, hybrid, manual",
              mode);
  return FALSE;
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  if (!check_mode(host, error))
    return FALSE;
  g_autoptr(GVariant) interval = host->api->option(host, "primary-interval");
  g_autoptr(GVariant) fall = host->api->option(host, "fall");
  g_autoptr(GVariant) threshold = host->api->option(host, "threshold");
  g_autoptr(GVariant) probe_timeout = host->api->option(host, "probe-timeout");
  g_autoptr(GVariant) prior = host->api->option(host, "prior");
  Hybrid *self = g_new0(Hybrid, 1);

  self->interval_s = g_variant_get_uint32(interval);
  self->fall = g_variant_get_uint32(fall);
  self->threshold = g_variant_get_double(threshold);
  self->probe_timeout_s = g_variant_get_double(probe_timeout);
  self->prior = g_variant_get_double(prior);
  *ret_self = self;
  return TRUE;
}

/* clang-format off */
static const AzlinFailover iface = {
  .size = sizeof(AzlinFailover),
  .decide = decide,
};

static const AzlinBrick brick = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_FAILOVER,
  .name = "hybrid",
  .summary = "automatic for clear failures seen from several places, manual for everything else",
  .options = options,
  .init = init,
  .free = g_free,
  .iface = &iface,
};
/* clang-format on */

AZLIN_PLUGIN_DEFINE("failover-hybrid", "1.0.0", "MIT", &brick)
