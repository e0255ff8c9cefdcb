/* Weak stand-ins that let the tree link until remote and health have landed; this file goes with that landing. */
#include "health.h"
#include "process.h"
#define WEAK __attribute__((weak))
WEAK AzRemote *
az_remote_new(AzClock *clock, AzConfig *config, AzPaths *paths, AzAudit *audit)
{
  return NULL;
}
WEAK void
az_remote_free(AzRemote *remote)
{
}
WEAK gboolean
az_remote_ensure_key(AzRemote *remote, char **ret_private_path, char **ret_public, gboolean *ret_made, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "remote has not landed");
  return FALSE;
}
WEAK void
az_remote_exec(AzRemote *remote, const AzlinExec *request, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "remote has not landed");
}
WEAK void
az_remote_probe(AzRemote *remote, const AzlinVm *vm, const AzProbeLimits *limits, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "remote has not landed");
}
WEAK void
az_remote_grant(AzRemote *remote, const AzlinVm *from, const AzlinVm *to, const char *id, const char *dir, guint32 ttl_s,
                AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "remote has not landed");
}
WEAK void
az_remote_revoke(AzRemote *remote, const AzlinVm *from, const AzlinVm *to, const char *id, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "remote has not landed");
}
WEAK void
az_process_run(const AzlinExec *request, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "process has not landed");
}
WEAK void
az_health_check(AzEngine *engine, const AzlinVm *vm, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "health has not landed");
}
WEAK void
az_health_ask_witness(AzEngine *engine, const AzlinVm *witness, const AzlinVm *suspect, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "health has not landed");
}
WEAK gboolean
az_vantage_was_up(AzEngine *engine, const char *vantage, const char *region)
{
  return FALSE;
}
WEAK void
az_vantage_store(AzEngine *engine, GVariant *verdicts)
{
  g_variant_unref(g_variant_ref_sink(verdicts));
}
