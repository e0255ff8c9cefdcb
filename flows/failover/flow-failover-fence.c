/* The fence of one switch: the ladder, each rung noted in the journal before it is asked for, and its undoing. */
#include "flow-failover.h"
#include "error.h"
#include "flow-fence.h"

#define UNDO_MS 60000

typedef struct {
  AzFailover *run;
  void (*done)(AzFailover *run);
} Fence;

static gboolean
before_isolation(gpointer data, GError **error)
{
  AzFailover *run = data;

  run->isolation_asked = TRUE;
  az_job_message(run->job, "step", NULL, "Fencing %s (cutting its network off)", run->source->region);
  return az_failover_journal(run, "ISOLATION_REQUESTED", error);
}

static void
power_not_supported(gpointer data)
{
  ((AzFailover *) data)->power_asked = FALSE;
}

static void
on_fence(AzlinOp *op, gpointer data)
{
  g_autofree Fence *fence = data;
  AzFailover *run = fence->run;

  if (az_op_cancelled(run->root))
    return;
  if (az_op_error(op) == NULL) {
    gboolean off = g_str_equal(g_variant_get_string(az_op_variant(op), NULL), "confirmed");
    run->fence = off ? "confirmed" : "isolated";
  } else {
    run->fence = "unconfirmed";
    az_job_message(run->job, "warn", NULL, "%s is not confirmed to be off: %s", run->source->region,
                   az_op_error(op)->message);
  }
  fence->done(run);
}

void
az_failover_fence(AzFailover *run, void (*done)(AzFailover *run))
{
  Fence *fence = g_new(Fence, 1);
  const AzFenceWatch watch
      = { .before_isolation = before_isolation, .power_not_supported = power_not_supported, .data = run };

  *fence = (Fence){ run, done };
  az_fence(run->engine, run->source, &watch, az_op_new(run->root, "fence", AZ_FENCE_MS + 1000, on_fence, fence));
}

/* ---- undoing ---- */

typedef struct {
  AzEngine *engine;
  AzlinVm *vm;
  gboolean off;
  AzlinOp *op;
} Undo;

static void
undo_end(Undo *undo, const GError *error)
{
  if (!az_op_cancelled(undo->op) && error != NULL)
    az_op_fail(undo->op, g_error_copy(error));
  else if (!az_op_cancelled(undo->op))
    az_op_finish(undo->op);
  az_vm_free(undo->vm);
  g_free(undo);
}

static void
on_running(AzlinOp *op, gpointer data)
{
  undo_end(data, az_op_error(op));
}

static void
power_on(Undo *undo)
{
  if (undo->off)
    az_flow_vm_power(undo->engine, undo->op, undo->vm, AZLIN_POWER_RUNNING, UNDO_MS, on_running, undo);
  else
    undo_end(undo, NULL);
}

static void
on_let_back(AzlinOp *op, gpointer data)
{
  Undo *undo = data;
  const GError *error = az_op_error(op);

  /* What the provider cannot do it has not done. */
  if (error == NULL || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED))
    power_on(undo);
  else
    undo_end(undo, error);
}

void
az_failover_unfence(AzEngine *engine, const AzlinVm *vm, gboolean isolated, gboolean off, AzlinOp *op)
{
  Undo *undo = g_new(Undo, 1);

  *undo = (Undo){ engine, az_vm_dup(vm), off, op };
  if (isolated)
    az_flow_vm_isolate(engine, op, undo->vm, FALSE, UNDO_MS, on_let_back, undo);
  else
    power_on(undo);
}
