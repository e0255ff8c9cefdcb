/* The fence: powers the old primary off through its provider, never through itself, and believes only two reads. */
#include "flow-failover.h"
#include "error.h"

#define FENCE_MS 10000   /* what a switch of sixty seconds can spare */
#define READ_GAP_MS 2000 /* a state read twice within a moment is one read */

typedef struct {
  AzFailover *run;
  AzlinOp *op; /* bounds the whole fence */
  guint reads; /* in a row that said off */
  void (*done)(AzFailover *run);
} Fence;

static void read_power(Fence *fence);

static gboolean
is_off(const AzlinVm *vm)
{
  return vm->power == AZLIN_POWER_STOPPED || vm->power == AZLIN_POWER_DEALLOCATED;
}

static void
on_fence_end(AzlinOp *op, gpointer data)
{
  g_autofree Fence *fence = data;
  AzFailover *run = fence->run;

  if (az_op_cancelled(run->root))
    return;
  run->fence = az_op_error(op) == NULL ? "confirmed" : "unconfirmed";
  if (az_op_error(op) != NULL)
    az_job_message(run->job, "warn", NULL, "%s is not confirmed to be off: %s", run->source->region,
                   az_op_error(op)->message);
  fence->done(run);
}

static void
on_gap(AzlinOp *op, gpointer data)
{
  Fence *fence = data;

  if (!az_op_cancelled(fence->op))
    read_power(fence);
}

static void
on_read(AzlinOp *op, gpointer data)
{
  Fence *fence = data;

  if (az_op_cancelled(fence->op))
    return;
  /* A machine that does not exist any more is off for good; a state that cannot be read counts as on. */
  gboolean off = g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND)
                 || (az_op_error(op) == NULL && is_off(az_op_vm(op)));
  fence->reads = off ? fence->reads + 1 : 0;
  if (fence->reads >= 2) {
    az_op_finish(fence->op);
    return;
  }
  az_op_new(fence->op, "fence-gap", READ_GAP_MS, on_gap, fence); /* ends by its deadline */
}

static void
read_power(Fence *fence)
{
  az_flow_vm_get(fence->run->engine, fence->op, fence->run->source, 0, on_read, fence);
}

static void
on_powered_off(AzlinOp *op, gpointer data)
{
  Fence *fence = data;
  const GError *error = az_op_error(op);

  if (az_op_cancelled(fence->op))
    return;
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED)) {
    fence->run->power_asked = FALSE; /* nothing was done, so nothing has to be undone */
    az_op_fail(fence->op, g_error_copy(error));
    return;
  }
  read_power(fence);
}

void
az_failover_fence(AzFailover *run, void (*done)(AzFailover *run))
{
  Fence *fence = g_new(Fence, 1);

  *fence = (Fence){ .run = run, .done = done };
  fence->op = az_op_new(run->root, "fence", FENCE_MS, on_fence_end, fence);
  az_flow_vm_power(run->engine, fence->op, run->source, AZLIN_POWER_STOPPED, 0, on_powered_off, fence);
}
