/* The fencing ladder: power off, believed after two reads; then isolation in the time that is left. */
#include "flow-fence.h"
#include "error.h"

#define POWER_MS 10000
#define READ_GAP_MS 2000 /* a state read twice within a moment is one read */

typedef struct {
  AzEngine *engine;
  AzlinVm *vm;
  AzFenceWatch watch;
  AzlinOp *op;     /* the caller's */
  AzlinOp *power;  /* bounds the first rung; NULL once it is over */
  gint64 started;  /* az_clock_monotonic() */
  guint reads;     /* in a row that said off */
  GError *refusal; /* of the request to switch off, or NULL */
  char *why_not;   /* the first rung is not sure */
} Fence;

static void read_power(Fence *fence);

static void
fence_free(Fence *fence)
{
  az_vm_free(fence->vm);
  g_clear_error(&fence->refusal);
  g_free(fence->why_not);
  g_free(fence);
}

static void
finish(Fence *fence, const char *how)
{
  az_op_finish_variant(fence->op, g_variant_new_string(how));
  fence_free(fence);
}

/* ---- second rung ---- */

static void
on_isolated(AzlinOp *op, gpointer data)
{
  Fence *fence = data;
  const GError *error = az_op_error(op);

  if (az_op_cancelled(fence->op)) {
    fence_free(fence);
    return;
  }
  if (error == NULL) {
    finish(fence, "isolated");
    return;
  }
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND)) {
    finish(fence, "confirmed"); /* a machine that does not exist any more is off for good */
    return;
  }
  g_autofree char *message = az_error_message(error);
  az_op_fail_new(fence->op, AZLIN_ERROR_FAILED, "%s; isolated neither: %s", fence->why_not, message);
  fence_free(fence);
}

static void
isolate(Fence *fence)
{
  GError *error = NULL;
  gint64 used = (az_clock_monotonic(az_engine_clock(fence->engine)) - fence->started) / 1000;

  if (fence->watch.before_isolation != NULL && !fence->watch.before_isolation(fence->watch.data, &error)) {
    az_op_fail(fence->op, error);
    fence_free(fence);
    return;
  }
  az_flow_vm_isolate(fence->engine, fence->op, fence->vm, TRUE, (guint32) CLAMP(AZ_FENCE_MS - used, 1000, AZ_FENCE_MS),
                     on_isolated, fence);
}

/* ---- first rung ---- */

static gboolean
is_off(const AzlinVm *vm)
{
  return vm->power == AZLIN_POWER_STOPPED || vm->power == AZLIN_POWER_DEALLOCATED;
}

static void
on_power_over(AzlinOp *op, gpointer data)
{
  Fence *fence = data;
  const GError *error = az_op_error(op);

  fence->power = NULL;
  if (az_op_cancelled(fence->op)) {
    fence_free(fence);
    return;
  }
  if (error == NULL) {
    finish(fence, "confirmed");
    return;
  }
  fence->why_not = az_error_message(error);
  isolate(fence);
}

static void
on_gap(AzlinOp *op, gpointer data)
{
  Fence *fence = data;

  if (!az_op_cancelled(fence->power))
    read_power(fence);
}

static void
on_read(AzlinOp *op, gpointer data)
{
  Fence *fence = data;

  if (az_op_cancelled(fence->power))
    return;
  /* A machine that does not exist any more is off for good; a state that cannot be read counts as on. */
  gboolean off = g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND)
                 || (az_op_error(op) == NULL && is_off(az_op_vm(op)));
  fence->reads = off ? fence->reads + 1 : 0;
  if (fence->reads >= 2)
    az_op_finish(fence->power);
  else if (!off && fence->refusal != NULL)
    az_op_fail(fence->power, g_steal_pointer(&fence->refusal)); /* it is on and stays on: no time to lose */
  else
    az_op_new(fence->power, "fence-gap", READ_GAP_MS, on_gap, fence); /* ends by its deadline */
}

static void
read_power(Fence *fence)
{
  az_flow_vm_get(fence->engine, fence->power, fence->vm, 0, on_read, fence);
}

static void
on_powered_off(AzlinOp *op, gpointer data)
{
  Fence *fence = data;
  const GError *error = az_op_error(op);

  if (az_op_cancelled(fence->power))
    return;
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED)) {
    if (fence->watch.power_not_supported != NULL)
      fence->watch.power_not_supported(fence->watch.data);
    az_op_fail(fence->power, g_error_copy(error));
    return;
  }
  fence->refusal = error != NULL ? g_error_copy(error) : NULL;
  read_power(fence);
}

void
az_fence(AzEngine *engine, const AzlinVm *vm, const AzFenceWatch *watch, AzlinOp *op)
{
  Fence *fence = g_new0(Fence, 1);

  *fence = (Fence){ .engine = engine,
                    .vm = az_vm_dup(vm),
                    .watch = watch != NULL ? *watch : (AzFenceWatch){ 0 },
                    .op = op,
                    .started = az_clock_monotonic(az_engine_clock(engine)) };
  fence->power = az_op_new(op, "fence", POWER_MS, on_power_over, fence);
  az_flow_vm_power(engine, fence->power, fence->vm, AZLIN_POWER_STOPPED, 0, on_powered_off, fence);
}
