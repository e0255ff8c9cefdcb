/* Six bricks whose every answer is nonsense of a kind that the option `answer` chooses; the engine must stand it. */
#include <azlin-plugin.h>

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  *ret_self = host;
  return TRUE;
}

static void
finish_vm(AzlinHost *host, AzlinOp *op)
{
  static const AzlinVm empty = { .size = sizeof(AzlinVm) };

  host->api->op_finish_vm(op, &empty);
}

static void
finish_vms(AzlinHost *host, AzlinOp *op)
{
  static const AzlinVm empty = { .size = sizeof(AzlinVm) };
  static const AzlinVm *const list[] = { &empty, &empty };

  host->api->op_finish_vms(op, list, G_N_ELEMENTS(list));
}

static void
answer(gpointer self, AzlinOp *op)
{
  AzlinHost *host = self;
  g_autoptr(GVariant) how = host->api->option(host, "answer");
  const char *text = g_variant_get_string(how, NULL);

  if (g_str_equal(text, "nothing"))
    host->api->op_finish(op);
  else if (g_str_equal(text, "string"))
    host->api->op_finish_variant(op, g_variant_new_string("nonsense"));
  else if (g_str_equal(text, "dict"))
    host->api->op_finish_variant(op,
                                 g_variant_new_parsed("{'epoch': <'x'>, 'primary': <1>, 'files_synced': <'many'>}"));
  else if (g_str_equal(text, "vm"))
    finish_vm(host, op);
  else if (g_str_equal(text, "vms"))
    finish_vms(host, op);
  else if (g_str_equal(text, "token"))
    host->api->op_finish_variant(op, g_variant_new_uint64(G_MAXUINT64));
  else if (g_str_equal(text, "foreign-error"))
    host->api->op_fail(op, g_error_new_literal(G_IO_ERROR, G_IO_ERROR_FAILED, "\x1b[31mred\xff"));
  /* else: never */
}

static void
on_spec(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  answer(self, op);
}

static void
on_vm(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  answer(self, op);
}

static void
on_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op)
{
  answer(self, op);
}

static void
on_exec(gpointer self, const AzlinVm *vm, const AzlinExec *request, AzlinOp *op)
{
  answer(self, op);
}

static void
on_probe(gpointer self, const AzlinVm *vm, const AzlinVm *from, AzlinOp *op)
{
  answer(self, op);
}

static void
on_plan(gpointer self, const AzlinDeployPlan *plan, AzlinOp *op)
{
  answer(self, op);
}

static void
decide(gpointer self, const AzlinDecisionInput *input, AzlinDecision *out)
{
  out->should_auto_failover = TRUE; /* and no reason, no weights, no ranking */
}

static double
score(gpointer self, const AzlinSyncJob *job, char **ret_reason)
{
  return -0.0 / 0.0;
}

static void
on_sync(gpointer self, const AzlinSyncJob *job, AzlinOp *op)
{
  answer(self, op);
}

static void
on_region(gpointer self, const char *region, AzlinOp *op)
{
  answer(self, op);
}

static void
set_primary(gpointer self, const char *from, const char *to, guint64 epoch, AzlinOp *op)
{
  answer(self, op);
}

static void
put_status(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op)
{
  answer(self, op);
}

static void
acquire(gpointer self, const char *key, guint32 ttl_s, AzlinOp *op)
{
  answer(self, op);
}

static void
on_token(gpointer self, const char *key, guint64 token, AzlinOp *op)
{
  answer(self, op);
}

static const AzlinProvider provider = { .size = sizeof(AzlinProvider),
                                        .vm_create = on_spec,
                                        .vm_get = on_vm,
                                        .vm_power = on_power,
                                        .vm_restart = on_vm,
                                        .vm_delete = on_vm,
                                        .vm_list = answer,
                                        .vm_exec = on_exec,
                                        .vm_probe = on_probe,
                                        .virtual_time = TRUE };
static const AzlinDeployer deployer = { .size = sizeof(AzlinDeployer), .deploy = on_plan };
static const AzlinFailover failover = { .size = sizeof(AzlinFailover), .decide = decide };
static const AzlinSync sync_iface = { .size = sizeof(AzlinSync), .score = score, .transfer = on_sync };
static const AzlinContext context = { .size = sizeof(AzlinContext),
                                      .list = answer,
                                      .put = on_vm,
                                      .forget = on_region,
                                      .set_primary = set_primary,
                                      .info = answer,
                                      .put_status = put_status };
static const AzlinCoordinator coordinator
    = { .size = sizeof(AzlinCoordinator), .acquire = acquire, .renew = on_token, .release = on_token };

static const AzlinOption options[] = { { "answer", "s", "nothing", NULL, NULL, "which nonsense" }, { 0 } };

#define BRICK(_kind, _iface)                                                                                           \
  &(const AzlinBrick)                                                                                                  \
  {                                                                                                                    \
    .size = sizeof(AzlinBrick), .kind = _kind, .name = "nonsense", .summary = "for tests", .options = options,         \
    .init = init, .iface = _iface                                                                                      \
  }
AZLIN_PLUGIN_DEFINE("test.nonsense", "1.0", "MIT", BRICK(AZLIN_KIND_PROVIDER, &provider),
                    BRICK(AZLIN_KIND_DEPLOYER, &deployer), BRICK(AZLIN_KIND_FAILOVER, &failover),
                    BRICK(AZLIN_KIND_SYNC, &sync_iface), BRICK(AZLIN_KIND_CONTEXT, &context),
                    BRICK(AZLIN_KIND_COORDINATOR, &coordinator));
