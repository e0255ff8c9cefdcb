/* sync: the key of one transfer; its intent stands in the journal before it is made and until it is gone on both ends.
 */
#include "flow-sync-private.h"
#include "error.h"
#include "job.h"

#define TTL_SECONDS (12 * 3600u) /* bounds what a key is worth that could not be taken back */
#define REVOKE_MS 60000u
#define SWEEP_MS 60000u
#define LOGIN_ROUNDS 5    /* round trips of a login before its key is shown */
#define ADMITTED_MS 300.0 /* on the target, with some to spare */
#define OWNER "flow-sync"

struct _AzSyncGrant {
  AzSync *sync;
  AzlinVm *target;
  char *id, *folder;
  guint64 intent;
  AzSyncPair *pair;   /* whose transfer is at work with it while it is being admitted, or NULL */
  AzlinOp *admitting; /* or NULL */
  gboolean closing, running, revoked, swept_twice;
  guint pending; /* ends that have not answered */
  void (*done)(gpointer data);
  gpointer data;
};

typedef enum { SWEEP_AFTER_END, SWEEP_AFTER_STOP, SWEEP_ALL } Sweep;

static void
stop(AzEngine *engine, const AzlinVm *vm, const char *key, AzlinOp *op)
{
  const char *argv[] = { "sh", "-c", az_sync_stop_script, "sh", key, NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv };
  az_engine_exec(engine, &request, op);
}

static void
sweep(AzEngine *engine, const AzlinVm *vm, const char *folder, Sweep how, AzlinOp *op)
{
  const char *modes[] = { [SWEEP_AFTER_END] = "0", [SWEEP_AFTER_STOP] = "1", [SWEEP_ALL] = "2" };
  const char *argv[] = { "sh", "-c", az_sync_sweep_script, "sh", folder, modes[how], NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv };
  az_engine_exec(engine, &request, op);
}

static GVariant *
undo_facts(AzSyncGrant *grant)
{
  GVariantDict undo;
  gint64 now = az_clock_now(az_engine_clock(grant->sync->engine));
  g_variant_dict_init(&undo, NULL);
  g_variant_dict_insert(&undo, "key", "s", grant->id);
  g_variant_dict_insert(&undo, "folder", "s", grant->folder);
  g_variant_dict_insert(&undo, "expires", "x", now + (gint64) TTL_SECONDS * G_USEC_PER_SEC);
  g_variant_dict_insert_value(&undo, "source", az_vm_to_variant(grant->sync->source));
  g_variant_dict_insert_value(&undo, "target", az_vm_to_variant(grant->target));
  return g_variant_dict_end(&undo);
}

static void
grant_free(AzSyncGrant *grant)
{
  az_sync_unref(grant->sync);
  az_vm_free(grant->target);
  g_free(grant->id);
  g_free(grant->folder);
  g_free(grant);
}

/* Its intent stands in the journal. */
static AzSyncGrant *
grant_new(AzSync *sync, const AzlinVm *target, const char *folder, GError **error)
{
  g_autofree char *uuid = g_uuid_string_random();
  AzJournal *journal = az_engine_journal(sync->engine, error);
  AzSyncGrant *grant = g_new0(AzSyncGrant, 1);
  *grant = (AzSyncGrant){ .sync = g_rc_box_acquire(sync), .target = az_vm_dup(target) };
  grant->id = g_strdup_printf("azlin-sync-%s", uuid);
  grant->folder = g_strdup(folder);
  g_autoptr(GVariant) undo = g_variant_ref_sink(undo_facts(grant));
  if (journal == NULL || !az_journal_intent(journal, OWNER, "key", undo, &grant->intent, error))
    g_clear_pointer(&grant, grant_free);
  return grant;
}

static void
ask_for(AzSyncGrant *grant, const char *receiver, const char *run, AzlinOp *made, AzlinOp *op)
{
  az_remote_grant(az_engine_remote(grant->sync->engine), grant->sync->source, grant->target, grant->id, grant->folder,
                  receiver, run, TTL_SECONDS, made, op);
}

AzSyncGrant *
az_sync_grant_open(AzSync *sync, const AzlinVm *target, const char *folder, AzlinOp *op)
{
  GError *error = NULL;
  AzSyncGrant *grant = grant_new(sync, target, folder, &error);
  if (grant == NULL)
    az_op_fail(op, error);
  else
    ask_for(grant, NULL, NULL, NULL, op);
  return grant;
}

/* ---- keys that a strategy asks for while it works ---- */

static GHashTable *working; /* run -> AzSyncPair, borrowed */

void
az_sync_grant_serve(AzSyncPair *pair, gboolean on)
{
  if (working == NULL)
    working = g_hash_table_new(g_str_hash, g_str_equal);
  if (on)
    g_hash_table_insert(working, pair->run, pair);
  else if (pair->run != NULL)
    g_hash_table_remove(working, pair->run);
}

/* Whether a key that is sent to the target now is there before the source, which then begins to log in, shows it. */
static gboolean
is_there_in_time(AzSyncPair *pair)
{
  double sent_in = az_remote_rtt_ms(az_engine_remote(pair->sync->engine), pair->target);
  return sent_in >= 0 && pair->rtt_between_ms * LOGIN_ROUNDS >= sent_in + ADMITTED_MS;
}

static void grant_close(AzSyncGrant *grant);

static void
on_admitted(AzlinOp *op, gpointer data)
{
  AzSyncGrant *grant = data;
  AzSyncPair *pair = g_steal_pointer(&grant->pair);
  grant->admitting = NULL;
  if (grant->closing) {
    grant_close(grant);
  } else if (az_op_error(op) != NULL && pair->transfer != NULL) {
    pair->no_key = g_error_copy(az_op_error(op));
    az_op_cancel(pair->transfer, "the target does not admit its key");
  }
  az_sync_pair_unref(pair);
}

void
az_sync_grant_asked(const AzlinSyncJob *job, const char *receiver, AzlinOp *op)
{
  AzSyncPair *pair = job->run != NULL && working != NULL ? g_hash_table_lookup(working, job->run) : NULL;
  if (pair == NULL) {
    az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "no copy of this name is at work");
    return;
  }
  GError *error = NULL;
  AzSyncGrant *grant = grant_new(pair->sync, pair->target, pair->scan.place->folder, &error);
  if (grant == NULL) {
    az_op_fail(op, error);
    return;
  }
  g_ptr_array_add(pair->grants, grant);
  if (!is_there_in_time(pair)) {
    ask_for(grant, receiver, pair->run, NULL, op);
    return;
  }
  grant->pair = g_rc_box_acquire(pair);
  grant->admitting = az_op_new(pair->op, "admit", 0, on_admitted, grant);
  ask_for(grant, receiver, pair->run, op, grant->admitting);
}

static void
close_intent(AzSyncGrant *grant)
{
  g_autoptr(GError) error = NULL;
  AzJournal *journal = az_engine_journal(grant->sync->engine, &error);
  if (journal == NULL || !az_journal_done(journal, grant->intent, &error))
    az_sync_say(grant->sync, "warn", NULL, "The journal cannot be closed: %s", error->message);
}

static AzlinOp *
cleanup_op(AzSyncGrant *grant, const char *label, guint32 timeout_ms, AzlinDone done)
{
  AzSync *sync = grant->sync;
  if (sync->job != NULL)
    return az_job_cleanup_op(sync->job, label, timeout_ms, done, grant);
  return az_op_new_root(az_engine_clock(sync->engine), label, timeout_ms, NULL, done, grant);
}

static void sweep_target(AzSyncGrant *grant);

static void
one_gone(AzSyncGrant *grant)
{
  if (--grant->pending > 0)
    return;
  if (grant->revoked)
    close_intent(grant);
  grant->done(grant->data);
  grant_free(grant);
}

/* A machine where somebody ends processes gets a second try. */
static void
on_swept(AzlinOp *op, gpointer data)
{
  AzSyncGrant *grant = data;
  const AzlinReply *reply = az_op_error(op) == NULL ? az_op_reply(op) : NULL;
  if (reply != NULL && reply->status != 0 && !grant->swept_twice) {
    grant->swept_twice = TRUE;
    sweep_target(grant);
    return;
  }
  one_gone(grant);
}

static void
sweep_target(AzSyncGrant *grant)
{
  sweep(grant->sync->engine, grant->target, grant->folder, grant->running ? SWEEP_AFTER_STOP : SWEEP_AFTER_END,
        cleanup_op(grant, "sweep", SWEEP_MS, on_swept));
}

static void
on_revoked(AzlinOp *op, gpointer data)
{
  AzSyncGrant *grant = data;
  grant->revoked = az_op_error(op) == NULL;
  if (!grant->revoked) {
    g_autofree char *why = az_error_message(az_op_error(op));
    az_flow_entry_interrupted(grant->sync->engine, grant->intent);
    az_sync_say(grant->sync, "warn", NULL, "The key for %s is still there and expires within 12 hours: %s",
                grant->target->region, why);
    az_sync_say(grant->sync, "hint", NULL, "Take it back later: azlin recover");
  }
  if (grant->running) /* nobody can begin to receive any more: what is swept now stays so */
    sweep_target(grant);
  one_gone(grant);
}

/* Where the transfer has come to its own end nobody is about to begin: a round trip less. */
static void
on_stopped(AzlinOp *op, gpointer data)
{
  AzSyncGrant *grant = data;
  AzlinOp *revoke = cleanup_op(grant, "revoke", REVOKE_MS, on_revoked);
  grant->pending = 2;
  az_remote_revoke(az_engine_remote(grant->sync->engine), grant->sync->source, grant->target, grant->id, revoke);
  if (!grant->running)
    sweep_target(grant);
}

static void
grant_close(AzSyncGrant *grant)
{
  AzlinOp *op = cleanup_op(grant, "stop", SWEEP_MS, on_stopped);
  if (grant->running)
    stop(grant->sync->engine, grant->sync->source, grant->id, op);
  else
    az_op_finish(op);
}

void
az_sync_grant_close(AzSyncGrant *grant, gboolean running, void (*done)(gpointer data), gpointer data)
{
  grant->running = running;
  grant->done = done;
  grant->data = data;
  grant->closing = TRUE;
  if (grant->admitting == NULL) /* what is still to come could not be taken back */
    grant_close(grant);
}

/* ---- after a crash ---- */

typedef struct {
  AzEngine *engine;
  AzlinVm *source, *target;
  char *key, *folder;
  gint64 expires;
  GError *error; /* why the key could not be taken back */
  AzlinOp *op;
} Recovery;

static void
recovery_free(Recovery *recovery)
{
  g_clear_pointer(&recovery->source, az_vm_free);
  g_clear_pointer(&recovery->target, az_vm_free);
  g_clear_error(&recovery->error);
  g_free(recovery->key);
  g_free(recovery->folder);
  g_free(recovery);
}

static void
recovered(Recovery *recovery, const char *said)
{
  if (said == NULL)
    az_op_fail(recovery->op, g_steal_pointer(&recovery->error));
  else
    az_op_finish_variant(recovery->op, g_variant_new_string(said));
  recovery_free(recovery);
}

static void
on_source_asked(AzlinOp *op, gpointer data)
{
  gboolean gone = g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
  recovered(data, gone ? "the machine that held the key is gone" : NULL);
}

static void
on_target_asked(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  if (g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    recovered(recovery, "the machine that admitted the key is gone");
  else
    az_flow_vm_get(recovery->engine, recovery->op, recovery->source, 0, on_source_asked, recovery);
}

/* What has expired, or lost one of its two machines, admits nobody: it must not keep the record open for ever. */
static void
on_recover_swept(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  if (recovery->error == NULL)
    recovered(recovery, "the key was taken back");
  else if (az_clock_now(az_engine_clock(recovery->engine)) > recovery->expires)
    recovered(recovery, "the key has expired");
  else
    az_flow_vm_get(recovery->engine, recovery->op, recovery->target, 0, on_target_asked, recovery);
}

static void
on_recover_revoked(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  recovery->error = az_op_error(op) != NULL ? g_error_copy(az_op_error(op)) : NULL;
  sweep(recovery->engine, recovery->target, recovery->folder, SWEEP_ALL,
        az_op_new(recovery->op, "sweep", SWEEP_MS, on_recover_swept, recovery));
}

static void
on_recover_stopped(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  az_remote_revoke(az_engine_remote(recovery->engine), recovery->source, recovery->target, recovery->key,
                   az_op_new(recovery->op, "revoke", REVOKE_MS, on_recover_revoked, recovery));
}

static AzlinVm *
vm_of(GVariant *undo, const char *name)
{
  g_autoptr(GVariant) value = g_variant_lookup_value(undo, name, G_VARIANT_TYPE_VARDICT);
  return value != NULL ? az_vm_from_variant(value) : NULL;
}

void
az_sync_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op)
{
  Recovery *recovery = g_new0(Recovery, 1);
  *recovery = (Recovery){ .engine = engine, .op = op, .expires = G_MAXINT64 };
  g_variant_lookup(entry->undo, "key", "s", &recovery->key);
  g_variant_lookup(entry->undo, "folder", "s", &recovery->folder);
  g_variant_lookup(entry->undo, "expires", "x", &recovery->expires);
  recovery->source = vm_of(entry->undo, "source");
  recovery->target = vm_of(entry->undo, "target");
  if (recovery->key == NULL || recovery->folder == NULL || recovery->source == NULL || recovery->target == NULL) {
    az_op_fail_new(op, AZLIN_ERROR_STORAGE, "the journal record %" G_GUINT64_FORMAT " of a sync cannot be read",
                   entry->id);
    recovery_free(recovery);
    return;
  }
  stop(engine, recovery->source, recovery->key, az_op_new(op, "stop", SWEEP_MS, on_recover_stopped, recovery));
}
