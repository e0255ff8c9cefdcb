/* recover: what processes that are gone left open is finished or undone, each entry by whoever wrote it. */
#include "error.h"
#include "flow-deletion.h"
#include "flow-deploy.h"
#include "flow-failover.h"
#include "flow-failover-note.h"
#include "flow-failover-retry.h"
#include "files.h"
#include "flow-heads.h"
#include "flow-lease.h"
#include "flow-support.h"
#include "flow-sync.h"
#include "registry.h"
#include <glib/gstdio.h>
#include <string.h>

#define ENTRY_MS (20 * 60 * 1000) /* a cloud may hold a network interface for minutes before it lets go of it */
#define SIDE_BY_SIDE 16
#define LOCK_TTL_S 60
#define FENCES_MS 120000

typedef struct {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  GPtrArray *entries; /* of AzJournalEntry, all open ones */
  GPtrArray *todo;    /* of AzJournalEntry, borrowed: abandoned, in the order of work */
  GPtrArray *drafts;  /* of char* */
  GPtrArray *results; /* of GVariant a{sv} */
  guint next, running, failed;
  char *old_primary;
  guint fences;       /* pending at the beginning */
  gboolean take_back; /* a commit window has run out */
} Recover;

static void
recover_free(gpointer data)
{
  Recover *recover = data;
  g_clear_pointer(&recover->entries, g_ptr_array_unref);
  g_clear_pointer(&recover->drafts, g_ptr_array_unref);
  g_ptr_array_unref(recover->todo);
  g_ptr_array_unref(recover->results);
  g_free(recover->old_primary);
  g_free(recover);
}

/* ---- the end ---- */

static GVariant *
result_of(const Recover *recover)
{
  GVariantBuilder result, entries;
  g_variant_builder_init(&entries, G_VARIANT_TYPE("av"));
  for (guint i = 0; i < recover->results->len; i++)
    g_variant_builder_add(&entries, "v", g_ptr_array_index(recover->results, i));
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "recovered", g_variant_builder_end(&entries));
  g_variant_builder_add(
      &result, "{sv}", "removed_files",
      g_variant_new_strv((const char *const *) recover->drafts->pdata, (gssize) recover->drafts->len));
  g_variant_builder_add(&result, "{sv}", "failed", g_variant_new_uint32(recover->failed));
  return g_variant_builder_end(&result);
}

static void
on_final(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  Recover *recover = data;
  az_flow_primary_files(job, stored, recover->old_primary);
  az_job_message(job, recover->failed ? "warn" : "ok", NULL, "Recovered %u of %u, removed %u stale file%s",
                 recover->results->len - recover->failed, recover->results->len, recover->drafts->len,
                 recover->drafts->len == 1 ? "" : "s");
  az_job_finish(job, recover->failed ? 1 : 0, result_of(recover));
}

static void
remove_drafts(Recover *recover)
{
  for (guint i = 0; i < recover->drafts->len; i++) {
    const char *path = g_ptr_array_index(recover->drafts, i);
    if (g_unlink(path) == 0)
      az_job_message(recover->job, "ok", NULL, "Removed %s", path);
  }
}

/* ---- what failovers left to do ---- */

static void
end_work(Recover *recover)
{
  az_stored_read(recover->job, recover->root, on_final, recover);
}

static void
note_failover(Recover *recover, const char *what, gboolean done, const char *said)
{
  GVariantDict one;
  recover->failed += !done;
  g_variant_dict_init(&one, NULL);
  g_variant_dict_insert(&one, "owner", "s", AZ_FAILOVER_OWNER);
  g_variant_dict_insert(&one, "what", "s", what);
  g_variant_dict_insert(&one, "outcome", "s", done ? "done" : "failed");
  g_variant_dict_insert_value(&one, "detail", az_variant_str(said));
  g_ptr_array_add(recover->results, g_variant_ref_sink(g_variant_dict_end(&one)));
  az_job_message(recover->job, done ? "ok" : "fail", NULL, "%s: %s", what, said);
}

static void
on_taken_back(AzJob *child, gpointer data)
{
  Recover *recover = data;
  int code = az_job_exit_code(child);
  note_failover(recover, "commit window", code == 0, code == 0 ? "seen to" : "could not be taken back");
  if (!az_op_cancelled(recover->root))
    end_work(recover);
}

static void
on_child_message(AzJob *child, const char *level, const char *region, const char *text, gpointer data)
{
  Recover *recover = data;
  az_job_message(recover->job, g_str_equal(level, "done") ? "ok" : level, region, "%s", text);
}

static void
take_back(Recover *recover)
{
  const AzJobWatch watch = { .message = on_child_message, .finished = on_taken_back, .data = recover };
  g_autoptr(GError) error = NULL;
  AzJob *child = recover->take_back ? az_engine_submit(recover->engine, "failover-rollback",
                                                       g_variant_new_parsed("{'due': <true>}"), &watch, &error)
                                    : NULL;
  if (child)
    az_engine_start(recover->engine, child);
  else
    end_work(recover);
}

static void
on_fences(AzlinOp *op, gpointer data)
{
  Recover *recover = data;
  if (az_op_cancelled(recover->root))
    return;
  const GError *error = az_op_error(op);
  guint left = error ? recover->fences : g_variant_get_uint32(az_op_variant(op));
  g_autofree char *said = error       ? az_error_message(error)
                          : left == 0 ? g_strdup("sure now")
                                      : g_strdup_printf("%u not sure yet; it is tried again by azlin watch", left);
  note_failover(recover, "pending fence", left == 0, said);
  take_back(recover);
}

/* An entry that was finished just now may have left one, too. */
static void
retry_fences(Recover *recover)
{
  g_autoptr(AzFailoverState) state = az_failover_state_load(recover->engine, NULL);
  recover->fences = state ? state->fences->len : 0;
  if (recover->fences > 0)
    az_failover_fence_retry(recover->engine, az_op_new(recover->root, "fences", FENCES_MS, on_fences, recover));
  else
    take_back(recover);
}

/* ---- each entry ---- */

static void work_next(Recover *recover);

static void
note_result(Recover *recover, const AzJournalEntry *entry, const GError *error, const char *said)
{
  GVariantDict one;
  g_autofree char *message = error ? az_error_message(error) : NULL;
  g_variant_dict_init(&one, NULL);
  g_variant_dict_insert(&one, "id", "t", entry->id);
  g_variant_dict_insert(&one, "owner", "s", entry->owner);
  g_variant_dict_insert(&one, "what", "s", entry->what);
  g_variant_dict_insert(&one, "outcome", "s", error ? "failed" : "done");
  g_variant_dict_insert_value(&one, "detail", az_variant_str(error ? message : said));
  g_ptr_array_add(recover->results, g_variant_ref_sink(g_variant_dict_end(&one)));
  if (error)
    az_job_message(recover->job, "fail", NULL, "%s %s: %s", entry->owner, entry->what, message);
  else
    az_job_message(recover->job, "ok", NULL, "%s %s: %s", entry->owner, entry->what, said);
}

typedef struct {
  Recover *recover;
  const AzJournalEntry *entry;
} Work;

static void
on_entry(AzlinOp *op, gpointer data)
{
  g_autofree Work *work = data;
  Recover *recover = work->recover;
  g_autoptr(GError) error = az_op_error(op) ? g_error_copy(az_op_error(op)) : NULL;
  const char *said = "finished or undone";
  AzJournal *journal = az_engine_journal(recover->engine, NULL);
  recover->running--;
  if (az_op_cancelled(recover->root))
    return;
  if (az_op_variant(op) && g_variant_is_of_type(az_op_variant(op), G_VARIANT_TYPE_STRING))
    said = g_variant_get_string(az_op_variant(op), NULL);
  if (!error)
    az_journal_done(journal, work->entry->id, &error);
  recover->failed += error != NULL;
  note_result(recover, work->entry, error, said);
  work_next(recover);
}

/* "provider-local": the brick of that kind and name, loaded if need be. */
static const AzlinBrick *
brick_of(Recover *recover, const char *owner, gpointer *ret_self, GError **error)
{
  AzRegistry *registry = az_engine_registry(recover->engine);
  for (int kind = AZLIN_KIND_PROVIDER; kind <= AZLIN_KIND_COORDINATOR; kind++) {
    g_autofree char *prefix = g_strdup_printf("%s-", az_kind_to_string((AzlinKind) kind));
    if (!g_str_has_prefix(owner, prefix))
      continue;
    if (!az_registry_load(registry, (AzlinKind) kind, owner + strlen(prefix), error))
      return NULL;
    return az_registry_brick(registry, owner, ret_self);
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "%s is not known here; its entry stays open", owner);
  return NULL;
}

static void
recover_by_brick(Recover *recover, const AzJournalEntry *entry, AzlinOp *op)
{
  gpointer self = NULL;
  GError *error = NULL;
  const AzlinBrick *brick = brick_of(recover, entry->owner, &self, &error);
  if (!brick)
    az_op_fail(op, error);
  else if (brick->recover)
    brick->recover(self, entry->what, entry->undo, op);
  else
    az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "%s cannot recover what it began", entry->owner);
}

typedef struct {
  const char *owner;
  void (*recover)(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op);
} Owner;

static const Owner owners[] = {
  { AZ_DEPLOY_OWNER, az_deploy_recover },
  { AZ_FAILOVER_OWNER, az_failover_recover },
  { AZ_DRILL_OWNER, az_failover_drill_recover },
  { AZ_DELETION_OWNER, az_deletion_recover },
  { "flow-sync", az_sync_recover },
};

static gboolean
is_of_flow(const AzJournalEntry *entry)
{
  return g_str_has_prefix(entry->owner, "flow-");
}

static void
work_on(Recover *recover, const AzJournalEntry *entry)
{
  Work *work = g_new(Work, 1);
  *work = (Work){ recover, entry };
  recover->running++;
  AzlinOp *op = az_op_new(recover->root, "recover", ENTRY_MS, on_entry, work);
  for (guint i = 0; i < G_N_ELEMENTS(owners); i++) {
    if (!g_str_equal(owners[i].owner, entry->owner))
      continue;
    owners[i].recover(recover->engine, entry, op);
    return;
  }
  recover_by_brick(recover, entry, op);
}

/* Bricks side by side, since each may wait for its cloud; then the flows, one after the other. */
static void
work_next(Recover *recover)
{
  while (recover->next < recover->todo->len) {
    const AzJournalEntry *entry = g_ptr_array_index(recover->todo, recover->next);
    if (recover->running >= (is_of_flow(entry) ? 1 : SIDE_BY_SIDE))
      return;
    recover->next++;
    work_on(recover, entry);
  }
  if (recover->running > 0)
    return;
  remove_drafts(recover);
  retry_fences(recover);
}

/* ---- what there is, and the question ---- */

static void
before_work(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  Recover *recover = data;
  recover->old_primary = g_strdup(stored->primary);
  work_next(recover);
}

static void
on_lease(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data)
{
  az_stored_read(job, root, before_work, data);
}

static void
on_answer(AzJob *job, gboolean yes, gpointer data)
{
  Recover *recover = data;
  if (yes)
    az_lease_acquire(job, recover->root, "deploy", LOCK_TTL_S, on_lease, recover);
  else
    az_job_fail(job, g_error_new(AZLIN_ERROR, AZLIN_ERROR_DECLINED, "Not confirmed; nothing was changed"));
}

/* Providers first: a deploy then finds each machine whole or gone. */
static void
order_work(Recover *recover)
{
  for (guint pass = 0; pass < 2; pass++)
    for (guint i = 0; i < recover->entries->len; i++) {
      AzJournalEntry *entry = g_ptr_array_index(recover->entries, i);
      if (az_flow_entry_abandoned(entry) && is_of_flow(entry) == (pass == 1))
        g_ptr_array_add(recover->todo, entry);
    }
}

static void
say_work(Recover *recover)
{
  for (guint i = 0; i < recover->todo->len; i++) {
    const AzJournalEntry *entry = g_ptr_array_index(recover->todo, i);
    g_autofree char *at = az_time_to_string(entry->at);
    az_job_message(recover->job, "detail", NULL, "%s %s, begun %s", entry->owner, entry->what, at ? at : "earlier");
  }
  for (guint i = 0; i < recover->drafts->len; i++)
    az_job_message(recover->job, "detail", NULL, "stale file %s", (const char *) g_ptr_array_index(recover->drafts, i));
}

/* FALSE and error: it cannot be told whether failovers left anything to do. */
static gboolean
look_at_failovers(Recover *recover, GError **error)
{
  g_autoptr(AzFailoverState) state = az_failover_state_load(recover->engine, error);
  if (!state)
    return FALSE;
  recover->fences = state->fences->len;
  recover->take_back = az_failover_window_due(state, az_clock_now(az_engine_clock(recover->engine)));
  if (recover->fences > 0)
    az_job_message(recover->job, "detail", NULL, "%u fence%s pending", recover->fences,
                   recover->fences == 1 ? "" : "s");
  if (recover->take_back)
    az_job_message(recover->job, "detail", NULL, "the switch from %s to %s was not confirmed in time",
                   state->window_from, state->window_to);
  return TRUE;
}

static void
recover_begin(AzJob *job, AzEngine *engine, AzlinOp *root)
{
  GError *error = NULL;
  Recover *recover = g_new0(Recover, 1);
  const char *home = az_paths_home(az_engine_paths(engine));
  AzJournal *journal = az_engine_journal(engine, &error);
  *recover = (Recover){ .job = job, .engine = engine, .root = root };
  recover->todo = g_ptr_array_new();
  recover->results = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref);
  recover->drafts = az_files_stale(home);
  az_job_set_data(job, recover, recover_free);
  recover->entries = journal ? az_journal_open_entries(journal, &error) : NULL;
  if (!recover->entries) {
    az_job_fail(job, error);
    return;
  }
  order_work(recover);
  if (!look_at_failovers(recover, &error)) {
    az_job_fail(job, error);
    return;
  }
  if (recover->todo->len + recover->drafts->len + recover->fences == 0 && !recover->take_back) {
    az_job_message(job, "ok", NULL, "Nothing to recover");
    az_job_finish(job, 0, result_of(recover));
    return;
  }
  say_work(recover);
  guint n = recover->todo->len + recover->fences + recover->take_back;
  g_autofree char *question
      = g_strdup_printf("Finish or undo %u open operation%s and remove %u stale file%s?", n, n == 1 ? "" : "s",
                        recover->drafts->len, recover->drafts->len == 1 ? "" : "s");
  az_job_ask(job, question, on_answer, recover);
}

/* What other hosts left open stands in their journals alone: it is told, and they must mend it. */
static void
on_heads(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  GVariant *heads = az_op_variant(op);
  if (az_op_cancelled(az_job_root(job)))
    return;
  for (gsize i = 0; heads && i < g_variant_n_children(heads); i++) {
    g_autoptr(GVariant) head = g_variant_get_child_value(heads, i);
    g_autofree char *line = az_heads_line(head);
    if (line)
      az_job_message(job, "warn", NULL, "%s; only there can it be recovered: its journal is on that host", line);
  }
  recover_begin(job, az_job_engine(job), az_job_root(job));
}

static void
recover_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  az_heads_read(engine, az_op_new(root, "hosts", AZ_LEASE_CHECK_MS, on_heads, job));
}

static const AzFlag flags[] = {
  { "yes", 'y', "b", NULL, "do not ask" },
  { 0 },
};

const AzFlow az_flow_recover = {
  .kind = { .kind = "recover", .help = "Finish or undo what an interrupted azlin left", .flags = flags },
  .run = recover_run,
  .priority = AZ_PRIORITY_DEPLOY,
};
