/* sync verify: does a target still hold what it held when it was verified? Hashes it again and changes nothing. */
#include "error.h"
#include "flow-sync-private.h"
#include "regions.h"
#include <string.h>

#define MAX_CHANGED 50u

typedef struct {
  AzJob *job;
  AzlinOp *root;
  AzEngine *engine;
  GPtrArray *checks; /* of Recheck */
  guint pending;
} Run;

typedef struct { /* one path of one target */
  Run *run;
  AzlinVm *target;
  char *path, *folder;
  AzSyncManifest *manifest;
  AzScan scan;
  guint64 files;
  GPtrArray *errors; /* of char* */
  gboolean checked;  /* the target was asked and has answered */
} Recheck;

static void
recheck_free(gpointer data)
{
  Recheck *recheck = data;
  az_vm_free(recheck->target);
  g_free(recheck->path);
  g_free(recheck->folder);
  g_clear_pointer(&recheck->manifest, az_sync_manifest_free);
  az_scan_clear(&recheck->scan);
  g_ptr_array_unref(recheck->errors);
  g_free(recheck);
}

static void
run_free(gpointer data)
{
  Run *run = data;
  g_ptr_array_unref(run->checks);
  g_free(run);
}

static void
note(Recheck *recheck, char *text)
{
  az_job_message(recheck->run->job, "fail", recheck->target->region, "%s", text);
  g_ptr_array_add(recheck->errors, text);
}

/* ---- the end ---- */

static GVariant *
result_of(Recheck *recheck)
{
  GVariantDict result;
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "target_region", "s", recheck->target->region);
  g_variant_dict_insert(&result, "path", "s", recheck->path);
  if (recheck->manifest != NULL) {
    g_variant_dict_insert(&result, "source_region", "s", recheck->manifest->source);
    g_autofree char *at = az_time_to_string(recheck->manifest->at);
    g_variant_dict_insert(&result, "synced_at", "s", at);
  }
  g_variant_dict_insert(&result, "files_checked", "t", recheck->files);
  g_variant_dict_insert(&result, "verified", "b", recheck->checked && recheck->errors->len == 0);
  g_variant_dict_insert_value(&result, "errors",
                              g_variant_new_strv((const char *const *) recheck->errors->pdata, recheck->errors->len));
  return g_variant_dict_end(&result);
}

static void
finish(Run *run)
{
  GVariantBuilder results;
  GVariantDict document;
  guint good = 0, asked = 0;
  g_variant_builder_init(&results, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < run->checks->len; i++) {
    Recheck *recheck = g_ptr_array_index(run->checks, i);
    good += recheck->checked && recheck->errors->len == 0 ? 1 : 0;
    asked += recheck->checked ? 1 : 0;
    g_variant_builder_add_value(&results, result_of(recheck));
  }
  g_variant_dict_init(&document, NULL);
  g_variant_dict_insert_value(&document, "results", g_variant_builder_end(&results));
  gboolean all = good == run->checks->len;
  az_job_message(run->job, all ? "done" : "failed", NULL, "%u of %u verified", good, run->checks->len);
  az_job_finish(run->job, all ? 0 : asked > 0 ? 1 : 2, g_variant_dict_end(&document));
}

static void
check_over(Recheck *recheck)
{
  Run *run = recheck->run;
  if (--run->pending == 0 && !az_op_cancelled(run->root))
    finish(run);
}

/* ---- comparing ---- */

static void
compare(Recheck *recheck)
{
  AzListing *kept = recheck->manifest->listing, *now = recheck->scan.listing;
  guint named = 0, more = 0;
  for (guint i = 0; i < az_listing_size(kept); i++) {
    const AzEntry *entry = az_listing_at(kept, i), *there = az_listing_find(now, entry->name);
    g_autofree char *what = there == NULL ? g_strdup("is gone") : az_compare_words(entry, there);
    recheck->files += entry->type != 'd' ? 1 : 0;
    if (what == NULL)
      continue;
    more += named >= MAX_CHANGED ? 1 : 0;
    if (named++ >= MAX_CHANGED)
      continue;
    g_autofree char *name = az_listing_show_name(entry->name);
    note(recheck, g_strdup_printf("CHANGED %s/%s: %s", recheck->path, name, what));
  }
  if (more > 0)
    note(recheck, g_strdup_printf("CHANGED: %u more below %s", more, recheck->path));
}

static void
on_scanned(AzlinOp *op, gpointer data)
{
  Recheck *recheck = data;
  if (az_op_error(op) != NULL) {
    if (!az_op_cancelled(recheck->run->root))
      note(recheck, az_error_message(az_op_error(op)));
  } else {
    recheck->checked = TRUE;
    if (recheck->scan.listing == NULL)
      note(recheck, g_strdup_printf("CHANGED %s: is gone", recheck->path));
    else
      compare(recheck);
    if (recheck->errors->len == 0)
      az_job_message(recheck->run->job, "ok", recheck->target->region,
                     "%s: %" G_GUINT64_FORMAT " files are as they were synced", recheck->path, recheck->files);
  }
  check_over(recheck);
}

static void
start(Recheck *recheck)
{
  AzSyncManifest *manifest = recheck->manifest;
  gboolean is_file = manifest->base[0] != 0;
  recheck->folder = is_file ? g_path_get_dirname(recheck->path) : g_strdup(recheck->path);
  recheck->scan = (AzScan){ .engine = recheck->run->engine,
                            .vm = recheck->target,
                            .path = recheck->folder,
                            .base = is_file ? manifest->base : NULL,
                            .exclude = (const char *const *) manifest->exclude,
                            .hash = AZ_SCAN_HASH_ALL,
                            .fresh = TRUE };
  az_scan(&recheck->scan, az_op_new(recheck->run->root, recheck->target->region, 0, on_scanned, recheck));
}

/* ---- the beginning ---- */

static void
add_check(Run *run, const AzlinVm *target, const char *path)
{
  Recheck *recheck = g_new0(Recheck, 1);
  g_autoptr(GError) error = NULL;
  *recheck = (Recheck){ .run = run, .target = az_vm_dup(target), .path = g_strdup(path) };
  recheck->errors = g_ptr_array_new_with_free_func(g_free);
  recheck->manifest = az_sync_manifest_read(run->engine, target->region, path, &error);
  g_ptr_array_add(run->checks, recheck);
  if (recheck->manifest == NULL)
    note(recheck, az_error_message(error));
}

static void
add_target(Run *run, const AzlinVm *target, char **paths)
{
  g_autoptr(GPtrArray) known = NULL;
  for (guint i = 0; paths != NULL && paths[i] != NULL; i++)
    add_check(run, target, paths[i]);
  if (paths != NULL && paths[0] != NULL)
    return;
  known = az_sync_manifest_paths(run->engine, target->region);
  for (guint i = 0; i < known->len; i++)
    add_check(run, target, g_ptr_array_index(known, i));
}

static void
on_stored(AzJob *job, AzlinOp *root, AzStored *owned, gpointer data)
{
  g_autoptr(AzStored) stored = owned;
  g_auto(GStrv) paths = az_job_arg_strv(job, "paths");
  const char *dest = az_job_arg_string(job, "dest");
  GError *error = NULL;
  const AzlinVm *one = dest != NULL ? az_stored_require(stored, az_job_engine(job), dest, &error) : NULL;
  if (error != NULL) {
    az_job_fail(job, error);
    return;
  }
  Run *run = g_new0(Run, 1);
  *run = (Run){ .job = job, .root = root, .engine = az_job_engine(job) };
  run->checks = g_ptr_array_new_with_free_func(recheck_free);
  az_job_set_data(job, run, run_free);
  for (guint i = 0; i < stored->vms->len; i++)
    if (one == NULL || one == g_ptr_array_index(stored->vms, i))
      add_target(run, g_ptr_array_index(stored->vms, i), paths);
  if (run->checks->len == 0) {
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "no verified sync is on record");
    az_error_add_step(error, "Sync first: azlin sync --all");
    az_job_fail(job, error);
    return;
  }
  run->pending = 1;
  for (guint i = 0; i < run->checks->len; i++) {
    Recheck *recheck = g_ptr_array_index(run->checks, i);
    run->pending += recheck->manifest != NULL ? 1 : 0;
    if (recheck->manifest != NULL)
      start(recheck);
  }
  if (--run->pending == 0)
    finish(run);
}

static gboolean
check(AzEngine *engine, GVariant *args, GError **error)
{
  g_autofree const char **paths = NULL;
  if (g_variant_lookup(args, "paths", "^a&s", &paths))
    for (gsize i = 0; paths[i] != NULL; i++)
      if (!az_path_check(paths[i], error))
        return FALSE;
  return TRUE;
}

static void
run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_stored_read(job, root, on_stored, NULL);
}

static const AzFlag flags[] = {
  { "dest", 'd', "s", "REGION", "only this target (default: every one that was synced)" },
  { "paths", 'p', "as", "PATH,...", "only these (default: every path that was synced)" },
  { 0 },
};

const AzFlow az_flow_sync_verify = {
  .kind = { .kind = "sync-verify", .help = "Hash what was synced again, and compare with what it was", .flags = flags },
  .check = check,
  .run = run,
};
