/* sync: the run itself, the survey of its paths on the source, and the choice of the strategy. */
#include "flow-sync-private.h"
#include "error.h"
#include "registry.h"
#include <string.h>

typedef struct {
  AzSync *sync;
  AzlinOp *op;
  guint next;
} Survey;

static void survey_next(Survey *survey);

static void
path_free(gpointer data)
{
  AzSyncPath *path = data;
  g_free(path->path);
  az_sync_place_free(path->place);
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
  g_free(sync->chosen);
  g_free(sync->reason);
}

void
az_sync_unref(AzSync *sync)
{
  g_rc_box_release_full(sync, sync_clear);
}

/* ---- survey ---- */

static GError *
objection(const AzSync *sync, const AzSyncPath *path)
{
  const AzSyncPlace *place = path->place;
  if (place->kind == '-')
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "%s does not exist on %s", path->path, sync->source->region);
  if (place->kind == 'o')
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "%s is neither a folder nor a file on %s", path->path,
                       sync->source->region);
  if (sync->delete_extra && place->files == 0)
    return g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY,
                       "%s is empty on %s; with --delete that would empty the target, so nothing was copied",
                       path->path, sync->source->region);
  return NULL;
}

static void
on_looked(AzlinOp *op, gpointer data)
{
  Survey *survey = data;
  AzSync *sync = survey->sync;
  AzSyncPath *path = g_ptr_array_index(sync->paths, survey->next);
  survey->next++;
  path->error = az_op_error(op) != NULL ? g_error_copy(az_op_error(op)) : objection(sync, path);
  if (path->error == NULL) {
    sync->files += path->place->files;
    sync->bytes += path->place->bytes;
  }
  survey_next(survey);
}

static void
survey_next(Survey *survey)
{
  AzSync *sync = survey->sync;
  if (survey->next >= sync->paths->len || az_op_cancelled(survey->op)) {
    az_op_finish(survey->op);
    az_sync_unref(sync);
    g_free(survey);
    return;
  }
  AzSyncPath *path = g_ptr_array_index(sync->paths, survey->next);
  az_sync_look(sync->engine, sync->source, path->path, NULL, FALSE, (const char *const *) sync->exclude, &path->place,
               az_op_new(survey->op, "look", 0, on_looked, survey));
}

void
az_sync_survey(AzSync *sync, AzlinOp *op)
{
  Survey *survey = g_new0(Survey, 1);
  *survey = (Survey){ .sync = g_rc_box_acquire(sync), .op = op };
  survey_next(survey);
}

/* ---- choice ---- */

static double
score(AzSync *sync, const char *name, char **ret_reason, GError **error)
{
  gpointer self = NULL;
  const AzlinSync *brick = az_engine_lookup(sync->engine, AZLIN_KIND_SYNC, name, &self, error);
  if (brick == NULL)
    return -1;
  AzSyncPath *first = g_ptr_array_index(sync->paths, 0);
  AzlinSyncJob job = { .size = sizeof job,
                       .source = sync->source,
                       .target = sync->source,
                       .path = first->path,
                       .bytes = sync->bytes,
                       .files = sync->files,
                       .delete_extra = sync->delete_extra,
                       .dry_run = sync->dry_run,
                       .bwlimit_kib = sync->bwlimit_kib,
                       .exclude = (const char *const *) sync->exclude };
  double seconds = brick->score != NULL ? brick->score(self, &job, ret_reason) : 0;
  if (seconds < 0 && error != NULL && *error == NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "the strategy %s cannot do this: %s", name,
                *ret_reason != NULL ? *ret_reason : "no reason given");
  return seconds;
}

static gboolean
take(AzSync *sync, const char *name, char *reason, GError **error)
{
  sync->brick = az_engine_lookup(sync->engine, AZLIN_KIND_SYNC, name, &sync->brick_self, error);
  g_free(sync->chosen);
  g_free(sync->reason);
  sync->chosen = g_strdup(name);
  sync->reason = reason;
  return sync->brick != NULL;
}

static gboolean
choose_best(AzSync *sync, GError **error)
{
  g_auto(GStrv) names = az_config_strv(az_engine_config(sync->engine), "bricks", "sync-strategies");
  g_autoptr(GError) last = NULL;
  double best = G_MAXDOUBLE;
  for (guint i = 0; names != NULL && names[i] != NULL; i++) {
    char *reason = NULL;
    g_clear_error(&last);
    double seconds = score(sync, names[i], &reason, &last);
    if (seconds < 0 || seconds >= best) {
      g_free(reason);
      continue;
    }
    best = seconds;
    if (!take(sync, names[i], reason, error))
      return FALSE;
  }
  if (sync->brick != NULL)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "no strategy of [bricks] sync-strategies can do this: %s",
              last != NULL ? last->message : "the list is empty");
  return FALSE;
}

gboolean
az_sync_choose(AzSync *sync, GError **error)
{
  const char *wanted = sync->strategy;
  if (wanted == NULL)
    wanted = az_config_string(az_engine_config(sync->engine), "bricks", "sync");
  if (wanted == NULL || *wanted == 0 || g_str_equal(wanted, "auto"))
    return choose_best(sync, error);
  g_autofree char *reason = NULL;
  if (score(sync, wanted, &reason, error) < 0)
    return FALSE;
  return take(sync, wanted, g_strdup(sync->strategy != NULL ? "as asked for" : "as configured"), error);
}
