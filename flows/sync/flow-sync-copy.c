/* sync: copies the paths of a run to one target, one after the other: compare, make way, transfer, verify, again where
 * it differs, keys gone. */
#include "error.h"
#include "flow-sync-live.h"
#include <string.h>

#define MAX_ROUNDS 3u          /* transfers of one path, for a source that changes meanwhile */
#define MEASURE_BYTES 8000000u /* less is sent before a measurement of the link would pay */

typedef enum { PATH_DONE, PATH_PARTIAL, PATH_FAILED } Outcome;

static void copy_next(AzSyncPair *pair);
static void transfer(AzSyncPair *pair);
static void make_way(AzSyncPair *pair);
static void on_transferred(AzlinOp *op, gpointer data);
static void check(AzSyncPair *pair);

/* ---- the end of a path ---- */

static void
path_closed(AzSyncPair *pair)
{
  g_autoptr(AzSync) sync = g_rc_box_acquire(pair->sync);
  if (!pair->over || pair->closing > 0)
    return;
  az_sync_pair_next(pair);
  copy_next(pair);
  az_sync_together_look(sync);
}

static void
on_key_gone(gpointer data)
{
  AzSyncPair *pair = data;
  pair->closing--;
  path_closed(pair);
}

static void
close_keys(AzSyncPair *pair)
{
  pair->closing++; /* until all are on their way */
  while (pair->grants->len > 0) {
    pair->closing++;
    az_sync_grant_close(g_ptr_array_steal_index(pair->grants, 0), pair->unsure, on_key_gone, pair);
  }
  on_key_gone(pair);
}

static void
path_over(AzSyncPair *pair, Outcome outcome)
{
  if (outcome == PATH_DONE && pair->incomplete)
    outcome = PATH_PARTIAL;
  if (outcome == PATH_DONE)
    az_sync_manifest_keep(pair);
  if (outcome == PATH_DONE && pair->sync->live != NULL)
    az_sync_live_note(pair->sync->live, pair);
  if (pair->summing != NULL)
    az_op_cancel(pair->summing, "its copy has ended");
  pair->done_paths += outcome == PATH_DONE ? 1 : 0;
  pair->partial_paths += outcome == PATH_PARTIAL ? 1 : 0;
  pair->over = TRUE;
  pair->unsure = pair->unsure || pair->cut;
  close_keys(pair);
}

static void
path_failed(AzSyncPair *pair, const GError *error)
{
  if (error != NULL && !pair->cut)
    az_sync_pair_error(pair, error);
  path_over(pair, pair->round > 0 ? PATH_PARTIAL : PATH_FAILED);
}

/* What was copied stands, but it is not what the source holds, or that could not be shown. */
static void
path_partial(AzSyncPair *pair, const char *format, const char *argument)
{
  az_sync_pair_note(pair, g_strdup_printf("%s: %s %s", az_sync_pair_path(pair)->path, format, argument));
  path_over(pair, PATH_PARTIAL);
}

/* ---- verifying ---- */

static void
say_words(AzSyncPair *pair)
{
  for (guint i = 0; i < pair->words->len; i++)
    az_sync_pair_note(pair, g_strdup(g_ptr_array_index(pair->words, i)));
}

static void
on_checked(AzSyncPair *pair, AzSyncVerdict verdict, const GError *error)
{
  if (pair->cut) {
    path_over(pair, PATH_PARTIAL);
  } else if (verdict == AZ_SYNC_UNSURE) {
    g_autofree char *why = az_error_message(error);
    path_partial(pair, "could not be verified:", why);
  } else if (verdict == AZ_SYNC_EQUAL) {
    path_over(pair, PATH_DONE);
  } else if (pair->comparison->copy->len > 0 && pair->round < MAX_ROUNDS
             && (pair->round < 2 || pair->words->len == 0)) {
    make_way(pair);
  } else {
    say_words(pair);
    az_sync_report(pair);
    path_over(pair, PATH_PARTIAL);
  }
}

static void
check(AzSyncPair *pair)
{
  az_sync_check(pair, on_checked);
}

/* ---- what is on the target alone ---- */

static void
on_extra_gone(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  if (az_op_error(op) != NULL) {
    g_autofree char *why = az_error_message(az_op_error(op));
    path_partial(pair, "what the source does not have could not be taken away:", why);
    return;
  }
  check(pair);
}

/* With patterns a folder may hold what no listing shows. */
static gboolean
hides_nothing(const AzSyncPair *pair)
{
  return pair->sync->exclude == NULL || pair->sync->exclude[0] == NULL;
}

/* Never more than the plan found and the user agreed to. */
static void
delete_extra(AzSyncPair *pair)
{
  AzComparison *comparison = pair->comparison;
  AzSyncDeletion *agreed = pair->deletions != NULL ? &pair->deletions[pair->next] : NULL;
  if (agreed == NULL || comparison->extra->len == 0 || pair->round > 1) {
    check(pair);
    return;
  }
  if (comparison->extra_files > agreed->files) {
    az_sync_pair_note(pair, g_strdup_printf("%s: more files would have been deleted than were agreed to; all were kept",
                                            az_sync_pair_path(pair)->path));
    pair->incomplete = TRUE;
    check(pair);
    return;
  }
  gboolean whole = hides_nothing(pair);
  g_autoptr(GPtrArray) to_go = az_compare_to_go(comparison, whole);
  agreed->files -= comparison->extra_files;
  pair->deleted += comparison->extra_files;
  az_sync_trash(pair, to_go, whole, az_op_new(pair->op, "delete", 0, on_extra_gone, pair));
}

/* ---- transferring ---- */

static void
take_result(AzSyncPair *pair, GVariant *result)
{
  guint64 files = 0, bytes = 0;
  gboolean incomplete = FALSE;
  g_autofree const char **errors = NULL;
  const char *remark = NULL;
  g_variant_lookup(result, "files_synced", "t", &files);
  g_variant_lookup(result, "bytes_transferred", "t", &bytes);
  g_variant_lookup(result, "incomplete", "b", &incomplete);
  if (g_variant_lookup(result, "note", "&s", &remark) && *remark != 0)
    az_sync_say(pair->sync, "warn", pair->label, "%s", remark);
  pair->files += files;
  pair->bytes += bytes;
  g_ptr_array_set_size(pair->words, 0);
  if (incomplete && g_variant_lookup(result, "errors", "^a&s", &errors))
    for (gsize i = 0; errors[i] != NULL; i++)
      g_ptr_array_add(pair->words, g_strdup(errors[i]));
}

static void
say_how_to_connect(AzSyncPair *pair)
{
  az_sync_say(pair->sync, "hint", pair->label,
              "If %s cannot reach port %u of %s (%s), open it; then run the sync again", pair->sync->source->region,
              pair->target->ssh_port, pair->target->public_ip, pair->target->region);
}

/* The source does not reach the target: another strategy may, since it is relayed through azlin or through a cloud. */
static gboolean
go_another_way(AzSyncPair *pair, const GError *error)
{
  if (!g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_SSH) || pair->failed != NULL || pair->cut || pair->round > 0)
    return FALSE;
  g_autofree char *failed = g_strdup(pair->strategy), *why = az_error_message(error);
  g_autoptr(GError) none = NULL;
  pair->failed = g_strdup(pair->strategy);
  pair->rtt_between_ms = AZ_SYNC_SHUT;
  if (!az_sync_choose(pair, &none)) {
    g_free(pair->strategy);
    pair->strategy = g_steal_pointer(&failed);
    return FALSE;
  }
  az_sync_say(pair->sync, "warn", pair->label, "%s", why);
  az_sync_say(pair->sync, "warn", pair->label, "The road from %s to %s does not hold: taking %s instead of %s",
              pair->sync->source->region, pair->target->region, pair->strategy, failed);
  transfer(pair);
  return TRUE;
}

/* What could not be tidied up is no news beside the failure. */
static void
on_tidied(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  g_autoptr(GError) failure = g_steal_pointer(&pair->failure);
  (void) op;
  path_failed(pair, failure);
}

static void
on_listed_again(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  if (az_op_error(op) != NULL || pair->scan.listing == NULL) {
    on_tidied(op, pair);
    return;
  }
  az_sync_pair_compare(pair);
  az_sync_residue(pair, az_op_new(pair->op, "tidy up", 0, on_tidied, pair));
}

/* A machine that cannot be reached is not asked once more. */
static void
transfer_failed(AzSyncPair *pair, const GError *error)
{
  if (error == NULL || pair->cut || pair->brick->left_behind == NULL
      || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_SSH)) {
    path_failed(pair, error);
    return;
  }
  pair->failure = g_error_copy(error);
  az_sync_pair_scan_again(pair, AZ_SCAN_LIST, NULL, NULL, NULL,
                          az_op_new(pair->op, "look at the target", 0, on_listed_again, pair));
}

static void
on_transferred(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  double seconds = az_flow_seconds_since(pair->sync->engine, pair->transfer_started);
  g_autoptr(GError) no_key = g_steal_pointer(&pair->no_key);
  const GError *error = no_key != NULL ? no_key : az_op_error(op);
  az_sync_grant_serve(pair, FALSE);
  pair->turn = pair->transfer = NULL;
  pair->unsure = pair->unsure || error != NULL;
  if (go_another_way(pair, error))
    return;
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_SSH))
    say_how_to_connect(pair);
  if (error != NULL || az_op_variant(op) == NULL) {
    transfer_failed(pair, error);
    return;
  }
  pair->took = MAX(pair->took, 0) + seconds;
  if (pair->round == 0)
    az_sync_link_learn(pair, pair->comparison->bytes, seconds);
  pair->round++;
  take_result(pair, az_op_variant(op));
  if (pair->brick->asks_for_key) /* beside the verification; another round gets another one */
    close_keys(pair);
  delete_extra(pair);
}

AzlinOp *
az_sync_transfer_op(AzSyncPair *pair)
{
  pair->transfer_started = az_clock_monotonic(az_engine_clock(pair->sync->engine));
  pair->transfer = az_op_new(pair->op, pair->target->region, 0, on_transferred, pair);
  return az_op_expect(pair->transfer, "a{sv}");
}

static void
start(AzSyncPair *pair)
{
  AzlinSyncFacts facts = az_sync_pair_facts(pair);
  AzlinSyncJob job = az_sync_pair_job(pair, &facts);
  if (!pair->brief && pair->round == 0)
    az_sync_say(pair->sync, "step", pair->label, "Syncing %s → %s...", pair->sync->source->region,
                pair->target->region);
  az_engine_set_sync_granter(pair->sync->engine, az_sync_grant_asked);
  az_sync_grant_serve(pair, TRUE);
  if (!az_sync_together_join(pair))
    pair->brick->transfer(pair->brick_self, &job, az_sync_transfer_op(pair));
  az_sync_together_look(pair->sync);
  az_sync_sum(pair); /* after the transfer has taken its connections: one that is idle serves it best */
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
  start(pair);
}

static GBytes *
names_of(GPtrArray *names)
{
  GByteArray *bytes = g_byte_array_new();
  for (guint i = 0; i < names->len; i++)
    az_listing_append(bytes, g_ptr_array_index(names, i));
  return g_byte_array_free_to_bytes(bytes);
}

static void
transfer(AzSyncPair *pair)
{
  g_autoptr(GError) error = NULL;
  g_clear_pointer(&pair->only, g_bytes_unref);
  pair->only = names_of(pair->comparison->copy);
  pair->moving = pair->round == 0 ? 0 : pair->moving;
  if (pair->round == 0 && pair->failed == NULL) {
    pair->to_move += pair->comparison->bytes;
    pair->files_to_move += pair->comparison->files;
  }
  if (pair->failed == NULL && !az_sync_choose(pair, &error)) {
    path_failed(pair, error);
    return;
  }
  if (pair->brick->asks_for_key || pair->grant_facts != NULL) {
    start(pair);
    return;
  }
  AzSyncGrant *grant = az_sync_grant_open(pair->sync, pair->target, pair->scan.place->folder,
                                          az_op_new(pair->op, "grant", 0, on_granted, pair));
  if (grant != NULL)
    g_ptr_array_add(pair->grants, grant);
}

static void
measure(AzSyncPair *pair)
{
  if (pair->comparison->bytes > MEASURE_BYTES)
    az_sync_link_await(pair, transfer);
  else
    transfer(pair);
}

/* ---- before it ---- */

static void
on_way_made(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  if (az_op_error(op) != NULL)
    path_failed(pair, az_op_error(op));
  else
    measure(pair);
}

/* A folder that may hold what no listing shows is emptied of what they show, and goes if that was all. */
static void
add_folder(AzSyncPair *pair, GPtrArray *away, const AzEntry *folder)
{
  g_autoptr(GPtrArray) to_go = az_compare_to_go(pair->comparison, FALSE);
  for (guint i = 0; i < to_go->len && !hides_nothing(pair); i++) {
    const AzEntry *entry = g_ptr_array_index(to_go, i);
    if (az_listing_is_below(entry->name, folder->name))
      g_ptr_array_add(away, (gpointer) (guintptr) entry);
  }
  g_ptr_array_add(away, (gpointer) (guintptr) folder);
}

static gboolean
may_give_way(const AzSyncPair *pair, const AzEntry *entry)
{
  const AzSyncDeletion *agreed = pair->deletions != NULL ? &pair->deletions[pair->next] : NULL;
  if (entry->type != 'd')
    return TRUE;
  return agreed != NULL && pair->comparison->extra_files <= agreed->files
         && !az_compare_is_around(entry->name, (const char *const *) pair->left_out);
}

/* A folder of the target gives way only where deletions were asked for; anything else goes to the trash as it would be
 * overwritten. What stays in the way is not copied, and said. */
static void
make_way(AzSyncPair *pair)
{
  AzComparison *comparison = pair->comparison;
  g_autoptr(GPtrArray) away = g_ptr_array_new();
  for (guint i = 0; i < comparison->blocked->len; i++) {
    const AzEntry *entry = g_ptr_array_index(comparison->blocked, i);
    guint index = 0;
    if (may_give_way(pair, entry)) {
      add_folder(pair, away, entry);
      continue;
    }
    g_autofree char *name = az_listing_show_name(entry->name);
    if (pair->round == 0)
      az_sync_pair_note(
          pair, g_strdup_printf("%s/%s could not be transferred: it is a folder on %s, and goes with --delete only",
                                az_sync_pair_path(pair)->path, name, pair->target->region));
    pair->incomplete = TRUE;
    for (index = 0; index < comparison->copy->len; index++)
      if (strcmp(g_ptr_array_index(comparison->copy, index), entry->name) == 0)
        break;
    if (index < comparison->copy->len)
      g_ptr_array_remove_index(comparison->copy, index);
  }
  if (away->len > 0)
    az_sync_trash(pair, away, hides_nothing(pair), az_op_new(pair->op, "make way", 0, on_way_made, pair));
  else
    measure(pair);
}

static gboolean
fits(AzSyncPair *pair, GError **error)
{
  const AzComparison *comparison = pair->comparison;
  guint64 free_bytes = pair->scan.place->free_bytes;
  if (az_sync_fits(comparison->bytes, 0, free_bytes))
    return TRUE;
  g_autofree char *needed = az_sync_size(comparison->bytes), *there = az_sync_size(free_bytes);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "%s needs %s, but %s has only %s left",
              az_sync_pair_path(pair)->path, needed, pair->target->region, there);
  return FALSE;
}

static void
begin(AzSyncPair *pair)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *uuid = g_uuid_string_random();
  pair->run = g_strdup_printf("azlin-sync-%s", uuid);
  pair->found = az_listing_ref(pair->scan.listing);
  if (pair->comparison->copy->len == 0)
    delete_extra(pair);
  else if (!fits(pair, &error))
    path_failed(pair, error);
  else
    make_way(pair);
}

static void
on_made(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  g_autoptr(GError) error = NULL;
  if (az_op_error(op) != NULL || !az_sync_pair_accept(pair, &error)) {
    path_failed(pair, az_op_error(op) != NULL ? az_op_error(op) : error);
    return;
  }
  az_sync_pair_compare(pair);
  begin(pair);
}

static void
on_scanned(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  g_autoptr(GError) error = NULL;
  if (az_op_error(op) != NULL || !az_sync_pair_accept(pair, &error))
    path_failed(pair, az_op_error(op) != NULL ? az_op_error(op) : error);
  else if (pair->scan.place->kind == '-')
    az_sync_pair_scan(pair, TRUE, on_made);
  else
    on_made(op, pair);
}

/* ---- the paths ---- */

static void
copy_next(AzSyncPair *pair)
{
  AzSync *sync = pair->sync;
  if (pair->cut || pair->next >= sync->paths->len) {
    pair->seconds = az_flow_seconds_since(sync->engine, pair->started);
    pair->running = FALSE;
    az_sync_together_look(sync);
    if (!pair->cut)
      az_op_finish(pair->op);
    az_sync_pair_unref(pair);
    return;
  }
  AzSyncPath *path = az_sync_pair_path(pair);
  if (pair->deletions != NULL && !pair->deletions[pair->next].known)
    path_over(pair, PATH_FAILED); /* its plan failed, and said so */
  else if (path->error != NULL)
    path_failed(pair, path->error);
  else
    az_sync_pair_scan(pair, FALSE, on_scanned);
}

static void
on_cut(gpointer data)
{
  ((AzSyncPair *) data)->cut = TRUE;
}

void
az_sync_copy(AzSyncPair *pair, AzlinOp *op)
{
  g_rc_box_acquire(pair);
  pair->cut = az_op_cancelled(op);
  az_op_on_cancel(op, on_cut, pair);
  pair->op = op;
  pair->next = 0;
  pair->running = TRUE;
  pair->started = az_clock_monotonic(az_engine_clock(pair->sync->engine));
  copy_next(pair);
}
