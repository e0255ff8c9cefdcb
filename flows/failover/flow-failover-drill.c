/* failover --drill: every step up to the commit against a pointer of its own, each measured; then the report. Nothing
 * is switched off and the primary stays where it is. */
#include "canary.h"
#include "error.h"
#include "flow-failover-options.h"
#include "flow-failover-state.h"
#include "flow-failover.h"
#include "files.h"
#include "flow-lease.h"
#include "flow-sync.h"
#include "health.h"
#include <glib/gstdio.h>

#define LOCK_TTL_S 60
#define STEP_MS 12000
#define POINTER "drill-primary"

typedef struct {
  const char *name;
  double seconds;
  gboolean ok, skipped;
  char *detail;
} Step;

struct _AzDrill {
  AzFailover *run;
  GArray *steps; /* of Step */
  gint64 began;  /* monotonic, of the step that runs */
  char *canary;  /* the line that was put on the source now; NULL = none was */
  char *before;  /* the line that stood on the source before */
  double rpo_s;  /* < 0 = not known */
  const char *rpo_from;
  guint64 entry;
};
typedef struct _AzDrill Drill;

static void
clear_step(gpointer data)
{
  g_free(((Step *) data)->detail);
}

void
az_drill_free(AzDrill *drill)
{
  if (drill == NULL)
    return;
  g_array_unref(drill->steps);
  g_free(drill->canary);
  g_free(drill->before);
  g_free(drill);
}

static AzlinOp *
root_of(Drill *drill)
{
  return drill->run->root;
}

static gint64
monotonic(Drill *drill)
{
  return az_clock_monotonic(az_engine_clock(drill->run->engine));
}

static char *
pointer_path(AzEngine *engine)
{
  return az_paths_file(az_engine_paths(engine), POINTER);
}

/* ---- steps ---- */

static void
begin(Drill *drill)
{
  drill->began = monotonic(drill);
}

static void
say_step(Drill *drill, const Step *step)
{
  const char *level = step->skipped ? "warn" : step->ok ? "ok" : "fail";
  if (step->skipped)
    az_job_message(drill->run->job, level, NULL, "%s: %s", step->name, step->detail);
  else
    az_job_message(drill->run->job, level, NULL, "%s: %s (%.1fs)", step->name, step->detail, step->seconds);
}

G_GNUC_PRINTF(5, 6)
static void
end(Drill *drill, const char *name, gboolean ok, gboolean skipped, const char *format, ...)
{
  va_list arguments;
  Step step = {
    .name = name, .ok = ok, .skipped = skipped, .seconds = (double) (monotonic(drill) - drill->began) / G_USEC_PER_SEC
  };
  va_start(arguments, format);
  step.detail = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_array_append_val(drill->steps, step);
  say_step(drill, &step);
}

static gboolean
failed(Drill *drill, const char *name, AzlinOp *op)
{
  if (az_op_error(op) == NULL)
    return FALSE;
  g_autofree char *why = az_error_message(az_op_error(op));
  end(drill, name, FALSE, FALSE, "%s", why);
  return TRUE;
}

static gboolean
passed(Drill *drill)
{
  for (guint i = 0; i < drill->steps->len; i++)
    if (!g_array_index(drill->steps, Step, i).ok)
      return FALSE;
  return TRUE;
}

/* ---- the report ---- */

/* What detection may take at most: the outage begins right after a probe, and the last of the row runs into its end. */
static double
detection_s(Drill *drill)
{
  AzDetectorRules rules = az_failover_option_rules(drill->run->engine);
  return rules.fall * rules.primary_interval_s + rules.probe_timeout_s;
}

static double
steps_s(Drill *drill)
{
  double sum = 0;
  for (guint i = 0; i < drill->steps->len; i++) {
    const Step *step = &g_array_index(drill->steps, Step, i);
    if (!g_str_has_prefix(step->name, "canary") && !g_str_equal(step->name, "sync"))
      sum += step->seconds;
  }
  return sum;
}

static GVariant *
steps_variant(Drill *drill)
{
  GVariantBuilder list;
  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < drill->steps->len; i++) {
    const Step *step = &g_array_index(drill->steps, Step, i);
    GVariantDict one;
    g_variant_dict_init(&one, NULL);
    g_variant_dict_insert(&one, "name", "s", step->name);
    g_variant_dict_insert(&one, "outcome", "s", step->skipped ? "skipped" : step->ok ? "ok" : "failed");
    g_variant_dict_insert(&one, "seconds", "d", step->seconds);
    g_variant_dict_insert(&one, "detail", "s", step->detail);
    g_variant_builder_add_value(&list, g_variant_dict_end(&one));
  }
  return g_variant_builder_end(&list);
}

static GVariant *
report_of(Drill *drill)
{
  GVariantDict report;
  AzFailover *run = drill->run;
  g_autofree char *at = az_time_to_string(az_clock_now(az_engine_clock(run->engine)));
  g_variant_dict_init(&report, NULL);
  g_variant_dict_insert(&report, "success", "b", passed(drill));
  g_variant_dict_insert(&report, "drill", "b", TRUE);
  g_variant_dict_insert(&report, "at", "s", at);
  g_variant_dict_insert(&report, "source_region", "s", run->source->region);
  g_variant_dict_insert(&report, "target_region", "s", run->target->region);
  g_variant_dict_insert(&report, "epoch", "t", run->stored->epoch);
  g_variant_dict_insert(&report, "duration_seconds", "d", az_flow_seconds_since(run->engine, run->started));
  g_variant_dict_insert(&report, "rto_seconds", "d", detection_s(drill) + steps_s(drill));
  g_variant_dict_insert(&report, "rto_detection_seconds", "d", detection_s(drill));
  g_variant_dict_insert(&report, "rto_switch_seconds", "d", steps_s(drill));
  g_variant_dict_insert_value(&report, "rpo_seconds",
                              drill->rpo_s < 0 ? az_null() : g_variant_new_double(drill->rpo_s));
  g_variant_dict_insert_value(&report, "rpo_from", az_variant_str(drill->rpo_from));
  g_variant_dict_insert_value(&report, "steps", steps_variant(drill));
  return g_variant_ref_sink(g_variant_dict_end(&report));
}

static char *
write_report(Drill *drill, GVariant *report)
{
  AzFailover *run = drill->run;
  g_autoptr(GError) error = NULL;
  g_autofree char *folder = az_paths_file(az_engine_paths(run->engine), "drills");
  g_autofree char *at = az_time_to_string(az_clock_now(az_engine_clock(run->engine)));
  g_autofree char *name = g_strdup_printf("%s.json", at);
  g_autofree char *path = g_build_filename(folder, g_strdelimit(name, ":", '-'), NULL);
  g_autofree char *text = az_json_from_variant(report, 2);
  if (az_paths_make_dir(folder, &error) && az_files_write(path, text, AZ_FILES_QUICK, &error))
    return g_steal_pointer(&path);
  az_job_message(run->job, "warn", NULL, "The report was not written: %s", error->message);
  return NULL;
}

static void
keep_result(AzFailoverState *state, gpointer data)
{
  Drill *drill = data;
  AzFailover *run = drill->run;
  state->drill_at = az_clock_now(az_engine_clock(run->engine));
  g_free(state->drill_to);
  state->drill_to = g_strdup(run->target->region);
  state->drill_rto_s = detection_s(drill) + steps_s(drill);
  state->drill_rpo_s = drill->rpo_s;
  state->drill_passed = passed(drill);
}

static void
say_end(Drill *drill, const char *report_path)
{
  AzFailover *run = drill->run;
  g_autofree char *rto = az_flow_duration(detection_s(drill) + steps_s(drill));
  gboolean fine = passed(drill);
  az_job_message(run->job, fine ? "done" : "failed", NULL, "Drill %s: %s would take over from %s",
                 fine ? "passed" : "failed", run->target->region, run->source->region);
  az_job_message(run->job, "detail", NULL, "RTO: %s (%.0fs detection at most, %.1fs switch as measured)", rto,
                 detection_s(drill), steps_s(drill));
  if (drill->rpo_s >= 0) {
    g_autofree char *rpo = az_flow_duration(drill->rpo_s);
    az_job_message(run->job, "detail", NULL, "RPO: %s (%s)", rpo, drill->rpo_from);
  } else {
    az_job_message(run->job, "detail", NULL, "RPO: unknown; no sync to %s is on record", run->target->region);
    az_job_message(run->job, "hint", NULL, "To measure it: azlin failover --drill --to %s --sync", run->target->region);
  }
  if (report_path != NULL)
    az_job_message(run->job, "detail", NULL, "Report: %s", report_path);
  if (!fine)
    az_job_message(run->job, "hint", NULL, "To look closer: azlin regions health");
}

static void
finish(Drill *drill)
{
  AzFailover *run = drill->run;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) report = report_of(drill);
  int code = passed(drill) ? 0 : 1;
  g_autofree char *path = write_report(drill, report);
  if (!az_failover_state_change(run->engine, keep_result, drill, &error))
    az_job_message(run->job, "warn", NULL, "The drill is not remembered: %s", error->message);
  az_flow_audit(run->job, "failover.drill", g_variant_ref(report));
  say_end(drill, path);
  GVariantDict result;
  g_variant_dict_init(&result, report);
  g_variant_dict_insert_value(&result, "report", az_variant_str(path));
  az_job_finish(run->job, code, g_variant_dict_end(&result));
}

/* ---- cleaning up ---- */

static void
clean_up(Drill *drill)
{
  AzFailover *run = drill->run;
  AzJournal *journal = az_engine_journal(run->engine, NULL);
  g_autofree char *path = pointer_path(run->engine);
  begin(drill);
  gboolean gone = g_unlink(path) == 0 || !g_file_test(path, G_FILE_TEST_EXISTS);
  if (gone && journal != NULL && drill->entry != 0)
    az_journal_done(journal, drill->entry, NULL);
  end(drill, "clean-up", gone, FALSE,
      gone ? "the drill's pointer is gone" : "the drill's pointer could not be removed");
  finish(drill);
}

void
az_failover_drill_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op)
{
  g_autofree char *path = pointer_path(engine);
  if (g_unlink(path) == 0 || !g_file_test(path, G_FILE_TEST_EXISTS))
    az_op_finish_variant(op, g_variant_new_string("undone: the drill's pointer is gone"));
  else
    az_op_fail_new(op, AZLIN_ERROR_STORAGE, "%s cannot be removed", path);
}

/* ---- the second pointer ---- */

static void
on_verified(AzlinOp *op, gpointer data)
{
  Drill *drill = data;
  if (az_op_cancelled(root_of(drill)))
    return;
  const AzlinReply *reply = az_op_reply(op);
  if (!failed(drill, "verify", op))
    end(drill, "verify", reply->status == 0, FALSE, "a login through the drill's pointer %s",
        reply->status == 0 ? "works" : "fails");
  clean_up(drill);
}

static void
switch_pointer(Drill *drill)
{
  AzFailover *run = drill->run;
  g_autoptr(GError) error = NULL;
  g_autofree char *path = pointer_path(run->engine);
  g_autofree char *line = g_strdup_printf("%s %" G_GUINT64_FORMAT "\n", run->target->region, run->stored->epoch + 1);
  g_autofree char *text = NULL;
  begin(drill);
  if (!az_files_write(path, line, AZ_FILES_QUICK, &error) || !g_file_get_contents(path, &text, NULL, &error)) {
    end(drill, "pointer", FALSE, FALSE, "%s", error->message);
    clean_up(drill);
    return;
  }
  end(drill, "pointer", g_str_equal(text, line), FALSE, "switched to %s (the drill's own; %s stays primary)",
      run->target->region, run->source->region);
  begin(drill);
  const char *argv[] = { "echo", "azlin-drill", NULL };
  AzlinExec request = { .size = sizeof request, .vm = run->target, .argv = argv };
  az_engine_exec(run->engine, &request,
                 az_op_expect(az_op_new(root_of(drill), "verify", STEP_MS, on_verified, drill), AZ_OP_REPLY));
}

/* ---- the canary ---- */

static void
note_age(Drill *drill, gint64 made, const char *from)
{
  double age = (double) (az_clock_now(az_engine_clock(drill->run->engine)) - made) / G_USEC_PER_SEC;
  drill->rpo_s = MAX(age, 0);
  drill->rpo_from = from;
}

static void
on_target_canary(AzlinOp *op, gpointer data)
{
  Drill *drill = data;
  if (az_op_cancelled(root_of(drill)))
    return;
  if (failed(drill, "canary on target", op)) {
    switch_pointer(drill);
    return;
  }
  const char *line = g_variant_get_string(az_op_variant(op), NULL);
  gint64 made = az_canary_read(line);
  gboolean known = g_strcmp0(line, drill->before) == 0 || g_strcmp0(line, drill->canary) == 0;
  if (*line == '\0') {
    end(drill, "canary on target", TRUE, TRUE, "none has arrived there yet; the next sync carries it");
  } else if (made == 0) {
    end(drill, "canary on target", FALSE, FALSE, "it is damaged: its hash does not fit");
  } else {
    note_age(drill, made, "age of the canary on the target");
    g_autofree char *age = az_flow_duration(drill->rpo_s);
    end(drill, "canary on target", TRUE, FALSE, "its hash fits, it is %s old%s", age,
        known ? "" : ", and older than the one before on the source");
  }
  switch_pointer(drill);
}

static void
read_target(Drill *drill)
{
  begin(drill);
  az_canary_get(drill->run->engine, drill->run->target,
                az_op_new(root_of(drill), "canary", STEP_MS, on_target_canary, drill));
}

static void
on_synced(AzlinOp *op, gpointer data)
{
  Drill *drill = data;
  double rate = 0;
  if (az_op_cancelled(root_of(drill)))
    return;
  if (!failed(drill, "sync", op)) {
    g_variant_lookup(az_op_variant(op), "success_rate", "d", &rate);
    end(drill, "sync", rate >= 1.0, FALSE,
        rate >= 1.0 ? "the source's data was copied and verified" : "the source's data was not copied in full");
  }
  read_target(drill);
}

static void
on_canary_put(AzlinOp *op, gpointer data)
{
  Drill *drill = data;
  AzFailover *run = drill->run;
  if (az_op_cancelled(root_of(drill)))
    return;
  if (!failed(drill, "canary on source", op))
    end(drill, "canary on source", TRUE, FALSE, "a new one stands there");
  if (!az_job_arg_bool(run->job, "sync")) {
    read_target(drill);
    return;
  }
  begin(drill);
  az_sync_run(run->job, run->engine, run->source, run->target, NULL,
              az_op_new(root_of(drill), "sync", 0, on_synced, drill));
}

static void
on_source_canary(AzlinOp *op, gpointer data)
{
  Drill *drill = data;
  AzFailover *run = drill->run;
  g_autofree char *nonce = g_uuid_string_random();
  if (az_op_cancelled(root_of(drill)))
    return;
  if (failed(drill, "canary on source", op)) {
    read_target(drill);
    return;
  }
  drill->before = g_variant_dup_string(az_op_variant(op), NULL);
  drill->canary = az_canary_make(az_clock_now(az_engine_clock(run->engine)), nonce);
  az_canary_put(run->engine, run->source, drill->canary,
                az_op_new(root_of(drill), "canary", STEP_MS, on_canary_put, drill));
}

static void
canary(Drill *drill)
{
  AzFailover *run = drill->run;
  begin(drill);
  if (!az_health_copy_get(run->source_health)->healthy) {
    end(drill, "canary on source", TRUE, TRUE, "%s cannot be read now", run->source->region);
    read_target(drill);
    return;
  }
  az_canary_get(run->engine, run->source, az_op_new(root_of(drill), "canary", STEP_MS, on_source_canary, drill));
}

/* ---- what a switch would do ---- */

static void
on_fence(AzlinOp *op, gpointer data)
{
  Drill *drill = data;
  if (az_op_cancelled(root_of(drill)))
    return;
  if (!failed(drill, "fence", op))
    end(drill, "fence", az_op_vm(op)->power != AZLIN_POWER_UNKNOWN, FALSE,
        "the provider answers for %s: %s (nothing was switched off)", drill->run->source->region,
        az_power_to_string(az_op_vm(op)->power));
  canary(drill);
}

static void
on_target(AzlinOp *op, gpointer data)
{
  Drill *drill = data;
  AzFailover *run = drill->run;
  gboolean healthy = az_flow_is_healthy(op);
  if (az_op_cancelled(root_of(drill)))
    return;
  if (!failed(drill, "target", op)) {
    end(drill, "target", healthy, FALSE, "%s is %s", run->target->region, healthy ? "healthy" : "not healthy");
  }
  begin(drill);
  az_flow_vm_get(run->engine, run->root, run->source, STEP_MS, on_fence, drill);
}

static gboolean
open_entry(Drill *drill, GError **error)
{
  AzFailover *run = drill->run;
  GVariantDict undo;
  AzJournal *journal = az_engine_journal(run->engine, error);
  g_variant_dict_init(&undo, NULL);
  g_variant_dict_insert(&undo, "to", "s", run->target->region);
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&undo));
  return journal != NULL && az_journal_intent(journal, AZ_DRILL_OWNER, "drill", value, &drill->entry, error);
}

static void
on_interrupt(gpointer data)
{
  Drill *drill = data;
  az_flow_entry_interrupted(drill->run->engine, drill->entry);
}

static void
on_lock(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data)
{
  AzFailover *run = data;
  GError *error = NULL;
  Drill *drill = run->drill;
  if (!open_entry(drill, &error)) {
    az_job_fail(job, error);
    return;
  }
  az_op_on_cancel(root, on_interrupt, drill);
  end(drill, "lock", TRUE, FALSE, "held");
  begin(drill);
  az_health_check(run->engine, run->target, az_op_new(root, "target", STEP_MS, on_target, drill));
}

void
az_failover_drill(AzFailover *run)
{
  az_job_message(run->job, "step", NULL, "Drill: %s takes over from %s, up to the commit...", run->target->region,
                 run->source->region);
  Drill *drill = run->drill = g_new0(Drill, 1);
  *drill = (Drill){ .run = run, .rpo_s = -1, .steps = g_array_new(FALSE, TRUE, sizeof(Step)) };
  g_array_set_clear_func(drill->steps, clear_step);
  begin(drill);
  az_lease_acquire(run->job, run->root, "failover", LOCK_TTL_S, on_lock, run);
}
