/* sync: what a run is about, and what stands at its paths on the source. */
#include "error.h"
#include "flow-sync-private.h"

typedef struct {
  AzSync *sync;
  AzlinOp *op;
  guint pending;
} Survey;

static void
path_free(gpointer data)
{
  AzSyncPath *path = data;
  g_free(path->path);
  az_scan_clear(&path->scan);
  g_clear_error(&path->error);
  g_free(path);
}

AzSync *
az_sync_new(AzJob *job, AzEngine *engine, const AzlinVm *source, const char *const *paths)
{
  AzSync *sync = g_rc_box_new0(AzSync);
  const char *user = source->ssh_user != NULL && *source->ssh_user ? source->ssh_user : "azureuser";
  g_autofree char *home = g_str_equal(user, "root") ? g_strdup("/root") : g_strdup_printf("/home/%s", user);
  const char *const fallback[] = { home, NULL };
  sync->job = job;
  sync->engine = engine;
  sync->source = az_vm_dup(source);
  sync->max_delete = G_MAXUINT32;
  sync->n_targets = 1;
  sync->whole = paths == NULL || paths[0] == NULL;
  sync->paths = g_ptr_array_new_with_free_func(path_free);
  for (const char *const *path = paths != NULL && paths[0] != NULL ? paths : fallback; *path != NULL; path++) {
    AzSyncPath *one = g_new0(AzSyncPath, 1);
    one->path = g_strdup(*path);
    g_ptr_array_add(sync->paths, one);
  }
  return sync;
}

static void
sync_clear(gpointer data)
{
  AzSync *sync = data;
  az_vm_free(sync->source);
  g_ptr_array_unref(sync->paths);
  g_strfreev(sync->exclude);
  g_free(sync->strategy);
}

void
az_sync_unref(AzSync *sync)
{
  g_rc_box_release_full(sync, sync_clear);
}

static GError *
objection(const AzSync *sync, const AzSyncPath *path)
{
  const AzSyncPlace *place = path->scan.place;
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  GError *error = NULL;
  if (place->kind == '-')
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "%s does not exist on %s", path->path, sync->source->region);
  if (place->kind == 'o')
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "%s is neither a folder nor a file on %s", path->path,
                       sync->source->region);
  if (!az_sync_protect(place, names, &error))
    return error;
  if (sync->delete_extra && place->files == 0)
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY,
                       "%s is empty on %s; with --delete that would empty the target, so nothing was copied",
                       path->path, sync->source->region);
  return NULL;
}

typedef struct {
  Survey *survey;
  AzSyncPath *path;
} Look;

static void
on_scanned(AzlinOp *op, gpointer data)
{
  g_autofree Look *look = data;
  Survey *survey = look->survey;
  AzSync *sync = survey->sync;
  AzSyncPath *path = look->path;
  path->error = az_op_error(op) != NULL ? g_error_copy(az_op_error(op)) : objection(sync, path);
  if (path->error == NULL) {
    sync->files += path->scan.place->files;
    sync->bytes += path->scan.place->bytes;
  }
  if (--survey->pending > 0)
    return;
  az_op_finish(survey->op);
  az_sync_unref(sync);
  g_free(survey);
}

void
az_sync_survey(AzSync *sync, AzlinOp *op)
{
  Survey *survey = g_new0(Survey, 1);
  *survey = (Survey){ .sync = g_rc_box_acquire(sync), .op = op, .pending = sync->paths->len };
  for (guint i = 0; i < sync->paths->len; i++) {
    AzSyncPath *path = g_ptr_array_index(sync->paths, i);
    Look *look = g_new(Look, 1);
    *look = (Look){ survey, path };
    path->scan = (AzScan){ .engine = sync->engine,
                           .vm = sync->source,
                           .path = path->path,
                           .exclude = (const char *const *) sync->exclude,
                           .hash = sync->fresh ? AZ_SCAN_HASH_ALL : AZ_SCAN_LIST,
                           .fresh = sync->fresh,
                           .warm = sync->expecting && i == 0 };
    az_scan(&path->scan, az_op_new(op, "estimate", 0, on_scanned, look));
  }
}
