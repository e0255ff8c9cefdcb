/* sync: one round: from one source to its targets, a few at a time: looked at, planned where that is asked for, copied.
 */
#include "error.h"
#include "flow-sync-live.h"

#define MAX_PARALLEL 8u

struct _AzSyncRound {
  AzJob *job;
  AzlinOp *root;
  AzSync *sync;
  GPtrArray *pairs; /* of AzSyncPair */
  gboolean brief;   /* looks at what changed alone, where that can be done */
  gboolean whole;   /* has looked at everything */
  gboolean quiet;   /* says what changed, and nothing else; asks nobody */
  guint next, running;
  gboolean copying; /* FALSE: planning */
  guint preparing;
  GError *fenced; /* why nothing may be copied at all */
  gint64 began;
  void (*done)(AzSyncRound *round, GError *error, gpointer data);
  gpointer data;
};

static void start_pairs(AzSyncRound *round);

static void
round_over(AzSyncRound *round, GError *error)
{
  gboolean verified = error == NULL;
  for (guint i = 0; i < round->pairs->len; i++)
    verified = verified && az_sync_pair_is_verified(g_ptr_array_index(round->pairs, i));
  if (round->sync->live != NULL && round->whole)
    az_sync_live_looked(round->sync->live, verified);
  round->done(round, error, round->data);
}

/* ---- targets, a few at a time ---- */

static void
region_status(AzSyncRound *round, AzSyncPair *pair, const char *status)
{
  GVariantDict facts;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "status", "s", status);
  az_job_region(round->job, pair->target->region, g_variant_dict_end(&facts));
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
pair_over(AzSyncRound *round, AzSyncPair *pair)
{
  gboolean dry = round->sync->dry_run;
  if (dry)
    count_plan(pair);
  if (!dry && !round->copying)
    return;
  if (!round->quiet || pair->files + pair->deleted > 0 || pair->errors->len > 0)
    az_sync_pair_summary(pair);
  region_status(round, pair, pair->errors->len == 0 ? "success" : "failed");
}

static void
on_answered(AzJob *job, gboolean yes, gpointer data)
{
  AzSyncRound *round = data;
  if (!yes) {
    round_over(round, g_error_new(AZLIN_ERROR, AZLIN_ERROR_DECLINED, "nothing was copied and nothing was deleted"));
    return;
  }
  round->copying = TRUE;
  round->next = 0;
  start_pairs(round);
}

static char *
question(AzSyncRound *round)
{
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < round->pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(round->pairs, i);
    for (guint j = 0; pair->deletions != NULL && j < round->sync->paths->len; j++) {
      const AzSyncDeletion *deletion = &pair->deletions[j];
      if (!az_sync_needs_answer(deletion->files, deletion->target_files, round->sync->max_delete))
        continue;
      g_string_append_printf(text, "%s%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " files below %s on %s",
                             text->len > 0 ? ", " : "--delete would remove ", deletion->files, deletion->target_files,
                             ((AzSyncPath *) g_ptr_array_index(round->sync->paths, j))->path, pair->target->region);
    }
  }
  if (text->len == 0)
    return NULL;
  g_string_append(text, ". Go on?");
  return g_strdup(text->str);
}

static void
all_over(AzSyncRound *round)
{
  if (round->copying || round->sync->dry_run) {
    round_over(round, NULL);
    return;
  }
  g_autofree char *text = question(round);
  if (text != NULL && round->quiet)
    round_over(round, g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY, "nothing was copied: %s", text));
  else if (text != NULL)
    az_job_ask(round->job, text, on_answered, round);
  else
    on_answered(round->job, TRUE, round);
}

typedef struct {
  AzSyncRound *round;
  AzSyncPair *pair;
} Turn;

static void
on_turn_over(AzlinOp *op, gpointer data)
{
  g_autofree Turn *turn = data;
  AzSyncRound *round = turn->round;
  if (az_op_cancelled(round->root))
    return;
  if (az_op_error(op) != NULL)
    az_sync_pair_error(turn->pair, az_op_error(op));
  pair_over(round, turn->pair);
  round->running--;
  start_pairs(round);
}

static void
start_pairs(AzSyncRound *round)
{
  while (round->running < MAX_PARALLEL && round->next < round->pairs->len) {
    Turn *turn = g_new(Turn, 1);
    *turn = (Turn){ .round = round, .pair = g_ptr_array_index(round->pairs, round->next++) };
    round->running++;
    AzlinOp *op = az_op_new(round->root, turn->pair->target->region, 0, on_turn_over, turn);
    if (round->copying) {
      region_status(round, turn->pair, "in_progress");
      az_sync_copy_guarded(turn->pair, op);
    } else if (turn->pair->refused != NULL) {
      az_op_fail(op, g_error_copy(turn->pair->refused));
    } else {
      az_sync_plan(turn->pair, op);
    }
  }
  if (round->running == 0 && round->next >= round->pairs->len)
    all_over(round);
}

static void
on_progress(AzlinOp *op, guint64 done, guint64 total, const char *text, gpointer data)
{
  AzSyncRound *round = data;
  for (guint i = 0; i < round->pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(round->pairs, i);
    if (g_str_equal(az_op_label(op), pair->target->region))
      az_sync_progress(pair, done);
  }
  az_sync_progress_all(round->job, round->pairs, text);
}

/* ---- the beginning ---- */

/* Held sessions open a channel ahead: each command but the first is a round trip shorter. */
static void
hold(AzSyncRound *round, void (*how)(AzRemote *remote, const AzlinVm *vm))
{
  AzRemote *remote = az_engine_remote(round->sync->engine);
  how(remote, round->sync->source);
  for (guint i = 0; i < round->pairs->len; i++)
    how(remote, ((AzSyncPair *) g_ptr_array_index(round->pairs, i))->target);
}

AzSyncRound *
az_sync_round_new(AzJob *job, AzlinOp *root, AzSync *sync, GPtrArray *targets, gboolean quiet)
{
  AzSyncRound *round = g_new0(AzSyncRound, 1);
  const AzOpSink sink = { .progress = on_progress, .data = round };
  *round = (AzSyncRound){ .job = job, .root = root, .sync = sync, .quiet = quiet };
  round->pairs = g_ptr_array_new_with_free_func((GDestroyNotify) az_sync_pair_unref);
  for (guint i = 0; i < targets->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(targets, i);
    AzSyncPair *pair = az_sync_pair_new(sync, vm, sync->blocks ? vm->region : NULL);
    pair->brief = quiet;
    g_ptr_array_add(round->pairs, pair);
  }
  sync->n_targets = round->pairs->len;
  sync->pairs = round->pairs;
  az_job_set_sink(job, &sink);
  hold(round, az_remote_hold);
  return round;
}

void
az_sync_round_free(AzSyncRound *round)
{
  const AzOpSink none = { 0 };
  az_job_set_sink(round->job, &none);
  hold(round, az_remote_release);
  round->sync->pairs = NULL;
  g_ptr_array_unref(round->pairs);
  g_clear_error(&round->fenced);
  az_sync_unref(round->sync);
  g_free(round);
}

/* Both the survey and the guard are through. */
static void
prepared(AzSyncRound *round)
{
  AzSync *sync = round->sync;
  if (--round->preparing > 0 || az_op_cancelled(round->root))
    return;
  if (round->fenced != NULL) {
    round_over(round, g_steal_pointer(&round->fenced));
    return;
  }
  g_autofree char *size = az_sync_size(sync->bytes);
  if (!round->quiet)
    az_job_message(round->job, "ok", NULL, "Total: %" G_GUINT64_FORMAT " files, %s", sync->files, size);
  if (sync->dry_run)
    az_job_message(round->job, "step", NULL, "Comparing, nothing will be changed...");
  round->copying = !sync->dry_run && !sync->delete_extra;
  start_pairs(round);
}

static void
on_surveyed(AzlinOp *op, gpointer data)
{
  prepared(data);
}

static void
on_guarded(AzlinOp *op, gpointer data)
{
  AzSyncRound *round = data;
  if (az_op_error(op) != NULL)
    round->fenced = g_error_copy(az_op_error(op));
  prepared(round);
}

/* A look changes nothing: epochs are read, and both ends looked at, in the same round trip. */
static void
look_at_all(AzSyncRound *round)
{
  round->whole = TRUE;
  if (round->sync->live != NULL)
    az_sync_live_look(round->sync->live);
  round->preparing = 2;
  az_sync_guard(round->sync, round->pairs, az_op_new(round->root, "epochs", 0, on_guarded, round));
  az_sync_survey(round->sync, az_op_new(round->root, "estimate", 0, on_surveyed, round));
  for (guint i = 0; i < round->pairs->len && i < MAX_PARALLEL; i++)
    az_sync_pair_scan_ahead(g_ptr_array_index(round->pairs, i), round->root);
  for (guint i = 0; i < round->pairs->len; i++)
    az_sync_link_measure(g_ptr_array_index(round->pairs, i), round->root);
}

static void
on_short_way(gboolean copied, gpointer data)
{
  AzSyncRound *round = data;
  if (!copied) {
    look_at_all(round);
    return;
  }
  round->copying = TRUE;
  for (guint i = 0; i < round->pairs->len; i++) {
    az_sync_live_take(round->sync->live, g_ptr_array_index(round->pairs, i));
    pair_over(round, g_ptr_array_index(round->pairs, i));
  }
  round_over(round, NULL);
}

void
az_sync_round_run(AzSyncRound *round, void (*done)(AzSyncRound *round, GError *error, gpointer data), gpointer data)
{
  round->done = done;
  round->data = data;
  round->began = az_clock_now(az_engine_clock(round->sync->engine));
  if (!round->quiet)
    az_job_message(round->job, "step", NULL, "Estimating transfer size...");
  if (!round->brief || !az_sync_live_try(round->sync->live, round->root, round->sync, on_short_way, round))
    look_at_all(round);
}

void
az_sync_round_set_short(AzSyncRound *round)
{
  round->brief = round->sync->live != NULL;
}

gboolean
az_sync_round_was_whole(AzSyncRound *round)
{
  return round->whole;
}

/* ---- the end ---- */

GPtrArray *
az_sync_round_pairs(AzSyncRound *round)
{
  return round->pairs;
}

AzSync *
az_sync_round_sync(AzSyncRound *round)
{
  return round->sync;
}

gint64
az_sync_round_began(AzSyncRound *round)
{
  return round->began;
}

gboolean
az_sync_pair_is_verified(const AzSyncPair *pair)
{
  return pair->errors->len == 0 && pair->done_paths == pair->sync->paths->len;
}

void
az_sync_round_audit(AzSyncRound *round, int code)
{
  GVariantDict facts;
  guint64 files = 0, deleted = 0;
  g_auto(GVariantBuilder) verified = G_VARIANT_BUILDER_INIT(G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; i < round->pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(round->pairs, i);
    files += pair->files;
    deleted += pair->deleted;
    if (az_sync_pair_is_verified(pair))
      g_variant_builder_add(&verified, "s", pair->target->region);
  }
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "source", "s", round->sync->source->region);
  g_variant_dict_insert(&facts, "targets", "u", round->pairs->len);
  g_variant_dict_insert_value(&facts, "verified_targets", g_variant_builder_end(&verified));
  g_variant_dict_insert(&facts, "files_synced", "t", files);
  g_variant_dict_insert(&facts, "files_deleted", "t", deleted);
  g_variant_dict_insert(&facts, "outcome", "s", code == 0 ? "done" : code == 1 ? "partial" : "failed");
  az_flow_audit(round->job, "sync", g_variant_dict_end(&facts));
}

int
az_sync_round_code(AzSyncRound *round)
{
  guint done = 0, partial = 0, paths = round->sync->paths->len * round->pairs->len;
  for (guint i = 0; i < round->pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(round->pairs, i);
    done += pair->done_paths;
    partial += pair->partial_paths;
  }
  return az_sync_exit_code(done, partial, paths - done - partial);
}

GVariant *
az_sync_round_result(AzSyncRound *round)
{
  GVariantBuilder results;
  g_variant_builder_init(&results, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < round->pairs->len; i++)
    g_variant_builder_add_value(&results, az_sync_pair_result(g_ptr_array_index(round->pairs, i)));
  return g_variant_builder_end(&results);
}
