/* context-file: region records in $AZLIN_HOME/config.json; every change is locked, atomic and durable. */
#include "store.h"
#include "mirror.h"
#include "region.h"
#include <string.h>

#define GIVE_UP_US (30 * G_USEC_PER_SEC)
#define MAX_WAIT_MS 16
#define NEXT_WAIT_MS 2 /* the next turn is ours */
#define TORN_TRIES 3   /* a hand's editor that is just saving shows half a file */
#define TORN_WAIT_MS 50

typedef struct {
  AzlinHost *host;
  Store store;
} File;

typedef struct _Work Work;

/* What one call does to the state. `ret_changed`: it must be stored. FALSE: nothing may be. */
typedef gboolean (*Change)(Work *work, Document *document, gboolean *ret_changed, GError **error);

struct _Work {
  File *file;
  AzlinOp *op;
  Change change;
  void (*finish)(Work *work, Document *document);
  GPtrArray *vms; /* of AzlinVm */
  char *from, *to;
  guint64 epoch;
  GVariant *info; /* of what is mirrored; NULL = a change of our own */
  StoreLock lock;
  gint64 started, slept;
  guint32 wait_ms;
  guint tries, torn;
};

static void
work_free(Work *work)
{
  store_unlock(&work->lock);
  if (work->vms != NULL)
    g_ptr_array_unref(work->vms);
  g_free(work->from);
  g_free(work->to);
  g_clear_pointer(&work->info, g_variant_unref);
  g_free(work);
}

static void attempt(Work *work);

/* ---- waiting without blocking the main loop ---- */

static void
waited(AzlinOp *op, gpointer data)
{
  Work *work = data;
  const AzlinHostApi *api = work->file->host->api;
  gint64 left = work->slept + (gint64) work->wait_ms * 1000 - g_get_monotonic_time();
  if (api->op_error(op) != NULL) {
    api->op_fail(work->op, g_error_copy(api->op_error(op)));
    work_free(work);
    return;
  }
  /* On a virtual clock no time has passed for the process that holds the lock. */
  if (left > 1000)
    g_usleep((gulong) left);
  attempt(work);
}

static void
wait_a_little(Work *work, guint32 ms)
{
  const AzlinHostApi *api = work->file->host->api;
  work->wait_ms = ms;
  work->slept = g_get_monotonic_time();
  AzlinOp *op = api->op_new(work->op, "wait for config.lock", 0, waited, work);
  api->sleep(work->file->host, ms, op);
}

static void
wait_for_lock(Work *work)
{
  const AzlinHostApi *api = work->file->host->api;
  if (g_get_monotonic_time() - work->started > GIVE_UP_US) {
    api->op_fail(work->op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "%s stays locked by another azlin",
                                       work->file->store.lock));
    work_free(work);
    return;
  }
  /* Random, so that many waiters do not come back together; short at first, as a change takes a millisecond. */
  guint32 longest = work->lock.queued ? NEXT_WAIT_MS : MIN(MAX_WAIT_MS, 2u << MIN(work->tries, 8u));
  work->tries++;
  wait_a_little(work, (guint32) g_random_int_range(1, (gint32) longest + 1));
}

/* ---- one locked turn ---- */

static void
fail(Work *work, GError *error)
{
  work->file->host->api->op_fail(work->op, error);
  work_free(work);
}

static void
apply(Work *work, Document *document)
{
  Store *store = &work->file->store;
  GError *error = NULL;
  gboolean changed = FALSE;
  gboolean ok = work->change == NULL || work->change(work, document, &changed, &error);
  if (ok && changed && work->info == NULL)
    mirror_end(document);
  if (ok && changed)
    ok = store_save(store, document, &error);
  if (!ok) {
    fail(work, error);
    return;
  }
  work->finish(work, document);
  work_free(work);
}

static void
locked(Work *work)
{
  Store *store = &work->file->store;
  g_autoptr(Document) document = NULL;
  g_autoptr(GError) error = NULL;
  GError *hopeless = NULL;
  store_remove_leftovers(store);
  StoreState state = store_load(store, &document, &error);
  if (state == STORE_DAMAGED && work->torn++ < TORN_TRIES && store_is_being_saved(store)) {
    store_unlock(&work->lock);
    wait_a_little(work, TORN_WAIT_MS);
    return;
  }
  if (state == STORE_DAMAGED)
    document = store_restore(store, error->message, &hopeless);
  if (document != NULL)
    apply(work, document);
  else
    fail(work, hopeless != NULL ? hopeless : g_steal_pointer(&error));
}

static void
attempt(Work *work)
{
  const AzlinHostApi *api = work->file->host->api;
  GError *error = NULL;
  if (api->op_cancelled(work->op)) {
    fail(work, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "cancelled before the state was changed"));
    return;
  }
  if (store_lock(&work->file->store, &work->lock, &error))
    locked(work);
  else if (error != NULL)
    fail(work, error);
  else
    wait_for_lock(work);
}

/* Reading needs no lock: a rename shows the old file or the new one. Only damage and leftovers ask for more. */
static void
read_only(Work *work)
{
  Store *store = &work->file->store;
  g_autoptr(Document) document = NULL;
  g_autoptr(GError) error = NULL;
  StoreState state = store_load(store, &document, &error);
  if (state == STORE_DAMAGED) {
    attempt(work);
    return;
  }
  if (state == STORE_FAILED) {
    fail(work, g_steal_pointer(&error));
    return;
  }
  if (store_has_leftovers(store) && store_lock(store, &work->lock, NULL))
    store_remove_leftovers(store);
  apply(work, document);
}

static Work *
new_work(gpointer self, AzlinOp *op, Change change, void (*finish)(Work *, Document *))
{
  Work *work = g_new0(Work, 1);
  work->file = self;
  work->op = op;
  work->change = change;
  work->finish = finish;
  work->lock.fd = -1;
  work->started = g_get_monotonic_time();
  return work;
}

static void
finish_plain(Work *work, Document *document)
{
  work->file->host->api->op_finish(work->op);
}

/* ---- list and info ---- */

static int
compare_vms(gconstpointer a, gconstpointer b)
{
  const AzlinVm *left = *(const AzlinVm *const *) a;
  const AzlinVm *right = *(const AzlinVm *const *) b;
  if (left->is_primary != right->is_primary)
    return left->is_primary ? -1 : 1;
  return strcmp(left->region, right->region);
}

static void
clear_vm(gpointer data)
{
  AzlinVm *vm = data;
  g_clear_pointer(&vm->tags, g_variant_unref);
}

static void
finish_list(Work *work, Document *document)
{
  guint n = document->regions->len;
  g_autofree AzlinVm *all = g_new0(AzlinVm, n + 1);
  g_autoptr(GPtrArray) order = g_ptr_array_new_with_free_func(clear_vm);
  GStringChunk *chunk = g_string_chunk_new(4096);
  for (guint i = 0; i < n; i++) {
    json_auto_t *json = document_region_once(document, i);
    region_read(json, document_resource_group(document), chunk, &all[i]);
    g_ptr_array_add(order, &all[i]);
  }
  g_ptr_array_sort(order, compare_vms);
  work->file->host->api->op_finish_vms(work->op, (const AzlinVm *const *) order->pdata, n);
  g_string_chunk_free(chunk);
}

static void
file_list(gpointer self, AzlinOp *op)
{
  read_only(new_work(self, op, NULL, finish_list));
}

static void
finish_info(Work *work, Document *document)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "epoch", g_variant_new_uint64(document->epoch));
  g_variant_builder_add(&builder, "{sv}", "generation", g_variant_new_uint64(document->generation));
  g_variant_builder_add(&builder, "{sv}", "primary", g_variant_new_string(document_primary_name(document)));
  g_variant_builder_add(&builder, "{sv}", "path", g_variant_new_string(work->file->store.path));
  if (mirror_source(document) != NULL)
    g_variant_builder_add(&builder, "{sv}", "copy_of", g_variant_new_string(mirror_source(document)));
  work->file->host->api->op_finish_variant(work->op, g_variant_builder_end(&builder));
}

static void
file_info(gpointer self, AzlinOp *op)
{
  read_only(new_work(self, op, NULL, finish_info));
}

/* ---- put and put_status ---- */

static void
put_one(Work *work, Document *document, const AzlinVm *vm, gboolean *ret_changed)
{
  int index = document_find(document, vm->region);
  g_autofree char *primary = g_strdup(document_primary_name(document));
  if (index < 0) {
    document_add(document, vm->region);
    index = (int) document->regions->len - 1;
    *ret_changed = TRUE;
  }
  json_auto_t *before = json_deep_copy(document_region(document, (guint) index));
  json_t *json = document_change(document, (guint) index);
  region_write(json, vm, document_resource_group(document), work->file->host->api->now(work->file->host));
  gboolean becomes_primary = vm->is_primary && *primary == '\0';
  if (becomes_primary || json_object_get(json, "is_primary") == NULL)
    region_set_primary(json, becomes_primary);
  if (becomes_primary)
    document->epoch++;
  *ret_changed = *ret_changed || !json_equal(before, json);
}

static gboolean
change_put(Work *work, Document *document, gboolean *ret_changed, GError **error)
{
  for (guint i = 0; i < work->vms->len; i++)
    put_one(work, document, g_ptr_array_index(work->vms, i), ret_changed);
  return TRUE;
}

static GPtrArray *
copy_vms(File *file, const AzlinVm *const *vms, gsize n)
{
  GPtrArray *copies = g_ptr_array_new_with_free_func((GDestroyNotify) file->host->api->vm_free);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(copies, file->host->api->vm_dup(vms[i]));
  return copies;
}

static gboolean
is_named(const AzlinVm *vm, GError **error)
{
  gboolean no_region = vm->region == NULL || *vm->region == '\0';
  if (!no_region && vm->vm_name != NULL && *vm->vm_name != '\0')
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s cannot be empty", no_region ? "region" : "vm_name");
  return FALSE;
}

static void
file_put_all(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op)
{
  File *file = self;
  GError *error = NULL;
  for (gsize i = 0; i < n; i++) {
    if (is_named(vms[i], &error))
      continue;
    file->host->api->op_fail(op, error);
    return;
  }
  Work *work = new_work(self, op, change_put, finish_plain);
  work->vms = copy_vms(file, vms, n);
  attempt(work);
}

static void
file_put(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  file_put_all(self, &vm, 1, op);
}

static gboolean
write_status(Document *document, guint index, const AzlinVm *vm)
{
  json_auto_t *json = document_region_once(document, index);
  if (g_strcmp0(json_string_value(json_object_get(json, "vm_name")), vm->vm_name) != 0)
    return FALSE;
  json_auto_t *before = json_deep_copy(json);
  region_write_status(json, vm->status, vm->last_health_check);
  if (json_equal(before, json))
    return FALSE;
  document_keep(document, index, json);
  return TRUE;
}

static gboolean
change_status(Work *work, Document *document, gboolean *ret_changed, GError **error)
{
  g_autoptr(GHashTable) places = document_places(document);
  for (guint i = 0; i < work->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(work->vms, i);
    guint place = GPOINTER_TO_UINT(g_hash_table_lookup(places, vm->region));
    if (place > 0)
      *ret_changed |= write_status(document, place - 1, vm);
  }
  return TRUE;
}

static void
file_put_status(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op)
{
  Work *work = new_work(self, op, change_status, finish_plain);
  work->vms = copy_vms(self, vms, n);
  attempt(work);
}

/* ---- forget and set_primary ---- */

static gboolean
no_such_region(const char *region, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "Region %s does not exist", region);
  return FALSE;
}

static gboolean
change_forget(Work *work, Document *document, gboolean *ret_changed, GError **error)
{
  int index = document_find(document, work->from);
  if (index < 0)
    return no_such_region(work->from, error);
  if (document_primary(document) == index)
    document->epoch++;
  document_remove(document, (guint) index);
  *ret_changed = TRUE;
  return TRUE;
}

static void
file_forget(gpointer self, const char *region, AzlinOp *op)
{
  Work *work = new_work(self, op, change_forget, finish_plain);
  work->from = g_strdup(region);
  attempt(work);
}

static gboolean
change_primary(Work *work, Document *document, gboolean *ret_changed, GError **error)
{
  const char *now = document_primary_name(document);
  int old = document_primary(document);
  int target = document_find(document, work->to);
  if (!g_str_equal(now, work->from) || document->epoch != work->epoch) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FENCED,
                "the primary is %s at epoch %" G_GUINT64_FORMAT ", no longer %s at epoch %" G_GUINT64_FORMAT,
                *now != '\0' ? now : "none", document->epoch, *work->from != '\0' ? work->from : "none", work->epoch);
    return FALSE;
  }
  if (*work->to != '\0' && target < 0)
    return no_such_region(work->to, error);
  if (old >= 0)
    region_set_primary(document_change(document, (guint) old), FALSE);
  if (target >= 0)
    region_set_primary(document_change(document, (guint) target), TRUE);
  document->epoch++;
  *ret_changed = TRUE;
  return TRUE;
}

static void
finish_epoch(Work *work, Document *document)
{
  work->file->host->api->op_finish_variant(work->op, g_variant_new_uint64(document->epoch));
}

static void
file_set_primary(gpointer self, const char *from, const char *to, guint64 epoch, AzlinOp *op)
{
  Work *work = new_work(self, op, change_primary, finish_epoch);
  work->from = g_strdup(from != NULL ? from : "");
  work->to = g_strdup(to != NULL ? to : "");
  work->epoch = epoch;
  attempt(work);
}

static gboolean
change_epoch(Work *work, Document *document, gboolean *ret_changed, GError **error)
{
  *ret_changed = document->epoch < work->epoch;
  document->epoch = MAX(document->epoch, work->epoch);
  return TRUE;
}

static void
file_raise_epoch(gpointer self, guint64 epoch, AzlinOp *op)
{
  Work *work = new_work(self, op, change_epoch, finish_plain);
  work->epoch = epoch;
  attempt(work);
}

/* ---- mirror ---- */

static gboolean
change_mirror(Work *work, Document *document, gboolean *ret_changed, GError **error)
{
  AzlinHost *host = work->file->host;
  if (mirror_apply(document, work->vms, work->info, host->api->now(host), ret_changed, error))
    return TRUE;
  g_prefix_error(error, "%s ", work->file->store.path);
  return FALSE;
}

static void
file_mirror(gpointer self, const AzlinVm *const *vms, gsize n, GVariant *info, AzlinOp *op)
{
  Work *work = new_work(self, op, change_mirror, finish_plain);
  work->vms = copy_vms(self, vms, n);
  work->info = g_variant_ref_sink(info);
  attempt(work);
}

/* ---- the brick ---- */

static gboolean
file_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  File *file = g_new0(File, 1);
  file->host = host;
  store_init(&file->store, host);
  *ret_self = file;
  return TRUE;
}

static void
file_free(gpointer self)
{
  File *file = self;
  store_clear(&file->store);
  g_free(file);
}

static const AzlinContext iface = {
  .size = sizeof(AzlinContext),
  .list = file_list,
  .put = file_put,
  .forget = file_forget,
  .set_primary = file_set_primary,
  .info = file_info,
  .put_status = file_put_status,
  .put_all = file_put_all,
  .raise_epoch = file_raise_epoch,
  .mirror = file_mirror,
};

static const AzlinBrick brick = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_CONTEXT,
  .name = "file",
  .summary = "keeps the region records in config.json under $AZLIN_HOME",
  .init = file_init,
  .free = file_free,
  .iface = &iface,
};

AZLIN_PLUGIN_DEFINE("context-file", "0.1.0", "MIT", &brick)
