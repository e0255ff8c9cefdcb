/* The sync flow: paths of one machine to one or all of the others, verified; sums up what every target got. */
#include "flow-sync-private.h"
#include "error.h"
#include "exclude.h"
#include "loader.h"
#include "regions.h"
#include <string.h>

typedef struct {
  AzJob *job;
  GVariant *args; /* of this job, or of the one that it goes on with */
  AzSyncRound *round;
} Run;

/* ---- arguments ---- */

static gboolean
usage(GError **error, const char *text)
{
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, text);
  return FALSE;
}

static gboolean
check_regions(AzConfig *config, GVariant *args, GError **error)
{
  const char *source = NULL, *dest = NULL;
  gboolean all = FALSE;
  g_variant_lookup(args, "source", "&s", &source);
  g_variant_lookup(args, "dest", "&s", &dest);
  g_variant_lookup(args, "all", "b", &all);
  if (dest == NULL && !all)
    return usage(error, "no target is named: give --dest REGION, or --all for every other region");
  if (dest != NULL && all)
    return usage(error, "--dest and --all exclude each other");
  if ((source != NULL && *source == 0) || (dest != NULL && *dest == 0))
    return usage(error, "a region's name cannot be empty");
  if (source != NULL && dest != NULL && g_str_equal(az_config_alias(config, source), az_config_alias(config, dest)))
    return usage(error, "source and target regions cannot be the same");
  return TRUE;
}

static gboolean
check_paths(GVariant *args, GError **error)
{
  g_autofree const char **paths = NULL;
  if (!g_variant_lookup(args, "paths", "^a&s", &paths))
    return TRUE;
  if (paths[0] == NULL)
    return usage(error, "the list of paths cannot be empty");
  for (gsize i = 0; paths[i] != NULL; i++) {
    if (!az_path_check(paths[i], error))
      return FALSE;
    for (gsize j = 0; j < i; j++)
      if (g_str_equal(paths[i], paths[j])) {
        g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "the path %s is given twice", paths[i]);
        return FALSE;
      }
  }
  return TRUE;
}

static gboolean
check_strategy(GVariant *args, GError **error)
{
  const char *strategy = NULL;
  if (!g_variant_lookup(args, "strategy", "&s", &strategy) || g_str_equal(strategy, "auto"))
    return TRUE;
  g_auto(GStrv) plugins = az_loader_list();
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  g_ptr_array_add(names, (gpointer) (guintptr) "auto");
  for (guint i = 0; plugins[i] != NULL; i++) {
    if (!g_str_has_prefix(plugins[i], "sync-"))
      continue;
    if (g_str_equal(plugins[i] + strlen("sync-"), strategy))
      return TRUE;
    g_ptr_array_add(names, plugins[i] + strlen("sync-"));
  }
  g_ptr_array_add(names, NULL);
  const char *nearest = az_nearest(strategy, (const char *const *) names->pdata);
  g_autofree char *known = g_strjoinv(", ", (char **) names->pdata);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "no sync strategy is named '%s'%s%s%s; there is: %s", strategy,
              nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "",
              known);
  return FALSE;
}

static gboolean
check_limits(GVariant *args, GError **error)
{
  guint32 number = 0;
  gboolean delete_extra = FALSE;
  g_autofree const char **exclude = NULL;
  g_variant_lookup(args, "delete", "b", &delete_extra);
  if (g_variant_lookup(args, "bwlimit", "u", &number) && number == 0)
    return usage(error, "--bwlimit must be positive, in KiB per second");
  if (g_variant_lookup(args, "max-delete", "u", &number) && !delete_extra)
    return usage(error, "--max-delete means nothing without --delete");
  if (!g_variant_lookup(args, "exclude", "^a&s", &exclude))
    return TRUE;
  for (gsize i = 0; exclude[i] != NULL; i++) {
    gboolean only_folders = FALSE;
    g_autofree char *regex = az_exclude_regex(exclude[i], &only_folders, error);
    if (regex == NULL)
      return FALSE;
  }
  return TRUE;
}

static gboolean
check_watch(GVariant *args, GError **error)
{
  guint32 interval = 0;
  gboolean watch = FALSE, dry_run = FALSE;
  g_variant_lookup(args, "watch", "b", &watch);
  g_variant_lookup(args, "dry-run", "b", &dry_run);
  if (watch && dry_run)
    return usage(error, "--watch and --dry-run exclude each other");
  if (!g_variant_lookup(args, "interval", "u", &interval))
    return TRUE;
  if (!watch)
    return usage(error, "--interval means nothing without --watch");
  return (interval >= 1 && interval <= 3600) || usage(error, "--interval is 1 to 3600 seconds");
}

/* All else comes from the sync that was interrupted. */
static gboolean
check_resume(GVariant *args, GError **error)
{
  GVariantIter iter;
  const char *name = NULL;
  g_variant_iter_init(&iter, args);
  while (g_variant_iter_next(&iter, "{&sv}", &name, NULL))
    if (!g_str_equal(name, "resume") && !g_str_equal(name, "yes")) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                  "--resume goes on with what was asked for then: it takes no --%s", name);
      return FALSE;
    }
  return TRUE;
}

static gboolean
check(AzEngine *engine, GVariant *args, GError **error)
{
  gboolean resume = FALSE;
  g_variant_lookup(args, "resume", "b", &resume);
  if (resume)
    return check_resume(args, error);
  return check_regions(az_engine_config(engine), args, error) && check_paths(args, error) && check_strategy(args, error)
         && check_limits(args, error) && check_watch(args, error);
}

/* ---- one round ---- */

static void
run_free(gpointer data)
{
  Run *run = data;
  az_sync_round_free(run->round);
  g_variant_unref(run->args);
  g_free(run);
}

static void
on_round_over(AzSyncRound *round, GError *error, gpointer data)
{
  Run *run = data;
  gboolean dry = az_sync_round_sync(round)->dry_run;
  GVariantBuilder document;
  if (error != NULL) {
    az_job_fail(run->job, error);
    return;
  }
  int code = az_sync_round_code(round);
  if (!dry)
    az_sync_round_audit(round, code);
  if (code == 0 && !dry) {
    az_sync_unfinished_clear(az_job_engine(run->job), run->args);
    AzSyncPair *first = g_ptr_array_index(az_sync_round_pairs(round), 0);
    az_job_message(run->job, "hint", NULL, "To verify: azlin ssh --region %s", first->target->region);
  }
  g_variant_builder_init(&document, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&document, "{sv}", "results", az_sync_round_result(round));
  az_job_finish(run->job, code, g_variant_builder_end(&document));
}

AzSync *
az_sync_of(AzJob *job, GVariant *args, const AzlinVm *source)
{
  g_auto(GStrv) paths = NULL;
  g_variant_lookup(args, "paths", "^as", &paths);
  AzSync *sync = az_sync_new(job, az_job_engine(job), source, (const char *const *) paths);
  g_variant_lookup(args, "all", "b", &sync->blocks);
  g_variant_lookup(args, "exclude", "^as", &sync->exclude);
  g_variant_lookup(args, "strategy", "s", &sync->strategy);
  g_variant_lookup(args, "delete", "b", &sync->delete_extra);
  g_variant_lookup(args, "dry-run", "b", &sync->dry_run);
  g_variant_lookup(args, "verify", "b", &sync->fresh);
  g_variant_lookup(args, "bwlimit", "u", &sync->bwlimit_kib);
  g_variant_lookup(args, "max-delete", "u", &sync->max_delete);
  return sync;
}

/* Of AzlinVm, borrowed from `stored`; NULL and USAGE when there is none. */
static GPtrArray *
targets_of(AzJob *job, GVariant *args, const AzStored *stored, const AzlinVm *source, GError **error)
{
  const char *dest = NULL;
  g_variant_lookup(args, "dest", "&s", &dest);
  const AzlinVm *one = dest != NULL ? az_stored_require(stored, az_job_engine(job), dest, error) : NULL;
  if (dest != NULL && one == NULL)
    return NULL;
  if (one != NULL && g_str_equal(one->region, source->region)) {
    usage(error, "source and target regions cannot be the same");
    return NULL;
  }
  g_autoptr(GPtrArray) targets = g_ptr_array_new();
  for (guint i = 0; i < stored->vms->len; i++) {
    AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    if (!g_str_equal(vm->region, source->region) && (one == NULL || vm == one))
      g_ptr_array_add(targets, vm);
  }
  if (targets->len > 0)
    return g_steal_pointer(&targets);
  usage(error, "there is no other region to sync to; create one: azlin new --region REGION");
  return NULL;
}

/* Those of the job without what belongs to this one run, or of the sync that it goes on with. */
static GVariant *
args_of(AzJob *job, GError **error)
{
  GVariantDict dict;
  if (az_job_arg_bool(job, "resume"))
    return az_sync_unfinished(az_job_engine(job), error);
  g_variant_dict_init(&dict, az_job_args(job));
  g_variant_dict_remove(&dict, "yes");
  return g_variant_ref_sink(g_variant_dict_end(&dict));
}

static void
on_stored(AzJob *job, AzlinOp *root, AzStored *owned, gpointer data)
{
  g_autoptr(AzStored) stored = owned;
  GError *error = NULL;
  const char *from = NULL;
  g_autoptr(GVariant) args = args_of(job, &error);
  if (args == NULL) {
    az_job_fail(job, error);
    return;
  }
  g_variant_lookup(args, "source", "&s", &from);
  const AzlinVm *source = az_stored_require(stored, az_job_engine(job), from, &error);
  g_autoptr(GPtrArray) targets = source != NULL ? targets_of(job, args, stored, source, &error) : NULL;
  if (targets == NULL) {
    az_job_fail(job, error);
    return;
  }
  if (az_job_arg_bool(job, "watch")) {
    az_sync_watch(job, root, source, targets);
    return;
  }
  Run *run = g_new0(Run, 1);
  *run = (Run){ .job = job, .args = g_steal_pointer(&args) };
  run->round = az_sync_round_new(job, root, az_sync_of(job, run->args, source), targets, FALSE);
  AzSync *sync = az_sync_round_sync(run->round);
  sync->expecting = !sync->dry_run;
  if (!sync->dry_run)
    az_sync_unfinished_note(az_job_engine(job), run->args);
  az_job_set_data(job, run, run_free);
  az_sync_round_run(run->round, on_round_over, run);
}

static void
run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_read(job, root, on_stored, NULL);
}

static const AzFlag flags[] = {
  { "source", 's', "s", "REGION", "copy from here (default: the primary)" },
  { "dest", 'd', "s", "REGION", "copy to here" },
  { "all", 0, "b", NULL, "copy to every other region" },
  { "paths", 'p', "as", "PATH,...", "what to copy (default: the home of the ssh user)" },
  { "strategy", 0, "s", "NAME", "rsync, another installed strategy, or auto (default): the fastest by prediction" },
  { "delete", 0, "b", NULL, "delete on the target what the source does not have" },
  { "max-delete", 0, "u", "N", "with --delete: ask when more than N files would go" },
  { "exclude", 0, "as", "PATTERN,...", "leave these out; patterns as rsync has them" },
  { "bwlimit", 0, "u", "KIB", "at most this many KiB per second" },
  { "verify", 0, "b", NULL, "read and hash every file on both sides, whatever is known of it" },
  { "dry-run", 0, "b", NULL, "show what would be copied and deleted, change nothing" },
  { "watch", 'w', "b", NULL, "go on for ever: copy what changes, and say how far the targets are behind" },
  { "interval", 0, "u", "SECONDS", "with --watch: look at the source at least this often (default: 5)" },
  { "resume", 0, "b", NULL, "go on with the last sync that was interrupted or not complete, as it was asked for" },
  { "yes", 'y', "b", NULL, "do not ask" },
  { 0 },
};

const AzFlow az_flow_sync = {
  .kind = { .kind = "sync", .help = "Copy data from one region to others, and verify it", .flags = flags },
  .check = check,
  .run = run,
  .stop = az_sync_watch_stop,
};
