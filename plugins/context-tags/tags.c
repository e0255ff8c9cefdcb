/* context-tags: region records as tags of the machines themselves, in any cloud whose provider can tag. */
#include "tags.h"
#include <string.h>

#define LISTED_FOR_US (60 * G_USEC_PER_SEC)

/* ---- put ---- */

typedef struct {
  Tags *tags;
  AzlinOp *op;
  guint pending, failed;
  GError *error; /* the first one */
} Batch;

static void
batch_step(Batch *batch)
{
  const AzlinHostApi *api = batch->tags->api;
  if (--batch->pending > 0)
    return;
  if (batch->failed > 1)
    g_prefix_error(&batch->error, "%u machines; ", batch->failed);
  if (batch->error != NULL)
    api->op_fail(batch->op, batch->error);
  else
    api->op_finish(batch->op);
  g_free(batch);
}

static void
on_one_put(AzlinOp *op, gpointer data)
{
  Batch *batch = data;
  const GError *error = batch->tags->api->op_error(op);
  batch->failed += error != NULL;
  if (error != NULL && batch->error == NULL)
    batch->error = g_error_copy(error);
  batch_step(batch);
}

static void
put_all(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op)
{
  Tags *tags = self;
  Batch *batch = g_new0(Batch, 1);
  *batch = (Batch){ .tags = tags, .op = op, .pending = 1 };
  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) missing = g_variant_ref_sink(tags_missing(vms[i]));
    if (g_variant_n_children(missing) == 0)
      continue;
    batch->pending++;
    tags_write(tags, op, vms[i], missing, NULL, on_one_put, batch);
  }
  batch_step(batch);
}

static void
put(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  put_all(self, &vm, 1, op);
}

/* ---- list and info ---- */

typedef struct {
  Tags *tags;
  AzlinOp *op;
  char *region; /* to be forgotten, or NULL */
} Ask;

static Ask *
ask_new(gpointer self, AzlinOp *op, const char *region)
{
  Ask *ask = g_new(Ask, 1);
  *ask = (Ask){ self, op, g_strdup(region) };
  return ask;
}

static void
ask_free(Ask *ask)
{
  g_free(ask->region);
  g_free(ask);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Ask, ask_free)

/* NULL: the listing failed, and so has the call. */
static Reading *
read_answer(Ask *ask, AzlinOp *op)
{
  const AzlinHostApi *api = ask->tags->api;
  gsize n = 0;
  const AzlinVm *const *vms = api->op_vms(op, &n);
  if (api->op_error(op) == NULL)
    return reading_new(ask->tags, vms, n);
  api->op_fail(ask->op, g_error_copy(api->op_error(op)));
  return NULL;
}

static void
on_list(AzlinOp *op, gpointer data)
{
  g_autoptr(Ask) ask = data;
  Reading *reading = read_answer(ask, op);
  if (reading == NULL)
    return;
  ask->tags->api->op_finish_vms(ask->op, (const AzlinVm *const *) reading->vms->pdata, reading->vms->len);
  reading_free(reading);
}

static void
list(gpointer self, AzlinOp *op)
{
  tags_list_cloud(self, op, on_list, ask_new(self, op, NULL));
}

static void
on_info(AzlinOp *op, gpointer data)
{
  g_autoptr(Ask) ask = data;
  GVariantBuilder builder;
  Reading *reading = read_answer(ask, op);
  if (reading == NULL)
    return;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "epoch", g_variant_new_uint64(reading->epoch));
  g_variant_builder_add(&builder, "{sv}", "generation", g_variant_new_uint64(0));
  g_variant_builder_add(&builder, "{sv}", "primary", g_variant_new_string(reading->primary));
  g_variant_builder_add(&builder, "{sv}", "path", g_variant_new_string("the tags of the machines"));
  ask->tags->api->op_finish_variant(ask->op, g_variant_builder_end(&builder));
  reading_free(reading);
}

static void
info(gpointer self, AzlinOp *op)
{
  tags_list_cloud(self, op, on_info, ask_new(self, op, NULL));
}

/* ---- forget ---- */

static void
on_untagged(AzlinOp *op, gpointer data)
{
  g_autoptr(Ask) ask = data;
  const AzlinHostApi *api = ask->tags->api;
  const GError *error = api->op_error(op);
  if (error != NULL && !g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    api->op_fail(ask->op, g_error_copy(error));
  else
    api->op_finish(ask->op);
}

/* The machine may be deleted by now: then there is nothing left that could say anything. */
static void
untag(Ask *ask)
{
  Tags *tags = ask->tags;
  for (guint i = 0; i < tags->listed->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(tags->listed, i);
    if (g_strcmp0(vm->region, ask->region) != 0 || tag_find(vm->tags, AZLIN_TAG_REGION) == NULL)
      continue;
    tags_write(tags, ask->op, vm, g_variant_new_array(G_VARIANT_TYPE("{ss}"), NULL, 0), tags_of_place, on_untagged,
               ask);
    return;
  }
  tags->api->op_finish(ask->op);
  ask_free(ask);
}

static void
on_listed(AzlinOp *op, gpointer data)
{
  Ask *ask = data;
  Tags *tags = ask->tags;
  gsize n = 0;
  const AzlinVm *const *vms = tags->api->op_vms(op, &n);
  if (tags->api->op_error(op) != NULL) {
    tags->api->op_fail(ask->op, g_error_copy(tags->api->op_error(op)));
    ask_free(ask);
    return;
  }
  g_clear_pointer(&tags->listed, g_ptr_array_unref);
  tags->listed = g_ptr_array_new_with_free_func((GDestroyNotify) tags->api->vm_free);
  tags->listed_at = tags->api->monotonic(tags->host);
  for (gsize i = 0; i < n; i++)
    g_ptr_array_add(tags->listed, tags->api->vm_dup(vms[i]));
  untag(ask);
}

/* Forgetting many regions lists the cloud once. */
static void
forget(gpointer self, const char *region, AzlinOp *op)
{
  Tags *tags = self;
  Ask *ask = ask_new(self, op, region);
  if (tags->listed != NULL && tags->api->monotonic(tags->host) - tags->listed_at < LISTED_FOR_US)
    untag(ask);
  else
    tags_list_cloud(tags, op, on_listed, ask);
}

/* ---- the brick ---- */

static gboolean
tags_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Tags *tags = g_new0(Tags, 1);
  tags->host = host;
  tags->api = host->api;
  tags->silent = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  tags->writing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_queue_free);
  *ret_self = tags;
  return TRUE;
}

static void
tags_free(gpointer self)
{
  Tags *tags = self;
  g_hash_table_unref(tags->silent);
  g_hash_table_unref(tags->writing);
  g_clear_pointer(&tags->listed, g_ptr_array_unref);
  g_free(tags);
}

static const AzlinContext iface = {
  .size = sizeof(AzlinContext),
  .list = list,
  .put = put,
  .forget = forget,
  .set_primary = tags_set_primary,
  .info = info,
  .put_all = put_all,
};

static const AzlinBrick brick = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_CONTEXT,
  .name = "tags",
  .summary = "keeps the region records as tags of the machines, beside another place of records",
  .init = tags_init,
  .free = tags_free,
  .iface = &iface,
};

AZLIN_PLUGIN_DEFINE("context-tags", "0.1.0", "MIT", &brick)
