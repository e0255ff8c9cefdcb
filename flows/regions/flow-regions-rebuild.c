/* regions refresh --rebuild: records made anew from the provider's list, and the primary from tags where they agree. */
#include "error.h"
#include "flow-regions-refresh.h"

/* ---- the machines ---- */

static void
rebuilt(AzRefresh *refresh, const AzlinVm *machine, const AzlinVm *cloud)
{
  const AzlinVm *known = az_stored_find(refresh->stored, machine->region);
  AzlinVm *vm = az_drift_merged(known ? known : machine, cloud);
  vm->is_primary = FALSE;
  if (vm->created_at == 0)
    vm->created_at = az_time_from_string(az_tag_of(vm, AZLIN_TAG_CREATED));
  g_ptr_array_add(refresh->puts, vm);
  if (!known) {
    az_drift_add(refresh->drift, machine->region, "machine", NULL, machine->vm_name, AZ_DRIFT_RECORD);
    return;
  }
  az_job_message(refresh->job, "ok", NULL, "%s: %s", machine->region, machine->vm_name);
  az_refresh_compare(refresh, known, cloud);
}

static void
on_located(AzlinOp *op, gpointer data)
{
  g_autoptr(AzRefreshAsk) one = data;
  AzRefresh *refresh = one->refresh;
  if (az_op_cancelled(refresh->root))
    return;
  if (az_op_error(op)) {
    g_autofree char *what = g_strdup_printf("no address of %s in %s", one->vm->vm_name, one->vm->region);
    az_refresh_unread(refresh, one->vm->region, what, az_op_error(op));
  }
  rebuilt(refresh, one->vm, az_op_error(op) ? one->vm : az_op_vm(op));
  if (--refresh->left == 0)
    az_refresh_gathered(refresh);
}

/* A region holds one machine: the one on record, else the first; those that azlin made come before all others. */
static void
take_listed(AzRefresh *refresh, const AzlinVm *vm, GHashTable *taken)
{
  const AzlinVm *known = az_stored_find(refresh->stored, vm->region);
  const char *other = known ? known->vm_name : g_hash_table_lookup(taken, vm->region);
  if (other && g_strcmp0(other, vm->vm_name) != 0) {
    az_drift_add(refresh->drift, vm->region, "machine", other, vm->vm_name, AZ_DRIFT_SHOWN);
    return;
  }
  g_hash_table_insert(taken, (gpointer) (guintptr) vm->region, (gpointer) (guintptr) vm->vm_name);
  if (vm->public_ip && *vm->public_ip)
    rebuilt(refresh, vm, vm);
  else
    az_refresh_ask(refresh, vm, on_located);
}

static void
on_listed(AzlinOp *op, gpointer data)
{
  AzRefresh *refresh = data;
  g_autoptr(GHashTable) taken = g_hash_table_new(g_str_hash, g_str_equal);
  if (az_op_error(op)) {
    az_job_fail(refresh->job, g_error_copy(az_op_error(op)));
    return;
  }
  az_refresh_keep_listed(refresh, op);
  refresh->left = 1;
  for (int ours = TRUE; ours >= FALSE; ours--)
    for (guint i = 0; i < refresh->listed->len; i++)
      if (az_drift_is_ours(g_ptr_array_index(refresh->listed, i)) == ours)
        take_listed(refresh, g_ptr_array_index(refresh->listed, i), taken);
  if (--refresh->left == 0)
    az_refresh_gathered(refresh);
}

void
az_refresh_rebuild(AzRefresh *refresh)
{
  az_flow_vm_list(refresh->engine, refresh->root, NULL, on_listed, refresh);
}

/* ---- what the tags say of the primary ---- */

static void
say_rivals(AzRefresh *refresh, GArray *claims, guint64 epoch, guint rivals)
{
  az_job_message(refresh->job, "fail", NULL, "%u machines say at epoch %" G_GUINT64_FORMAT " that they are primary",
                 rivals, epoch);
  for (guint i = 0; i < claims->len; i++) {
    const AzClaim *claim = &g_array_index(claims, AzClaim, i);
    if (!claim->disbelief && claim->epoch == epoch)
      az_job_message(refresh->job, "detail", NULL, "%s: %s", claim->vm->region, claim->vm->vm_name);
  }
  az_refresh_hint(refresh, "Decide yourself: azlin regions set-primary REGION");
}

static const AzlinVm *
find_put(AzRefresh *refresh, const AzlinVm *machine)
{
  for (guint i = 0; i < refresh->puts->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(refresh->puts, i);
    if (g_strcmp0(vm->region, machine->region) == 0 && g_strcmp0(vm->vm_name, machine->vm_name) == 0)
      return vm;
  }
  return NULL;
}

/* Only where no primary is on record, and the tags agree; of the highest epoch all are told apart by the user. */
static void
take_primary(AzRefresh *refresh, GArray *claims)
{
  guint rivals = 0;
  guint64 epoch = 0;
  const AzClaim *winner = az_claims_winner(claims, &epoch, &rivals);
  if (*refresh->stored->primary)
    return;
  if (epoch > refresh->stored->epoch)
    refresh->raise = epoch;
  if (rivals > 0) {
    refresh->undecided = TRUE;
    say_rivals(refresh, claims, epoch, rivals);
  }
  if (winner && find_put(refresh, winner->vm))
    refresh->restored = g_strdup(winner->vm->region);
}

static void
say_claims(AzRefresh *refresh, GArray *claims)
{
  for (guint i = 0; i < claims->len; i++) {
    const AzClaim *claim = &g_array_index(claims, AzClaim, i);
    if (claim->disbelief)
      az_job_message(refresh->job, "warn", NULL, "%s: %s says that it is primary, and is not believed: %s",
                     claim->vm->region, claim->vm->vm_name, claim->disbelief);
  }
}

void
az_refresh_weigh_claims(AzRefresh *refresh)
{
  g_autoptr(GArray) claims = az_claims_new((const AzlinVm *const *) refresh->listed->pdata, refresh->listed->len,
                                           az_refresh_allowed, refresh->engine);
  say_claims(refresh, claims);
  if (refresh->rebuild)
    take_primary(refresh, claims);
}

/* ---- the primary that the tags give back ---- */

static void
on_restored(AzlinOp *op, gpointer data)
{
  AzRefresh *refresh = data;
  GVariantDict facts;
  if (az_op_error(op)) {
    az_job_fail(refresh->job, g_error_copy(az_op_error(op)));
    return;
  }
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "from", "s", "");
  g_variant_dict_insert(&facts, "to", "s", refresh->restored);
  g_variant_dict_insert(&facts, "epoch", "t", g_variant_get_uint64(az_op_variant(op)));
  g_variant_dict_insert(&facts, "why", "s", "its tags say so");
  az_flow_audit(refresh->job, "regions.set-primary", g_variant_dict_end(&facts));
  az_job_message(refresh->job, "ok", NULL, "Primary region, as the tags say: %s", refresh->restored);
  az_refresh_end(refresh);
}

static void
restore(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  AzRefresh *refresh = data;
  az_flow_set_primary(refresh->engine, root, "", refresh->restored, stored->epoch, on_restored, refresh);
}

void
az_refresh_restore(AzRefresh *refresh)
{
  az_stored_read(refresh->job, refresh->root, restore, refresh);
}
