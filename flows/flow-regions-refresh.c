/* regions refresh: the records compared with what the providers say; --rebuild makes them anew from the provider. */
#include "error.h"
#include "flow-support.h"

typedef struct {
  AzJob *job;
  AzStored *stored;
  GPtrArray *puts; /* of AzlinVm, to be written one after the other */
  guint next, left, updated;
  GPtrArray *missing; /* of char*, region names */
} Refresh;

static void
refresh_free(gpointer data)
{
  Refresh *refresh = data;
  g_clear_pointer(&refresh->stored, az_stored_unref);
  g_ptr_array_unref(refresh->puts);
  g_ptr_array_unref(refresh->missing);
  g_free(refresh);
}

static void
on_refreshed(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  Refresh *refresh = data;
  GVariantDict result;
  az_flow_primary_files(job, stored, refresh->stored->primary);
  az_job_message(job, "ok", NULL, "%u region%s refreshed", refresh->updated, refresh->updated == 1 ? "" : "s");
  if (stored->vms->len > 0 && *stored->primary == '\0')
    az_job_message(job, "hint", NULL, "No primary is set: azlin regions set-primary REGION");
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "updated", "u", refresh->updated);
  g_variant_dict_insert_value(
      &result, "missing",
      g_variant_new_strv((const char *const *) refresh->missing->pdata, (gssize) refresh->missing->len));
  g_variant_dict_insert_value(&result, "primary", az_variant_str(stored->primary));
  az_job_finish(job, refresh->missing->len == 0 ? 0 : 1, g_variant_dict_end(&result));
}

static void write_next(Refresh *refresh);

static void
on_written(AzlinOp *op, gpointer data)
{
  Refresh *refresh = data;
  if (az_op_error(op)) {
    az_job_fail(refresh->job, g_error_copy(az_op_error(op)));
    return;
  }
  refresh->updated++;
  write_next(refresh);
}

static void
write_next(Refresh *refresh)
{
  AzlinOp *root = az_job_root(refresh->job);
  if (refresh->next == refresh->puts->len)
    az_stored_read(refresh->job, root, on_refreshed, refresh);
  else
    az_flow_put(az_job_engine(refresh->job), root, g_ptr_array_index(refresh->puts, refresh->next++), on_written,
                refresh);
}

/* ---- each stored machine asked for ---- */

typedef struct {
  Refresh *refresh;
  const AzlinVm *vm;
} Ask;

/* What the provider knows better replaces what is stored; what only azlin knows stays. */
static AzlinVm *
merged(const AzlinVm *stored, const AzlinVm *live)
{
  AzlinVm *vm = az_vm_dup(stored);
  if (live->public_ip)
    az_vm_set(&vm->public_ip, live->public_ip);
  if (live->ssh_port)
    vm->ssh_port = live->ssh_port;
  if (live->id)
    az_vm_set(&vm->id, live->id);
  if (live->power == AZLIN_POWER_STOPPED || live->power == AZLIN_POWER_DEALLOCATED)
    az_vm_set(&vm->status, "stopped");
  else if (live->power == AZLIN_POWER_RUNNING && g_strcmp0(vm->status, "stopped") == 0)
    az_vm_set(&vm->status, "unknown");
  return vm;
}

static void
on_asked(AzlinOp *op, gpointer data)
{
  g_autofree Ask *ask = data;
  Refresh *refresh = ask->refresh;
  const GError *error = az_op_error(op);
  const char *region = ask->vm->region;
  if (az_op_cancelled(az_job_root(refresh->job)))
    return;
  if (!error) {
    g_ptr_array_add(refresh->puts, merged(ask->vm, az_op_vm(op)));
    az_job_message(refresh->job, "ok", NULL, "%s: %s, %s", region, ask->vm->vm_name,
                   az_power_to_string(az_op_vm(op)->power));
  } else if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND)) {
    g_ptr_array_add(refresh->missing, g_strdup(region));
    az_job_message(refresh->job, "warn", NULL, "%s: the provider does not know %s any more", region, ask->vm->vm_name);
    az_job_message(refresh->job, "hint", NULL, "To take it out: azlin regions remove %s", region);
  } else {
    g_ptr_array_add(refresh->missing, g_strdup(region));
    az_flow_say_error(refresh->job, NULL, error);
  }
  if (--refresh->left == 0)
    write_next(refresh);
}

/* ---- --rebuild ---- */

static void
on_listed(AzlinOp *op, gpointer data)
{
  Refresh *refresh = data;
  gsize n = 0;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  if (az_op_error(op)) {
    az_job_fail(refresh->job, g_error_copy(az_op_error(op)));
    return;
  }
  for (gsize i = 0; i < n; i++) {
    const AzlinVm *known = vms[i]->region ? az_stored_find(refresh->stored, vms[i]->region) : NULL;
    if (known && g_strcmp0(known->vm_name, vms[i]->vm_name) != 0) {
      az_job_message(refresh->job, "warn", NULL, "%s: %s is on record; %s of the provider is left out", known->region,
                     known->vm_name, vms[i]->vm_name);
      continue;
    }
    AzlinVm *vm = known ? merged(known, vms[i]) : az_vm_dup(vms[i]);
    vm->is_primary = FALSE;
    g_ptr_array_add(refresh->puts, vm);
    az_job_message(refresh->job, "ok", NULL, "%s: %s", vms[i]->region, vms[i]->vm_name);
  }
  write_next(refresh);
}

static void
refresh_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  Refresh *refresh = g_new0(Refresh, 1);
  *refresh = (Refresh){ .job = job, .stored = stored, .left = stored->vms->len };
  refresh->puts = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  refresh->missing = g_ptr_array_new_with_free_func(g_free);
  az_job_set_data(job, refresh, refresh_free);
  if (az_job_arg_bool(job, "rebuild")) {
    az_flow_vm_list(az_job_engine(job), root, NULL, on_listed, refresh);
    return;
  }
  if (stored->vms->len == 0)
    write_next(refresh);
  for (guint i = 0; i < stored->vms->len; i++) {
    Ask *ask = g_new0(Ask, 1);
    *ask = (Ask){ .refresh = refresh, .vm = g_ptr_array_index(stored->vms, i) };
    az_flow_vm_get(az_job_engine(job), root, ask->vm, 60000, on_asked, ask);
  }
}

static void
refresh_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_read(job, root, refresh_ready, NULL);
}

static const AzFlag flags[] = {
  { "rebuild", 0, "b", NULL, "make the records anew from all machines that the provider knows" },
  { 0 },
};

const AzFlow az_flow_regions_refresh = {
  .kind = { .kind = "regions-refresh", .help = "Bring the records up to date with the provider", .flags = flags },
  .run = refresh_run,
};
