/* sync: the plan of one target, by dry runs: what --dry-run shows, and what --delete would take away. */
#include "flow-sync-private.h"
#include "error.h"

static void plan_next(AzSyncPair *pair);

static void
on_closed(gpointer data)
{
  AzSyncPair *pair = data;
  pair->grant = NULL;
  az_sync_pair_next(pair);
  plan_next(pair);
}

/* Ends the path in work, with or without an error, and takes its key back first. */
static void
path_over(AzSyncPair *pair, const GError *error)
{
  if (error != NULL && !az_op_cancelled(pair->op))
    az_sync_pair_error(pair, error);
  if (pair->grant != NULL)
    az_sync_grant_close(pair->grant, az_op_cancelled(pair->op), on_closed, pair);
  else
    on_closed(pair);
}

static void
take_plan(AzSyncPair *pair, GVariant *result)
{
  guint64 entries = 0, files = 0, n_items = 0;
  g_autofree const char **items = NULL;
  g_variant_lookup(result, "n_deletes", "t", &entries);
  g_variant_lookup(result, "n_deleted_files", "t", &files);
  g_variant_lookup(result, "n_items", "t", &n_items);
  if (pair->deletions != NULL)
    pair->deletions[pair->next]
        = (AzSyncDeletion){ .known = TRUE, .entries = entries, .files = files, .target_files = pair->place->files };
  pair->n_items += n_items;
  if (!g_variant_lookup(result, "items", "^a&s", &items))
    return;
  for (gsize i = 0; items[i] != NULL; i++)
    g_ptr_array_add(pair->items, g_strdup(items[i]));
}

static void
on_planned(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  gboolean incomplete = FALSE;
  g_autofree const char **errors = NULL;
  g_autoptr(GError) error = NULL;
  GVariant *result = az_op_variant(op);
  if (az_op_error(op) != NULL || result == NULL) {
    path_over(pair, az_op_error(op));
    return;
  }
  g_variant_lookup(result, "incomplete", "b", &incomplete);
  g_variant_lookup(result, "errors", "^a&s", &errors);
  /* a plan that could not see everything must not decide on deletions */
  if (incomplete)
    error = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_PARTIAL,
                                errors != NULL && errors[0] != NULL ? errors[0] : "the plan is incomplete");
  else
    take_plan(pair, result);
  path_over(pair, error);
}

static void
dry_run(AzSyncPair *pair)
{
  AzSync *sync = pair->sync;
  AzlinSyncJob job = az_sync_pair_job(pair);
  job.dry_run = TRUE;
  job.delete_extra = sync->delete_extra && job.grant != NULL;
  job.max_delete = 0;
  sync->brick->transfer(sync->brick_self, &job,
                        az_op_expect(az_op_new(pair->op, pair->target->region, 0, on_planned, pair), "a{sv}"));
}

static void
on_granted(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  if (az_op_error(op) != NULL || az_op_variant(op) == NULL) {
    path_over(pair, az_op_error(op));
    return;
  }
  pair->grant_facts = g_variant_ref(az_op_variant(op));
  dry_run(pair);
}

static void
on_looked(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  g_autoptr(GError) error = NULL;
  if (az_op_error(op) != NULL || !az_sync_pair_accept(pair, &error)) {
    path_over(pair, az_op_error(op) != NULL ? az_op_error(op) : error);
    return;
  }
  if (pair->place->kind == '-') { /* nothing there: no key is needed, and nothing may be made for a look */
    dry_run(pair);
    return;
  }
  pair->grant = az_sync_grant_open(pair->sync, pair->target, pair->place->folder,
                                   az_op_new(pair->op, "grant", 0, on_granted, pair));
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
    az_sync_pair_look(pair, FALSE, on_looked);
}

void
az_sync_plan(AzSyncPair *pair, AzlinOp *op)
{
  g_rc_box_acquire(pair);
  pair->op = op;
  pair->next = 0;
  plan_next(pair);
}
