/* provider-static: machines that exist already, registered by hand; nothing is made, switched or deleted here. */
#include "azlin-plugin.h"

static void
not_supported(gpointer self, const char *sentence, AzlinOp *op)
{
  AzlinHost *host = self;
  host->api->op_fail(op, g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, sentence));
}

static void
static_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  not_supported(self, "provider static makes no machines: `azlin regions add` registers one that exists", op);
}

static void
static_get(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  AzlinHost *host = self;
  AzlinVm *record = host->api->vm_dup(vm);
  record->power = AZLIN_POWER_UNKNOWN;
  record->stop_cause = AZLIN_STOP_UNKNOWN;
  host->api->op_finish_vm(op, record);
  host->api->vm_free(record);
}

static void
static_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op)
{
  not_supported(self, "provider static cannot switch a machine on or off: do it where the machine is run", op);
}

static void
static_restart(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  not_supported(self, "provider static cannot restart a machine: do it where the machine is run", op);
}

static void
static_delete(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  not_supported(self, "provider static deletes no machines: `azlin regions remove` forgets one", op);
}

static void
static_list(gpointer self, AzlinOp *op)
{
  AzlinHost *host = self;
  host->api->op_finish_vms(op, NULL, 0);
}

static gboolean
static_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  *ret_self = host;
  return TRUE;
}

static void
static_free(gpointer self)
{
}

static const AzlinProvider PROVIDER = {
  .size = sizeof(AzlinProvider),
  .vm_create = static_create,
  .vm_get = static_get,
  .vm_power = static_power,
  .vm_restart = static_restart,
  .vm_delete = static_delete,
  .vm_list = static_list,
};

static const AzlinBrick BRICK = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_PROVIDER,
  .name = "static",
  .summary = "Machines that exist already, in any cloud or rack: registered, never made or deleted",
  .init = static_init,
  .free = static_free,
  .iface = &PROVIDER,
};

AZLIN_PLUGIN_DEFINE("provider-static", "0.1.0", "MIT", &BRICK)
