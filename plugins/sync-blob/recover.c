/* After a crash: the container and the stages that a journal record announced are removed. */
#include "blob.h"

typedef struct {
  Blob *blob;
  AzlinOp *op;
  guint open;
  GError *error;
} Recovery;

GVariant *
blob_undo_facts(Blob *blob, const char *container, GVariant *stages)
{
  GVariantDict undo;
  g_variant_dict_init(&undo, NULL);
  g_variant_dict_insert(&undo, "container", "s", container);
  g_variant_dict_insert(&undo, "endpoint", "s", blob->account.endpoint->url);
  g_variant_dict_insert_value(&undo, "stages", stages);
  return g_variant_dict_end(&undo);
}

static void
leave(Recovery *recovery)
{
  if (--recovery->open > 0)
    return;
  if (recovery->error != NULL)
    recovery->blob->api->op_fail(recovery->op, recovery->error);
  else
    recovery->blob->api->op_finish(recovery->op);
  g_free(recovery);
}

static void
on_dropped(AzlinOp *child, gpointer data)
{
  leave(data);
}

/* Only the container decides: a machine that is gone for good must not keep the record open. */
static void
on_removed(AzlinOp *child, gpointer data)
{
  Recovery *recovery = data;
  const GError *error = recovery->blob->api->op_error(child);
  recovery->error = error != NULL ? g_error_copy(error) : NULL;
  leave(recovery);
}

static gboolean
is_here(Blob *blob, const char *container, const char *endpoint)
{
  return blob->account.endpoint != NULL && g_str_equal(blob->account.endpoint->url, endpoint)
         && g_str_has_prefix(container, BLOB_PREFIX);
}

void
blob_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op)
{
  Blob *blob = self;
  const AzlinHostApi *api = blob->api;
  const char *container = "", *endpoint = "";
  g_variant_lookup(undo, "container", "&s", &container);
  g_variant_lookup(undo, "endpoint", "&s", &endpoint);
  if (!is_here(blob, container, endpoint)) {
    GError *error
        = g_error_new(AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                      "the staging container %s stands at %s, which [sync.blob] does not name", container, endpoint);
    api->error_add_step(error, "Set endpoint in [sync.blob] to %s and run azlin recover again", endpoint);
    api->op_fail(op, error);
    return;
  }
  g_autoptr(GVariant) stages = g_variant_lookup_value(undo, "stages", G_VARIANT_TYPE("aa{sv}"));
  Recovery *recovery = g_new0(Recovery, 1);
  *recovery = (Recovery){ .blob = blob, .op = op, .open = 1 };
  for (gsize i = 0; stages != NULL && i < g_variant_n_children(stages); i++) {
    g_autoptr(GVariant) facts = g_variant_get_child_value(stages, i);
    recovery->open++;
    blob_stage_recover(blob, facts, api->op_new(op, "drop a stage", 0, on_dropped, recovery));
  }
  blob_container_remove(blob, container, api->op_new(op, "remove the container", 0, on_removed, recovery));
}
