/* One call of a provider each, as a child of the flow's op: one that is missing or lacks the slot fails that child. */
#include "flow-support.h"
#include "health.h"

#define PREFLIGHT_MS 90000
#define LIST_MS 300000 /* a listing asks a whole cloud, page by page */

static const AzlinProvider *
provider_for(AzEngine *engine, const AzlinVm *vm, AzlinOp *op, gpointer *ret_self)
{
  GError *error = NULL;
  const AzlinProvider *provider = az_engine_provider_of(engine, vm, ret_self, &error);
  if (!provider)
    az_op_fail(op, error);
  return provider;
}

static void
not_supported(AzlinOp *op, const AzlinVm *vm, const char *what)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "The provider %s of %s cannot %s", vm->provider ? vm->provider : "?",
                 vm->region, what);
}

void
az_flow_vm_get(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, guint32 timeout_ms, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  AzlinOp *op = az_op_expect(az_op_new(parent, "vm-get", timeout_ms, done, data), AZ_OP_VM);
  const AzlinProvider *provider = provider_for(engine, vm, op, &self);
  if (!provider)
    return;
  if (provider->vm_get)
    provider->vm_get(self, vm, op);
  else
    not_supported(op, vm, "look a machine up");
}

void
az_flow_vm_power(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, AzlinPower want, guint32 timeout_ms,
                 AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  AzlinOp *op = az_op_expect(az_op_new(parent, "vm-power", timeout_ms, done, data), AZ_OP_VM);
  const AzlinProvider *provider = provider_for(engine, vm, op, &self);
  if (!provider)
    return;
  if (provider->vm_power)
    provider->vm_power(self, vm, want, op);
  else
    not_supported(op, vm, "change a machine's power state");
}

void
az_flow_vm_isolate(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, gboolean on, guint32 timeout_ms,
                   AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  AzlinOp *op = az_op_new(parent, "vm-isolate", timeout_ms, done, data);
  const AzlinProvider *provider = provider_for(engine, vm, op, &self);
  if (!provider)
    return;
  if (provider->vm_isolate)
    provider->vm_isolate(self, vm, on, op);
  else
    not_supported(op, vm, "cut a machine off its network");
}

void
az_flow_vm_reboot(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, guint32 timeout_ms, AzlinDone done,
                  gpointer data)
{
  gpointer self = NULL;
  AzlinOp *op = az_op_expect(az_op_new(parent, "vm-restart", timeout_ms, done, data), AZ_OP_VM);
  const AzlinProvider *provider = provider_for(engine, vm, op, &self);
  if (!provider)
    return;
  if (provider->vm_restart)
    provider->vm_restart(self, vm, op);
  else
    not_supported(op, vm, "restart a machine");
}

void
az_flow_vm_erase(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, guint32 timeout_ms, AzlinDone done,
                 gpointer data)
{
  gpointer self = NULL;
  AzlinOp *op = az_op_new(parent, "vm-delete", timeout_ms, done, data);
  const AzlinProvider *provider = provider_for(engine, vm, op, &self);
  if (!provider)
    return;
  if (provider->vm_delete)
    provider->vm_delete(self, vm, op);
  else
    not_supported(op, vm, "delete a machine");
}

void
az_flow_vm_list(AzEngine *engine, AzlinOp *parent, const char *provider_name, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  GError *error = NULL;
  AzlinOp *op = az_op_expect(az_op_new(parent, "vm-list", LIST_MS, done, data), AZ_OP_VMS);
  const AzlinProvider *provider = az_engine_lookup(engine, AZLIN_KIND_PROVIDER, provider_name, &self, &error);
  if (!provider)
    az_op_fail(op, error);
  else if (provider->vm_list)
    provider->vm_list(self, op);
  else
    az_op_finish_vms(op, NULL, 0);
}

const AzlinProvider *
az_flow_provider(AzEngine *engine, gpointer *ret_self)
{
  g_autoptr(GError) error = NULL;
  return az_engine_lookup(engine, AZLIN_KIND_PROVIDER, NULL, ret_self, &error);
}

void
az_flow_preflight(AzEngine *engine, AzlinOp *parent, const AzlinVmSpec *const *specs, AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  const AzlinProvider *provider = az_flow_provider(engine, &self);
  AzlinOp *op = az_op_expect(az_op_new(parent, "preflight", PREFLIGHT_MS, done, data), "aa{sv}");
  if (provider && provider->preflight)
    provider->preflight(self, specs, op);
  else
    az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "The provider cannot tell what fits");
}

void
az_flow_alternatives(AzEngine *engine, AzlinOp *parent, const AzlinVmSpec *spec, const char *const *regions,
                     AzlinDone done, gpointer data)
{
  gpointer self = NULL;
  const AzlinProvider *provider = az_flow_provider(engine, &self);
  AzlinOp *op = az_op_expect(az_op_new(parent, "alternatives", PREFLIGHT_MS, done, data), "aa{sv}");
  if (provider && provider->alternatives)
    provider->alternatives(self, spec, regions, op);
  else
    az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "The provider knows no other places");
}

void
az_flow_health(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, AzlinDone done, gpointer data)
{
  az_health_check(engine, vm, az_op_new(parent, "health", 0, done, data));
}

gboolean
az_flow_is_healthy(AzlinOp *check)
{
  gboolean healthy = FALSE;
  if (az_op_error(check) == NULL)
    g_variant_lookup(az_op_variant(check), "is_healthy", "b", &healthy);
  return healthy;
}

gboolean
az_flow_note_health(AzEngine *engine, AzlinVm *vm, GVariant *health)
{
  gboolean healthy = FALSE;
  const char *failure = "";
  if (!health)
    return FALSE;
  g_variant_lookup(health, "is_healthy", "b", &healthy);
  g_variant_lookup(health, "failure_type", "&s", &failure);
  gboolean off = g_str_equal(failure, "vm_stopped") || g_str_equal(failure, "vm_deallocated");
  az_vm_set(&vm->status, healthy ? "ok" : off ? "stopped" : "down");
  vm->last_health_check = az_clock_now(az_engine_clock(engine));
  return healthy;
}

gboolean
az_flow_pin_trusted(AzEngine *engine, AzlinVm *vm)
{
  if (vm->host_key && *vm->host_key)
    return FALSE;
  if (az_clock_is_virtual(az_engine_clock(engine))) /* machines without a network have no keys */
    return FALSE;
  const char *key = az_remote_trusted_key(az_engine_remote(engine), vm);
  if (key)
    az_vm_set(&vm->host_key, key);
  return key != NULL;
}
