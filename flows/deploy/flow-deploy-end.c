/* deploy, once every region has ended: a primary in any case, verdicts, files that follow it, --sync-after, the
 * summary. */
#include "error.h"
#include "flow-deploy.h"
#include "flow-sync.h"

static AzDeployTarget *
target_at(AzDeploy *deploy, guint i)
{
  return g_ptr_array_index(deploy->targets, i);
}

static guint
count_good(AzDeploy *deploy)
{
  guint good = 0;
  for (guint i = 0; i < deploy->targets->len; i++)
    good += target_at(deploy, i)->error == NULL;
  return good;
}

/* ---- the result ---- */

static GVariant *
target_variant(const AzDeployTarget *target)
{
  GVariantBuilder one, attempts;
  g_variant_builder_init(&attempts, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < target->attempts->len; i++)
    g_variant_builder_add(&attempts, "v", g_ptr_array_index(target->attempts, i));
  g_variant_builder_init(&one, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&one, "{sv}", "region", g_variant_new_string(target->region));
  g_variant_builder_add(&one, "{sv}", "moved_from", az_deploy_moved_from(target));
  g_variant_builder_add(&one, "{sv}", "status", g_variant_new_string(target->error ? "failed" : "success"));
  g_variant_builder_add(&one, "{sv}", "vm_name", g_variant_new_string(target->vm_name));
  g_variant_builder_add(&one, "{sv}", "vm_size", g_variant_new_string(target->spec->vm_size));
  g_variant_builder_add(&one, "{sv}", "zone", az_variant_str(target->spec->zone));
  g_variant_builder_add(&one, "{sv}", "public_ip", az_variant_str(target->vm ? target->vm->public_ip : NULL));
  g_variant_builder_add(&one, "{sv}", "error", target->error ? az_error_to_variant(target->error, NULL) : az_null());
  g_variant_builder_add(&one, "{sv}", "duration_seconds", g_variant_new_double(target->seconds));
  g_variant_builder_add(&one, "{sv}", "attempts", g_variant_builder_end(&attempts));
  return g_variant_builder_end(&one);
}

static GVariant *
targets_variant(AzDeploy *deploy, gboolean failed)
{
  GVariantBuilder list;
  g_variant_builder_init(&list, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < deploy->targets->len; i++)
    if ((target_at(deploy, i)->error != NULL) == failed)
      g_variant_builder_add(&list, "v", target_variant(target_at(deploy, i)));
  return g_variant_builder_end(&list);
}

GVariant *
az_deploy_result(AzDeploy *deploy)
{
  GVariantBuilder result;
  guint total = deploy->targets->len;
  double rate = total ? (double) count_good(deploy) / total : 0.0;
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "total_regions", g_variant_new_uint32(total));
  g_variant_builder_add(&result, "{sv}", "successful", targets_variant(deploy, FALSE));
  g_variant_builder_add(&result, "{sv}", "failed", targets_variant(deploy, TRUE));
  g_variant_builder_add(&result, "{sv}", "total_duration_seconds",
                        g_variant_new_double(az_flow_seconds_since(deploy->engine, deploy->started)));
  g_variant_builder_add(&result, "{sv}", "success_rate", g_variant_new_double(rate));
  g_variant_builder_add(&result, "{sv}", "primary", az_variant_str(deploy->stored ? deploy->stored->primary : NULL));
  if (deploy->synced)
    g_variant_builder_add(
        &result, "{sv}", "sync",
        g_variant_new_array(G_VARIANT_TYPE_VARIANT, (GVariant *const *) deploy->synced->pdata, deploy->synced->len));
  return g_variant_builder_end(&result);
}

/* ---- the summary ---- */

static const char *
first_other(AzDeploy *deploy)
{
  for (guint i = 0; i < deploy->stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(deploy->stored->vms, i);
    if (!g_str_equal(vm->region, deploy->stored->primary))
      return vm->region;
  }
  return NULL;
}

static void
say_summary(AzDeploy *deploy, guint good)
{
  guint total = deploy->targets->len;
  const AzlinVm *primary = az_stored_primary(deploy->stored);
  const char *other = first_other(deploy);
  g_autofree char *took = az_flow_duration(az_flow_seconds_since(deploy->engine, deploy->started));
  if (good == 0)
    az_job_message(deploy->job, "fail", NULL, "All regions failed");
  else
    az_job_message(deploy->job, good == total ? "ok" : "warn", NULL, "Deployment complete in %s", took);
  az_job_message(deploy->job, "detail", NULL, "Success: %u/%u regions (%.1f%%)", good, total, 100.0 * good / total);
  if (primary)
    az_job_message(deploy->job, "detail", NULL, "Primary: %s (%s)", primary->region,
                   primary->public_ip ? primary->public_ip : "no address");
  else
    az_job_message(deploy->job, "detail", NULL, "Primary: none");
  az_job_message(deploy->job, "hint", NULL, "To list all regions: azlin regions list");
  if (good < total)
    az_job_message(deploy->job, "hint", NULL, "To try the failed regions again: run the same command");
  if (primary && other && good > 0)
    az_job_message(deploy->job, "hint", NULL, "To sync data: azlin sync --source %s --dest %s", primary->region, other);
}

/* Room may be had elsewhere, and only the policy says that nothing goes there. */
static gboolean
all_held_back(AzDeploy *deploy)
{
  for (guint i = 0; i < deploy->targets->len; i++)
    if (!target_at(deploy, i)->held_back)
      return FALSE;
  return TRUE;
}

static void
close_intent(AzDeploy *deploy)
{
  g_autoptr(GError) error = NULL;
  AzJournal *journal = az_engine_journal(deploy->engine, &error);
  if (!journal || !az_journal_done(journal, deploy->intent, &error))
    az_job_message(deploy->job, "warn", NULL, "The journal cannot be closed: %s", error->message);
}

/* What a run that is gone had begun, and this one had no time to wait for: it may stand yet. */
static gboolean
may_come_later(AzDeploy *deploy)
{
  AzJournal *journal = az_engine_journal(deploy->engine, NULL);
  g_autoptr(GPtrArray) entries = journal ? az_journal_open_entries(journal, NULL) : NULL;
  for (guint i = 0; entries && i < entries->len; i++) {
    const AzJournalEntry *entry = g_ptr_array_index(entries, i);
    if (g_str_has_prefix(entry->owner, "provider-") && az_flow_entry_abandoned(entry))
      return TRUE;
  }
  return FALSE;
}

/* An entry that stays open is what azlin recover puts machines on record by. */
static gboolean
is_settled(AzDeploy *deploy, gboolean all_stand)
{
  return deploy->unrecorded == 0 && (all_stand || !may_come_later(deploy));
}

void
az_deploy_finish(AzDeploy *deploy)
{
  guint good = count_good(deploy);
  if (deploy->intent && is_settled(deploy, good == deploy->targets->len))
    close_intent(deploy);
  say_summary(deploy, good);
  gboolean all = good == deploy->targets->len && !deploy->sync_failed;
  int code = all ? 0 : good > 0 ? 1 : all_held_back(deploy) ? 3 : 2;
  az_job_finish(deploy->job, code, az_deploy_result(deploy));
}

/* ---- --sync-after ---- */

static void
on_synced(AzlinOp *op, gpointer data)
{
  AzDeploy *deploy = data;
  GVariant *result = az_op_variant(op);
  double rate = 0;
  if (result) {
    g_variant_lookup(result, "success_rate", "d", &rate);
    g_ptr_array_add(deploy->synced, g_variant_ref_sink(g_variant_new_variant(result)));
  } else {
    az_flow_say_error(deploy->job, NULL, az_op_error(op));
  }
  deploy->sync_failed |= rate < 1.0;
  if (--deploy->pending == 0 && !az_op_cancelled(deploy->root))
    az_deploy_finish(deploy);
}

static void
sync_after(AzDeploy *deploy)
{
  const AzlinVm *primary = az_stored_primary(deploy->stored);
  deploy->synced = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  deploy->pending = 1;
  for (guint i = 0; primary && i < deploy->targets->len; i++) {
    const AzDeployTarget *target = target_at(deploy, i);
    if (target->error || g_str_equal(target->region, primary->region))
      continue;
    deploy->pending++;
    az_sync_run(deploy->job, deploy->engine, primary, target->vm, NULL,
                az_op_new(deploy->root, "sync-after", 0, on_synced, deploy));
  }
  if (--deploy->pending == 0)
    az_deploy_finish(deploy);
}

/* ---- verdicts of this host and of witnesses, kept for a later failover ---- */

static void
verdicts_in(AzDeploy *deploy)
{
  if (--deploy->pending > 0 || az_op_cancelled(deploy->root))
    return;
  az_flow_keep_verdicts(deploy->engine, deploy->verdicts);
  if (az_deploy_arg_bool(deploy, "sync-after"))
    sync_after(deploy);
  else
    az_deploy_finish(deploy);
}

static void
on_status_kept(AzlinOp *op, gpointer data)
{
  AzDeploy *deploy = data;
  if (az_op_error(op) && !az_op_cancelled(deploy->root))
    az_job_message(deploy->job, "warn", NULL, "The state of the regions was not stored: %s", az_op_error(op)->message);
  verdicts_in(deploy);
}

static void
keep_status(AzDeploy *deploy)
{
  g_autofree const AzlinVm **vms = g_new0(const AzlinVm *, deploy->targets->len + 1);
  gsize n = 0;
  for (guint i = 0; i < deploy->targets->len; i++)
    if (target_at(deploy, i)->in_context)
      vms[n++] = target_at(deploy, i)->vm;
  deploy->pending++;
  az_flow_put_status(deploy->engine, deploy->root, vms, n, on_status_kept, deploy);
}

static void
on_final_state(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzDeploy *deploy = data;
  g_autoptr(AzStored) before = deploy->stored;
  deploy->stored = stored;
  az_flow_primary_files(job, stored, before->primary);
  deploy->pending = 1;
  keep_status(deploy);
  verdicts_in(deploy);
}

static void
on_fallback_claimed(AzlinOp *op, gpointer data)
{
  AzDeploy *deploy = data;
  if (!az_op_cancelled(deploy->root))
    az_stored_read(deploy->job, deploy->root, on_final_state, deploy);
}

static const AzDeployTarget *
fallback_primary(AzDeploy *deploy)
{
  if (deploy->claimed || *deploy->stored->primary)
    return NULL;
  for (guint i = 0; i < deploy->targets->len; i++)
    if (target_at(deploy, i)->in_context)
      return target_at(deploy, i);
  return NULL;
}

void
az_deploy_end(AzDeploy *deploy)
{
  const AzDeployTarget *target = fallback_primary(deploy);
  if (!target) {
    az_stored_read(deploy->job, deploy->root, on_final_state, deploy);
    return;
  }
  az_job_message(deploy->job, "warn", NULL, "%s cannot be primary; %s is, as the first that stands",
                 deploy->wanted_primary, target->region);
  az_deploy_claim_primary(deploy, target->region, on_fallback_claimed);
}
