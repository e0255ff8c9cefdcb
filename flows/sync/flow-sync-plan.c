/* sync: the plan of one target, from the listings: what --dry-run shows, and what --delete would take away. */
#include "error.h"
#include "flow-sync-private.h"

#define MAX_ITEMS 10000u /* lines of a dry run that are kept; all are counted */

static void plan_next(AzSyncPair *pair);

static void
path_over(AzSyncPair *pair, const GError *error)
{
  if (error != NULL && !az_op_cancelled(pair->op))
    az_sync_pair_error(pair, error);
  az_sync_pair_next(pair);
  plan_next(pair);
}

static void
take_plan(AzSyncPair *pair)
{
  const AzComparison *comparison = pair->comparison;
  gboolean deletes = pair->deletions != NULL;
  if (deletes)
    pair->deletions[pair->next]
        = (AzSyncDeletion){ .known = TRUE, .files = comparison->extra_files, .target_files = comparison->target_files };
  if (!pair->sync->dry_run)
    return;
  guint room = MAX_ITEMS - MIN(MAX_ITEMS, pair->items->len);
  g_autoptr(GPtrArray) items
      = az_compare_items(comparison, az_sync_pair_source(pair), pair->scan.listing, deletes, G_MAXUINT);
  pair->n_items += items->len;
  for (guint i = 0; i < items->len && i < room; i++)
    g_ptr_array_add(pair->items, g_strdup(g_ptr_array_index(items, i)));
}

static void
on_scanned(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  g_autoptr(GError) error = NULL;
  if (az_op_error(op) != NULL || !az_sync_pair_accept(pair, &error)) {
    path_over(pair, az_op_error(op) != NULL ? az_op_error(op) : error);
    return;
  }
  /* a plan that could not see everything must not decide on deletions */
  const char *words
      = az_sync_pair_path(pair)->scan.words != NULL ? az_sync_pair_path(pair)->scan.words : pair->scan.words;
  if (words != NULL && pair->deletions != NULL)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_PARTIAL, "%s: not all of it can be listed: %s",
                        az_sync_pair_path(pair)->path, words);
  az_sync_pair_compare(pair);
  if (error == NULL)
    take_plan(pair);
  path_over(pair, error);
}

static void
plan_next(AzSyncPair *pair)
{
  if (az_op_cancelled(pair->op) || pair->next >= pair->sync->paths->len) {
    pair->next = 0;
    pair->moved = 0;
    az_op_finish(pair->op);
    az_sync_pair_unref(pair);
    return;
  }
  AzSyncPath *path = az_sync_pair_path(pair);
  if (path->error != NULL)
    path_over(pair, path->error);
  else
    az_sync_pair_scan(pair, FALSE, on_scanned);
}

void
az_sync_plan(AzSyncPair *pair, AzlinOp *op)
{
  g_rc_box_acquire(pair);
  pair->op = op;
  pair->next = 0;
  plan_next(pair);
}
