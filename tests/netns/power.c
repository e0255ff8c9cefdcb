/* provider-netns, for tests alone: machines whose power a program of the test switches, so that a fence is confirmed by
 * something real. It is called with "get", "stop" or "start" and the region, and prints "running" or "stopped". */
#include "azlin-plugin.h"
#include <string.h>

typedef struct {
  AzlinHost *host;
  AzlinVm *vm;
  AzlinOp *op;
} Request;

static void
request_end(Request *request, GError *error)
{
  if (error != NULL)
    request->host->api->op_fail(request->op, error);
  else
    request->host->api->op_finish_vm(request->op, request->vm);
  request->host->api->vm_free(request->vm);
  g_free(request);
}

static void
on_answer(AzlinOp *op, gpointer data)
{
  Request *request = data;
  const AzlinHostApi *api = request->host->api;
  const AzlinReply *reply = api->op_reply(op);

  if (api->op_error(op) != NULL || reply == NULL || reply->status != 0) {
    request_end(request, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "the power of %s cannot be read or changed",
                                     request->vm->region));
    return;
  }
  gsize size = 0;
  const char *bytes = g_bytes_get_data(reply->out, &size);
  g_autofree char *word = g_strstrip(g_strndup(bytes != NULL ? bytes : "", size));
  request->vm->power = g_str_equal(word, "stopped")   ? AZLIN_POWER_STOPPED
                       : g_str_equal(word, "running") ? AZLIN_POWER_RUNNING
                                                      : AZLIN_POWER_UNKNOWN;
  request->vm->stop_cause = request->vm->power == AZLIN_POWER_STOPPED ? AZLIN_STOP_REQUESTED : AZLIN_STOP_UNKNOWN;
  request_end(request, NULL);
}

static void
ask(AzlinHost *host, const AzlinVm *vm, const char *what, AzlinOp *op)
{
  g_autoptr(GVariant) program = host->api->option(host, "program");
  const char *argv[] = { g_variant_get_string(program, NULL), what, vm->region, NULL };
  AzlinExec exec = { .size = sizeof exec, .argv = argv };
  Request *request = g_new(Request, 1);

  *request = (Request){ host, host->api->vm_dup(vm), op };
  host->api->exec(host, &exec, host->api->op_new(op, "power program", 0, on_answer, request));
}

static void
netns_get(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  ask(self, vm, "get", op);
}

static void
netns_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op)
{
  ask(self, vm, want == AZLIN_POWER_RUNNING ? "start" : "stop", op);
}

static void
not_here(gpointer self, AzlinOp *op)
{
  AzlinHost *host = self;
  host->api->op_fail(
      op, g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "machines of the tests are made by the tests"));
}

static void
netns_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  not_here(self, op);
}

static void
netns_change(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  not_here(self, op);
}

static gboolean
netns_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  *ret_self = host;
  return TRUE;
}

static void
netns_free(gpointer self)
{
}

static const AzlinOption OPTIONS[] = {
  { .name = "program", .type = "s", .help = "Absolute path of the program that switches machines" },
  { 0 },
};

static const AzlinProvider PROVIDER = {
  .size = sizeof(AzlinProvider),
  .vm_create = netns_create,
  .vm_get = netns_get,
  .vm_power = netns_power,
  .vm_restart = netns_change,
  .vm_delete = netns_change,
  .vm_list = not_here,
};

static const AzlinBrick BRICK = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_PROVIDER,
  .name = "netns",
  .summary = "Machines in network namespaces of the tests",
  .options = OPTIONS,
  .init = netns_init,
  .free = netns_free,
  .iface = &PROVIDER,
};

AZLIN_PLUGIN_DEFINE("provider-netns", "0.1.0", "MIT", &BRICK)
