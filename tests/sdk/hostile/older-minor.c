/* As an SDK before vm_exec would have built it: shorter, yet whole. What lies behind its end must read NULL. */
#include "hostile.h"

static void
vm_get(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
}

static void
vm_list(gpointer self, AzlinOp *op)
{
}

static const AzlinProvider iface = { .size = G_STRUCT_OFFSET(AzlinProvider, vm_exec),
                                     .vm_get = vm_get,
                                     .vm_list = vm_list,
                                     .vm_exec = (void (*)(gpointer, const AzlinVm *, const AzlinExec *, AzlinOp *)) 0x1,
                                     .virtual_time = TRUE };
static const AzlinBrick brick = { .size = sizeof(AzlinBrick),
                                  .kind = AZLIN_KIND_PROVIDER,
                                  .name = "older-minor",
                                  .summary = "for tests",
                                  .init = good_init,
                                  .free = good_free,
                                  .iface = &iface };

AZLIN_PLUGIN_DEFINE("test.older-minor", "1.0", "MIT", &brick);
