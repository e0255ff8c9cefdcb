/* Functions of the interface whose files are not there yet: each fails, and goes away with the file that has it. */
#include "azure.h"

static void
missing(gpointer self, const char *what, AzlinOp *op)
{
  Azure *azure = self;
  azure->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "provider azure cannot %s", what));
}

void
azure_vm_list(gpointer self, AzlinOp *op)
{
  missing(self, "list machines", op);
}

void
azure_vm_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op)
{
  missing(self, "switch a machine", op);
}

void
azure_vm_restart(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  missing(self, "restart a machine", op);
}

void
azure_vm_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op)
{
  missing(self, "tag a machine", op);
}
