/* The verdict on the primary while it is watched: asked anew at each answer, said when it changes, acted upon by
 * policy.
 */
#include "flow-watch.h"
#include "error.h"
#include <string.h>

#define RETRY_S 30 /* after a switch that did not come about; doubled each time */
#define MAX_RETRY_S 600
#define LOCKED_RETRY_S 10 /* somebody else switches at this moment */

static gint64
monotonic(AzWatch *watch)
{
  return az_clock_monotonic(az_engine_clock(watch->engine));
}

/* ---- the switch: a job of its own ---- */

static void
on_child_message(AzJob *child, const char *level, const char *region, const char *text, gpointer data)
{
  AzWatch *watch = data;

  az_job_message(watch->job, level, region, "%s", text);
}

static void
on_child_progress(AzJob *child, guint64 done, guint64 total, const char *text, gpointer data)
{
  AzWatch *watch = data;

  az_job_progress(watch->job, done, total, text);
}

static void
on_child_event(AzJob *child, const char *name, GVariant *facts, gpointer data)
{
  AzWatch *watch = data;

  az_watch_tell(watch, name, facts);
}

static void
tell_switch(AzWatch *watch, const char *phase, GVariant *result)
{
  GVariantDict facts;
  static const char *const keys[] = { "success", "epoch", "duration_seconds", "fence", "error", NULL };

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "phase", "s", phase);
  g_variant_dict_insert_value(&facts, "from", az_variant_str(watch->from));
  g_variant_dict_insert_value(&facts, "to", az_variant_str(watch->to));
  for (guint i = 0; result != NULL && keys[i] != NULL; i++) {
    g_autoptr(GVariant) value = g_variant_lookup_value(result, keys[i], NULL);
    if (value != NULL)
      g_variant_dict_insert_value(&facts, keys[i], value);
  }
  if (result != NULL)
    g_variant_dict_insert(&facts, "exit_code", "i", az_job_exit_code(watch->child));
  az_watch_tell(watch, "switch", g_variant_dict_end(&facts));
}

static void
wait_before_next(AzWatch *watch, int exit_code)
{
  guint seconds = RETRY_S << MIN(watch->failures, 5u);

  if (exit_code == 4)
    seconds = LOCKED_RETRY_S;
  else
    watch->failures++;
  watch->not_before = monotonic(watch) + (gint64) MIN(seconds, MAX_RETRY_S) * G_USEC_PER_SEC;
}

static void
say_failed(AzWatch *watch, GVariant *result)
{
  g_autoptr(GVariant) error = g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT);
  const char *message = NULL;
  gint64 seconds = (watch->not_before - monotonic(watch)) / G_USEC_PER_SEC;

  if (error != NULL)
    g_variant_lookup(error, "error_message", "&s", &message);
  az_job_message(watch->job, "fail", NULL, "No switch: %s; tried again in %" G_GINT64_FORMAT " s if it is still needed",
                 message != NULL ? message : "it ended without one", seconds);
}

static void
on_child_finished(AzJob *child, gpointer data)
{
  AzWatch *watch = data;
  GVariant *result = az_job_result(child);
  int exit_code = az_job_exit_code(child);
  const char *to = NULL;

  watch->busy = FALSE;
  if (g_variant_lookup(result, "target_region", "&s", &to))
    az_vm_set(&watch->to, to);
  az_job_progress(watch->job, 1, 1, "");
  if (exit_code == 0) {
    watch->failures = 0;
    watch->switches++;
    g_variant_lookup(result, "epoch", "t", &watch->own_epoch);
  } else {
    wait_before_next(watch, exit_code);
    say_failed(watch, result);
  }
  tell_switch(watch, "ended", result);
  if (az_op_cancelled(watch->root))
    return;
  az_watch_read_policy(watch);
  az_watch_read(watch);
  az_watch_end_if_idle(watch);
}

static void
begin_switch(AzWatch *watch)
{
  GVariantDict args;
  GError *error = NULL;
  const AzJobWatch ears = { .message = on_child_message,
                            .progress = on_child_progress,
                            .event = on_child_event,
                            .finished = on_child_finished,
                            .data = watch };

  if (watch->child != NULL)
    az_engine_forget(watch->engine, g_steal_pointer(&watch->child));
  g_variant_dict_init(&args, NULL);
  g_variant_dict_insert(&args, "auto", "b", TRUE);
  watch->child = az_engine_submit(watch->engine, "failover", g_variant_dict_end(&args), &ears, &error);
  if (watch->child == NULL) {
    wait_before_next(watch, 1);
    az_job_message(watch->job, "fail", NULL, "No switch: %s", error->message);
    g_clear_error(&error);
    return;
  }
  watch->busy = TRUE;
  tell_switch(watch, "begun", NULL);
  az_engine_start(watch->engine, watch->child);
}

/* ---- the verdict ---- */

static const AzlinVm *
best_target(AzWatch *watch)
{
  for (guint i = 0; watch->decision.ranking != NULL && i < watch->decision.ranking->len; i++) {
    const char *line = g_ptr_array_index(watch->decision.ranking, i);
    g_autofree char *region = g_strndup(line, strcspn(line, ":"));
    const AzlinHealth *health = az_lookout_health(watch->lookout, region);
    if (health != NULL && health->healthy && az_config_allowed_region(az_engine_config(watch->engine), region) != NULL)
      return az_stored_find(watch->stored, region);
  }
  return NULL;
}

static const char *
verdict_word(const AzlinDecision *decision)
{
  const char *failure = az_failure_to_string(decision->failure);

  if (decision->verdict != NULL)
    return decision->verdict;
  return failure != NULL ? failure : "healthy";
}

static GVariant *
verdict_facts(AzWatch *watch, const char *target, const char *hold)
{
  GVariantDict facts;
  const AzlinDecision *decision = &watch->decision;

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", watch->stored->primary);
  g_variant_dict_insert(&facts, "verdict", "s", verdict_word(decision));
  g_variant_dict_insert(&facts, "should_auto_failover", "b", decision->should_auto_failover);
  g_variant_dict_insert(&facts, "confidence", "d", decision->confidence);
  g_variant_dict_insert_value(&facts, "reason", az_variant_str(decision->reason));
  g_variant_dict_insert_value(&facts, "what_would_change", az_variant_str(decision->what_would_change));
  g_variant_dict_insert_value(&facts, "target", az_variant_str(target));
  g_variant_dict_insert_value(&facts, "held_back_by", az_variant_str(hold));
  return g_variant_dict_end(&facts);
}

static void
stand_verdict(AzWatch *watch, const char *target, AzHold hold, const char *reason, const char *step)
{
  const AzlinDecision *decision = &watch->decision;
  gboolean automatic = decision->should_auto_failover;
  g_autofree char *key = g_strdup_printf("%s/%d/%d", verdict_word(decision), automatic, automatic ? (int) hold : -1);
  g_autofree char *text = NULL;

  if (automatic && hold != AZ_HOLD_NONE)
    text = g_strdup_printf("%s is lost, but %s (%s)", watch->stored->primary, reason, step);
  else if (automatic)
    text = g_strdup_printf("%s is lost: %s", watch->stored->primary, decision->reason);
  else
    text = g_strdup_printf("No switch: %s", decision->reason);
  if (az_watch_stand(watch, "verdict", key, automatic ? "fail" : "warn", text,
                     verdict_facts(watch, target, automatic ? reason : NULL)))
    az_job_message(watch->job, automatic ? "fail" : "warn", NULL, "%s", text);
}

static gboolean
decide(AzWatch *watch, const AzlinHealth *source)
{
  g_autoptr(GError) error = NULL;

  if (az_failover_decide(watch->engine, watch->lookout, source->vm->region, &watch->decision, &error)) {
    az_watch_stand(watch, "brick", NULL, NULL, NULL, NULL);
    return TRUE;
  }
  if (error == NULL)
    return FALSE; /* nothing is known yet */
  if (az_watch_stand(watch, "brick", "broken", "fail", error->message, NULL))
    az_job_message(watch->job, "fail", NULL, "Nothing can be judged: %s", error->message);
  return FALSE;
}

/* Where nothing speaks against the primary there is nothing to say. */
static gboolean
is_calm(AzWatch *watch)
{
  return g_str_equal(verdict_word(&watch->decision), "healthy") && !watch->decision.should_auto_failover;
}

void
az_watch_judge(AzWatch *watch)
{
  g_autofree char *reason = NULL, *step = NULL;
  const AzlinHealth *source = az_lookout_health(watch->lookout, watch->stored->primary);

  if (watch->busy || watch->ending || source == NULL || !decide(watch, source))
    return;
  if (is_calm(watch)) {
    az_watch_stand(watch, "dry-run", NULL, NULL, NULL, NULL);
    if (az_watch_stand(watch, "verdict", NULL, NULL, NULL, NULL))
      az_job_message(watch->job, "ok", NULL, "Nothing speaks against %s any more", watch->stored->primary);
    watch->failures = 0;
    watch->not_before = 0;
    return;
  }
  const AzlinVm *target = best_target(watch);
  AzHold hold = az_watch_hold(watch, target != NULL ? target->region : NULL, &reason, &step);
  stand_verdict(watch, target != NULL ? target->region : NULL, hold, reason, step);
  if (!watch->decision.should_auto_failover || hold != AZ_HOLD_NONE || monotonic(watch) < watch->not_before)
    return;
  az_vm_set(&watch->from, watch->stored->primary);
  az_vm_set(&watch->to, target->region);
  if (!watch->dry_run) {
    begin_switch(watch);
    return;
  }
  if (az_watch_stand(watch, "dry-run", watch->to, "warn", "A dry run: the switch that would come now is left out",
                     NULL))
    az_job_message(watch->job, "warn", NULL, "Would switch from %s to %s now; a dry run leaves it out", watch->from,
                   watch->to);
}

void
az_watch_primary_moved(AzWatch *watch)
{
  az_watch_stand(watch, "verdict", NULL, NULL, NULL, NULL);
  az_watch_stand(watch, "dry-run", NULL, NULL, NULL, NULL);
  watch->failures = 0;
  watch->not_before = 0;
}
