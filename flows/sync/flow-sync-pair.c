/* sync: one target of a run; what its plan and its copy share, and the rules that need no machine. */
#include "flow-sync-private.h"
#include "error.h"

gboolean
az_sync_needs_answer(guint64 deletes, guint64 files, guint32 max_delete)
{
  return deletes > files / 2 || deletes > max_delete;
}

gboolean
az_sync_fits(guint64 bytes, guint64 present, guint64 free_bytes)
{
  guint64 more = bytes > present ? bytes - present : 0;
  return more + more / 10 <= free_bytes;
}

int
az_sync_exit_code(guint done, guint partial, guint failed)
{
  if (partial == 0 && failed == 0)
    return 0;
  return done > 0 || partial > 0 ? 1 : 2;
}

AzSyncPair *
az_sync_pair_new(AzSync *sync, const AzlinVm *target, const char *label)
{
  AzSyncPair *pair = g_rc_box_new0(AzSyncPair);
  pair->sync = g_rc_box_acquire(sync);
  pair->target = az_vm_dup(target);
  pair->label = g_strdup(label);
  pair->started = az_clock_monotonic(az_engine_clock(sync->engine));
  pair->errors = g_ptr_array_new_with_free_func(g_free);
  pair->items = g_ptr_array_new_with_free_func(g_free);
  pair->check.differences = g_ptr_array_new_with_free_func((GDestroyNotify) az_manifest_difference_free);
  if (sync->delete_extra)
    pair->deletions = g_new0(AzSyncDeletion, sync->paths->len);
  return pair;
}

static void
forget_path(AzSyncPair *pair)
{
  g_clear_pointer(&pair->place, az_sync_place_free);
  g_clear_pointer(&pair->exclude, g_strfreev);
  g_clear_pointer(&pair->grant_facts, g_variant_unref);
  g_clear_pointer(&pair->redo, g_bytes_unref);
  g_ptr_array_set_size(pair->check.differences, 0);
  pair->healing = FALSE;
  pair->moving = 0;
}

static void
pair_clear(gpointer data)
{
  AzSyncPair *pair = data;
  forget_path(pair);
  az_sync_unref(pair->sync);
  az_vm_free(pair->target);
  g_free(pair->label);
  g_ptr_array_unref(pair->errors);
  g_ptr_array_unref(pair->items);
  g_ptr_array_unref(pair->check.differences);
  g_clear_error(&pair->refused);
  g_free(pair->deletions);
}

void
az_sync_pair_unref(AzSyncPair *pair)
{
  g_rc_box_release_full(pair, pair_clear);
}

AzSyncPath *
az_sync_pair_path(AzSyncPair *pair)
{
  return g_ptr_array_index(pair->sync->paths, pair->next);
}

void
az_sync_pair_next(AzSyncPair *pair)
{
  AzSyncPath *path = az_sync_pair_path(pair);
  if (path->place != NULL && path->error == NULL)
    pair->moved += path->place->bytes;
  forget_path(pair);
  pair->next++;
}

void
az_sync_pair_error(AzSyncPair *pair, const GError *error)
{
  g_autofree char *text = az_error_message(error);
  az_sync_say(pair->sync, "fail", pair->label, "%s", text);
  g_ptr_array_add(pair->errors, g_steal_pointer(&text));
}

void
az_sync_pair_look(AzSyncPair *pair, gboolean make, AzlinDone done)
{
  AzSyncPath *path = az_sync_pair_path(pair);
  gboolean is_file = path->place->base != NULL;
  g_autofree char *folder = is_file ? g_path_get_dirname(path->path) : g_strdup(path->path);
  az_sync_look(pair->sync->engine, pair->target, folder, path->place->base, make,
               (const char *const *) pair->sync->exclude, &pair->place,
               az_op_new(pair->op, "look at the target", 0, done, pair));
}

gboolean
az_sync_pair_accept(AzSyncPair *pair, GError **error)
{
  AzSyncPath *path = az_sync_pair_path(pair);
  g_autoptr(GPtrArray) patterns = g_ptr_array_new_with_free_func(g_free);
  if (pair->place->kind != 'd' && pair->place->kind != '-') {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_EXISTS, "%s is no folder on %s", path->path, pair->target->region);
    return FALSE;
  }
  if (!az_sync_protect(path->place, patterns, error) || !az_sync_protect(pair->place, patterns, error))
    return FALSE;
  for (guint i = 0; pair->sync->exclude != NULL && pair->sync->exclude[i] != NULL; i++)
    g_ptr_array_add(patterns, g_strdup(pair->sync->exclude[i]));
  g_ptr_array_add(patterns, g_strdup(".azlin-partial/"));
  g_ptr_array_add(patterns, NULL);
  g_clear_pointer(&pair->exclude, g_strfreev);
  pair->exclude = (char **) g_ptr_array_free(g_steal_pointer(&patterns), FALSE);
  return TRUE;
}

AzlinSyncJob
az_sync_pair_job(AzSyncPair *pair)
{
  AzSync *sync = pair->sync;
  const AzSyncPlace *place = az_sync_pair_path(pair)->place;
  const AzSyncDeletion *deletion = pair->deletions != NULL ? &pair->deletions[pair->next] : NULL;
  AzlinSyncJob job = { .size = sizeof job,
                       .source = sync->source,
                       .target = pair->target,
                       .path = place->full,
                       .bytes = place->bytes,
                       .files = place->files,
                       .bwlimit_kib = sync->bwlimit_kib,
                       .exclude = (const char *const *) pair->exclude,
                       .grant = pair->grant_facts,
                       .single_file = place->base != NULL };
  /* never more than the plan found and the user agreed to */
  job.delete_extra = deletion != NULL && deletion->known && deletion->entries > 0;
  job.max_delete = job.delete_extra ? (guint32) MIN(deletion->entries, G_MAXUINT32) : 0;
  return job;
}
