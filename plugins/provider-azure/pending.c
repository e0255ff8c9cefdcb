/* Functions of the interface whose files are not there yet: each fails, and goes away with the file that has it. */
#include "azure.h"

static void
missing(gpointer self, const char *what, AzlinOp *op)
{
  Azure *azure = self;
  azure->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "provider azure cannot %s", what));
}

__attribute__((weak)) void
azure_vm_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  missing(self, "make a machine", op);
}

__attribute__((weak)) void
azure_vm_delete(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  missing(self, "delete a machine", op);
}

__attribute__((weak)) void
azure_preflight(gpointer self, const AzlinVmSpec *const *specs, AzlinOp *op)
{
  missing(self, "check capacity", op);
}

__attribute__((weak)) void
azure_alternatives(gpointer self, const AzlinVmSpec *spec, const char *const *regions, AzlinOp *op)
{
  missing(self, "name alternatives", op);
}

__attribute__((weak)) void
azure_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op)
{
  missing(self, "recover", op);
}

__attribute__((weak)) void
azure_vm_list(gpointer self, AzlinOp *op)
{
  missing(self, "list machines", op);
}

__attribute__((weak)) void
azure_vm_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op)
{
  missing(self, "switch a machine", op);
}

__attribute__((weak)) void
azure_vm_restart(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  missing(self, "restart a machine", op);
}

__attribute__((weak)) void
azure_vm_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op)
{
  missing(self, "tag a machine", op);
}
