/* destroy: every machine of this context that azlin made; registered ones are only forgotten. */
#include "error.h"
#include "flow-deletion.h"
#include "flow-lease.h"
#include "flow-names.h"
#include "flow-regions-drift.h"
#include "flow-support.h"

#define VM_TIMEOUT_MS 600000
#define LOCK_TTL_S 60
#define STATIC_PROVIDER "static"

typedef struct {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  AzStored *stored;
  GPtrArray *doomed;  /* of AzlinVm: machines to delete, on record or not */
  GPtrArray *deleted; /* of char*, "region/name" */
  GPtrArray *failed;  /* the same */
  GPtrArray *errors;  /* of GVariant, one for each of these */
  GQueue forget;      /* of char*, region names still to be taken out; one write after the other */
  char *home;         /* as in AZLIN_TAG_HOME; NULL = this home has made nothing yet */
  const char *forgetting;
  GHashTable *notes; /* region -> guint64 of az_deletion_begin() */
  guint listing, begun, deleting, of_others;
} Destroy;

typedef struct {
  Destroy *destroy;
  const AzlinVm *vm;
} Doom;

static void
destroy_free(gpointer data)
{
  Destroy *destroy = data;
  g_clear_pointer(&destroy->stored, az_stored_unref);
  g_ptr_array_unref(destroy->doomed);
  g_ptr_array_unref(destroy->deleted);
  g_ptr_array_unref(destroy->failed);
  g_ptr_array_unref(destroy->errors);
  g_queue_clear(&destroy->forget);
  g_hash_table_unref(destroy->notes);
  g_free(destroy->home);
  g_free(destroy);
}

static gboolean
is_static(const AzlinVm *vm)
{
  return g_strcmp0(vm->provider, STATIC_PROVIDER) == 0;
}

/* ---- the end ---- */

static GVariant *
errors_value(gpointer *errors, guint n)
{
  return g_variant_new_array(G_VARIANT_TYPE_VARDICT, (GVariant *const *) errors, n);
}

static void
on_final(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  Destroy *destroy = data;
  GVariantDict result;
  g_autoptr(GHashTable) regions = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < destroy->stored->vms->len; i++)
    g_hash_table_add(regions,
                     (gpointer) (guintptr) ((const AzlinVm *) g_ptr_array_index(destroy->stored->vms, i))->region);
  az_flow_forget_all_verdicts(destroy->engine, regions);
  az_flow_primary_files(job, stored, destroy->stored->primary);
  az_job_message(job, destroy->failed->len ? "warn" : "ok", NULL, "%u machine%s deleted, %u failed",
                 destroy->deleted->len, destroy->deleted->len == 1 ? "" : "s", destroy->failed->len);
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert_value(
      &result, "deleted",
      g_variant_new_strv((const char *const *) destroy->deleted->pdata, (gssize) destroy->deleted->len));
  g_variant_dict_insert_value(
      &result, "failed",
      g_variant_new_strv((const char *const *) destroy->failed->pdata, (gssize) destroy->failed->len));
  g_variant_dict_insert_value(&result, "errors", errors_value(destroy->errors->pdata, destroy->errors->len));
  az_job_finish(job, destroy->failed->len ? 1 : 0, g_variant_dict_end(&result));
}

static void
note_deletion(Destroy *destroy, const AzlinVm *vm)
{
  guint64 note = az_deletion_begin(destroy->engine, vm);
  g_hash_table_insert(destroy->notes, (gpointer) (guintptr) vm->region, g_memdup2(&note, sizeof note));
}

static void
end_deletion(Destroy *destroy, const char *region, const GError *error)
{
  const guint64 *note = g_hash_table_lookup(destroy->notes, region);
  if (note)
    az_deletion_end(destroy->engine, *note, error);
}

static void forget_next(Destroy *destroy);

static void
on_forgotten(AzlinOp *op, gpointer data)
{
  Destroy *destroy = data;
  if (az_op_error(op) && !g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND)) {
    az_job_fail(destroy->job, g_error_copy(az_op_error(op)));
    return;
  }
  end_deletion(destroy, destroy->forgetting, NULL);
  forget_next(destroy);
}

static void
forget_next(Destroy *destroy)
{
  destroy->forgetting = g_queue_pop_head(&destroy->forget);
  if (destroy->forgetting)
    az_flow_forget(destroy->engine, destroy->root, destroy->forgetting, on_forgotten, destroy);
  else
    az_stored_read(destroy->job, destroy->root, on_final, destroy);
}

/* ---- deleting, all at once ---- */

static void
note_failed(Destroy *destroy, const AzlinVm *vm, const GError *error)
{
  g_autoptr(GError) named = g_error_copy(error);
  GVariantDict one;
  g_variant_dict_init(&one, NULL);
  g_variant_dict_insert(&one, "region", "s", vm->region);
  g_variant_dict_insert(&one, "vm_name", "s", vm->vm_name);
  g_variant_dict_insert_value(&one, "error", az_error_to_variant(error, NULL));
  g_ptr_array_add(destroy->errors, g_variant_ref_sink(g_variant_dict_end(&one)));
  g_prefix_error(&named, "%s in %s: ", vm->vm_name, vm->region);
  az_flow_say_error(destroy->job, NULL, named);
}

static gboolean
is_on_record(const Destroy *destroy, const AzlinVm *vm)
{
  const AzlinVm *record = az_stored_find(destroy->stored, vm->region);
  return record && g_strcmp0(record->vm_name, vm->vm_name) == 0;
}

static void
on_deleted(AzlinOp *op, gpointer data)
{
  g_autofree Doom *doom = data;
  Destroy *destroy = doom->destroy;
  const AzlinVm *vm = doom->vm;
  if (az_op_cancelled(destroy->root))
    return;
  const GError *error = az_op_error(op);
  g_ptr_array_add(error ? destroy->failed : destroy->deleted, g_strdup_printf("%s/%s", vm->region, vm->vm_name));
  g_autofree char *why = error ? az_error_message(error) : NULL;
  az_flow_audit_vm(destroy->job, "vm.delete", vm, why ? why : "done");
  if (error)
    note_failed(destroy, vm, error);
  else
    az_job_message(destroy->job, "ok", NULL, "Deleted %s in %s", vm->vm_name, vm->region);
  if (!error && is_on_record(destroy, vm))
    g_queue_push_tail(&destroy->forget, (gpointer) (guintptr) vm->region);
  else if (is_on_record(destroy, vm))
    end_deletion(destroy, vm->region, error);
  if (--destroy->deleting == 0)
    forget_next(destroy);
}

static void begin_next(Destroy *destroy);

static void
on_turn(AzlinOp *op, gpointer data)
{
  Destroy *destroy = data;
  if (!az_op_cancelled(destroy->root))
    begin_next(destroy);
}

/* Each notes what it is about to do on disk: one in a turn of the main loop, so that an interruption comes through. */
static void
begin_next(Destroy *destroy)
{
  if (destroy->begun == destroy->doomed->len)
    return;
  Doom *doom = g_new0(Doom, 1);
  *doom = (Doom){ .destroy = destroy, .vm = g_ptr_array_index(destroy->doomed, destroy->begun++) };
  az_flow_audit_vm(destroy->job, "vm.delete", doom->vm, "requested");
  if (is_on_record(destroy, doom->vm))
    note_deletion(destroy, doom->vm);
  az_flow_vm_erase(destroy->engine, destroy->root, doom->vm, VM_TIMEOUT_MS, on_deleted, doom);
  az_op_finish(az_op_new(destroy->root, "next", 0, on_turn, destroy));
}

static void
on_lease(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data)
{
  Destroy *destroy = data;
  for (guint i = 0; i < destroy->stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(destroy->stored->vms, i);
    if (is_static(vm))
      g_queue_push_tail(&destroy->forget, (gpointer) (guintptr) vm->region);
  }
  destroy->deleting = destroy->doomed->len;
  if (destroy->deleting == 0)
    forget_next(destroy);
  else
    begin_next(destroy);
}

/* ---- what is there, and the question ---- */

static void
on_answer(AzJob *job, gboolean yes, gpointer data)
{
  Destroy *destroy = data;
  if (yes)
    az_lease_acquire(job, destroy->root, "deploy", LOCK_TTL_S, on_lease, destroy);
  else
    az_job_fail(job, g_error_new(AZLIN_ERROR, AZLIN_ERROR_DECLINED, "Not confirmed; nothing was changed"));
}

static void
nothing_there(AzJob *job)
{
  GVariantDict result;
  az_job_message(job, "ok", NULL, "Nothing to destroy");
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert_value(&result, "deleted", g_variant_new_strv(NULL, 0));
  g_variant_dict_insert_value(&result, "failed", g_variant_new_strv(NULL, 0));
  g_variant_dict_insert_value(&result, "errors", errors_value(NULL, 0));
  az_job_finish(job, 0, g_variant_dict_end(&result));
}

static void
ask(Destroy *destroy)
{
  g_autoptr(GString) names = g_string_new(NULL);
  guint forgotten = 0;
  for (guint i = 0; i < destroy->stored->vms->len; i++)
    forgotten += is_static(g_ptr_array_index(destroy->stored->vms, i));
  for (guint i = 0; i < destroy->doomed->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(destroy->doomed, i);
    az_job_message(destroy->job, "detail", NULL, "%s: %s (%s)", vm->region, vm->vm_name, vm->provider);
    g_string_append_printf(names, "%s%s", i ? ", " : "", vm->vm_name);
  }
  if (destroy->of_others)
    az_job_message(destroy->job, "detail", NULL, "%u machine%s made from another home of azlin: left alone",
                   destroy->of_others, destroy->of_others == 1 ? "" : "s");
  if (destroy->doomed->len + forgotten == 0) {
    nothing_there(destroy->job);
    return;
  }
  g_autofree char *question = g_strdup_printf(
      "Delete %u machine%s (%s) and everything on them, and forget %u registered one%s?", destroy->doomed->len,
      destroy->doomed->len == 1 ? "" : "s", names->len ? names->str : "none", forgotten, forgotten == 1 ? "" : "s");
  az_job_ask(destroy->job, question, on_answer, destroy);
}

static gboolean
is_doomed(const Destroy *destroy, const AzlinVm *vm)
{
  for (guint i = 0; i < destroy->doomed->len; i++) {
    const AzlinVm *other = g_ptr_array_index(destroy->doomed, i);
    if (g_strcmp0(other->vm_name, vm->vm_name) == 0 && g_strcmp0(other->region, vm->region) == 0)
      return TRUE;
  }
  return FALSE;
}

static void
doom(Destroy *destroy, const AzlinVm *vm)
{
  if (!is_doomed(destroy, vm))
    g_ptr_array_add(destroy->doomed, az_vm_dup(vm));
}

/* A cloud lists what everybody who shares the subscription has made. */
static gboolean
is_of_another_home(const Destroy *destroy, const AzlinVm *vm)
{
  const char *home = az_tag_of(vm, AZLIN_TAG_HOME);
  return home && g_strcmp0(home, destroy->home) != 0;
}

static void
weigh(Destroy *destroy, const AzlinVm *vm)
{
  if (is_static(vm) || is_doomed(destroy, vm))
    return;
  if (is_of_another_home(destroy, vm))
    destroy->of_others++;
  else
    doom(destroy, vm);
}

static void
on_listed(AzlinOp *op, gpointer data)
{
  Destroy *destroy = data;
  gsize n = 0;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  if (az_op_cancelled(destroy->root))
    return;
  if (az_op_error(op))
    az_flow_say_error(destroy->job, NULL, az_op_error(op));
  for (gsize i = 0; i < n; i++)
    weigh(destroy, vms[i]);
  if (--destroy->listing == 0)
    ask(destroy);
}

static void
destroy_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  Destroy *destroy = g_new0(Destroy, 1);
  AzEngine *engine = az_job_engine(job);
  const char *selected = az_config_string(az_engine_config(engine), "bricks", "provider");
  g_autoptr(GHashTable) providers = g_hash_table_new(g_str_hash, g_str_equal);
  GHashTableIter iter;
  gpointer name;
  *destroy = (Destroy){ .job = job, .engine = engine, .root = root, .stored = stored };
  destroy->doomed = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  destroy->deleted = g_ptr_array_new_with_free_func(g_free);
  destroy->failed = g_ptr_array_new_with_free_func(g_free);
  destroy->errors = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  g_queue_init(&destroy->forget);
  destroy->notes = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
  g_autofree char *id = az_names_home_id(engine, FALSE, NULL);
  destroy->home = id ? az_names_home_tag(id) : NULL;
  az_job_set_data(job, destroy, destroy_free);
  g_hash_table_add(providers, (gpointer) (guintptr) selected);
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    if (is_static(vm))
      continue;
    doom(destroy, vm);
    if (vm->provider)
      g_hash_table_add(providers, (gpointer) (guintptr) vm->provider);
  }
  destroy->listing = g_hash_table_size(providers);
  g_hash_table_iter_init(&iter, providers);
  while (g_hash_table_iter_next(&iter, &name, NULL))
    az_flow_vm_list(engine, root, name, on_listed, destroy);
}

static void
destroy_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_read(job, root, destroy_ready, NULL);
}

static const AzFlag flags[] = {
  { "yes", 'y', "b", NULL, "do not ask" },
  { 0 },
};

const AzFlow az_flow_destroy = {
  .kind = { .kind = "destroy", .help = "Delete every machine of this context that azlin made", .flags = flags },
  .run = destroy_run,
  .priority = AZ_PRIORITY_DEPLOY,
};
