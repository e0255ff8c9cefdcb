/* sync: copies the paths of a run to one target, one after the other: look, key, transfer, compare, once more, key
 * gone.
 */
#include "flow-sync-private.h"
#include "error.h"
#include <string.h>

#define MAX_CHANGED 50u /* differing entries that are named */

typedef enum { PATH_DONE, PATH_PARTIAL, PATH_FAILED } Outcome;

static void copy_next(AzSyncPair *pair);
static void transfer(AzSyncPair *pair);

/* ---- the end of a path ---- */

static void
on_closed(gpointer data)
{
  AzSyncPair *pair = data;
  pair->grant = NULL;
  az_sync_pair_next(pair);
  copy_next(pair);
}

static void
path_over(AzSyncPair *pair, Outcome outcome)
{
  pair->done_paths += outcome == PATH_DONE ? 1 : 0;
  pair->partial_paths += outcome == PATH_PARTIAL ? 1 : 0;
  if (pair->grant != NULL)
    az_sync_grant_close(pair->grant, az_op_cancelled(pair->op), on_closed, pair);
  else
    on_closed(pair);
}

static void
path_failed(AzSyncPair *pair, const GError *error)
{
  if (error != NULL && !az_op_cancelled(pair->op))
    az_sync_pair_error(pair, error);
  path_over(pair, PATH_FAILED);
}

/* What was copied stands, but it is not what the source holds, or that could not be shown. */
static void
path_partial(AzSyncPair *pair, const char *format, const char *argument)
{
  g_autofree char *text = g_strdup_printf("%s: %s %s", az_sync_pair_path(pair)->path, format, argument);
  az_sync_say(pair->sync, "fail", pair->label, "%s", text);
  g_ptr_array_add(pair->errors, g_steal_pointer(&text));
  path_over(pair, PATH_PARTIAL);
}

/* ---- comparing ---- */

static void
report_changes(AzSyncPair *pair)
{
  GPtrArray *differences = pair->check.differences;
  const char *path = az_sync_pair_path(pair)->path;
  gboolean is_file = pair->check.base != NULL;
  for (guint i = 0; i < differences->len && i < MAX_CHANGED; i++) {
    AzManifestDifference *one = g_ptr_array_index(differences, i);
    g_autofree char *name = az_manifest_show_name(one->name);
    gboolean itself = is_file || g_str_equal(one->name, ".");
    g_autofree char *text
        = g_strdup_printf("CHANGED %s%s%s: %s", path, itself ? "" : "/", itself ? "" : name, one->what);
    az_sync_say(pair->sync, "fail", pair->label, "%s", text);
    g_ptr_array_add(pair->errors, g_steal_pointer(&text));
  }
  if (differences->len > MAX_CHANGED) {
    g_autofree char *more = g_strdup_printf("CHANGED: %s%u more below %s", pair->check.capped ? "at least " : "",
                                            differences->len - MAX_CHANGED, path);
    az_sync_say(pair->sync, "fail", pair->label, "%s", more);
    g_ptr_array_add(pair->errors, g_steal_pointer(&more));
  }
}

/* The names that differ, for the second round; NULL when there are too many to name. */
static GBytes *
names_to_redo(AzSyncPair *pair)
{
  g_autoptr(GByteArray) names = g_byte_array_new();
  if (pair->check.capped)
    return NULL;
  for (guint i = 0; i < pair->check.differences->len; i++) {
    AzManifestDifference *one = g_ptr_array_index(pair->check.differences, i);
    g_byte_array_append(names, (const guint8 *) one->name, (guint) strlen(one->name) + 1);
  }
  return g_byte_array_free_to_bytes(g_steal_pointer(&names));
}

/* A plain second run would not heal: size and time may be equal where the content is not. */
static void
heal(AzSyncPair *pair)
{
  pair->healing = TRUE;
  g_clear_pointer(&pair->redo, g_bytes_unref);
  pair->redo = pair->check.differences->len > 0 ? names_to_redo(pair) : NULL;
  transfer(pair);
}

static void
on_checked(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  const GError *error = az_op_error(op);
  if (az_op_cancelled(pair->op)) {
    path_over(pair, PATH_PARTIAL);
    return;
  }
  gboolean moving = error != NULL && g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_SYNC);
  if (error != NULL && (!moving || pair->healing)) {
    g_autofree char *why = az_error_message(error);
    path_partial(pair, "could not be verified:", why);
  } else if (error == NULL && pair->check.differences->len == 0) {
    path_over(pair, PATH_DONE);
  } else if (!pair->healing) {
    heal(pair);
  } else {
    report_changes(pair);
    path_over(pair, PATH_PARTIAL);
  }
}

static void
check(AzSyncPair *pair)
{
  const AzSyncPlace *place = az_sync_pair_path(pair)->place;
  GPtrArray *differences = pair->check.differences;
  g_ptr_array_set_size(differences, 0);
  pair->check = (AzSyncCheck){ .engine = pair->sync->engine,
                               .source = pair->sync->source,
                               .target = pair->target,
                               .source_folder = place->folder,
                               .target_folder = pair->place->folder,
                               .base = place->base,
                               .exclude = (const char *const *) pair->exclude,
                               .only = pair->redo,
                               .differences = differences };
  az_sync_check(&pair->check, az_op_new(pair->op, "compare", 0, on_checked, pair));
}

/* ---- transferring ---- */

static gboolean
take_result(AzSyncPair *pair, GVariant *result)
{
  guint64 files = 0, bytes = 0, deleted = 0;
  gboolean incomplete = FALSE;
  g_autofree const char **errors = NULL;
  g_variant_lookup(result, "files_synced", "t", &files);
  g_variant_lookup(result, "bytes_transferred", "t", &bytes);
  g_variant_lookup(result, "files_deleted", "t", &deleted);
  g_variant_lookup(result, "incomplete", "b", &incomplete);
  pair->files += files;
  pair->bytes += bytes;
  pair->deleted += deleted;
  /* in the second round the comparison after it says what is still wrong, with better words */
  if (!incomplete || pair->healing || !g_variant_lookup(result, "errors", "^a&s", &errors))
    return !incomplete || pair->healing;
  for (gsize i = 0; errors[i] != NULL; i++) {
    az_sync_say(pair->sync, "fail", pair->label, "%s", errors[i]);
    g_ptr_array_add(pair->errors, g_strdup(errors[i]));
  }
  return FALSE;
}

static void
say_how_to_connect(AzSyncPair *pair)
{
  az_sync_say(pair->sync, "hint", pair->label, "Let %s reach port %u of %s (%s), then run the sync again",
              pair->sync->source->region, pair->target->ssh_port, pair->target->public_ip, pair->target->region);
}

static void
on_transferred(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  if (g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_SSH))
    say_how_to_connect(pair);
  if (az_op_error(op) != NULL || az_op_variant(op) == NULL)
    path_failed(pair, az_op_error(op));
  else if (!take_result(pair, az_op_variant(op)))
    path_over(pair, PATH_PARTIAL);
  else
    check(pair);
}

static void
transfer(AzSyncPair *pair)
{
  AzSync *sync = pair->sync;
  AzlinSyncJob job = az_sync_pair_job(pair);
  job.only = pair->redo;
  job.checksum = pair->healing;
  job.delete_extra = job.delete_extra && !pair->healing;
  sync->brick->transfer(sync->brick_self, &job,
                        az_op_expect(az_op_new(pair->op, pair->target->region, 0, on_transferred, pair), "a{sv}"));
}

static void
on_granted(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  if (az_op_error(op) != NULL || az_op_variant(op) == NULL) {
    path_failed(pair, az_op_error(op));
    return;
  }
  pair->grant_facts = g_variant_ref(az_op_variant(op));
  transfer(pair);
}

static void
on_looked(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  AzSyncPath *path = az_sync_pair_path(pair);
  g_autoptr(GError) error = NULL;
  if (az_op_error(op) != NULL || !az_sync_pair_accept(pair, &error)) {
    path_failed(pair, az_op_error(op) != NULL ? az_op_error(op) : error);
    return;
  }
  if (!az_sync_fits(path->place->bytes, pair->place->bytes, pair->place->free_bytes)) {
    g_autofree char *needed = az_sync_size(path->place->bytes), *there = az_sync_size(pair->place->free_bytes);
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_STORAGE, "%s needs %s, but %s has only %s left", path->path, needed,
                        pair->target->region, there);
    path_failed(pair, error);
    return;
  }
  pair->grant = az_sync_grant_open(pair->sync, pair->target, pair->place->folder,
                                   az_op_new(pair->op, "grant", 0, on_granted, pair));
}

/* ---- the paths ---- */

static void
copy_next(AzSyncPair *pair)
{
  AzSync *sync = pair->sync;
  if (az_op_cancelled(pair->op) || pair->next >= sync->paths->len) {
    pair->seconds = az_flow_seconds_since(sync->engine, pair->started);
    az_op_finish(pair->op);
    az_sync_pair_unref(pair);
    return;
  }
  AzSyncPath *path = az_sync_pair_path(pair);
  if (path->error != NULL)
    path_failed(pair, path->error);
  else if (pair->deletions != NULL && !pair->deletions[pair->next].known)
    path_over(pair, PATH_FAILED); /* its plan failed, and said so */
  else
    az_sync_pair_look(pair, TRUE, on_looked);
}

void
az_sync_copy(AzSyncPair *pair, AzlinOp *op)
{
  g_rc_box_acquire(pair);
  pair->op = op;
  pair->next = 0;
  pair->started = az_clock_monotonic(az_engine_clock(pair->sync->engine));
  copy_next(pair);
}
