/* What a watch does: the switch, as a job of its own in the same engine, which finds the evidence warm. */
#include "flow-watch.h"

#define RETRY_S 5 /* after a switch that did not come about; doubled each time */
#define MAX_RETRY_S 600
#define LOCKED_RETRY_S 10 /* somebody else switches at this moment */

static gint64
monotonic(AzWatch *watch)
{
  return az_clock_monotonic(az_engine_clock(watch->engine));
}

/* ---- what is relayed ---- */

static void
on_message(AzJob *child, const char *level, const char *region, const char *text, gpointer data)
{
  AzWatch *watch = data;

  az_job_message(watch->job, level, region, "%s", text);
}

static void
on_progress(AzJob *child, guint64 done, guint64 total, const char *text, gpointer data)
{
  AzWatch *watch = data;

  az_job_progress(watch->job, done, total, text);
}

static void
on_event(AzJob *child, const char *name, GVariant *facts, gpointer data)
{
  az_watch_tell(data, name, facts);
}

static void
add(GVariantBuilder *facts, const char *name, GVariant *value)
{
  g_variant_builder_add(facts, "{sv}", name, value);
}

static void
tell(AzWatch *watch, const char *phase, GVariant *result)
{
  static const char *const keys[] = { "success", "epoch", "duration_seconds", "fence", "error", NULL };
  GVariantBuilder facts;

  g_variant_builder_init(&facts, G_VARIANT_TYPE_VARDICT);
  add(&facts, "phase", g_variant_new_string(phase));
  add(&facts, "cause", g_variant_new_string(watch->taking_back ? "rollback" : "automatic"));
  add(&facts, "from", az_variant_str(watch->from));
  add(&facts, "to", az_variant_str(watch->to));
  for (guint i = 0; result != NULL && keys[i] != NULL; i++) {
    g_autoptr(GVariant) value = g_variant_lookup_value(result, keys[i], NULL);
    if (value != NULL)
      add(&facts, keys[i], value);
  }
  if (result != NULL)
    add(&facts, "exit_code", g_variant_new_int32(az_job_exit_code(watch->child)));
  az_watch_tell(watch, "switch", g_variant_builder_end(&facts));
}

/* ---- the end of one ---- */

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
  g_autoptr(GVariant) error = result != NULL ? g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT) : NULL;
  gint64 seconds = (watch->not_before - monotonic(watch)) / G_USEC_PER_SEC;
  const char *message = "it ended without one";

  if (error != NULL)
    g_variant_lookup(error, "error_message", "&s", &message);
  az_job_message(watch->job, "fail", NULL, "No switch: %s; tried again in %" G_GINT64_FORMAT " s if it is still needed",
                 message, seconds);
}

static void
note_success(AzWatch *watch, GVariant *result)
{
  guint64 epoch = watch->stored->epoch;

  watch->failures = 0;
  if (!g_variant_lookup(result, "epoch", "t", &epoch) || epoch <= watch->stored->epoch)
    return; /* there was nothing to do after all */
  watch->own_epoch = epoch;
  watch->switches++;
}

static void
on_finished(AzJob *child, gpointer data)
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
    note_success(watch, result);
  } else {
    wait_before_next(watch, exit_code);
    say_failed(watch, result);
  }
  tell(watch, "ended", result);
  if (az_op_cancelled(watch->root))
    return;
  az_watch_read_policy(watch);
  az_watch_read(watch);
  az_watch_end_if_idle(watch);
}

/* ---- the beginning ---- */

static void
begin(AzWatch *watch, const char *kind, const char *flag)
{
  GVariantDict args;
  g_autoptr(GError) error = NULL;
  const AzJobWatch ears
      = { .message = on_message, .progress = on_progress, .event = on_event, .finished = on_finished, .data = watch };

  if (watch->child != NULL)
    az_engine_forget(watch->engine, g_steal_pointer(&watch->child));
  g_variant_dict_init(&args, NULL);
  g_variant_dict_insert(&args, flag, "b", TRUE);
  watch->child = az_engine_submit(watch->engine, kind, g_variant_dict_end(&args), &ears, &error);
  if (watch->child == NULL) {
    wait_before_next(watch, 1);
    az_job_message(watch->job, "fail", NULL, "No switch: %s", error->message);
    return;
  }
  az_job_set_number(watch->child, az_job_number(watch->job));
  watch->busy = TRUE;
  tell(watch, "begun", NULL);
  az_engine_start(watch->engine, watch->child);
}

static gboolean
may_begin(AzWatch *watch)
{
  return !watch->busy && !watch->ending && monotonic(watch) >= watch->not_before;
}

void
az_watch_switch(AzWatch *watch, const char *to)
{
  if (!may_begin(watch))
    return;
  if (watch->dry_run) {
    if (az_watch_stand(watch, "dry-run", to, "warn", "A dry run: the switch that would come now is left out", NULL))
      az_job_message(watch->job, "warn", NULL, "Would switch from %s to %s now; a dry run leaves it out",
                     watch->stored->primary, to);
    return;
  }
  az_vm_set(&watch->from, watch->stored->primary);
  az_vm_set(&watch->to, to);
  watch->taking_back = FALSE;
  begin(watch, "failover", "auto");
}

void
az_watch_take_back(AzWatch *watch)
{
  if (!may_begin(watch) || watch->dry_run || !az_watch_is_judge(watch) || watch->no_lock != NULL)
    return;
  az_vm_set(&watch->from, watch->state->window_to);
  az_vm_set(&watch->to, watch->state->window_from);
  watch->taking_back = TRUE;
  begin(watch, "failover-rollback", "due");
}

void
az_watch_calm_down(AzWatch *watch)
{
  az_watch_stand(watch, "dry-run", NULL, NULL, NULL, NULL);
  watch->failures = 0;
  watch->not_before = 0;
}
