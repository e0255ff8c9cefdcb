/* Steps that flows share: the stored machines, one brick call each, errors and durations as people read them. */
#include "flow-cache.h"
#include "error.h"
#include "health.h"
#include <string.h>

#define MAX_MOVES 5

typedef struct {
  AzEngine *engine;
  AzlinOp *parent;
  const AzlinContext *context; /* the place that is read */
  gpointer self;
  AzStored *stored;
  gboolean copy_will_do;
  guint tries;
  GError *trouble; /* why the copy is read and not the first place */
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
  g_free(stored->source);
  g_clear_pointer(&stored->whole, az_stored_unref);
}

AzStored *
az_stored_part(AzStored *stored, gboolean (*keep)(const AzlinVm *vm, gpointer data), gpointer data)
{
  AzStored *part = g_rc_box_new0(AzStored);
  *part = (AzStored){ .vms = g_ptr_array_new(),
                      .primary = g_strdup(stored->primary),
                      .path = g_strdup(stored->path),
                      .epoch = stored->epoch,
                      .generation = stored->generation,
                      .whole = g_rc_box_acquire(stored) };
  for (guint i = 0; i < stored->vms->len; i++)
    if (keep(g_ptr_array_index(stored->vms, i), data))
      g_ptr_array_add(part->vms, g_ptr_array_index(stored->vms, i));
  return part;
}

void
az_stored_unref(AzStored *stored)
{
  g_rc_box_release_full(stored, stored_clear);
}

static void fetch_list(Fetch *fetch);

static void
fetch_free(Fetch *fetch)
{
  g_clear_pointer(&fetch->stored, az_stored_unref);
  g_clear_error(&fetch->trouble);
  g_free(fetch);
}

/* Shared records say LOCKED when nobody can be asked for them. */
static gboolean
turn_to_copy(Fetch *fetch, const GError *error)
{
  gpointer self = NULL;
  const AzlinContext *copy = fetch->copy_will_do && !fetch->trouble ? az_cache_place(fetch->engine, &self) : NULL;
  if (!copy || !g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_LOCKED))
    return FALSE;
  fetch->context = copy;
  fetch->self = self;
  fetch->trouble = g_error_copy(error);
  fetch_list(fetch);
  return TRUE;
}

static void
fetch_failed(Fetch *fetch, const GError *error)
{
  if (turn_to_copy(fetch, error))
    return;
  fetch->done(NULL, fetch->trouble ? fetch->trouble : error, fetch->data);
  fetch_free(fetch);
}

static void
fetch_done(Fetch *fetch)
{
  if (fetch->trouble) {
    g_autofree char *trouble = az_error_message(fetch->trouble);
    az_op_warn(fetch->parent, "%s; this is the copy as last seen, at epoch %" G_GUINT64_FORMAT, trouble,
               fetch->stored->epoch);
  }
  fetch->done(g_steal_pointer(&fetch->stored), NULL, fetch->data);
  fetch_free(fetch);
}

static void
on_updated(AzlinOp *op, gpointer data)
{
  Fetch *fetch = data;
  if (az_op_error(op))
    fetch_failed(fetch, az_op_error(op));
  else
    fetch_done(fetch);
}

/* Records and head were read one after the other: somebody may have moved the primary in between. */
static gboolean
has_moved(const Fetch *fetch, GVariant *info)
{
  const AzlinVm *first = fetch->stored->vms->len > 0 ? g_ptr_array_index(fetch->stored->vms, 0) : NULL;
  const char *listed = first && first->is_primary ? first->region : "";
  return g_variant_lookup(info, "source", "&s", NULL) && !g_str_equal(listed, fetch->stored->primary);
}

static void
take_info(Fetch *fetch, GVariant *info)
{
  AzStored *stored = fetch->stored;
  const char *primary = "", *path = "", *source = NULL;
  g_variant_lookup(info, "epoch", "t", &stored->epoch);
  g_variant_lookup(info, "generation", "t", &stored->generation);
  g_variant_lookup(info, "primary", "&s", &primary);
  g_variant_lookup(info, "path", "&s", &path);
  if (!g_variant_lookup(info, "source", "&s", &source))
    g_variant_lookup(info, "copy_of", "&s", &source);
  g_free(stored->primary);
  g_free(stored->path);
  g_free(stored->source);
  stored->primary = g_strdup(primary);
  stored->path = g_strdup(path);
  stored->source = g_strdup(source);
}

static void
on_info(AzlinOp *op, gpointer data)
{
  Fetch *fetch = data;
  if (az_op_error(op)) {
    fetch_failed(fetch, az_op_error(op));
    return;
  }
  GVariant *info = az_op_variant(op);
  take_info(fetch, info);
  if (fetch->trouble) {
    if (g_variant_lookup(info, "copy_of", "&s", NULL))
      fetch_done(fetch);
    else
      fetch_failed(fetch, fetch->trouble); /* what stands there is something else */
    return;
  }
  if (has_moved(fetch, info) && fetch->tries++ < MAX_MOVES)
    fetch_list(fetch);
  else
    az_cache_update(fetch->engine, fetch->stored, info,
                    az_op_new(fetch->parent, "copy", AZ_CONTEXT_MS, on_updated, fetch));
}

static void
on_list(AzlinOp *op, gpointer data)
{
  Fetch *fetch = data;
  if (az_op_error(op)) {
    fetch_failed(fetch, az_op_error(op));
    return;
  }
  g_clear_pointer(&fetch->stored->vms, g_ptr_array_unref);
  fetch->stored->vms = az_op_share_vms(op);
  fetch->context->info(fetch->self,
                       az_op_expect(az_op_new(fetch->parent, "info", AZ_CONTEXT_MS, on_info, fetch), "a{sv}"));
}

static void
fetch_list(Fetch *fetch)
{
  fetch->context->list(fetch->self,
                       az_op_expect(az_op_new(fetch->parent, "list", AZ_CONTEXT_MS, on_list, fetch), AZ_OP_VMS));
}

static void
fetch_begin(AzEngine *engine, AzlinOp *parent, gboolean copy_will_do,
            void (*done)(AzStored *stored, const GError *error, gpointer data), gpointer data)
{
  gpointer self = NULL;
  g_autoptr(GError) error = NULL;
  const AzlinContext *context = az_engine_lookup(engine, AZLIN_KIND_CONTEXT, NULL, &self, &error);
  if (!context) {
    done(NULL, error, data);
    return;
  }
  Fetch *fetch = g_new0(Fetch, 1);
  *fetch = (Fetch){ .engine = engine,
                    .parent = parent,
                    .context = context,
                    .self = self,
                    .copy_will_do = copy_will_do,
                    .stored = g_rc_box_new0(AzStored),
                    .done = done,
                    .data = data };
  fetch_list(fetch);
}

void
az_stored_fetch(AzEngine *engine, AzlinOp *parent, void (*done)(AzStored *stored, const GError *error, gpointer data),
                gpointer data)
{
  fetch_begin(engine, parent, FALSE, done, data);
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

static void
read_begin(AzJob *job, AzlinOp *root, gboolean copy_will_do,
           void (*ready)(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data), gpointer data)
{
  Read *read = g_new(Read, 1);
  *read = (Read){ .job = job, .root = root, .ready = ready, .data = data };
  fetch_begin(az_job_engine(job), root, copy_will_do, on_fetched, read);
}

void
az_stored_read(AzJob *job, AzlinOp *root, void (*ready)(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data),
               gpointer data)
{
  read_begin(job, root, FALSE, ready, data);
}

void
az_stored_look(AzJob *job, AzlinOp *root, void (*ready)(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data),
               gpointer data)
{
  read_begin(job, root, TRUE, ready, data);
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
