/* The sync flow: paths of one machine to one or all of the others, verified; sums up what every target got. */
#include "flow-sync-private.h"
#include "error.h"
#include "exclude.h"
#include "loader.h"
#include "regions.h"
#include <string.h>

#define MAX_PARALLEL 8u

typedef struct {
  AzJob *job;
  AzlinOp *root;
  AzSync *sync;
  GPtrArray *pairs; /* of AzSyncPair */
  guint next, running;
  gboolean copying; /* FALSE: planning */
  guint preparing;
  GError *fenced; /* why nothing may be copied at all */
} Run;

static void start_pairs(Run *run);

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
check(AzEngine *engine, GVariant *args, GError **error)
{
  return check_regions(az_engine_config(engine), args, error) && check_paths(args, error) && check_strategy(args, error)
         && check_limits(args, error);
}

/* ---- the end ---- */

static void
audit(Run *run, int code)
{
  GVariantDict facts;
  guint64 files = 0, deleted = 0;
  g_auto(GVariantBuilder) verified = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < run->pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(run->pairs, i);
    files += pair->files;
    deleted += pair->deleted;
    if (pair->errors->len == 0 && pair->done_paths == run->sync->paths->len)
      g_variant_builder_add(&verified, "s", pair->target->region);
  }
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "source", "s", run->sync->source->region);
  g_variant_dict_insert(&facts, "targets", "u", run->pairs->len);
  g_variant_dict_insert_value(&facts, "verified_targets", g_variant_builder_end(&verified));
  g_variant_dict_insert(&facts, "files_synced", "t", files);
  g_variant_dict_insert(&facts, "files_deleted", "t", deleted);
  g_variant_dict_insert(&facts, "outcome", "s", code == 0 ? "done" : code == 1 ? "partial" : "failed");
  az_flow_audit(run->job, "sync", g_variant_dict_end(&facts));
}

static void
finish(Run *run)
{
  guint done = 0, partial = 0, paths = run->sync->paths->len * run->pairs->len;
  GVariantBuilder results, document;
  g_variant_builder_init(&results, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < run->pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(run->pairs, i);
    done += pair->done_paths;
    partial += pair->partial_paths;
    g_variant_builder_add_value(&results, az_sync_pair_result(pair));
  }
  int code = az_sync_exit_code(done, partial, paths - done - partial);
  if (!run->sync->dry_run)
    audit(run, code);
  if (code == 0 && !run->sync->dry_run) {
    AzSyncPair *first = g_ptr_array_index(run->pairs, 0);
    az_job_message(run->job, "hint", NULL, "To verify: azlin ssh --region %s", first->target->region);
  }
  g_variant_builder_init(&document, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&document, "{sv}", "results", g_variant_builder_end(&results));
  az_job_finish(run->job, code, g_variant_builder_end(&document));
}

/* ---- targets, a few at a time ---- */

static void
region_status(Run *run, AzSyncPair *pair, const char *status)
{
  GVariantDict facts;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "status", "s", status);
  az_job_region(run->job, pair->target->region, g_variant_dict_end(&facts));
}

/* A dry run has no copy: what was planned counts as done. */
static void
count_plan(AzSyncPair *pair)
{
  pair->seconds = az_flow_seconds_since(pair->sync->engine, pair->started);
  pair->done_paths = pair->errors->len == 0 ? pair->sync->paths->len : 0;
  pair->partial_paths = pair->errors->len > 0 && pair->errors->len < pair->sync->paths->len ? 1 : 0;
}

static void
pair_over(Run *run, AzSyncPair *pair)
{
  gboolean dry = run->sync->dry_run;
  if (dry)
    count_plan(pair);
  if (!dry && !run->copying)
    return;
  az_sync_pair_summary(pair);
  region_status(run, pair, pair->errors->len == 0 ? "success" : "failed");
}

static void
on_answered(AzJob *job, gboolean yes, gpointer data)
{
  Run *run = data;
  if (!yes) {
    az_job_fail(job, g_error_new(AZLIN_ERROR, AZLIN_ERROR_DECLINED, "nothing was copied and nothing was deleted"));
    return;
  }
  run->copying = TRUE;
  run->next = 0;
  start_pairs(run);
}

static char *
question(Run *run)
{
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < run->pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(run->pairs, i);
    for (guint j = 0; pair->deletions != NULL && j < run->sync->paths->len; j++) {
      const AzSyncDeletion *deletion = &pair->deletions[j];
      if (!az_sync_needs_answer(deletion->files, deletion->target_files, run->sync->max_delete))
        continue;
      g_string_append_printf(text, "%s%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " files below %s on %s",
                             text->len > 0 ? ", " : "--delete would remove ", deletion->files, deletion->target_files,
                             ((AzSyncPath *) g_ptr_array_index(run->sync->paths, j))->path, pair->target->region);
    }
  }
  if (text->len == 0)
    return NULL;
  g_string_append(text, ". Go on?");
  return g_strdup(text->str);
}

static void
all_over(Run *run)
{
  if (run->copying || run->sync->dry_run) {
    finish(run);
    return;
  }
  g_autofree char *text = question(run);
  if (text != NULL)
    az_job_ask(run->job, text, on_answered, run);
  else
    on_answered(run->job, TRUE, run);
}

typedef struct {
  Run *run;
  AzSyncPair *pair;
} Turn;

static void
on_turn_over(AzlinOp *op, gpointer data)
{
  g_autofree Turn *turn = data;
  Run *run = turn->run;
  if (az_op_cancelled(run->root))
    return;
  if (az_op_error(op) != NULL)
    az_sync_pair_error(turn->pair, az_op_error(op));
  pair_over(run, turn->pair);
  run->running--;
  start_pairs(run);
}

static void
start_pairs(Run *run)
{
  while (run->running < MAX_PARALLEL && run->next < run->pairs->len) {
    Turn *turn = g_new(Turn, 1);
    *turn = (Turn){ .run = run, .pair = g_ptr_array_index(run->pairs, run->next++) };
    run->running++;
    AzlinOp *op = az_op_new(run->root, turn->pair->target->region, 0, on_turn_over, turn);
    if (run->copying) {
      region_status(run, turn->pair, "in_progress");
      az_sync_copy_guarded(turn->pair, op);
    } else if (turn->pair->refused != NULL) {
      az_op_fail(op, g_error_copy(turn->pair->refused));
    } else {
      az_sync_plan(turn->pair, op);
    }
  }
  if (run->running == 0 && run->next >= run->pairs->len)
    all_over(run);
}

static void
on_progress(AzlinOp *op, guint64 done, guint64 total, const char *text, gpointer data)
{
  Run *run = data;
  for (guint i = 0; i < run->pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(run->pairs, i);
    if (g_str_equal(az_op_label(op), pair->target->region))
      az_sync_progress(pair, done);
  }
  az_sync_progress_all(run->job, run->pairs, text);
}

/* ---- the beginning ---- */

/* Both the survey and the guard are through. */
static void
prepared(Run *run)
{
  AzSync *sync = run->sync;
  if (--run->preparing > 0 || az_op_cancelled(run->root))
    return;
  if (run->fenced != NULL) {
    az_job_fail(run->job, g_steal_pointer(&run->fenced));
    return;
  }
  g_autofree char *size = az_sync_size(sync->bytes);
  az_job_message(run->job, "ok", NULL, "Total: %" G_GUINT64_FORMAT " files, %s", sync->files, size);
  if (sync->dry_run)
    az_job_message(run->job, "step", NULL, "Comparing, nothing will be changed...");
  run->copying = !sync->dry_run && !sync->delete_extra;
  start_pairs(run);
}

static void
on_surveyed(AzlinOp *op, gpointer data)
{
  prepared(data);
}

static void
on_guarded(AzlinOp *op, gpointer data)
{
  Run *run = data;
  if (az_op_error(op) != NULL)
    run->fenced = g_error_copy(az_op_error(op));
  prepared(run);
}

/* A look changes nothing: epochs are read, and both ends looked at, in the same round trip. */
static void
prepare(Run *run)
{
  az_job_message(run->job, "step", NULL, "Estimating transfer size...");
  run->preparing = 2;
  az_sync_guard(run->sync, run->pairs, az_op_new(run->root, "epochs", 0, on_guarded, run));
  az_sync_survey(run->sync, az_op_new(run->root, "estimate", 0, on_surveyed, run));
  for (guint i = 0; i < run->pairs->len && i < MAX_PARALLEL; i++)
    az_sync_pair_scan_ahead(g_ptr_array_index(run->pairs, i), run->root);
}

static void
run_free(gpointer data)
{
  Run *run = data;
  g_ptr_array_unref(run->pairs);
  g_clear_error(&run->fenced);
  az_sync_unref(run->sync);
  g_free(run);
}

static AzSync *
sync_of(AzJob *job, const AzlinVm *source)
{
  g_auto(GStrv) paths = az_job_arg_strv(job, "paths");
  AzSync *sync = az_sync_new(job, az_job_engine(job), source, (const char *const *) paths);
  sync->exclude = az_job_arg_strv(job, "exclude");
  sync->strategy = g_strdup(az_job_arg_string(job, "strategy"));
  sync->delete_extra = az_job_arg_bool(job, "delete");
  sync->dry_run = az_job_arg_bool(job, "dry-run");
  sync->fresh = az_job_arg_bool(job, "verify");
  sync->bwlimit_kib = az_job_arg_uint(job, "bwlimit", 0);
  sync->max_delete = az_job_arg_uint(job, "max-delete", G_MAXUINT32);
  return sync;
}

static gboolean
add_targets(Run *run, const AzStored *stored, GError **error)
{
  const char *dest = az_job_arg_string(run->job, "dest");
  const AzlinVm *source = run->sync->source;
  const AzlinVm *one = dest != NULL ? az_stored_require(stored, az_job_engine(run->job), dest, error) : NULL;
  if (dest != NULL && one == NULL)
    return FALSE;
  if (one != NULL && g_str_equal(one->region, source->region))
    return usage(error, "source and target regions cannot be the same");
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    if (g_str_equal(vm->region, source->region) || (one != NULL && vm != one))
      continue;
    g_ptr_array_add(run->pairs, az_sync_pair_new(run->sync, vm, one != NULL ? NULL : vm->region));
  }
  return run->pairs->len > 0
         || usage(error, "there is no other region to sync to; create one: azlin new --region REGION");
}

static void
on_stored(AzJob *job, AzlinOp *root, AzStored *owned, gpointer data)
{
  g_autoptr(AzStored) stored = owned;
  GError *error = NULL;
  const AzOpSink sink = { .progress = on_progress };
  const AzlinVm *source = az_stored_require(stored, az_job_engine(job), az_job_arg_string(job, "source"), &error);
  if (source == NULL) {
    az_job_fail(job, error);
    return;
  }
  Run *run = g_new0(Run, 1);
  *run = (Run){ .job = job, .root = root, .sync = sync_of(job, source) };
  run->pairs = g_ptr_array_new_with_free_func((GDestroyNotify) az_sync_pair_unref);
  az_job_set_data(job, run, run_free);
  if (!add_targets(run, stored, &error)) {
    az_job_fail(job, error);
    return;
  }
  AzOpSink with_data = sink;
  with_data.data = run;
  az_job_set_sink(job, &with_data);
  run->sync->n_targets = run->pairs->len;
  run->sync->pairs = run->pairs;
  prepare(run);
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
  { "yes", 'y', "b", NULL, "do not ask" },
  { 0 },
};

const AzFlow az_flow_sync = {
  .kind = { .kind = "sync", .help = "Copy data from one region to others, and verify it", .flags = flags },
  .check = check,
  .run = run,
};
