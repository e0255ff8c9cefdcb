/* What a failover tells: its screens, its JSON document and its audit record. */
#include "flow-failover.h"
#include "error.h"
#include "flow-failover-decision.h"
#include "flow-failover-note.h"
#include <string.h>

static const AzlinHealth *
source_health(AzFailover *run)
{
  return run->source_health != NULL ? az_health_copy_get(run->source_health) : NULL;
}

/* Rounded down: certainty is never claimed. */
static double
percent(double confidence)
{
  return (double) (int) (confidence * 1000) / 10;
}

/* ---- screens ---- */

static const char *
eligible_words(AzlinFailure failure)
{
  return failure == AZLIN_FAILURE_NETWORK_UNREACHABLE || failure == AZLIN_FAILURE_SSH_CONNECTION_FAILED
             ? "auto-failover eligible"
             : "manual decision";
}

void
az_failover_say_health(AzFailover *run)
{
  const AzlinHealth *health = source_health(run);

  if (health->healthy) {
    if (health->response_time_ms >= 0)
      az_job_message(run->job, "ok", NULL, "Healthy (response time: %.0fms)", health->response_time_ms);
    else
      az_job_message(run->job, "ok", NULL, "Healthy");
    return;
  }
  const char *failure = az_failure_to_string(run->decision.failure);
  g_autofree char *upper = g_ascii_strup(failure != NULL ? failure : "unknown", -1);
  az_job_message(run->job, "fail", NULL, "%s", health->detail != NULL ? health->detail : "Unhealthy");
  az_job_message(run->job, "ok", NULL, "Failure type: %s (%s)", upper, eligible_words(run->decision.failure));
}

void
az_failover_say_target(AzFailover *run)
{
  const AzlinHealth *health = az_failover_health_of(run, run->target->region);

  az_job_message(run->job, "step", NULL, "Evaluating failover to %s...", run->target->region);
  if (health == NULL || !health->healthy)
    az_job_message(run->job, "fail", NULL, "Target region is also unhealthy: %s",
                   health != NULL && health->detail != NULL ? health->detail : "no answer");
  else if (health->response_time_ms >= 0)
    az_job_message(run->job, "ok", NULL, "Target region healthy (response time: %.0fms)", health->response_time_ms);
  else
    az_job_message(run->job, "ok", NULL, "Target region healthy");
  if (!source_health(run)->healthy)
    az_job_message(run->job, run->decision.should_auto_failover ? "ok" : "warn", NULL,
                   "Auto-failover confidence: %.1f%%", percent(run->decision.confidence));
}

static void
say_evidence(AzFailover *run, GVariant *evidence)
{
  const char *vantage = "?", *probe = "?", *outcome = "?", *detail = NULL;

  g_variant_lookup(evidence, "vantage", "&s", &vantage);
  g_variant_lookup(evidence, "probe", "&s", &probe);
  g_variant_lookup(evidence, "outcome", "&s", &outcome);
  g_variant_lookup(evidence, "detail", "&s", &detail);
  az_job_message(run->job, "detail", NULL, "%-12s %-6s %s%s%s", vantage, probe, outcome, detail != NULL ? ": " : "",
                 detail != NULL ? detail : "");
}

static GVariant *
evidence_list(AzFailover *run)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  if (run->source_health != NULL) {
    g_autoptr(GVariant) health = g_variant_ref_sink(az_health_to_variant(source_health(run)));
    g_autoptr(GVariant) own = g_variant_lookup_value(health, "evidence", G_VARIANT_TYPE("aa{sv}"));
    for (gsize i = 0; own != NULL && i < g_variant_n_children(own); i++) {
      g_autoptr(GVariant) one = g_variant_get_child_value(own, i);
      g_variant_builder_add_value(&list, one);
    }
  }
  for (guint i = 0; i < run->answers->len; i++)
    g_variant_builder_add_value(&list, g_ptr_array_index(run->answers, i));
  return g_variant_builder_end(&list);
}

/* The first command that a sentence names: up to the mark that ends it. NULL: it names none. */
static char *
first_command(const char *sentence)
{
  const char *command = sentence != NULL ? strstr(sentence, "azlin ") : NULL;
  return command != NULL ? g_strndup(command, strcspn(command, ",;()")) : NULL;
}

/* What to type next; owned. */
static char *
next_command(AzFailover *run, AzHold hold, const char *step)
{
  if (run->decision.should_auto_failover)
    return g_strdup(hold != AZ_HOLD_NONE ? step : "azlin failover --auto");
  return first_command(run->decision.what_would_change);
}

/* As if it were automatic, onto the target that would be chosen: that is what an explanation is read for. */
static AzHold
hold_of(AzFailover *run, char **ret_reason, char **ret_step)
{
  gboolean automatic = run->automatic;
  const AzlinVm *target = run->target;

  run->automatic = TRUE;
  if (run->target == NULL)
    run->target = az_failover_best_target(run);
  AzHold hold = az_failover_hold(run, ret_reason, ret_step);
  run->automatic = automatic;
  run->target = target;
  return hold;
}

static void
say_weights(AzFailover *run)
{
  const AzlinDecision *decision = &run->decision;

  az_job_message(run->job, "step", NULL, "Weights (log-odds)...");
  for (guint i = 0; decision->weights != NULL && i < decision->weights->len; i++) {
    const AzlinWeight *weight = &g_array_index(decision->weights, AzlinWeight, i);
    az_job_message(run->job, "detail", NULL, "%+6.2f  %s", weight->weight, weight->what);
  }
  az_job_message(run->job, "detail", NULL, "Confidence that the machine is lost: %.1f%%",
                 percent(decision->confidence));
}

static void
say_targets(AzFailover *run)
{
  const GPtrArray *ranking = run->decision.ranking;

  az_job_message(run->job, "step", NULL, "Targets, best first...");
  for (guint i = 0; ranking != NULL && i < ranking->len; i++)
    az_job_message(run->job, "detail", NULL, "%s", (const char *) g_ptr_array_index(ranking, i));
}

static void
say_verdict(AzFailover *run)
{
  const AzlinDecision *decision = &run->decision;
  g_autofree char *reason = NULL, *step = NULL;
  AzHold hold = hold_of(run, &reason, &step);
  g_autofree char *next = next_command(run, hold, step);

  az_job_message(run->job, "step", NULL, "Policy...");
  if (hold == AZ_HOLD_NONE)
    az_job_message(run->job, "detail", NULL, "Nothing holds an automatic switch back");
  else
    az_job_message(run->job, "warn", NULL, "Held back: %s (%s)", reason, step);
  say_targets(run);
  az_job_message(run->job, "step", NULL, "Verdict: %s...", az_decision_verdict(decision));
  az_job_message(run->job, decision->should_auto_failover || decision->failure == AZLIN_FAILURE_NONE ? "ok" : "warn",
                 NULL, "%s: %s", decision->should_auto_failover ? "Automatic" : "Not automatic", decision->reason);
  az_job_message(run->job, "detail", NULL, "What would change it: %s", decision->what_would_change);
  if (next != NULL)
    az_job_message(run->job, "detail", NULL, "Next: %s", next);
  if (run->decision_id != NULL)
    az_job_message(run->job, "detail", NULL,
                   "Stored as decision %s; asked again with other options: azlin failover "
                   "replay %s --with fall=5",
                   run->decision_id, run->decision_id);
}

void
az_failover_say_explanation(AzFailover *run)
{
  g_autoptr(GVariant) evidence = g_variant_ref_sink(evidence_list(run));

  az_job_message(run->job, "step", NULL, "Evidence about %s...", run->source->region);
  for (gsize i = 0; i < g_variant_n_children(evidence); i++) {
    g_autoptr(GVariant) one = g_variant_get_child_value(evidence, i);
    say_evidence(run, one);
  }
  say_weights(run);
  say_verdict(run);
}

/* ---- the age of the target's data ---- */

gint64
az_failover_last_sync(AzFailover *run)
{
  g_autoptr(GHashTable) syncs = az_failover_syncs(run->engine, run->source->region);
  const gint64 *at = g_hash_table_lookup(syncs, run->target->region);

  return at != NULL ? *at : 0;
}

void
az_failover_say_data_age(AzFailover *run, gboolean source_reachable)
{
  gint64 last = az_failover_last_sync(run);

  if (run->with_sync && !source_reachable)
    az_job_message(run->job, "warn", NULL, "%s cannot be read: its data is not copied", run->source->region);
  if (last == 0) {
    az_job_message(run->job, "warn", NULL,
                   "No verified sync to %s is on record: what was written only on %s is not there", run->target->region,
                   run->source->region);
    return;
  }
  g_autofree char *age
      = az_flow_duration((double) (az_clock_now(az_engine_clock(run->engine)) - last) / G_USEC_PER_SEC);
  az_job_message(run->job, "detail", NULL, "Last verified sync to %s: %s ago", run->target->region, age);
}

/* ---- JSON ---- */

static GVariant *
decision_of(AzFailover *run)
{
  GVariantBuilder decision;
  g_autoptr(GVariant) value = g_variant_ref_sink(az_decision_to_variant(&run->decision));

  g_variant_builder_init(&decision, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&decision, "{sv}", "id", az_variant_str(run->decision_id));
  for (gsize i = 0; i < g_variant_n_children(value); i++) {
    g_autoptr(GVariant) entry = g_variant_get_child_value(value, i);
    g_variant_builder_add_value(&decision, entry);
  }
  g_autofree char *step = NULL;
  AzHold hold = hold_of(run, NULL, &step);
  g_autofree char *next = next_command(run, hold, step);
  g_variant_builder_add(&decision, "{sv}", "next", az_variant_str(next));
  g_variant_builder_add(&decision, "{sv}", "evidence", evidence_list(run));
  return g_variant_builder_end(&decision);
}

GVariant *
az_failover_result(AzFailover *run, gboolean success, const GError *error)
{
  GVariantBuilder result;

  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "success", g_variant_new_boolean(success));
  g_variant_builder_add(&result, "{sv}", "source_region", az_variant_str(run->source->region));
  g_variant_builder_add(&result, "{sv}", "target_region",
                        az_variant_str(run->target != NULL ? run->target->region : NULL));
  g_variant_builder_add(&result, "{sv}", "duration_seconds",
                        g_variant_new_double(az_flow_seconds_since(run->engine, run->started)));
  g_variant_builder_add(&result, "{sv}", "epoch",
                        g_variant_new_uint64(run->committed ? run->epoch : run->stored->epoch));
  g_variant_builder_add(&result, "{sv}", "fence", az_variant_str(run->fence));
  g_variant_builder_add(&result, "{sv}", "sync", run->sync != NULL ? run->sync : az_null());
  g_variant_builder_add(&result, "{sv}", "decision", run->decision.reason != NULL ? decision_of(run) : az_null());
  g_variant_builder_add(&result, "{sv}", "policy", az_failover_state_to_variant(run->engine));
  if (error != NULL)
    g_variant_builder_add(&result, "{sv}", "error", az_error_to_variant(error, NULL));
  return g_variant_builder_end(&result);
}

void
az_failover_audit(AzFailover *run, const char *outcome, const GError *error)
{
  GVariantDict facts;
  g_autoptr(GVariant) result = g_variant_ref_sink(az_failover_result(run, run->committed, error));

  g_variant_dict_init(&facts, result);
  g_variant_dict_insert(&facts, "outcome", "s", outcome);
  g_variant_dict_insert(&facts, "automatic", "b", run->automatic);
  g_variant_dict_insert(&facts, "cause", "s", run->cause);
  g_variant_dict_insert(&facts, "without_lock", "b", run->no_lock != NULL);
  g_variant_dict_insert(&facts, "rounds", "u", run->rounds);
  az_flow_audit(run->job, "failover", g_variant_dict_end(&facts));
}
