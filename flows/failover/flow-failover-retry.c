/* Fences that a switch could not confirm: one attempt at each, beside whatever else goes on. */
#include "flow-failover-retry.h"
#include "flow-failover-note.h"
#include "flow-fence.h"
#include "flow-lease.h"

#define LOCK_KEY "fence"
#define LOCK_TTL_S 120
#define LOCK_MS 10000
#define FENCE_MS (AZ_FENCE_MS + 1000)

typedef struct {
  AzEngine *engine;
  AzlinOp *op;
  AzFailoverState *state; /* as it was at the beginning */
  GPtrArray *vms;         /* of AzlinVm, as stored */
  char *primary;
  guint64 token; /* 0 = the lock is not held */
  guint next, pending;
} Retry;

guint32
az_failover_fence_wait_s(const AzFailoverState *state)
{
  guint32 fewest = G_MAXUINT32;

  for (guint i = 0; i < state->fences->len; i++)
    fewest = MIN(fewest, ((const AzFencePending *) g_ptr_array_index(state->fences, i))->attempts);
  if (state->fences->len == 0)
    return 0;
  return fewest < AZ_FENCE_FAST_ATTEMPTS ? AZ_FENCE_FAST_S : AZ_FENCE_SLOW_S;
}

/* ---- the end ---- */

static void
on_released(AzlinOp *op, gpointer data)
{
  if (az_op_error(op) != NULL)
    g_info("lock not released, it runs out by itself: %s", az_op_error(op)->message);
}

static void
retry_end(Retry *retry, GError *error)
{
  gpointer self = NULL;
  const AzlinCoordinator *brick = az_engine_lookup(retry->engine, AZLIN_KIND_COORDINATOR, NULL, &self, NULL);

  if (brick != NULL && retry->token != 0)
    brick->release(self, LOCK_KEY, retry->token, az_op_new_detached(retry->op, "release", LOCK_MS, on_released, NULL));
  if (az_op_cancelled(retry->op))
    g_clear_error(&error);
  else if (error != NULL)
    az_op_fail(retry->op, error);
  else
    az_op_finish_variant(retry->op, g_variant_new_uint32(retry->pending));
  az_failover_state_free(retry->state);
  g_clear_pointer(&retry->vms, g_ptr_array_unref);
  g_free(retry->primary);
  g_free(retry);
}

/* ---- one fence after the other ---- */

static void work_next(Retry *retry);

static const AzFencePending *
present(const Retry *retry)
{
  return g_ptr_array_index(retry->state->fences, retry->next - 1);
}

static void
audit(Retry *retry, const char *outcome)
{
  const AzFencePending *fence = present(retry);
  g_autoptr(GError) error = NULL;
  GVariantDict facts;
  AzAudit *log = az_engine_audit(retry->engine, &error);

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", fence->region);
  g_variant_dict_insert(&facts, "vm_name", "s", fence->vm_name);
  g_variant_dict_insert(&facts, "epoch", "t", fence->epoch);
  g_variant_dict_insert(&facts, "attempts", "u", fence->attempts + 1);
  g_variant_dict_insert(&facts, "outcome", "s", outcome);
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&facts));
  if (log == NULL || !az_audit_write(log, "failover.fence", value, &error))
    g_warning("audit log: %s", error->message);
}

/* `outcome` NULL: it is not sure. Goes on with the next one. */
static void
note(Retry *retry, const char *outcome)
{
  GError *error = NULL;
  const AzFencePending *fence = present(retry);

  if (outcome != NULL)
    audit(retry, outcome);
  else
    retry->pending++;
  if (az_failover_note_fence(retry->engine, fence->region, outcome, &error))
    work_next(retry);
  else
    retry_end(retry, error);
}

static void
on_fence(AzlinOp *op, gpointer data)
{
  Retry *retry = data;
  const char *how = NULL;

  if (az_op_cancelled(retry->op)) {
    retry_end(retry, NULL);
    return;
  }
  if (az_op_error(op) == NULL)
    how = g_variant_get_string(az_op_variant(op), NULL);
  else
    az_op_warn(retry->op, "%s is still not fenced: %s", present(retry)->region, az_op_error(op)->message);
  note(retry, how);
}

static const AzlinVm *
find(const Retry *retry, const AzFencePending *fence)
{
  for (guint i = 0; i < retry->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(retry->vms, i);
    if (g_str_equal(vm->region, fence->region) && g_strcmp0(vm->vm_name, fence->vm_name) == 0)
      return vm;
  }
  return NULL;
}

static void
work_next(Retry *retry)
{
  if (retry->next >= retry->state->fences->len) {
    retry_end(retry, NULL);
    return;
  }
  const AzFencePending *fence = g_ptr_array_index(retry->state->fences, retry->next++);
  const AzlinVm *vm = find(retry, fence);
  if (vm == NULL)
    note(retry, "no longer on record");
  else if (g_str_equal(fence->region, retry->primary))
    note(retry, "primary again: nothing to fence");
  else
    az_fence(retry->engine, vm, NULL, az_op_new(retry->op, "fence", FENCE_MS, on_fence, retry));
}

/* ---- the beginning ---- */

static void
on_info(AzlinOp *op, gpointer data)
{
  Retry *retry = data;
  const char *primary = "";

  if (az_op_error(op) != NULL) {
    retry_end(retry, g_error_copy(az_op_error(op)));
    return;
  }
  g_variant_lookup(az_op_variant(op), "primary", "&s", &primary);
  retry->primary = g_strdup(primary);
  work_next(retry);
}

static void
on_list(AzlinOp *op, gpointer data)
{
  Retry *retry = data;
  gsize n = 0;

  if (az_op_error(op) != NULL) {
    retry_end(retry, g_error_copy(az_op_error(op)));
    return;
  }
  const AzlinVm *const *vms = az_op_vms(op, &n);
  retry->vms = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(retry->vms, az_vm_dup(vms[i]));
  az_flow_info(retry->engine, retry->op, on_info, retry);
}

static void
on_locked(AzlinOp *op, gpointer data)
{
  Retry *retry = data;
  GError *refusal = az_lease_refusal(op, NULL);

  if (refusal != NULL) {
    retry_end(retry, refusal);
    return;
  }
  retry->token = g_variant_get_uint64(az_op_variant(op));
  az_lease_keep(retry->engine, retry->op, LOCK_KEY, LOCK_TTL_S, retry->token);
  az_flow_list(retry->engine, retry->op, on_list, retry);
}

void
az_failover_fence_retry(AzEngine *engine, AzlinOp *op)
{
  gpointer self = NULL;
  GError *error = NULL;
  Retry *retry = g_new0(Retry, 1);

  *retry = (Retry){ .engine = engine, .op = op, .state = az_failover_state_load(engine, &error) };
  if (retry->state == NULL || retry->state->fences->len == 0) {
    retry_end(retry, error);
    return;
  }
  const AzlinCoordinator *brick = az_engine_lookup(engine, AZLIN_KIND_COORDINATOR, NULL, &self, &error);
  if (brick == NULL)
    retry_end(retry, error);
  else
    brick->acquire(self, LOCK_KEY, LOCK_TTL_S, az_op_expect(az_op_new(op, "lock", LOCK_MS, on_locked, retry), "t"));
}
