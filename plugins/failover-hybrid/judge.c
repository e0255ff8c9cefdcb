/* Judges the sum: verdict, whether it is automatic, why, and what would change it, with the command to type next. */
#include "hybrid.h"
#include <math.h>

#define TROUBLED_SCORE 3 /* from here on this host's own clock or network is in doubt */

typedef struct {
  const Hybrid *self;
  const AzlinDecisionInput *input;
  const HybridSum *sum;
  const AzlinHealth *best; /* or NULL */
  const char *region;      /* of the suspect */
  char *to;                /* "azlin failover --to REGION" */
  AzlinDecision *out;
} Case;

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

#define because(c, ...) say(&(c)->out->reason, __VA_ARGS__)
#define changes(c, ...) say(&(c)->out->what_would_change, __VA_ARGS__)

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

static const char *
verdict_of(AzlinFailure failure)
{
  static const char *const words[] = {
    [AZLIN_FAILURE_NONE] = "healthy",
    [AZLIN_FAILURE_NETWORK_UNREACHABLE] = "network_unreachable",
    [AZLIN_FAILURE_SSH_CONNECTION_FAILED] = "ssh_connection_failed",
    [AZLIN_FAILURE_VM_STOPPED] = "vm_stopped",
    [AZLIN_FAILURE_VM_DEALLOCATED] = "vm_deallocated",
    [AZLIN_FAILURE_PERFORMANCE_DEGRADED] = "performance_degraded",
    [AZLIN_FAILURE_UNKNOWN] = "unknown",
    [AZLIN_FAILURE_AUTH_FAILED] = "auth_failed",
    [AZLIN_FAILURE_HOST_KEY_CHANGED] = "host_key_changed",
  };
  return (guint) failure < G_N_ELEMENTS(words) ? words[failure] : "unknown";
}

/* ---- healthy, and what is announced ---- */

static char *
time_words(gint64 at, gint64 now)
{
  g_autoptr(GDateTime) when = g_date_time_new_from_unix_utc(at / G_USEC_PER_SEC);
  g_autofree char *stamp = when != NULL ? g_date_time_format(when, "%Y-%m-%d %H:%M UTC") : NULL;
  gint64 hours = (at - now) / G_USEC_PER_SEC / 3600;

  if (now <= 0 || at <= now)
    return g_strdup(stamp != NULL ? stamp : "an unknown time");
  return g_strdup_printf("%s, in %" G_GINT64_FORMAT " h", stamp != NULL ? stamp : "an unknown time", hours);
}

static void
judge_maintenance(const Case *c)
{
  const AzlinHealth *best = c->best;
  g_autofree char *when = time_words(c->input->source->vm->maintenance_at, c->input->now);
  gboolean wanted = c->self->auto_on_maintenance && c->input->mode != AZLIN_MODE_MANUAL;
  gboolean fit = best != NULL && best->healthy && best->vm->maintenance_at == 0;

  c->out->verdict = "maintenance";
  because(c, "%s is healthy, but the platform announced maintenance of it (%s)%s", c->region, when,
          !wanted                                  ? ": a planned switch, synced, is advised"
          : !fit                                   ? ", and no other region is free of trouble"
          : c->input->self_score >= TROUBLED_SCORE ? ", and this host itself is in trouble"
                                                   : ": a planned switch, synced, goes ahead of it");
  c->out->should_auto_failover = wanted && fit && c->input->self_score < TROUBLED_SCORE;
  if (wanted)
    changes(c, "the end of the maintenance; switch yourself with %s --sync", c->to);
  else
    changes(c, "your word: %s --sync; or auto-on-maintenance=true in [failover.hybrid]%s", c->to,
            c->input->mode == AZLIN_MODE_MANUAL ? " with mode=hybrid" : "");
}

static gboolean
judge_healthy(const Case *c)
{
  const AzlinHealth *source = c->input->source;

  if (c->out->failure != AZLIN_FAILURE_NONE)
    return FALSE;
  if (source->healthy && source->vm != NULL && source->vm->maintenance_at > 0) {
    judge_maintenance(c);
    return TRUE;
  }
  because(c, "%s is healthy", c->region);
  changes(c, "nothing has to; a planned switch is %s --sync", c->to);
  return TRUE;
}

/* ---- the machine answers, and that is no outage ---- */

static gboolean
judge_answer(const Case *c)
{
  switch ((int) c->out->failure) {
  case AZLIN_FAILURE_AUTH_FAILED:
    because(c, "the machine answers but refuses the key: a notice about access, never a reason to switch");
    changes(c,
            "your key back on the machine; azlin audit show tells who changed what, azlin regions health looks again");
    return TRUE;
  case AZLIN_FAILURE_HOST_KEY_CHANGED:
    because(c, "the host key is not the pinned one: somebody may stand in between; a notice, never automatic");
    changes(c, "the pinned key again: verify the machine's key by another way, then azlin regions health");
    return TRUE;
  case AZLIN_FAILURE_PERFORMANCE_DEGRADED:
    because(c, "the machine is slow but serves: whether to switch is a judgement of people");
    changes(c, "look at it with azlin ssh --region %s, or switch yourself with %s --sync", c->region, c->to);
    return TRUE;
  default:
    return FALSE;
  }
}

/* ---- verdicts that no amount of probing turns into an automatic switch ---- */

static gboolean
judge_power(const Case *c)
{
  gboolean platform = c->sum->power == HYBRID_POWER_PLATFORM;

  if (c->sum->power == HYBRID_POWER_REQUESTED)
    because(c, "the machine was stopped on request: that is intent, not an outage");
  else if (c->sum->power == HYBRID_POWER_OFF_UNEXPLAINED)
    because(c, "the machine is off and why is not on record: it may be intended");
  else if (platform && !c->self->auto_on_platform_stop)
    because(c, "the platform stopped the machine, nobody asked for it: a switch is strongly advised, though the "
               "platform may bring it back");
  else
    return FALSE;
  if (c->out->failure != AZLIN_FAILURE_VM_DEALLOCATED)
    c->out->failure = c->input->source->vm->power == AZLIN_POWER_DEALLOCATED ? AZLIN_FAILURE_VM_DEALLOCATED
                                                                             : AZLIN_FAILURE_VM_STOPPED;
  c->out->verdict = verdict_of(c->out->failure);
  if (platform)
    changes(c, "your word: %s; or auto-on-platform-stop=true in [failover.hybrid]", c->to);
  else
    changes(c, "start it again with azlin vm start --region %s, or switch yourself with %s", c->region, c->to);
  return TRUE;
}

static gboolean
judge_ambiguous(const Case *c)
{
  if (c->out->failure == AZLIN_FAILURE_NETWORK_UNREACHABLE || c->out->failure == AZLIN_FAILURE_SSH_CONNECTION_FAILED)
    return FALSE;
  because(c, "the failure cannot be told apart from an intended state");
  changes(c, "look at the machine with azlin vm status --region %s, or switch yourself with %s", c->region, c->to);
  return TRUE;
}

/* ---- who looked ---- */

static void
judge_veto(const Case *c)
{
  if (c->sum->here_alive) {
    because(c, "this host sees the machine alive, which vetoes: other regions do not reach it, a network between them "
               "may be down");
    changes(c, "darkness from here too; look again with azlin failover --explain");
    return;
  }
  c->out->verdict = "unreachable_from_me";
  because(c, "%s sees the machine alive: it is unreachable from this host only, a path problem on your side",
          c->sum->veto);
  changes(c,
          "darkness from every vantage; look at the local path (VPN, firewall, provider), reach it meanwhile by way "
          "of azlin ssh --region %s, and look again with azlin failover --explain",
          c->sum->veto);
}

static gboolean
judge_observers(const Case *c)
{
  if (c->sum->veto != NULL) {
    judge_veto(c);
    return TRUE;
  }
  if (c->sum->blind) {
    c->out->verdict = "observer_blind";
    because(c, "this host reaches no other machine either: its own network may be down, it cannot tell");
    changes(c, "a working network here, or a run from another host; then azlin failover --explain");
    return TRUE;
  }
  if (c->sum->counting < 2) {
    because(c, "%u vantage%s with evidence, an automatic switch needs two", c->sum->counting,
            c->sum->counting == 1 ? "" : "s");
    changes(c,
            "a further region whose machine was seen to reach this one (stored while all is well by azlin regions "
            "health), or your word: %s",
            c->to);
    return TRUE;
  }
  return FALSE;
}

/* ---- the sum ---- */

static void
judge_clear(const Case *c)
{
  AzlinDecision *out = c->out;
  gboolean ended = c->sum->power == HYBRID_POWER_ENDED || c->sum->power == HYBRID_POWER_PLATFORM;
  g_autofree char *span = g_strdup_printf(" for %.0f s", c->sum->dark_seconds);

  out->should_auto_failover = TRUE;
  because(c, "%s from %u of %u vantages%s, confidence %.1f %% (needed: %g %%)%s",
          ended ? "the machine ended by itself and is dark" : failure_words(out->failure), c->sum->settled,
          c->sum->counting, c->sum->dark_seconds > 0 ? span : "", percent(out->confidence), c->self->threshold * 100,
          !ended && out->failure == AZLIN_FAILURE_SSH_CONNECTION_FAILED
              ? "; it may still run, so the switch needs its fence "
                "confirmed"
              : "");
  changes(c,
          "one vantage that sees the machine alive; act on it with azlin failover --auto, or hold it back with azlin "
          "failover pause");
}

/* Bounded by the darkness itself: a host that stays in trouble is no reason to look for ever. */
static void
judge_troubled(const Case *c)
{
  c->out->more_evidence_helps = c->sum->dark_seconds < 2 * hybrid_settling_s(c->self);
  c->out->wait_seconds = c->self->interval_s;
  because(c,
          "%s from %u vantages, but this host itself is in trouble (score %u of 8): its timers are late or its "
          "contacts were lost",
          failure_words(c->out->failure), c->sum->counting, c->input->self_score);
  changes(c, "a few calm probes on this host, or a run from another one: azlin failover --explain");
}

static void
judge_unclear(const Case *c, gboolean settled)
{
  AzlinDecision *out = c->out;

  out->more_evidence_helps
      = hybrid_probability(c->sum->best_log_odds) >= c->self->threshold && c->input->mode != AZLIN_MODE_MANUAL;
  out->wait_seconds = settled ? c->self->interval_s : c->sum->wait_s;
  if (!settled)
    because(c, "%s from %u vantages, but not for long enough yet (%u of %u settled, %.0f s)",
            failure_words(out->failure), c->sum->counting, c->sum->settled, c->sum->counting, c->sum->dark_seconds);
  else
    because(c, "%s from %u vantages, but confidence is %.1f %% where %g %% is needed", failure_words(out->failure),
            c->sum->counting, percent(out->confidence), c->self->threshold * 100);
  if (out->more_evidence_helps && settled)
    changes(c, "further dark probes; wait for them with azlin failover --auto");
  else if (out->more_evidence_helps)
    changes(c, "darkness of %u probes in a row, %.0f s in all, in each of them; wait for it with azlin failover --auto",
            c->self->fall, hybrid_settling_s(c->self));
  else
    changes(c, "a further vantage, or word from the provider that the machine failed; or your word: %s", c->to);
}

static void
judge_sum(const Case *c)
{
  gboolean settled = c->sum->settled == c->sum->counting && c->sum->long_enough;
  gboolean clear = settled && c->out->confidence >= c->self->threshold;

  if (clear && c->input->mode == AZLIN_MODE_MANUAL) {
    because(c, "%s from %u vantages, clear enough to switch, but the mode is manual", failure_words(c->out->failure),
            c->sum->counting);
    changes(c, "your word: %s; or mode=hybrid in [failover.hybrid]", c->to);
  } else if (clear && c->input->self_score >= TROUBLED_SCORE) {
    judge_troubled(c);
  } else if (clear) {
    judge_clear(c);
  } else {
    judge_unclear(c, settled);
  }
}

void
hybrid_judge(const Hybrid *self, const AzlinDecisionInput *input, const HybridSum *sum, const AzlinHealth *best,
             AzlinDecision *out)
{
  const AzlinVm *vm = input->source->vm;
  const char *target = best != NULL ? best->vm->region : "REGION";
  g_autofree char *to = g_strdup_printf("azlin failover --to %s", target);
  const Case c = { .self = self,
                   .input = input,
                   .sum = sum,
                   .best = best,
                   .region = vm != NULL && vm->region != NULL ? vm->region : "the primary",
                   .to = to,
                   .out = out };

  out->should_auto_failover = FALSE;
  out->more_evidence_helps = FALSE;
  out->wait_seconds = 0;
  out->failure = input->source->failure;
  /* A machine that ended by itself is judged by its darkness: its power state is then a symptom, not an intent. */
  if ((sum->power == HYBRID_POWER_ENDED && out->failure == AZLIN_FAILURE_VM_STOPPED)
      || (sum->power == HYBRID_POWER_PLATFORM
          && (out->failure == AZLIN_FAILURE_VM_STOPPED || out->failure == AZLIN_FAILURE_VM_DEALLOCATED)))
    out->failure = AZLIN_FAILURE_NETWORK_UNREACHABLE;
  out->verdict = verdict_of(out->failure);
  if (!judge_healthy(&c) && !judge_answer(&c) && !judge_power(&c) && !judge_ambiguous(&c) && !judge_observers(&c))
    judge_sum(&c);
}
