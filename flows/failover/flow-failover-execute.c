/* The journaled switch: each step stands in the journal before it acts; before the commit all of it can be undone. */
#include "flow-failover.h"
#include "error.h"
#include "flow-failover-note.h"
#include "flow-failover-options.h"
#include "flow-sync.h"
#include "health.h"

#define LOCK_TTL_S 60
#define TARGET_MS 5000
#define CONFIRM_MS 5000
#define SECOND_LOOK_MS 500
#define UNDO_MS 125000 /* both halves of it */

gboolean
az_failover_journal(AzFailover *run, const char *step, GError **error)
{
  GVariantDict facts;
  AzJournal *journal = az_engine_journal(run->engine, error);

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "step", "s", step);
  g_variant_dict_insert(&facts, "ran", "b", run->ran);
  g_variant_dict_insert(&facts, "power-asked", "b", run->power_asked);
  g_variant_dict_insert(&facts, "isolation-asked", "b", run->isolation_asked);
  g_variant_dict_insert(&facts, "fence", "s", run->fence != NULL ? run->fence : "");
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&facts));
  return journal != NULL && az_journal_update(journal, run->entry, value, error);
}

static gboolean
note_step(AzFailover *run, const char *step)
{
  GError *error = NULL;

  if (az_failover_journal(run, step, &error))
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
  g_variant_dict_insert(&undo, "vm", "s", run->source->vm_name != NULL ? run->source->vm_name : "");
  g_variant_dict_insert(&undo, "automatic", "b", run->automatic);
  g_variant_dict_insert(&undo, "window", "u", az_failover_option_uint(run->engine, "commit-window", 0));
  g_variant_dict_insert(&undo, "cause", "s", run->cause);
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
  gboolean off = run->power_asked && run->ran;

  if (run->entry == 0 || (!off && !run->isolation_asked)) {
    close_aborted(run, error);
    return;
  }
  Abort *abort = g_new(Abort, 1);
  *abort = (Abort){ run, error };
  az_job_message(run->job, "step", NULL, "Starting %s again", run->source->region);
  az_failover_unfence(run->engine, run->source, run->isolation_asked, off,
                      az_op_new(run->root, "unfence", UNDO_MS, on_restarted, abort));
}

/* ---- the commit ---- */

/* The entry stays open: only recover, under the lock, may start the source again. */
static void
leave_open(AzFailover *run, const char *what, const GError *error)
{
  g_autofree char *message = az_error_message(error);
  az_job_message(run->job, "fail", NULL, "%s: %s", what, message);
  az_op_cancel(run->root, message);
}

static void
on_confirmed(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root))
    return;
  if (az_op_error(op) == NULL) {
    run->confirmed(run);
    return;
  }
  GError *error = az_lease_refusal(op, NULL);
  if (!run->power_asked && !run->isolation_asked) {
    az_failover_abort(run, error);
    return;
  }
  /* Whoever has the lock now may count on a source that is off. */
  leave_open(run, "The lock was lost", error);
  g_error_free(error);
}

/* Goes on with `next` where the lock is still held. */
static void
confirm(AzFailover *run, void (*next)(AzFailover *run))
{
  run->confirmed = next;
  if (run->lease == NULL)
    next(run);
  else
    az_lease_confirm(run->lease, az_op_new(run->root, "confirm the lock", CONFIRM_MS, on_confirmed, run));
}

static void
abort_commit(AzFailover *run)
{
  az_failover_abort(run, g_steal_pointer(&run->refusal));
}

/* Shared records that gave no answer may have been changed all the same. */
static gboolean
is_uncertain(const GError *error)
{
  return g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_LOCKED)
         || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NETWORK)
         || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
}

static void
on_committed(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;
  const GError *error = az_op_error(op);

  if (az_op_cancelled(run->root))
    return; /* recover reads from the context whether it came through */
  if (error != NULL && is_uncertain(error)) {
    leave_open(run, "Nobody knows whether the switch was made", error);
    return;
  }
  if (error != NULL) {
    run->refusal = g_error_copy(error);
    confirm(run, abort_commit);
    return;
  }
  run->committed = TRUE;
  run->epoch = g_variant_get_uint64(az_op_variant(op));
  az_failover_settle(run);
}

static void
commit_now(AzFailover *run)
{
  if (!note_step(run, "COMMITTING"))
    return;
  az_job_message(run->job, "step", NULL, "Updating config to point to %s", run->target->region);
  az_flow_set_primary(run->engine, run->root, run->source->region, run->target->region, run->stored->epoch,
                      on_committed, run);
}

static void
commit(AzFailover *run)
{
  confirm(run, commit_now);
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

/* Why the switch must not go on with a source that may still serve; NULL: it may, the epoch alone supersedes it. */
static GError *
unfenced_error(AzFailover *run)
{
  g_autofree char *policy = az_failover_option_string(run->engine, "unfenced", "epoch");
  gboolean never = g_str_equal(policy, "never");

  /* A machine whose SSH alone fails is alive: acting on a verdict, two primaries must be ruled out. */
  if (!never && !(run->automatic && run->decision.failure == AZLIN_FAILURE_SSH_CONNECTION_FAILED))
    return NULL;
  GError *error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                              "%s could not be confirmed to be off; its machine may still serve", run->source->region);
  if (never)
    az_error_add_step(error, "To go on all the same: unfenced=epoch in [failover.%s] of azlin.conf",
                      az_config_string(az_engine_config(run->engine), "bricks", "failover"));
  else
    az_error_add_step(error, "Decide yourself: azlin failover --to %s", run->target->region);
  return error;
}

static void
fenced(AzFailover *run)
{
  gboolean unconfirmed = g_str_equal(run->fence, "unconfirmed");
  GError *error = unconfirmed ? unfenced_error(run) : NULL;

  if (error != NULL) {
    az_failover_abort(run, error);
    return;
  }
  if (!unconfirmed)
    az_job_message(run->job, "ok", NULL, "%s is %s", run->source->region,
                   g_str_equal(run->fence, "confirmed") ? "confirmed to be off" : "cut off its network");
  if (note_step(run, unconfirmed ? "FENCE_UNCONFIRMED" : "FENCE_CONFIRMED"))
    commit(run);
}

static void
fence_now(AzFailover *run)
{
  AzlinPower power = az_health_copy_get(run->source_health)->vm->power;
  run->ran = power != AZLIN_POWER_STOPPED && power != AZLIN_POWER_DEALLOCATED; /* unknown counts as on */
  run->power_asked = TRUE;
  if (!note_step(run, "FENCE_REQUESTED"))
    return;
  az_job_message(run->job, "step", NULL, "Fencing %s (power off)", run->source->region);
  az_failover_fence(run, fenced);
}

static void
fence(AzFailover *run)
{
  if (needs_fence(run)) {
    confirm(run, fence_now);
    return;
  }
  run->fence = "epoch";
  commit(run);
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
  gboolean verified = FALSE;
  g_variant_lookup(run->sync, "verified", "b", &verified);
  if (sync_failed(run->sync) || (run->plan == AZ_FAILOVER_BACK && !verified)) {
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

  if (run->with_sync && reachable) {
    az_sync_run(run->job, run->engine, run->source, run->target, NULL, az_op_new(run->root, "sync", 0, on_synced, run));
    return;
  }
  az_failover_say_data_age(run, reachable);
  fence(run);
}

/* ---- the beginning ---- */

static void look_at_target(AzFailover *run);

static void
on_second_look(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (!az_op_cancelled(run->root))
    look_at_target(run);
}

static void
on_target(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;
  gboolean healthy = az_flow_is_healthy(op);

  if (az_op_cancelled(run->root))
    return;
  if (!healthy && !run->looked_twice) { /* one lost packet must not cost the switch */
    run->looked_twice = TRUE;
    az_op_new(run->root, "second-look", SECOND_LOOK_MS, on_second_look, run); /* ends by its deadline */
    return;
  }
  if (!healthy) {
    az_failover_abort(run, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                                       "Target region is also unhealthy: %s; the primary stays where it is",
                                       run->target->region));
    return;
  }
  if (note_step(run, "TARGET_VERIFIED"))
    az_failover_hook_pre(run, bring_data);
}

/* Within five seconds: a healthy machine needs less than one, and the switch has no time to wait for another. */
static void
look_at_target(AzFailover *run)
{
  const AzHealthLimits limits = {
    .tcp_ms = TARGET_MS, .ssh_ms = TARGET_MS, .login_ms = TARGET_MS, .power_ms = TARGET_MS, .probe_ms = TARGET_MS
  };

  az_health_check_within(run->engine, run->target, &limits, az_op_new(run->root, "target", TARGET_MS, on_target, run));
}

static void
superseded(AzFailover *run, const AzStored *now)
{
  az_job_fail(run->job, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FENCED,
                                    "Somebody else moved the primary meanwhile: it is %s now (epoch %" G_GUINT64_FORMAT
                                    ", expected %" G_GUINT64_FORMAT ")",
                                    *now->primary ? now->primary : "nowhere", now->epoch, run->stored->epoch));
}

/* What holds the switch back, as it stands now: somebody may have paused meanwhile, or a crash left its traces. NULL:
 * nothing does. */
static GError *
held_back(AzFailover *run)
{
  GError *error = NULL;
  g_autofree char *reason = NULL, *step = NULL;

  if (!az_failover_note_crashed(run->engine, run->stored, &error))
    return error;
  AzFailoverState *state = az_failover_state_load(run->engine, &error);
  if (state == NULL)
    return error;
  az_failover_state_free(run->state);
  run->state = state;
  if (run->plan == AZ_FAILOVER_ROLLBACK && !(az_failover_way_back(run, &error)))
    return error;
  if (az_failover_hold(run, &reason, &step) == AZ_HOLD_NONE)
    return NULL;
  error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY, "No failover to %s: %s", run->target->region, reason);
  az_error_add_step(error, "To change that: %s", step);
  return error;
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
  GError *held = held_back(run);
  if (held != NULL) {
    az_job_finish(job, az_error_exit_code(held), az_failover_result(run, FALSE, held));
    g_error_free(held);
    return;
  }
  if (!open_entry(run) || !note_step(run, "LOCKED"))
    return;
  if (run->lease != NULL)
    az_lease_tell(run->lease);
  look_at_target(run);
}

static void
on_lock(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data)
{
  AzFailover *run = data;

  run->lease = lease;
  az_stored_read(job, root, on_stored, data);
}

/* A lock that another holds is respected by everybody; one that nobody can be asked for, by all but who says so. What
 * keeps two who both go on apart is the epoch. */
static void
on_no_lock(AzJob *job, GError *error, gboolean unreachable, gpointer data)
{
  AzFailover *run = data;

  if (unreachable && !run->automatic && !run->due && run->without_lock) {
    g_autoptr(GError) why = error;
    run->no_lock = az_error_message(why);
    az_job_message(job, "warn", NULL, "Going on without the lock, as you asked: %s", run->no_lock);
    az_stored_read(job, run->root, on_stored, run);
    return;
  }
  if (unreachable)
    az_error_add_first_step(error, "If you know that nobody else switches: azlin failover --to %s --without-lock",
                            run->target->region);
  az_job_fail(job, error);
}

void
az_failover_execute(AzFailover *run)
{
  az_job_message(run->job, "step", NULL, "Executing failover to %s...", run->target->region);
  az_lease_acquire_or(run->job, run->root, "failover", LOCK_TTL_S, on_lock, on_no_lock, run);
}
