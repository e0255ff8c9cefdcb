/* A provider for tests: machines of provider-local whose host keys nobody tells, as with a cloud that has no such
 * channel. */
#include "azlin-plugin.h"

typedef struct {
  AzlinHost *host;
  AzlinOp *op;
} Create;

static const AzlinProvider *
local(AzlinHost *host, gpointer *ret_self)
{
  return host->api->lookup(host, AZLIN_KIND_PROVIDER, "local", ret_self);
}

static void
on_created(AzlinOp *op, gpointer data)
{
  g_autofree Create *create = data;
  const AzlinHostApi *api = create->host->api;
  if (api->op_error(op)) {
    api->op_fail(create->op, g_error_copy(api->op_error(op)));
    return;
  }
  AzlinVm vm = *api->op_vm(op);
  vm.host_key = NULL;
  api->op_finish_vm(create->op, &vm);
}

static void
forgetful_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  AzlinHost *host = self;
  gpointer local_self = NULL;
  const AzlinProvider *provider = local(host, &local_self);
  Create *create = g_new(Create, 1);
  *create = (Create){ host, op };
  provider->vm_create(local_self, spec, host->api->op_new(op, "create", 0, on_created, create));
}

static void
forgetful_get(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  gpointer local_self = NULL;
  const AzlinProvider *provider = local(self, &local_self);
  provider->vm_get(local_self, vm, op);
}

static void
forgetful_delete(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  gpointer local_self = NULL;
  const AzlinProvider *provider = local(self, &local_self);
  provider->vm_delete(local_self, vm, op);
}

static void
forgetful_list(gpointer self, AzlinOp *op)
{
  gpointer local_self = NULL;
  const AzlinProvider *provider = local(self, &local_self);
  provider->vm_list(local_self, op);
}

static gboolean
forgetful_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  *ret_self = host;
  return TRUE;
}

static void
forgetful_free(gpointer self)
{
}

static const AzlinProvider provider = {
  .size = sizeof(AzlinProvider),
  .vm_create = forgetful_create,
  .vm_get = forgetful_get,
  .vm_delete = forgetful_delete,
  .vm_list = forgetful_list,
};

static const AzlinBrick brick = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_PROVIDER,
  .name = "forgetful",
  .summary = "machines of provider-local whose host keys nobody tells",
  .init = forgetful_init,
  .free = forgetful_free,
  .iface = &provider,
};

AZLIN_PLUGIN_DEFINE("forgetful", "1.0", "MIT", &brick)
