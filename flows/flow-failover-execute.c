/* The journaled switch: each step stands in the journal before it acts; before the commit all of it can be undone. */
#include "flow-failover.h"
#include "error.h"
#include "flow-lease.h"
#include "flow-sync.h"
#include "health.h"

#define LOCK_TTL_S 60
#define CHECK_MS 10000
#define UNDO_MS 60000

static gboolean
note_step(AzFailover *run, const char *step)
{
  GError *error = NULL;
  GVariantDict facts;
  AzJournal *journal = az_engine_journal(run->engine, &error);

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "step", "s", step);
  g_variant_dict_insert(&facts, "ran", "b", run->ran);
  g_variant_dict_insert(&facts, "power-asked", "b", run->power_asked);
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&facts));
  if (journal != NULL && az_journal_update(journal, run->entry, value, &error))
    return TRUE;
  az_failover_abort(run, error);
  return FALSE;
}

static void
on_interrupt(gpointer data)
{
  AzFailover *run = data;

  az_flow_entry_interrupted(run->engine, run->entry);
}

static gboolean
open_entry(AzFailover *run)
{
  GError *error = NULL;
  GVariantDict undo;
  AzJournal *journal = az_engine_journal(run->engine, &error);

  g_variant_dict_init(&undo, NULL);
  g_variant_dict_insert(&undo, "from", "s", run->source->region);
  g_variant_dict_insert(&undo, "to", "s", run->target->region);
  g_variant_dict_insert(&undo, "epoch", "t", run->stored->epoch);
  g_variant_dict_insert(&undo, "deallocate", "b", az_job_arg_bool(run->job, "deallocate-source"));
  g_variant_dict_insert(&undo, "step", "s", "OPENED");
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&undo));
  if (journal != NULL && az_journal_intent(journal, AZ_FAILOVER_OWNER, "switch", value, &run->entry, &error)) {
    az_op_on_cancel(run->root, on_interrupt, run);
    return TRUE;
  }
  az_job_fail(run->job, error);
  return FALSE;
}

/* ---- going back ---- */

static void
close_aborted(AzFailover *run, GError *error)
{
  g_autoptr(GError) owned = error;
  AzJournal *journal = az_engine_journal(run->engine, NULL);

  az_failover_audit(run, "aborted", owned);
  if (journal != NULL && run->entry != 0)
    az_journal_done(journal, run->entry, NULL);
  az_job_finish(run->job, az_error_exit_code(owned), az_failover_result(run, FALSE, owned));
}

typedef struct {
  AzFailover *run;
  GError *error;
} Abort;

static void
on_restarted(AzlinOp *op, gpointer data)
{
  g_autofree Abort *abort = data;

  if (az_op_cancelled(abort->run->root)) {
    g_clear_error(&abort->error);
    return;
  }
  if (az_op_error(op) == NULL) {
    az_job_message(abort->run->job, "ok", NULL, "%s runs again", abort->run->source->region);
    close_aborted(abort->run, abort->error);
    return;
  }
  /* The entry stays open: recover tries again, and until then every list of open entries shows it. */
  az_job_message(abort->run->job, "warn", NULL, "%s could not be started again: %s", abort->run->source->region,
                 az_op_error(op)->message);
  az_job_message(abort->run->job, "hint", NULL, "To try again: azlin recover");
  az_flow_entry_interrupted(abort->run->engine, abort->run->entry);
  g_autoptr(GError) error = g_steal_pointer(&abort->error);
  az_failover_audit(abort->run, "aborted, source still off", error);
  az_job_finish(abort->run->job, az_error_exit_code(error), az_failover_result(abort->run, FALSE, error));
}

void
az_failover_abort(AzFailover *run, GError *error)
{
  if (!run->power_asked || !run->ran) {
    close_aborted(run, error);
    return;
  }
  Abort *abort = g_new(Abort, 1);
  *abort = (Abort){ run, error };
  az_job_message(run->job, "step", NULL, "Starting %s again", run->source->region);
  az_flow_vm_power(run->engine, run->root, run->source, AZLIN_POWER_RUNNING, UNDO_MS, on_restarted, abort);
}

/* ---- the commit ---- */

static void
on_committed(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;
  const GError *error = az_op_error(op);

  if (az_op_cancelled(run->root))
    return; /* recover reads from the context whether it came through */
  if (error != NULL) {
    az_failover_abort(run, g_error_copy(error));
    return;
  }
  run->committed = TRUE;
  run->epoch = g_variant_get_uint64(az_op_variant(op));
  az_failover_settle(run);
}

static void
commit(AzFailover *run)
{
  if (!note_step(run, "COMMITTING"))
    return;
  az_job_message(run->job, "step", NULL, "Updating config to point to %s", run->target->region);
  az_flow_set_primary(run->engine, run->root, run->source->region, run->target->region, run->stored->epoch,
                      on_committed, run);
}

/* ---- the fence ---- */

/* Only a machine that serves nobody is switched off; one that works is superseded by the epoch alone. */
static gboolean
needs_fence(AzFailover *run)
{
  switch (az_health_copy_get(run->source_health)->failure) {
  case AZLIN_FAILURE_NETWORK_UNREACHABLE:
  case AZLIN_FAILURE_SSH_CONNECTION_FAILED:
  case AZLIN_FAILURE_VM_STOPPED:
  case AZLIN_FAILURE_VM_DEALLOCATED:
  case AZLIN_FAILURE_UNKNOWN:
    return TRUE;
  case AZLIN_FAILURE_NONE:
  case AZLIN_FAILURE_PERFORMANCE_DEGRADED:
  case AZLIN_FAILURE_AUTH_FAILED:
  case AZLIN_FAILURE_HOST_KEY_CHANGED:
  default:
    return FALSE;
  }
}

static void
fenced(AzFailover *run)
{
  gboolean confirmed = g_str_equal(run->fence, "confirmed");

  if (confirmed)
    az_job_message(run->job, "ok", NULL, "%s is confirmed to be off", run->source->region);
  /* A machine whose SSH alone fails is alive: acting on a verdict, two primaries must be ruled out. */
  if (!confirmed && run->automatic && run->decision.failure == AZLIN_FAILURE_SSH_CONNECTION_FAILED) {
    GError *error
        = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                      "%s could not be confirmed to be off; its machine may still serve", run->source->region);
    az_error_add_step(error, "Decide yourself: azlin failover --to %s", run->target->region);
    az_failover_abort(run, error);
    return;
  }
  if (note_step(run, confirmed ? "FENCE_CONFIRMED" : "FENCE_UNCONFIRMED"))
    commit(run);
}

static void
fence(AzFailover *run)
{
  if (!needs_fence(run)) {
    run->fence = "epoch";
    commit(run);
    return;
  }
  run->ran = az_health_copy_get(run->source_health)->vm->power == AZLIN_POWER_RUNNING;
  run->power_asked = TRUE;
  if (!note_step(run, "FENCE_REQUESTED"))
    return;
  az_job_message(run->job, "step", NULL, "Fencing %s (power off)", run->source->region);
  az_failover_fence(run, fenced);
}

/* ---- data ---- */

static gboolean
sync_failed(GVariant *result)
{
  g_autofree const char **errors = NULL;

  return g_variant_lookup(result, "errors", "^a&s", &errors) && errors[0] != NULL;
}

static void
on_synced(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root))
    return;
  if (az_op_error(op) != NULL) {
    az_failover_abort(run, g_error_copy(az_op_error(op)));
    return;
  }
  run->sync = g_variant_ref(az_op_variant(op));
  if (sync_failed(run->sync)) {
    az_failover_abort(run, g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC,
                                       "The data of %s could not be copied to %s; the primary stays where it is",
                                       run->source->region, run->target->region));
    return;
  }
  if (note_step(run, "SYNCED"))
    fence(run);
}

static void
bring_data(AzFailover *run)
{
  const AzlinHealth *health = az_health_copy_get(run->source_health);
  gboolean reachable = health->healthy || health->failure == AZLIN_FAILURE_PERFORMANCE_DEGRADED;

  if (az_job_arg_bool(run->job, "sync") && reachable) {
    az_sync_run(run->job, run->engine, run->source, run->target, NULL, az_op_new(run->root, "sync", 0, on_synced, run));
    return;
  }
  az_failover_say_data_age(run, reachable);
  fence(run);
}

/* ---- the beginning ---- */

static void
on_target(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;
  gboolean healthy = FALSE;

  if (az_op_cancelled(run->root))
    return;
  if (az_op_error(op) == NULL)
    g_variant_lookup(az_op_variant(op), "is_healthy", "b", &healthy);
  if (!healthy) {
    az_failover_abort(run, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                                       "Target region is also unhealthy: %s; the primary stays where it is",
                                       run->target->region));
    return;
  }
  if (note_step(run, "TARGET_VERIFIED"))
    bring_data(run);
}

static void
superseded(AzFailover *run, const AzStored *now)
{
  az_job_fail(run->job, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FENCED,
                                    "Somebody else moved the primary meanwhile: it is %s now (epoch %" G_GUINT64_FORMAT
                                    ", expected %" G_GUINT64_FORMAT ")",
                                    *now->primary ? now->primary : "nowhere", now->epoch, run->stored->epoch));
}

/* Once more under the lock: what was judged must still be what stands. */
static void
on_stored(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzFailover *run = data;
  g_autoptr(AzStored) now = stored;

  if (now->epoch != run->stored->epoch || !g_str_equal(now->primary, run->source->region)) {
    superseded(run, now);
    return;
  }
  if (!open_entry(run) || !note_step(run, "LOCKED"))
    return;
  az_health_check(run->engine, run->target, az_op_new(run->root, "target", CHECK_MS, on_target, run));
}

static void
on_lock(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data)
{
  az_stored_read(job, root, on_stored, data);
}

void
az_failover_execute(AzFailover *run)
{
  az_job_message(run->job, "step", NULL, "Executing failover to %s...", run->target->region);
  az_lease_acquire(run->job, run->root, "failover", LOCK_TTL_S, on_lock, run);
}
