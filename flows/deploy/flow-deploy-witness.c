/* deploy: what some of the other regions see of the primary; a failover counts only those that could reach it before.
 */
#include "flow-deploy.h"
#include "health.h"

#define MAX_WITNESSES 3

static const AzlinVm *
primary_vm(AzDeploy *deploy)
{
  const char *region = deploy->claimed ? deploy->wanted_primary : deploy->stored->primary;
  for (guint i = 0; i < deploy->targets->len; i++) {
    const AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    if (target->vm && g_str_equal(target->region, region))
      return target->vm;
  }
  return az_stored_find(deploy->stored, region);
}

static void
on_witness(AzlinOp *op, gpointer data)
{
  AzDeployTarget *target = data;
  AzDeploy *deploy = target->deploy;
  const char *outcome = NULL;
  const AzlinVm *primary = primary_vm(deploy);
  if (az_op_cancelled(deploy->root))
    return;
  if (primary && az_op_variant(op) && g_variant_lookup(az_op_variant(op), "outcome", "&s", &outcome))
    g_hash_table_insert(deploy->verdicts, g_strdup_printf("%s>%s", target->region, primary->region),
                        GINT_TO_POINTER(g_str_equal(outcome, "ok")));
  az_deploy_region_over(target);
}

static void
ask(AzDeployTarget *target)
{
  AzDeploy *deploy = target->deploy;
  const AzlinVm *primary = primary_vm(deploy);
  target->waiting = FALSE;
  if (!primary) {
    az_deploy_region_over(target);
    return;
  }
  az_health_ask_witness(deploy->engine, target->vm, primary, az_op_new(deploy->root, "witness", 0, on_witness, target));
}

void
az_deploy_ask(AzDeployTarget *target)
{
  AzDeploy *deploy = target->deploy;
  const char *primary
      = deploy->primary == AZ_PRIMARY_READY && !deploy->claimed ? deploy->stored->primary : deploy->wanted_primary;
  gboolean fit = g_strcmp0(target->vm->status, "ok") == 0 && !g_str_equal(target->region, primary);
  if (!fit || deploy->primary == AZ_PRIMARY_NONE || deploy->asked == MAX_WITNESSES) {
    az_deploy_region_over(target);
    return;
  }
  deploy->asked++;
  target->waiting = TRUE;
  if (deploy->primary == AZ_PRIMARY_READY)
    ask(target);
}

void
az_deploy_primary_settled(AzDeploy *deploy, AzDeployPrimary state)
{
  if (deploy->primary != AZ_PRIMARY_PENDING)
    return;
  deploy->primary = state;
  for (guint i = 0; i < deploy->targets->len; i++) {
    AzDeployTarget *target = g_ptr_array_index(deploy->targets, i);
    if (!target->waiting)
      continue;
    target->waiting = FALSE;
    if (state == AZ_PRIMARY_READY)
      ask(target);
    else
      az_deploy_region_over(target);
  }
}
