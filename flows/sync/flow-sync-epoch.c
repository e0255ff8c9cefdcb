/* sync: who may write over whom. Both sides' epochs are read before anything is looked at; a target that was brought up
 * to date as a whole then holds the source's. */
#include "flow-sync-private.h"
#include "error.h"

#define READ_MS 30000u

typedef struct {
  AzSync *sync;
  GPtrArray *pairs; /* of AzSyncPair, borrowed */
  AzlinOp *op;
  guint pending;
  char *primary;
  guint64 epoch;
  AzEpochs source;
  GError *unread; /* why the source's could not be read, or NULL */
} Guard;

static void
guard_end(Guard *guard, GError *error)
{
  if (error != NULL)
    az_op_fail(guard->op, error);
  else
    az_op_finish(guard->op);
  g_free(guard->primary);
  g_clear_error(&guard->unread);
  g_free(guard);
}

static gboolean
judge_pair(Guard *guard, AzSyncPair *pair, GError **error)
{
  if (pair->refused == NULL && guard->unread != NULL)
    pair->refused = g_error_copy(guard->unread);
  if (pair->refused != NULL)
    return TRUE;
  pair->data_epoch = az_epoch_of_data(guard->sync->source->region, guard->source, guard->primary, guard->epoch);
  return az_epoch_may_push(guard->sync->source->region, guard->source, pair->target->region, pair->epochs,
                           guard->primary, guard->epoch, error);
}

static void
judge(Guard *guard)
{
  GError *error = NULL;

  if (--guard->pending > 0)
    return;
  for (guint i = 0; error == NULL && i < guard->pairs->len; i++)
    judge_pair(guard, g_ptr_array_index(guard->pairs, i), &error);
  guard_end(guard, error);
}

static void
on_source(AzlinOp *op, gpointer data)
{
  Guard *guard = data;

  if (az_op_error(op) != NULL)
    guard->unread = g_error_copy(az_op_error(op));
  else
    guard->source = az_epoch_result(op);
  judge(guard);
}

typedef struct {
  Guard *guard;
  AzSyncPair *pair;
} Asked;

static void
on_target(AzlinOp *op, gpointer data)
{
  g_autofree Asked *asked = data;

  if (az_op_error(op) != NULL)
    asked->pair->refused = g_error_copy(az_op_error(op));
  else
    asked->pair->epochs = az_epoch_result(op);
  judge(asked->guard);
}

static void
on_info(AzlinOp *op, gpointer data)
{
  Guard *guard = data;
  const char *primary = "";

  if (az_op_error(op) != NULL) {
    guard_end(guard, g_error_copy(az_op_error(op)));
    return;
  }
  g_variant_lookup(az_op_variant(op), "epoch", "t", &guard->epoch);
  g_variant_lookup(az_op_variant(op), "primary", "&s", &primary);
  guard->primary = g_strdup(primary);
  guard->pending = guard->pairs->len + 1;
  az_epoch_read(guard->sync->engine, guard->sync->source, az_op_new(guard->op, "epoch", READ_MS, on_source, guard));
  for (guint i = 0; i < guard->pairs->len; i++) {
    Asked *asked = g_new(Asked, 1);
    *asked = (Asked){ guard, g_ptr_array_index(guard->pairs, i) };
    az_epoch_read(guard->sync->engine, asked->pair->target, az_op_new(guard->op, "epoch", READ_MS, on_target, asked));
  }
}

void
az_sync_guard(AzSync *sync, GPtrArray *pairs, AzlinOp *op)
{
  Guard *guard = g_new0(Guard, 1);

  *guard = (Guard){ .sync = sync, .pairs = pairs, .op = op };
  az_flow_info(sync->engine, op, on_info, guard);
}

/* ---- the copy, and what the target holds after it ---- */

typedef struct {
  AzSyncPair *pair;
  AzlinOp *op;
} Copy;

static void
on_marked(AzlinOp *op, gpointer data)
{
  g_autofree Copy *copy = data;

  if (az_op_error(op) != NULL)
    az_sync_say(copy->pair->sync, "warn", copy->pair->label, "%s does not keep which epoch its data is of: %s",
                copy->pair->target->region, az_op_error(op)->message);
  az_op_finish(copy->op);
}

static gboolean
is_whole(const AzSyncPair *pair)
{
  const AzSync *sync = pair->sync;

  return sync->whole && (sync->exclude == NULL || sync->exclude[0] == NULL) && pair->errors->len == 0
         && pair->done_paths == sync->paths->len;
}

static void
on_copied(AzlinOp *op, gpointer data)
{
  Copy *copy = data;
  AzSyncPair *pair = copy->pair;

  if (az_op_error(op) != NULL) {
    az_op_fail(copy->op, g_error_copy(az_op_error(op)));
    g_free(copy);
    return;
  }
  if (!is_whole(pair) || pair->data_epoch <= pair->epochs.data) {
    az_op_finish(copy->op);
    g_free(copy);
    return;
  }
  az_epoch_write(pair->sync->engine, pair->target, pair->data_epoch,
                 az_op_new(copy->op, "epoch", READ_MS, on_marked, copy));
}

void
az_sync_copy_guarded(AzSyncPair *pair, AzlinOp *op)
{
  if (pair->refused != NULL) {
    az_op_fail(op, g_error_copy(pair->refused));
    return;
  }
  Copy *copy = g_new(Copy, 1);
  *copy = (Copy){ pair, op };
  az_sync_copy(pair, az_op_new(op, az_op_label(op), 0, on_copied, copy));
}
