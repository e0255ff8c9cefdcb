/* regions set-primary, remove: changes of the records. */
#include "error.h"
#include "flow-deletion.h"
#include "flow-epoch.h"
#include "flow-failover-note.h"
#include "flow-support.h"
#include "regions.h"

/* ---- set-primary ---- */

#define TELL_MS 5000

typedef struct {
  AzStored *stored;
  const AzlinVm *vm;
  AzlinVm *checked;
  char *old;
  guint64 epoch;
  gboolean reachable; /* the one that becomes primary */
  guint64 note;       /* of az_deletion_begin(); 0 = none */
} Switch;

static void
switch_free(gpointer data)
{
  Switch *change = data;
  g_clear_pointer(&change->stored, az_stored_unref);
  g_clear_pointer(&change->checked, az_vm_free);
  g_free(change->old);
  g_free(change);
}

static void
primary_finish(AzJob *job, const char *primary, guint64 epoch, gboolean changed)
{
  GVariantDict result;
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert_value(&result, "primary", az_variant_str(primary));
  g_variant_dict_insert(&result, "epoch", "t", epoch);
  g_variant_dict_insert(&result, "changed", "b", changed);
  az_job_finish(job, 0, g_variant_dict_end(&result));
}

/* All learn of the move, where they can be reached: the new primary's data is of this epoch, the others are told. */
static void
tell_machines(AzJob *job, Switch *change)
{
  AzEngine *engine = az_job_engine(job);

  for (guint i = 0; change->reachable && i < change->stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(change->stored->vms, i);
    AzlinOp *op = az_job_cleanup_op(job, "epoch", TELL_MS, NULL, NULL);
    if (g_str_equal(vm->region, change->vm->region))
      az_epoch_write(engine, vm, change->epoch, op);
    else
      az_epoch_supersede(engine, vm, change->epoch, op);
  }
}

static void
on_switched_state(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  Switch *change = data;
  az_flow_primary_files(job, stored, change->old);
  tell_machines(job, change);
  az_job_message(job, "ok", NULL, "Primary region: %s (%s)", change->vm->region,
                 change->vm->public_ip ? change->vm->public_ip : "no address");
  primary_finish(job, change->vm->region, change->epoch, TRUE);
}

static void
on_switched(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  Switch *change = az_job_data(job);
  GVariantDict facts;
  if (az_op_error(op)) {
    az_job_fail(job, g_error_copy(az_op_error(op)));
    return;
  }
  change->epoch = g_variant_get_uint64(az_op_variant(op));
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "from", "s", change->old);
  g_variant_dict_insert(&facts, "to", "s", change->vm->region);
  g_variant_dict_insert(&facts, "epoch", "t", change->epoch);
  az_flow_audit(job, "regions.set-primary", g_variant_dict_end(&facts));
  az_stored_read(job, az_job_root(job), on_switched_state, change);
}

static void
on_candidate_epoch(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  Switch *change = az_job_data(job);
  GError *error = NULL;
  if (az_op_cancelled(az_job_root(job)))
    return;
  if (az_op_error(op) == NULL
      && !az_epoch_check(change->vm->region, change->stored->epoch, az_epoch_result(op), &error)) {
    az_job_fail(job, error);
    return;
  }
  az_flow_set_primary(az_job_engine(job), az_job_root(job), change->old, change->vm->region, change->stored->epoch,
                      on_switched, job);
}

static void
on_candidate_health(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  Switch *change = az_job_data(job);
  if (az_op_cancelled(az_job_root(job)))
    return;
  change->reachable = az_flow_note_health(az_job_engine(job), change->checked, az_op_variant(op));
  if (change->reachable) {
    az_epoch_read(az_job_engine(job), change->vm,
                  az_op_new(az_job_root(job), "epoch", TELL_MS, on_candidate_epoch, job));
    return;
  }
  az_job_message(job, "warn", NULL, "%s does not answer; it becomes primary all the same", change->vm->region);
  az_flow_set_primary(az_job_engine(job), az_job_root(job), change->old, change->vm->region, change->stored->epoch,
                      on_switched, job);
}

/* Takes over `stored`. NULL: the region that was named does not exist, and the job has ended. */
static Switch *
switch_new(AzJob *job, AzStored *stored)
{
  Switch *change = g_new0(Switch, 1);
  GError *error = NULL;
  change->stored = stored;
  change->old = g_strdup(stored->primary);
  az_job_set_data(job, change, switch_free);
  change->vm = az_stored_require(stored, az_job_engine(job), az_job_arg_string(job, "region"), &error);
  if (change->vm)
    return change;
  az_job_fail(job, error);
  return NULL;
}

/* TRUE: a fence of it is pending, and the job has ended: once primary, it would be switched off. */
static gboolean
is_to_be_fenced(AzJob *job, const char *region)
{
  GError *error = NULL;
  g_autoptr(AzFailoverState) state = az_failover_state_load(az_job_engine(job), &error);
  if (state != NULL && az_failover_fence_of(state, region) == NULL)
    return FALSE;
  if (state != NULL) {
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY,
                        "%s is a stale primary whose fence is pending; it may still serve as it was", region);
    az_error_add_step(error, "Fence it: azlin recover");
    az_error_add_step(error, "If it is off for sure: azlin failover ack --fenced %s", region);
  }
  az_job_fail(job, error);
  return TRUE;
}

static void
set_primary_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  Switch *change = switch_new(job, stored);
  if (!change)
    return;
  if (g_str_equal(change->vm->region, stored->primary)) {
    az_job_message(job, "ok", NULL, "%s is primary already", change->vm->region);
    /* The user's word also settles what other places of records say. */
    az_flow_repeat_primary(az_job_engine(job), root, stored->primary, stored->epoch);
    primary_finish(job, change->vm->region, stored->epoch, FALSE);
    return;
  }
  if (is_to_be_fenced(job, change->vm->region))
    return;
  change->checked = az_vm_dup(change->vm);
  az_flow_health(az_job_engine(job), root, change->vm, on_candidate_health, job);
}

static gboolean
region_required(AzEngine *engine, GVariant *args, GError **error)
{
  const char *region = NULL;
  if (g_variant_lookup(args, "region", "&s", &region) && *region)
    return TRUE;
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "Name the region");
  return FALSE;
}

static void
set_primary_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_read(job, root, set_primary_ready, NULL);
}

static const AzFlag set_primary_flags[] = {
  { "region", 'r', "s", "REGION", "the region that becomes primary" },
  { 0 },
};

const AzFlow az_flow_regions_set_primary = {
  .kind = { .kind = "regions-set-primary", .help = "Make a region the primary one", .flags = set_primary_flags },
  .check = region_required,
  .run = set_primary_run,
};

/* ---- remove ---- */

static void
on_removed_state(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  Switch *change = data;
  GVariantDict result;
  gboolean was_primary = g_str_equal(change->old, change->vm->region);
  az_flow_primary_files(job, stored, change->old);
  az_flow_forget_verdicts(az_job_engine(job), change->vm->region);
  az_job_message(job, "ok", NULL, "Removed %s", change->vm->region);
  if (was_primary) {
    az_job_message(job, "warn", NULL, "It was the primary region; none stands now");
    if (stored->vms->len > 0)
      az_job_message(job, "hint", NULL, "To set one: azlin regions set-primary %s",
                     ((const AzlinVm *) g_ptr_array_index(stored->vms, 0))->region);
  }
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "removed", "s", change->vm->region);
  g_variant_dict_insert(&result, "vm_deleted", "b", az_job_arg_bool(job, "remove-vm"));
  g_variant_dict_insert_value(&result, "primary", az_variant_str(stored->primary));
  az_job_finish(job, 0, g_variant_dict_end(&result));
}

static void
on_forgotten(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  Switch *change = az_job_data(job);
  if (az_op_error(op)) {
    az_job_fail(job, g_error_copy(az_op_error(op)));
    return;
  }
  if (az_job_arg_bool(job, "remove-vm"))
    az_deletion_end(az_job_engine(job), change->note, NULL);
  az_stored_read(job, az_job_root(job), on_removed_state, change);
}

static void
on_vm_deleted(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  Switch *change = az_job_data(job);
  if (az_op_error(op)) {
    az_flow_audit_vm(job, "vm.delete", change->vm, az_op_error(op)->message);
    az_deletion_end(az_job_engine(job), change->note, az_op_error(op));
    az_job_fail(job, g_error_copy(az_op_error(op)));
    return;
  }
  az_flow_audit_vm(job, "vm.delete", change->vm, "done");
  az_flow_forget(az_job_engine(job), az_job_root(job), change->vm->region, on_forgotten, job);
}

static void
on_remove_answer(AzJob *job, gboolean yes, gpointer data)
{
  Switch *change = data;
  if (!yes) {
    az_job_fail(job, g_error_new(AZLIN_ERROR, AZLIN_ERROR_DECLINED, "Not confirmed; nothing was changed"));
    return;
  }
  az_job_message(job, "step", NULL, "Deleting VM: %s", change->vm->vm_name);
  az_flow_audit_vm(job, "vm.delete", change->vm, "requested");
  change->note = az_deletion_begin(az_job_engine(job), change->vm);
  az_flow_vm_erase(az_job_engine(job), az_job_root(job), change->vm, 0, on_vm_deleted, job);
}

static void
remove_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  Switch *change = switch_new(job, stored);
  if (!change)
    return;
  if (!az_job_arg_bool(job, "remove-vm")) {
    az_flow_forget(az_job_engine(job), root, change->vm->region, on_forgotten, job);
    return;
  }
  g_autofree char *question
      = g_strdup_printf("Delete the machine %s in %s and everything on it?", change->vm->vm_name, change->vm->region);
  az_job_ask(job, question, on_remove_answer, change);
}

static void
remove_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_read(job, root, remove_ready, NULL);
}

static const AzFlag remove_flags[] = {
  { "region", 'r', "s", "REGION", "the region to take out" },
  { "remove-vm", 0, "b", NULL, "delete its machine too" },
  { "yes", 'y', "b", NULL, "do not ask" },
  { 0 },
};

const AzFlow az_flow_regions_remove = {
  .kind = { .kind = "regions-remove",
            .help = "Take a region out; its machine stays unless --remove-vm",
            .flags = remove_flags },
  .check = region_required,
  .run = remove_run,
};
