/* sync as a step of another flow: one target, the configured strategy, no deletions, one line about how it ended. */
#include "flow-sync-private.h"

typedef struct {
  AzSync *sync;
  AzSyncPair *pair;
  GPtrArray *pairs; /* of that one */
  AzlinOp *op;
} Step;

static void
step_free(Step *step)
{
  g_ptr_array_unref(step->pairs);
  az_sync_pair_unref(step->pair);
  az_sync_unref(step->sync);
  g_free(step);
}

static void
step_end(Step *step)
{
  if (!az_op_cancelled(step->op)) {
    az_sync_pair_summary(step->pair);
    az_op_finish_variant(step->op, az_sync_pair_result(step->pair));
  }
  step_free(step);
}

static void
on_copied(AzlinOp *op, gpointer data)
{
  Step *step = data;
  if (az_op_error(op) != NULL)
    az_sync_pair_error(step->pair, az_op_error(op));
  step_end(step);
}

static void
on_surveyed(AzlinOp *op, gpointer data)
{
  Step *step = data;
  if (az_op_error(op) != NULL) {
    if (!az_op_cancelled(step->op))
      az_sync_pair_error(step->pair, az_op_error(op));
    step_end(step);
    return;
  }
  az_sync_copy_guarded(step->pair, az_op_new(step->op, step->pair->target->region, 0, on_copied, step));
}

static void
on_guarded(AzlinOp *op, gpointer data)
{
  Step *step = data;
  if (az_op_error(op) == NULL) {
    az_sync_link_measure(step->pair, step->op);
    az_sync_survey(step->sync, az_op_new(step->op, "estimate", 0, on_surveyed, step));
    return;
  }
  if (!az_op_cancelled(step->op))
    az_sync_pair_error(step->pair, az_op_error(op));
  step_end(step);
}

void
az_sync_run(AzJob *job, AzEngine *engine, const AzlinVm *source, const AzlinVm *target, const char *const *paths,
            AzlinOp *op)
{
  Step *step = g_new0(Step, 1);
  *step = (Step){ .op = op, .sync = az_sync_new(job, engine, source, paths) };
  step->pair = az_sync_pair_new(step->sync, target, NULL);
  step->pair->brief = TRUE;
  step->pairs = g_ptr_array_new();
  g_ptr_array_add(step->pairs, step->pair);
  az_sync_say(step->sync, "step", NULL, "Syncing %s → %s...", source->region, target->region);
  az_sync_guard(step->sync, step->pairs, az_op_new(op, "epochs", 0, on_guarded, step));
}
