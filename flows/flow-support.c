/* Steps that flows share: the stored machines, one brick call each, errors and durations as people read them. */
#include "flow-support.h"
#include "error.h"
#include "health.h"
#include <string.h>

typedef struct {
  AzEngine *engine;
  AzlinOp *parent;
  AzStored *stored;
  void (*done)(AzStored *stored, const GError *error, gpointer data);
  gpointer data;
} Fetch;

typedef struct { /* a fetch that ends its job where it fails */
  AzJob *job;
  AzlinOp *root;
  void (*ready)(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data);
  gpointer data;
} Read;

static void
stored_clear(gpointer data)
{
  AzStored *stored = data;
  g_clear_pointer(&stored->vms, g_ptr_array_unref);
  g_free(stored->primary);
  g_free(stored->path);
}

void
az_stored_unref(AzStored *stored)
{
  g_rc_box_release_full(stored, stored_clear);
}

static void
fetch_failed(Fetch *fetch, const GError *error)
{
  az_stored_unref(fetch->stored);
  fetch->done(NULL, error, fetch->data);
  g_free(fetch);
}

static void
on_info(AzlinOp *op, gpointer data)
{
  Fetch *fetch = data;
  const char *primary = "", *path = "";
  GVariant *info = az_op_variant(op);
  if (az_op_error(op)) {
    fetch_failed(fetch, az_op_error(op));
    return;
  }
  g_variant_lookup(info, "epoch", "t", &fetch->stored->epoch);
  g_variant_lookup(info, "generation", "t", &fetch->stored->generation);
  g_variant_lookup(info, "primary", "&s", &primary);
  g_variant_lookup(info, "path", "&s", &path);
  fetch->stored->primary = g_strdup(primary);
  fetch->stored->path = g_strdup(path);
  fetch->done(fetch->stored, NULL, fetch->data);
  g_free(fetch);
}

static void
on_list(AzlinOp *op, gpointer data)
{
  Fetch *fetch = data;
  gsize n = 0;
  gpointer self = NULL;
  g_autoptr(GError) error = NULL;
  if (az_op_error(op)) {
    fetch_failed(fetch, az_op_error(op));
    return;
  }
  const AzlinVm *const *vms = az_op_vms(op, &n);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(fetch->stored->vms, az_vm_dup(vms[i]));
  const AzlinContext *context = az_engine_lookup(fetch->engine, AZLIN_KIND_CONTEXT, NULL, &self, &error);
  if (!context) {
    fetch_failed(fetch, error);
    return;
  }
  context->info(self, az_op_expect(az_op_new(fetch->parent, "info", AZ_CONTEXT_MS, on_info, fetch), "a{sv}"));
}

void
az_stored_fetch(AzEngine *engine, AzlinOp *parent, void (*done)(AzStored *stored, const GError *error, gpointer data),
                gpointer data)
{
  gpointer self = NULL;
  g_autoptr(GError) error = NULL;
  const AzlinContext *context = az_engine_lookup(engine, AZLIN_KIND_CONTEXT, NULL, &self, &error);
  if (!context) {
    done(NULL, error, data);
    return;
  }
  Fetch *fetch = g_new0(Fetch, 1);
  *fetch = (Fetch){ .engine = engine, .parent = parent, .stored = g_rc_box_new0(AzStored), .done = done, .data = data };
  fetch->stored->vms = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  context->list(self, az_op_expect(az_op_new(parent, "list", AZ_CONTEXT_MS, on_list, fetch), AZ_OP_VMS));
}

static void
on_fetched(AzStored *stored, const GError *error, gpointer data)
{
  g_autofree Read *read = data;
  if (stored)
    read->ready(read->job, read->root, stored, read->data);
  else
    az_job_fail(read->job, g_error_copy(error));
}

void
az_stored_read(AzJob *job, AzlinOp *root, void (*ready)(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data),
               gpointer data)
{
  Read *read = g_new(Read, 1);
  *read = (Read){ .job = job, .root = root, .ready = ready, .data = data };
  az_stored_fetch(az_job_engine(job), root, on_fetched, read);
}

const AzlinVm *
az_stored_find(const AzStored *stored, const char *region)
{
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    if (g_strcmp0(vm->region, region) == 0)
      return vm;
  }
  return NULL;
}

const AzlinVm *
az_stored_primary(const AzStored *stored)
{
  return *stored->primary ? az_stored_find(stored, stored->primary) : NULL;
}

static GError *
unknown_region(const AzStored *stored, const char *word)
{
  g_autofree const char **names = g_new0(const char *, stored->vms->len + 1);
  for (guint i = 0; i < stored->vms->len; i++)
    names[i] = ((const AzlinVm *) g_ptr_array_index(stored->vms, i))->region;
  const char *near = az_nearest(word, names);
  GError *error = near ? g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "Region %s does not exist here; did you mean %s?",
                                     word, near)
                       : g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "Region %s does not exist here", word);
  az_error_add_step(error, "See what exists: azlin regions list");
  az_error_add_step(error, "Create it: azlin new --region %s", word);
  return error;
}

const AzlinVm *
az_stored_require(const AzStored *stored, AzEngine *engine, const char *word, GError **error)
{
  if (!word) {
    const AzlinVm *primary = az_stored_primary(stored);
    if (primary)
      return primary;
    g_propagate_error(
        error, g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE,
                           stored->vms->len ? "No primary region is set; name a region" : "No region is set up yet"));
    if (error)
      az_error_add_step(*error, stored->vms->len ? "Set one: azlin regions set-primary REGION"
                                                 : "Create one: azlin new --region REGION");
    return NULL;
  }
  const AzlinVm *vm = az_stored_find(stored, word);
  if (!vm)
    vm = az_stored_find(stored, az_config_alias(az_engine_config(engine), word));
  if (!vm)
    g_propagate_error(error, unknown_region(stored, word));
  return vm;
}
