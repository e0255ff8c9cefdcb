/* config.json as the copy of a place that many hosts share: what is its own is never overwritten. */
#include "mirror.h"
#include "region.h"
#include <string.h>

#define COPY_OF "copy_of"
#define COPIED "copy_generation"

const char *
mirror_source(Document *document)
{
  return json_string_value(json_object_get(document->top, COPY_OF));
}

void
mirror_end(Document *document)
{
  json_object_del(document->top, COPY_OF);
  json_object_del(document->top, COPIED);
}

static const char *
primary_of(GPtrArray *vms)
{
  for (guint i = 0; i < vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(vms, i);
    if (vm->is_primary)
      return vm->region;
  }
  return "";
}

/* Same regions, same machines, same primary: whose record is taken makes no difference. */
static gboolean
is_same(Document *document, GPtrArray *vms)
{
  if (document->regions->len != vms->len || strcmp(document_primary_name(document), primary_of(vms)) != 0)
    return FALSE;
  for (guint i = 0; i < vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(vms, i);
    int index = document_find(document, vm->region);
    json_t *json = index >= 0 ? document_region(document, (guint) index) : NULL;
    if (g_strcmp0(json_string_value(json_object_get(json, "vm_name")), vm->vm_name) != 0)
      return FALSE;
  }
  return TRUE;
}

static gboolean
may_overwrite(Document *document, GPtrArray *vms, const char *source, guint64 epoch, GError **error)
{
  gboolean empty = document->regions->len == 0 && document->epoch == 0;
  if (!empty && g_strcmp0(mirror_source(document), source) != 0 && !is_same(document, vms)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_EXISTS, "holds %u regions of its own, at epoch %" G_GUINT64_FORMAT,
                document->regions->len, document->epoch);
    return FALSE;
  }
  if (document->epoch <= epoch)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FENCED,
              "was at epoch %" G_GUINT64_FORMAT ", and what is shared says %" G_GUINT64_FORMAT, document->epoch, epoch);
  return FALSE;
}

static void
remove_others(Document *document, GPtrArray *vms)
{
  g_autoptr(GHashTable) wanted = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < vms->len; i++)
    g_hash_table_add(wanted, (gpointer) (guintptr) ((const AzlinVm *) g_ptr_array_index(vms, i))->region);
  for (guint i = document->regions->len; i > 0; i--) {
    const Region *region = g_ptr_array_index(document->regions, i - 1);
    if (!g_hash_table_contains(wanted, region->name))
      document_remove(document, i - 1);
  }
}

static GHashTable *
index_regions(Document *document)
{
  GHashTable *indices = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < document->regions->len; i++)
    g_hash_table_insert(indices, ((const Region *) g_ptr_array_index(document->regions, i))->name,
                        GUINT_TO_POINTER(i + 1));
  return indices;
}

static void
write_records(Document *document, GPtrArray *vms, gint64 now)
{
  g_autoptr(GHashTable) indices = index_regions(document);
  for (guint i = 0; i < vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(vms, i);
    guint index = GPOINTER_TO_UINT(g_hash_table_lookup(indices, vm->region));
    if (index == 0) {
      document_add(document, vm->region);
      index = document->regions->len;
    }
    json_t *json = document_change(document, index - 1);
    region_write(json, vm, document_resource_group(document), now);
    region_set_primary(json, vm->is_primary);
  }
}

gboolean
mirror_apply(Document *document, GPtrArray *vms, GVariant *info, gint64 now, gboolean *ret_changed, GError **error)
{
  const char *source = "";
  guint64 epoch = 0, generation = 0;
  const json_t *copied = json_object_get(document->top, COPIED);
  g_variant_lookup(info, "source", "&s", &source);
  g_variant_lookup(info, "epoch", "t", &epoch);
  g_variant_lookup(info, "generation", "t", &generation);
  *ret_changed = FALSE;
  if (!may_overwrite(document, vms, source, epoch, error))
    return FALSE;
  if (g_strcmp0(mirror_source(document), source) == 0 && document->epoch == epoch && copied != NULL
      && (guint64) json_integer_value(copied) == generation)
    return TRUE;
  remove_others(document, vms);
  write_records(document, vms, now);
  document->epoch = epoch;
  json_object_set_new(document->top, COPY_OF, json_string(source));
  json_object_set_new(document->top, COPIED, json_integer((json_int_t) generation));
  *ret_changed = TRUE;
  return TRUE;
}
