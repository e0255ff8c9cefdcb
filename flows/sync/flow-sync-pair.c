/* sync: one target of a run; what its plan and its copy share, and the rules that need no machine. */
#include "flow-sync-private.h"
#include "error.h"
#include <string.h>

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
  pair->words = g_ptr_array_new_with_free_func(g_free);
  pair->grants = g_ptr_array_new();
  pair->predicted = pair->took = pair->rtt_between_ms = -1;
  if (sync->delete_extra)
    pair->deletions = g_new0(AzSyncDeletion, sync->paths->len);
  return pair;
}

static void
forget_path(AzSyncPair *pair)
{
  g_clear_pointer(&pair->comparison, az_comparison_free);
  az_scan_clear(&pair->scan);
  az_scan_clear(&pair->again);
  az_scan_clear(&pair->sums);
  g_clear_pointer(&pair->sum_names, g_bytes_unref);
  g_clear_pointer(&pair->left_out, g_strfreev);
  g_clear_pointer(&pair->run, g_free);
  g_clear_pointer(&pair->target_folder, g_free);
  g_clear_pointer(&pair->grant_facts, g_variant_unref);
  g_clear_pointer(&pair->only, g_bytes_unref);
  g_clear_pointer(&pair->found, az_listing_unref);
  g_clear_pointer(&pair->vanished, g_hash_table_unref);
  g_clear_pointer(&pair->failed, g_free);
  g_ptr_array_set_size(pair->words, 0);
  pair->round = 0;
  pair->incomplete = pair->over = pair->unsure = FALSE;
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
  g_free(pair->strategy);
  g_ptr_array_unref(pair->errors);
  g_ptr_array_unref(pair->items);
  g_ptr_array_unref(pair->words);
  g_ptr_array_unref(pair->grants);
  g_clear_pointer(&pair->scores, g_variant_unref);
  g_clear_error(&pair->refused);
  az_scan_clear(&pair->ahead_scan);
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
  pair->moved += pair->moving;
  forget_path(pair);
  pair->next++;
}

void
az_sync_pair_note(AzSyncPair *pair, char *text)
{
  az_sync_say(pair->sync, "fail", pair->label, "%s", text);
  g_ptr_array_add(pair->errors, text);
}

void
az_sync_pair_error(AzSyncPair *pair, const GError *error)
{
  az_sync_pair_note(pair, az_error_message(error));
}

/* ---- scanning the target ---- */

static AzScan
scan_of(AzSyncPair *pair, const char *path, const char *base)
{
  AzSync *sync = pair->sync;
  return (AzScan){ .engine = sync->engine,
                   .vm = pair->target,
                   .path = path,
                   .base = base,
                   .exclude = (const char *const *) sync->exclude,
                   .hash = sync->fresh ? AZ_SCAN_HASH_ALL : AZ_SCAN_LIST,
                   .fresh = sync->fresh };
}

static void
take_ahead(AzSyncPair *pair)
{
  az_scan_clear(&pair->scan);
  pair->scan = pair->ahead_scan;
  pair->ahead_scan = (AzScan){ 0 };
}

static void
on_ahead(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  AzlinDone done = g_steal_pointer(&pair->ahead_done);
  pair->ahead = NULL;
  if (az_op_error(op) != NULL) /* half a look is none */
    az_scan_clear(&pair->ahead_scan);
  if (done != NULL) {
    take_ahead(pair);
    done(op, pair);
  }
  az_sync_pair_unref(pair);
}

void
az_sync_pair_scan_ahead(AzSyncPair *pair, AzlinOp *parent)
{
  AzSyncPath *path = g_ptr_array_index(pair->sync->paths, 0);
  pair->ahead_scan = scan_of(pair, path->path, NULL);
  g_rc_box_acquire(pair);
  pair->ahead = az_op_new(parent, "look at the target", 0, on_ahead, pair);
  az_scan(&pair->ahead_scan, pair->ahead);
  if (pair->sync->expecting)
    az_remote_warm(az_engine_remote(pair->sync->engine), pair->target);
}

/* The look ahead took the path for a folder: it serves when it is one, and only once. */
static gboolean
use_ahead(AzSyncPair *pair, AzlinDone done)
{
  if (pair->next != 0 || az_sync_pair_path(pair)->scan.place->base != NULL)
    return FALSE;
  if (pair->ahead != NULL) {
    pair->ahead_done = done;
    return TRUE;
  }
  if (pair->ahead_scan.place == NULL)
    return FALSE;
  take_ahead(pair);
  az_op_finish(az_op_new(pair->op, "look at the target", 0, done, pair));
  return TRUE;
}

void
az_sync_pair_scan(AzSyncPair *pair, gboolean make, AzlinDone done)
{
  AzSyncPath *path = az_sync_pair_path(pair);
  const char *base = path->scan.place->base;
  if (!make && use_ahead(pair, done))
    return;
  g_free(pair->target_folder);
  pair->target_folder = base != NULL ? g_path_get_dirname(path->path) : g_strdup(path->path);
  az_scan_clear(&pair->scan);
  pair->scan = scan_of(pair, pair->target_folder, base);
  pair->scan.make = make;
  az_scan(&pair->scan, az_op_new(pair->op, "look at the target", 0, done, pair));
}

void
az_sync_pair_scan_again(AzSyncPair *pair, AzScanHash hash, GBytes *names, GBytes *expected, const char *arrived,
                        AzlinOp *op)
{
  g_clear_pointer(&pair->comparison, az_comparison_free);
  pair->scan.hash = hash;
  pair->scan.names = names;
  pair->scan.expected = expected;
  pair->scan.arrived = arrived;
  pair->scan.fresh = pair->scan.make = FALSE;
  az_scan(&pair->scan, op);
}

gboolean
az_sync_pair_accept(AzSyncPair *pair, GError **error)
{
  AzSyncPath *path = az_sync_pair_path(pair);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  if (pair->scan.place->kind != 'd' && pair->scan.place->kind != '-') {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_EXISTS, "%s is no folder on %s", path->path, pair->target->region);
    return FALSE;
  }
  if (!az_sync_protect(path->scan.place, names, error) || !az_sync_protect(pair->scan.place, names, error))
    return FALSE;
  g_ptr_array_add(names, NULL);
  g_clear_pointer(&pair->left_out, g_strfreev);
  pair->left_out = (char **) g_ptr_array_free(g_steal_pointer(&names), FALSE);
  return TRUE;
}

AzListing *
az_sync_pair_source(AzSyncPair *pair)
{
  return pair->again.listing != NULL ? pair->again.listing : az_sync_pair_path(pair)->scan.listing;
}

static AzComparison *
compare(AzSyncPair *pair, gboolean links)
{
  return az_compare(az_sync_pair_source(pair), pair->scan.listing, (const char *const *) pair->left_out, links);
}

/* Not every target can hold hard links: once copied, files that are not one there are no reason to copy again. But what
 * is copied again goes with all its names, since a transfer that broke off may have placed some of them. */
void
az_sync_pair_compare(AzSyncPair *pair)
{
  if (pair->scan.listing == NULL) /* nothing is there */
    pair->scan.listing = az_listing_new(g_byte_array_new(), NULL);
  g_clear_pointer(&pair->comparison, az_comparison_free);
  pair->comparison = compare(pair, pair->round == 0);
  if (pair->round > 0 && pair->comparison->copy->len > 0) {
    az_comparison_free(pair->comparison);
    pair->comparison = compare(pair, TRUE);
  }
}

/* ---- jobs ---- */

AzlinSyncFacts
az_sync_pair_facts(AzSyncPair *pair)
{
  AzRemote *remote = az_engine_remote(pair->sync->engine);
  const AzSyncPlace *here = az_sync_pair_path(pair)->scan.place, *there = pair->scan.place;
  return (AzlinSyncFacts){ .size = sizeof(AzlinSyncFacts),
                           .largest = pair->comparison->largest,
                           .old_bytes = pair->comparison->old_bytes,
                           .n_targets = pair->sync->n_targets,
                           .rtt_source_ms = az_remote_rtt_ms(remote, pair->sync->source),
                           .rtt_target_ms = az_remote_rtt_ms(remote, pair->target),
                           .rtt_between_ms = pair->rtt_between_ms,
                           .mib_per_second = pair->mib_per_second,
                           .cpus_source = here->cpus,
                           .cpus_target = there->cpus,
                           .tools_source = here->tools,
                           .tools_target = there->tools };
}

AzlinSyncJob
az_sync_pair_job(AzSyncPair *pair, const AzlinSyncFacts *facts)
{
  AzSync *sync = pair->sync;
  const AzSyncPlace *place = az_sync_pair_path(pair)->scan.place;
  return (AzlinSyncJob){ .size = sizeof(AzlinSyncJob),
                         .source = sync->source,
                         .target = pair->target,
                         .path = place->full,
                         .bytes = pair->comparison->bytes,
                         .files = pair->comparison->files,
                         .checksum = pair->round > 0,
                         .bwlimit_kib = sync->bwlimit_kib,
                         .grant = pair->grant_facts,
                         .single_file = place->base != NULL,
                         .only = pair->only,
                         .run = pair->run,
                         .source_folder = place->folder,
                         .target_folder = pair->scan.place->folder,
                         .facts = facts };
}
