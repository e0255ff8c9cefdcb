/* After the commit of a failover: verify the target, tell the machines, files and records that follow the primary. */
#include "flow-failover.h"
#include "error.h"
#include "flow-epoch.h"
#include "flow-failover-note.h"
#include "flow-failover-options.h"
#include "flow-failover-share.h"
#include "health.h"

#define CHECK_MS 10000
#define NOTE_MS 5000
#define DEALLOCATE_MS 60000

/* ---- who can see the new primary ---- */

typedef struct {
  AzEngine *engine;
  AzlinOp *op;
  char *primary;
  GHashTable *verdicts;
  guint pending;
} Survey;

static void
survey_answered(Survey *survey)
{
  if (--survey->pending > 0)
    return;
  az_flow_keep_sightings(survey->engine, survey->verdicts);
  az_op_finish(survey->op);
  g_hash_table_unref(survey->verdicts);
  g_free(survey->primary);
  g_free(survey);
}

static void
on_surveyed(AzlinOp *op, gpointer data)
{
  Survey *survey = data;
  const char *vantage = NULL;
  GVariant *answer = az_op_error(op) == NULL ? az_op_variant(op) : NULL;

  if (answer != NULL && az_sight_of_evidence(answer) != AZ_SIGHT_NOTHING
      && g_variant_lookup(answer, "vantage", "&s", &vantage))
    g_hash_table_insert(survey->verdicts, g_strdup_printf("%s>%s", vantage, survey->primary),
                        GINT_TO_POINTER(az_sight_of_evidence(answer) == AZ_SIGHT_ALIVE));
  survey_answered(survey);
}

void
az_failover_survey(AzEngine *engine, const AzlinVm *primary, const AzlinVm *const *others, AzlinOp *op)
{
  Survey *survey = g_new(Survey, 1);

  *survey = (Survey){ .engine = engine,
                      .op = op,
                      .primary = g_strdup(primary->region),
                      .verdicts = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL),
                      .pending = 1 };
  for (guint i = 0; others[i] != NULL && i < AZ_FAILOVER_WITNESSES; i++) {
    survey->pending++;
    az_health_ask_witness(engine, others[i], primary, az_op_new(op, "survey", NOTE_MS, on_surveyed, survey));
  }
  survey_answered(survey);
}

/* ---- the steps ---- */

static void
note_committed(AzFailover *run)
{
  g_autoptr(GError) error = NULL;
  GVariantDict facts;
  AzJournal *journal = az_engine_journal(run->engine, &error);

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "step", "s", "EPOCH_COMMITTED");
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&facts));
  if (journal == NULL || !az_journal_update(journal, run->entry, value, &error))
    az_job_message(run->job, "warn", NULL, "The journal cannot be written: %s", error->message);
}

static void
on_told(AzlinOp *op, gpointer data)
{
  if (az_op_error(op) != NULL)
    g_info("the others were not told of the cool-down: %s", az_op_error(op)->message);
}

/* The cool-down, the window and a pending fence; a crash before this is made up for by recover, or by the next run. */
static void
note_switch(AzFailover *run)
{
  g_autoptr(GError) error = NULL;
  const AzSwitchNote note = { .from = run->source->region,
                              .to = run->target->region,
                              .from_vm = run->source->vm_name,
                              .epoch = run->epoch,
                              .automatic = run->automatic,
                              .isolated = run->isolation_asked,
                              .unfenced = g_str_equal(run->fence, "unconfirmed"),
                              .window_s = az_failover_option_uint(run->engine, "commit-window", 0) };

  run->noted = az_failover_note_switch(run->engine, &note, &error);
  if (!run->noted)
    az_job_message(run->job, "warn", NULL, "%s; azlin recover makes up for it", error->message);
  az_failover_share(run->engine, az_job_cleanup_op(run->job, "tell the others", AZ_FAILOVER_SHARE_MS, on_told, NULL));
}

static const char *
source_state(AzFailover *run)
{
  if (run->source_deallocated)
    return "deallocated";
  if (g_str_equal(run->fence, "confirmed"))
    return "stopped";
  if (g_str_equal(run->fence, "isolated"))
    return "cut off its network";
  if (g_str_equal(run->fence, "unconfirmed"))
    return "not confirmed to be off";
  return "running, no longer primary";
}

static void
say_end(AzFailover *run, const char *text)
{
  az_job_message(run->job, "done", NULL, "Failover complete in %s", text);
  az_job_message(run->job, "detail", NULL, "Source: %s (%s)", run->source->region, source_state(run));
  az_job_message(run->job, "detail", NULL, "Target: %s (%s)", run->target->region, run->target->public_ip);
  az_job_message(run->job, "hint", NULL, "To verify: azlin ssh");
  az_job_message(run->job, "hint", NULL, "To sync back: azlin sync --source %s --dest %s", run->target->region,
                 run->source->region);
}

static void
close_run(AzFailover *run)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *took = az_flow_duration(az_flow_seconds_since(run->engine, run->started));
  AzJournal *journal = az_engine_journal(run->engine, NULL);

  if (!run->verified)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "%s is primary now, but its machine failed the check after it",
                        run->target->region);
  az_failover_audit(run, run->verified ? "switched" : "switched, target unhealthy afterwards", error);
  if (!run->noted)
    az_flow_entry_interrupted(run->engine, run->entry);
  else if (journal != NULL && !az_journal_done(journal, run->entry, NULL))
    az_job_message(run->job, "warn", NULL, "The journal entry could not be closed; azlin recover will");
  if (error == NULL)
    say_end(run, took);
  az_failover_hook_post(run);
  az_failover_say_state(run->job, FALSE, AZ_HOLD_NONE);
  az_job_finish(run->job, run->verified ? 0 : 1, az_failover_result(run, run->verified, error));
}

static void store_checks(AzFailover *run);

/* The checks are stored last: what the steps beside them did to the source belongs into its record. */
static void
settled(AzFailover *run)
{
  if (--run->unsettled > 0)
    return;
  if (run->checks_stored) {
    close_run(run);
    return;
  }
  run->checks_stored = TRUE;
  store_checks(run);
}

static void
on_note(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root))
    return;
  if (az_op_error(op) != NULL)
    az_job_message(run->job, "warn", NULL, "%s: %s", az_op_label(op), az_op_error(op)->message);
  settled(run);
}

static void
on_deallocated(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  run->source_deallocated = az_op_error(op) == NULL;
  on_note(op, data);
}

static AzlinVm *
checked_copy(AzFailover *run, const AzlinHealth *health)
{
  AzlinVm *copy = az_vm_dup(health->vm);
  g_autoptr(GVariant) value = g_variant_ref_sink(az_health_to_variant(health));

  az_flow_note_health(run->engine, copy, value);
  if (copy->region != NULL && g_str_equal(copy->region, run->source->region)
      && (run->source_deallocated || g_str_equal(run->fence, "confirmed")))
    az_vm_set(&copy->status, "stopped");
  return copy;
}

static void
store_checks(AzFailover *run)
{
  g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);

  g_ptr_array_add(vms, checked_copy(run, az_health_copy_get(run->source_health)));
  for (guint i = 0; i < run->others->len; i++)
    g_ptr_array_add(vms, checked_copy(run, az_health_copy_get(g_ptr_array_index(run->others, i))));
  run->unsettled++;
  az_flow_put_status(run->engine, run->root, (const AzlinVm *const *) vms->pdata, vms->len, on_note, run);
}

static void
survey_witnesses(AzFailover *run)
{
  g_autoptr(GPtrArray) healthy = g_ptr_array_new();

  for (guint i = 0; i < run->others->len; i++) {
    const AzlinHealth *health = az_health_copy_get(g_ptr_array_index(run->others, i));
    if (health->healthy && !g_str_equal(health->vm->region, run->target->region))
      g_ptr_array_add(healthy, (gpointer) (guintptr) health->vm);
  }
  if (az_health_copy_get(run->source_health)->healthy)
    g_ptr_array_add(healthy, (gpointer) (guintptr) run->source);
  g_ptr_array_add(healthy, NULL);
  run->unsettled++;
  az_failover_survey(run->engine, run->target, (const AzlinVm *const *) healthy->pdata,
                     az_op_new(run->root, "survey", 2 * NOTE_MS, on_note, run));
}

/* The others have to know as well: whoever still acts by the records from before could promote one of them. */
static void
tell_bystanders(AzFailover *run)
{
  for (guint i = 0; i < run->others->len; i++) {
    const AzlinHealth *health = az_health_copy_get(g_ptr_array_index(run->others, i));
    if (!health->healthy || g_str_equal(health->vm->region, run->target->region))
      continue;
    g_autofree char *label = g_strdup_printf("Telling %s of the switch", health->vm->region);
    run->unsettled++;
    az_epoch_supersede(run->engine, health->vm, run->epoch, az_op_new(run->root, label, NOTE_MS, on_note, run));
  }
}

static void
on_stored(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzFailover *run = data;
  g_autoptr(AzStored) now = stored;

  az_flow_primary_files(job, now, run->source->region);
  run->unsettled = 1;
  survey_witnesses(run);
  run->unsettled++;
  az_epoch_write(run->engine, run->target, run->epoch,
                 az_op_new(root, "Writing the epoch on the target", NOTE_MS, on_note, run));
  tell_bystanders(run);
  if (g_str_equal(run->fence, "epoch")) {
    run->unsettled++;
    az_epoch_supersede(run->engine, run->source, run->epoch,
                       az_op_new(root, "Telling the old primary", NOTE_MS, on_note, run));
  }
  if (az_job_arg_bool(job, "deallocate-source")) {
    run->unsettled++;
    az_flow_vm_power(run->engine, root, run->source, AZLIN_POWER_DEALLOCATED, DEALLOCATE_MS, on_deallocated, run);
  }
  settled(run);
}

static void
on_verified(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root))
    return;
  run->verified = az_flow_is_healthy(op);
  az_stored_read(run->job, run->root, on_stored, run);
}

void
az_failover_settle(AzFailover *run)
{
  note_committed(run);
  note_switch(run);
  az_job_message(run->job, "ok", NULL, "Primary region: %s (%s)", run->target->region, run->target->public_ip);
  az_health_check(run->engine, run->target, az_op_new(run->root, "target", CHECK_MS, on_verified, run));
}
