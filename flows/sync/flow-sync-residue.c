/* sync: what a copy has brought about on the target that the source does not have: what is gone from the source since,
 * and what a transfer that somebody killed has left, under names that only its strategy knows. */
#include "error.h"
#include "flow-sync-private.h"
#include <string.h>

void
az_sync_find_vanished(AzSyncPair *pair)
{
  GPtrArray *extra = pair->comparison->extra;
  g_autoptr(GHashTable) before = g_steal_pointer(&pair->vanished);
  g_autoptr(GHashTable) brought = g_hash_table_new(g_str_hash, g_str_equal);
  pair->vanished = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  if (extra->len == 0 || pair->only == NULL)
    return;
  gsize length = 0;
  const char *name = g_bytes_get_data(pair->only, &length);
  for (const char *end = name + length; name < end; name += strlen(name) + 1)
    g_hash_table_add(brought, (gpointer) (guintptr) name);
  for (guint i = 0; i < extra->len; i++) {
    const AzEntry *entry = g_ptr_array_index(extra, i);
    if (g_hash_table_contains(brought, entry->name) || (before != NULL && g_hash_table_contains(before, entry->name)))
      g_hash_table_add(pair->vanished, g_strdup(entry->name));
  }
}

/* Of char*: what stands on the target since this copy began, and was never on the source. */
static GPtrArray *
names_of_strangers(const AzSyncPair *pair)
{
  GPtrArray *extra = pair->comparison->extra, *names = g_ptr_array_new();
  for (guint i = 0; i < extra->len; i++) {
    const AzEntry *entry = g_ptr_array_index(extra, i);
    if (entry->type != 'd' && az_listing_find(pair->found, entry->name) == NULL
        && !g_hash_table_contains(pair->vanished, entry->name))
      g_ptr_array_add(names, (gpointer) (guintptr) entry->name);
  }
  return names;
}

/* Of const AzEntry*. */
static GPtrArray *
find_residue(AzSyncPair *pair)
{
  GPtrArray *entries = g_ptr_array_new();
  if (pair->brick == NULL || pair->brick->left_behind == NULL)
    return entries;
  AzlinSyncJob job = az_sync_pair_job(pair, NULL);
  g_autoptr(GPtrArray) names = names_of_strangers(pair);
  g_autoptr(GPtrArray) left = names->len > 0 ? pair->brick->left_behind(pair->brick_self, &job, names) : NULL;
  for (guint i = 0; left != NULL && i < left->len; i++) {
    const AzEntry *entry = az_listing_find(pair->scan.listing, g_ptr_array_index(left, i));
    if (entry != NULL)
      g_ptr_array_add(entries, (gpointer) (guintptr) entry);
  }
  return entries;
}

static void
on_thrown_away(AzlinOp *op, gpointer data)
{
  AzlinOp *outer = data;
  if (az_op_error(op) == NULL) {
    az_op_finish(outer);
    return;
  }
  g_autofree char *why = az_error_message(az_op_error(op));
  az_op_fail_new(outer, AZLIN_ERROR_PARTIAL, "what a killed transfer left could not be taken away: %s", why);
}

void
az_sync_residue(AzSyncPair *pair, AzlinOp *op)
{
  az_sync_find_vanished(pair);
  g_autoptr(GPtrArray) entries = find_residue(pair);
  if (entries->len == 0) {
    az_op_finish(op);
    return;
  }
  az_sync_say(pair->sync, "warn", pair->label,
              "%s: a transfer was killed on %s; what it left there went to the trash (%u)",
              az_sync_pair_path(pair)->path, pair->target->region, entries->len);
  az_sync_trash(pair, entries, TRUE, az_op_new(op, "trash", 0, on_thrown_away, op));
}
