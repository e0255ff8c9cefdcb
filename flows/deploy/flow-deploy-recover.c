/* deploy, after a crash: what its journal entry says is compared with what stands; whole machines are kept, halves go.
 */
#include "error.h"
#include "flow-deploy.h"
#include "flow-names.h"

#define VM_TIMEOUT_MS 60000

typedef struct {
  AzEngine *engine;
  AzlinOp *op;
  GVariant *undo;
  GPtrArray *todo; /* of AzlinVm, to be looked up */
  GPtrArray *puts; /* of AzlinVm, to be written one after the other */
  guint next, left, failed;
} Mend;

typedef struct {
  Mend *mend;
  const AzlinVm *vm;
} Look;

static void
mend_free(Mend *mend)
{
  g_variant_unref(mend->undo);
  g_ptr_array_unref(mend->todo);
  g_ptr_array_unref(mend->puts);
  g_free(mend);
}

static GVariant *
strings_of(GVariant *list)
{
  GVariantBuilder strings;
  g_variant_builder_init(&strings, G_VARIANT_TYPE_STRING_ARRAY);
  for (gsize i = 0; i < g_variant_n_children(list); i++) {
    g_autoptr(GVariant) inner = az_variant_element(list, i);
    if (g_variant_is_of_type(inner, G_VARIANT_TYPE_STRING))
      g_variant_builder_add_value(&strings, inner);
  }
  return g_variant_builder_end(&strings);
}

GVariant *
az_deploy_args_from_journal(GVariant *stored, const AzFlag *flags)
{
  GVariantDict args;
  g_variant_dict_init(&args, NULL);
  for (; flags->name; flags++) {
    g_autoptr(GVariant) value = g_variant_lookup_value(stored, flags->name, NULL);
    if (!value)
      continue;
    if (g_str_equal(flags->type, "as") && g_variant_is_of_type(value, G_VARIANT_TYPE_ARRAY))
      g_variant_dict_insert_value(&args, flags->name, strings_of(value));
    else if (g_str_equal(flags->type, "u") && g_variant_is_of_type(value, G_VARIANT_TYPE_INT64))
      g_variant_dict_insert(&args, flags->name, "u", (guint32) g_variant_get_int64(value));
    else if (g_str_equal(flags->type, g_variant_get_type_string(value)))
      g_variant_dict_insert_value(&args, flags->name, value);
  }
  return g_variant_dict_end(&args);
}

/* ---- the end ---- */

static void put_next(Mend *mend);

/* Regions whose machine came without its host key; a deploy to them adopts it and pins the key. NULL = none. */
static char *
regions_without_key(const Mend *mend)
{
  g_autoptr(GString) regions = g_string_new(NULL);
  for (guint i = 0; i < mend->puts->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(mend->puts, i);
    if (!vm->host_key || *vm->host_key == '\0')
      g_string_append_printf(regions, "%s%s", regions->len ? "," : "", vm->region);
  }
  return regions->len ? g_string_free(g_steal_pointer(&regions), FALSE) : NULL;
}

static void
finish(Mend *mend)
{
  g_autofree char *bare = regions_without_key(mend);
  if (mend->failed)
    az_op_fail_new(mend->op, AZLIN_ERROR_PARTIAL, "%u of %u machines could not be looked up or mended", mend->failed,
                   mend->todo->len);
  else
    az_op_finish_variant(mend->op,
                         g_variant_new_take_string(g_strdup_printf(
                             "%u machine%s put on record%s%s", mend->puts->len, mend->puts->len == 1 ? "" : "s",
                             bare ? "; for the host key: azlin deploy --regions " : "", bare ? bare : "")));
  mend_free(mend);
}

static void
on_put(AzlinOp *op, gpointer data)
{
  Mend *mend = data;
  mend->failed += az_op_error(op) != NULL;
  put_next(mend);
}

static void
put_next(Mend *mend)
{
  if (mend->next == mend->puts->len) {
    finish(mend);
    return;
  }
  az_flow_put(mend->engine, mend->op, g_ptr_array_index(mend->puts, mend->next++), on_put, mend);
}

/* ---- each machine that the deploy had named ---- */

static void
settled(Mend *mend)
{
  if (--mend->left == 0)
    put_next(mend);
}

static void
on_found(AzlinOp *op, gpointer data)
{
  g_autofree Look *look = data;
  Mend *mend = look->mend;
  const AzlinVm *live = az_op_vm(op);
  if (az_op_error(op)) {
    mend->failed += !g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
    settled(mend);
    return;
  }
  AzlinVm *vm = az_vm_dup(live);
  vm->is_primary = FALSE;
  if (!vm->provider)
    az_vm_set(&vm->provider, look->vm->provider);
  az_vm_set(&vm->status, "unknown");
  g_ptr_array_add(mend->puts, vm);
  settled(mend);
}

/* A region that holds a machine is the user's business, whatever has become of it since. */
static gboolean
is_on_record(const AzlinVm *const *vms, gsize n, const char *region)
{
  for (gsize i = 0; i < n; i++)
    if (g_str_equal(vms[i]->region, region))
      return TRUE;
  return FALSE;
}

static void
collect(Mend *mend, GVariant *undo, const AzlinVm *const *vms, gsize n)
{
  GVariantIter iter;
  GVariant *item;
  const char *region, *provider = NULL;
  g_autoptr(GVariant) names = g_variant_lookup_value(undo, "names", NULL);
  g_variant_lookup(undo, "provider", "&s", &provider);
  if (!names || !g_variant_is_of_type(names, G_VARIANT_TYPE_DICTIONARY))
    return;
  g_variant_iter_init(&iter, names);
  while ((item = g_variant_iter_next_value(&iter))) {
    g_autoptr(GVariant) entry = item, key = g_variant_get_child_value(entry, 0);
    g_autoptr(GVariant) name = az_variant_element(entry, 1);
    region = g_variant_get_string(key, NULL);
    if (!g_variant_is_of_type(name, G_VARIANT_TYPE_STRING) || is_on_record(vms, n, region))
      continue;
    AzlinVm *vm = az_vm_new(region, g_variant_get_string(name, NULL));
    g_autofree char *group = az_names_resource_group(mend->engine, region);
    az_vm_set(&vm->provider, provider);
    az_vm_set(&vm->resource_group, group);
    g_ptr_array_add(mend->todo, vm);
  }
}

static void
on_stored(AzlinOp *op, gpointer data)
{
  Mend *mend = data;
  gsize n = 0;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  if (az_op_error(op)) {
    az_op_fail(mend->op, g_error_copy(az_op_error(op)));
    mend_free(mend);
    return;
  }
  collect(mend, mend->undo, vms, n);
  mend->left = mend->todo->len;
  if (mend->left == 0) {
    put_next(mend);
    return;
  }
  for (guint i = 0; i < mend->todo->len; i++) {
    Look *look = g_new0(Look, 1);
    *look = (Look){ .mend = mend, .vm = g_ptr_array_index(mend->todo, i) };
    az_flow_vm_get(mend->engine, mend->op, look->vm, VM_TIMEOUT_MS, on_found, look);
  }
}

/* A machine that was only half made is not here any more: its provider has its own entry and comes first. */
void
az_deploy_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op)
{
  Mend *mend = g_new0(Mend, 1);
  *mend = (Mend){ .engine = engine, .op = op, .undo = g_variant_ref(entry->undo) };
  mend->todo = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  mend->puts = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  az_flow_list(engine, op, on_stored, mend);
}
