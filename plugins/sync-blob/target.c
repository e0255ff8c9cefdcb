/* A target's side of a staged copy: its session, what it is told to fetch, what it says has arrived, and its landing.
 */
#include "landing.h"
#include "syncjob.h"
#include "staging.h"
#include <stdlib.h>
#include <string.h>

#define MAX_TRIES 8u
#define DROP_MS 40000
#define LOOK_AHEAD 256u /* runs */
#define TOLD_AHEAD 2u   /* chunks of a lane: the one that it fetches, and the next */

enum { CHUNK_UNKNOWN, CHUNK_EXPECTED, CHUNK_GOT };

static void on_ended(AzlinOp *exec, gpointer data);

static const AzlinHostApi *
api_of(BlobTarget *target)
{
  return target->session.staging->api;
}

static guint8 *
state_of(BlobTarget *target, guint32 big, guint32 chunk)
{
  BlobLedger *ledger = target->session.staging->ledger;
  if (blob_ledger_chunk(ledger, big, chunk) == NULL)
    return NULL;
  while (target->got->len <= big) {
    const BlobBig *next = g_ptr_array_index(ledger->bigs, target->got->len);
    GByteArray *states = g_byte_array_new();
    g_byte_array_set_size(states, next->n);
    memset(states->data, CHUNK_UNKNOWN, next->n);
    g_ptr_array_add(target->got, states);
  }
  return &((GByteArray *) g_ptr_array_index(target->got, big))->data[chunk];
}

static gboolean
is_got(guint32 big, guint32 chunk, gpointer data)
{
  return *state_of(data, big, chunk) == CHUNK_GOT;
}

static gboolean
is_expected(guint32 big, guint32 chunk, gpointer data)
{
  return *state_of(data, big, chunk) != CHUNK_UNKNOWN;
}

static void
fail(BlobTarget *target, const char *what)
{
  const char *why = target->session.words != NULL ? target->session.words : "";
  g_autoptr(GError) error
      = g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "%s could not be copied to %s: %s%s%s", target->job.path,
                    target->job.target->region, what, *why != '\0' ? ": " : "", why);
  blob_target_end(target, error);
}

static guint32
longest_run(const BlobTarget *target)
{
  return blob_tune_longest_run(&target->session.staging->tuning);
}

/* ---- its end ---- */

static void
add_warnings(BlobTarget *target)
{
  const BlobSource *source = &target->session.staging->source;
  for (guint i = 0; source->tar_status > 1 && i < source->warnings->len; i++)
    g_ptr_array_add(target->errors, g_strdup(g_ptr_array_index(source->warnings, i)));
}

static GVariant *
result(BlobTarget *target)
{
  const BlobSource *source = &target->session.staging->source;
  g_autoptr(GBytes) report = g_bytes_new(target->left->data, target->left->len);
  gboolean incomplete = landing_read_report(report, target->job.path, target->errors) > 0 || source->tar_status > 1;
  add_warnings(target);
  SyncResult found = { .files = target->job.files,
                       .bytes = target->job.bytes,
                       .sent = target->bytes,
                       .incomplete = incomplete || target->errors->len > 0,
                       .errors = target->errors };
  return sync_job_result(&found);
}

static void
on_dropped(AzlinOp *op, gpointer data)
{
  BlobStaging *staging = data;
  staging->dropping--;
  staging->stage_left |= staging->api->op_error(op) != NULL;
  blob_staging_close_record(staging);
  blob_staging_unref(staging);
}

static void
drop_stage(BlobTarget *target, AzlinOp *op)
{
  BlobStaging *staging = target->session.staging;
  if (target->session.attempt == 0)
    return;
  staging->dropping++;
  blob_stage_drop(staging->blob, target->job.target, target->job.target_folder, target->job.run,
                  staging->api->op_new_detached(op, "drop the stage", DROP_MS, on_dropped, blob_staging_ref(staging)));
}

void
blob_target_end(BlobTarget *target, const GError *error)
{
  BlobStaging *staging = target->session.staging;
  AzlinOp *op = g_steal_pointer(&target->op);
  if (op == NULL)
    return;
  if (target->session.exec != NULL) /* a script that was told to land ends by itself */
    staging->api->op_cancel(target->session.exec, "this copy has ended");
  if (error != NULL)
    drop_stage(target, op);
  if (error != NULL)
    staging->api->op_fail(op, g_error_copy(error));
  else
    staging->api->op_finish_variant(op, result(target));
  blob_staging_check(staging);
}

static void
on_cancelled(gpointer data)
{
  BlobTarget *target = data;
  g_autoptr(GError) error
      = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "the copy was cancelled"); /* ignored: it has ended */
  blob_target_end(target, error);
}

/* ---- what it says ---- */

static void
report(BlobTarget *target)
{
  api_of(target)->op_progress(target->op, MIN(target->bytes, target->job.bytes), target->job.bytes, NULL);
}

/* Lane `id` is through with it; another one that still fetches it need not. */
static void
count_done(BlobTarget *target, guint id, guint32 big, guint32 chunk)
{
  gint64 now = api_of(target)->monotonic(target->session.staging->blob->host);
  GHashTableIter iter;
  gpointer other, value;
  g_hash_table_iter_init(&iter, target->fetching);
  while (g_hash_table_iter_next(&iter, &other, &value)) {
    BlobFetch *fetch = value;
    if (!blob_run_is_at(&fetch->run, big, chunk))
      continue;
    if (GPOINTER_TO_UINT(other) != id) {
      blob_session_say(&target->session, "drop %u", GPOINTER_TO_UINT(other));
      continue;
    }
    blob_run_moved(&fetch->run, &target->pace, blob_ledger_length(target->session.staging->ledger, big, chunk), now);
    if (fetch->passed <= fetch->run.done)
      fetch->run.since = 0;
  }
}

static void
take_got(BlobTarget *target, char **words)
{
  BlobLedger *ledger = target->session.staging->ledger;
  guint32 big = (guint32) strtoul(words[1], NULL, 10), number = (guint32) strtoul(words[2], NULL, 10);
  BlobChunk *chunk = blob_ledger_chunk(ledger, big, number);
  guint8 sum[BLOB_SUM_BYTES];
  if (chunk == NULL || *state_of(target, big, number) == CHUNK_GOT)
    return;
  if (!chunk->stored || !blob_sum_from_hex(words[3], sum) || memcmp(sum, chunk->sum, sizeof sum) != 0) {
    blob_session_words(&target->session, "what arrived is not what was stored");
    count_done(target, (guint) strtoul(words[4], NULL, 10), big, number);
    blob_source_again(target->session.staging, big, number);
    return; /* fetched again when its run has ended */
  }
  *state_of(target, big, number) = CHUNK_GOT;
  count_done(target, (guint) strtoul(words[4], NULL, 10), big, number);
  target->bytes += blob_ledger_length(ledger, big, number);
  report(target);
  blob_target_pump(target);
}

static void
take_bad(BlobTarget *target, char **words)
{
  blob_session_refused(&target->session, words[3]);
  if (g_str_equal(words[3], "404"))
    blob_source_again(target->session.staging, (guint32) strtoul(words[1], NULL, 10),
                      (guint32) strtoul(words[2], NULL, 10));
}

static void
take_begun(BlobTarget *target, char **words)
{
  BlobFetch *fetch = g_hash_table_lookup(target->fetching, GUINT_TO_POINTER((guint) strtoul(words[1], NULL, 10)));
  if (fetch != NULL)
    fetch->run.since = target->session.staging->heard;
}

static void
take_cold(BlobTarget *target, char **words)
{
  if (!target->landing)
    blob_session_cold(&target->session);
}

static void
take_end(BlobTarget *target, char **words)
{
  guint id = (guint) strtoul(words[1], NULL, 10);
  BlobFetch *fetch = g_hash_table_lookup(target->fetching, GUINT_TO_POINTER(id));
  if (fetch == NULL)
    return;
  guint before = target->waiting.length;
  blob_run_rest(&fetch->run, longest_run(target), is_got, target, &target->waiting);
  gboolean hopeless = target->waiting.length > before && ((BlobRun *) target->waiting.tail->data)->tries >= MAX_TRIES;
  g_hash_table_remove(target->fetching, GUINT_TO_POINTER(id));
  if (hopeless)
    fail(target, "a part could not be fetched");
  else
    blob_target_pump(target);
}

static void
take_unpack(BlobTarget *target, char **words)
{
  guint32 number = (guint32) strtoul(words[1], NULL, 10);
  BlobPiece *piece = blob_ledger_piece(target->session.staging->ledger, number);
  if (number >= target->pieces->len || target->pieces->data[number] != CHUNK_EXPECTED)
    return;
  target->pieces->data[number] = CHUNK_GOT;
  target->pieces_open--;
  target->bytes += piece->length;
  report(target);
  blob_target_pump(target);
}

static void
take_torn(BlobTarget *target, char **words)
{
  blob_session_words(&target->session, "what arrived is not what was stored");
  blob_source_pack_again(target->session.staging, words[1]);
}

static void
take_full(BlobTarget *target, char **words)
{
  g_autoptr(GError) error
      = g_error_new(AZLIN_ERROR, AZLIN_ERROR_STORAGE, "%s could not be copied to %s: its disk is full",
                    target->job.path, target->job.target->region);
  blob_target_end(target, error);
}

static void
take_meta(BlobTarget *target, char **words)
{
  target->meta_got = TRUE;
  blob_target_pump(target);
}

static void
take_landed(BlobTarget *target, char **words)
{
  target->landed = atoi(words[1]);
}

static const struct {
  const char *word;
  guint n;
  void (*take)(BlobTarget *target, char **words);
} lines[] = {
  { "got", 5, take_got },     { "bad", 4, take_bad },       { "end", 3, take_end },   { "unpack", 2, take_unpack },
  { "meta", 1, take_meta },   { "landed", 2, take_landed }, { "torn", 2, take_torn }, { "full", 1, take_full },
  { "begun", 2, take_begun }, { "cold", 1, take_cold },
};

static void
take_words(BlobTarget *target, const char *line)
{
  if (g_str_has_prefix(line, "left "))
    g_byte_array_append(target->left, (const guint8 *) line + strlen("left "),
                        (guint) (strlen(line + strlen("left ")) + 1));
  else if (g_str_has_prefix(line, "warn "))
    g_ptr_array_add(target->errors, g_utf8_make_valid(line + strlen("warn "), -1));
  else if (g_str_has_prefix(line, "say "))
    blob_session_words(&target->session, line + strlen("say "));
  else if (g_str_has_prefix(line, "fail "))
    blob_session_failed(&target->session, line + strlen("fail "));
}

static void
on_line(const char *line, gpointer data)
{
  BlobTarget *target = data;
  if (line[0] != '@' || target->op == NULL || target->again)
    return;
  target->session.staging->heard = api_of(target)->monotonic(target->session.staging->blob->host);
  take_words(target, line + 1);
  g_auto(GStrv) words = g_strsplit(line + 1, " ", 6);
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
    if (words[0] != NULL && g_str_equal(words[0], lines[i].word) && g_strv_length(words) >= lines[i].n) {
      lines[i].take(target, words);
      return;
    }
}

/* ---- what it is told ---- */

void
blob_target_expect(BlobTarget *target, const BlobRun *run)
{
  guint before = target->waiting.length;
  if (target->op == NULL)
    return;
  blob_run_rest(run, longest_run(target), is_expected, target, &target->waiting);
  for (GList *link = g_queue_peek_nth_link(&target->waiting, before); link != NULL; link = link->next) {
    BlobRun *part = link->data;
    part->tries = 0;
    for (guint32 k = part->first; k < part->first + part->count; k++)
      *state_of(target, part->big, k) = CHUNK_EXPECTED;
  }
}

static void
greet(BlobTarget *target)
{
  BlobStaging *staging = target->session.staging;
  blob_session_say(&target->session, "base %s/%s", staging->blob->account.endpoint->url, staging->container);
  blob_session_say(&target->session, "sas %s", staging->target_sas);
  target->greeted = TRUE;
}

static void
pump_pieces(BlobTarget *target)
{
  BlobStaging *staging = target->session.staging;
  GArray *pieces = staging->ledger->pieces;
  if (!target->unpacking && staging->source.n_small > 0) {
    blob_session_say(&target->session, "unpack");
    target->unpacking = TRUE;
  }
  while (target->next_piece < pieces->len && target->pieces_open < staging->tuning.fetchers) {
    const BlobPiece *piece = &g_array_index(pieces, BlobPiece, target->next_piece);
    if (!piece->stored)
      break;
    GString *hex = g_string_new(NULL);
    for (guint k = 0; k < BLOB_SUM_BYTES; k++)
      g_string_append_printf(hex, "%02x", piece->sum[k]);
    blob_session_say(&target->session, "piece %u %s", target->next_piece, hex->str);
    g_string_free(hex, TRUE);
    const guint8 asked = CHUNK_EXPECTED;
    g_byte_array_append(target->pieces, &asked, 1);
    target->pieces_open++;
    target->next_piece++;
  }
  if (!target->packed && staging->source.n_pieces >= 0) {
    blob_session_say(&target->session, "packed %" G_GINT64_FORMAT, staging->source.n_pieces);
    target->packed = TRUE;
  }
}

/* Tells a lane of what is stored behind what it has been told of, but not far ahead: what it has not been told of may
 * become another lane's. */
static void
pass_gates(BlobTarget *target, guint id, BlobFetch *fetch)
{
  BlobLedger *ledger = target->session.staging->ledger;
  const BlobRun *run = &fetch->run;
  while (fetch->passed < run->count && fetch->passed < run->done + TOLD_AHEAD
         && blob_ledger_chunk(ledger, run->big, run->first + fetch->passed)->stored) {
    blob_session_say(&target->session, "have %u", id);
    fetch->passed++;
    if (fetch->run.since == 0)
      fetch->run.since = api_of(target)->monotonic(target->session.staging->blob->host);
  }
  if (fetch->passed == run->count && fetch->told > run->count) {
    blob_session_say(&target->session, "cut %u", id);
    fetch->told = run->count;
  }
}

static guint64
bytes_stored(BlobTarget *target, const BlobFetch *fetch)
{
  BlobLedger *ledger = target->session.staging->ledger;
  guint32 n = fetch->passed;
  while (n < fetch->run.count && blob_ledger_chunk(ledger, fetch->run.big, fetch->run.first + n)->stored)
    n++;
  return blob_ledger_bytes(ledger, fetch->run.big, fetch->run.first + fetch->passed, n - fetch->passed);
}

/* A lane that has nothing to do takes over half of what the one that lags behind most has not been told of. */
static void
steal(BlobTarget *target)
{
  BlobFetch *slowest = NULL;
  guint slowest_id = 0;
  guint64 most = 0;
  GHashTableIter iter;
  gpointer id, value;
  g_hash_table_iter_init(&iter, target->fetching);
  while (g_hash_table_iter_next(&iter, &id, &value)) {
    guint64 bytes = bytes_stored(target, value);
    if (bytes <= most)
      continue;
    most = bytes;
    slowest = value;
    slowest_id = GPOINTER_TO_UINT(id);
  }
  gboolean worth_it = slowest != NULL && blob_pace_worth_taking(&target->pace, most);
  BlobRun *tail = worth_it ? blob_run_split(&slowest->run, slowest->passed) : NULL;
  if (tail == NULL)
    return;
  g_queue_push_head(&target->waiting, tail);
  pass_gates(target, slowest_id, slowest);
}

static void
begin_run(BlobTarget *target, BlobRun *run)
{
  BlobFetch *fetch = g_new0(BlobFetch, 1);
  guint id = target->session.staging->next_run++;
  fetch->run = *run;
  g_free(run);
  g_hash_table_insert(target->fetching, GUINT_TO_POINTER(id), fetch);
  blob_session_run(&target->session, id, &fetch->run);
  fetch->told = fetch->run.count;
  pass_gates(target, id, fetch);
}

/* A connection that stays has no use for what is not stored yet. What the source has under way stands in front. */
static GList *
next_run(BlobTarget *target)
{
  const BlobStaging *staging = target->session.staging;
  GList *link = target->waiting.head;
  for (guint i = 0; staging->tuning.warm && link != NULL; link = i < LOOK_AHEAD ? link->next : NULL, i++) {
    const BlobRun *run = link->data;
    if (blob_ledger_is_stored(run->big, run->first, staging->ledger))
      break;
  }
  return link;
}

static void
pump_runs(BlobTarget *target)
{
  const BlobTuning *tuning = &target->session.staging->tuning;
  guint fetchers = blob_tune_told(tuning, tuning->fetchers);
  GHashTableIter iter;
  gpointer id, fetch;
  g_hash_table_iter_init(&iter, target->fetching);
  while (g_hash_table_iter_next(&iter, &id, &fetch))
    pass_gates(target, GPOINTER_TO_UINT(id), fetch);
  while (g_hash_table_size(target->fetching) < fetchers) {
    if (g_queue_is_empty(&target->waiting))
      steal(target);
    GList *link = next_run(target);
    if (link == NULL)
      return;
    BlobRun *run = link->data;
    g_queue_delete_link(&target->waiting, link);
    begin_run(target, run);
  }
}

static guint
n_under_way(BlobTarget *target)
{
  guint n = 0;
  GHashTableIter iter;
  gpointer fetch;
  g_hash_table_iter_init(&iter, target->fetching);
  while (g_hash_table_iter_next(&iter, NULL, &fetch))
    n += ((BlobFetch *) fetch)->run.since > 0 ? 1 : 0;
  return n;
}

void
blob_target_hedge(BlobTarget *target)
{
  BlobStaging *staging = target->session.staging;
  const BlobSource *source = &staging->source;
  gint64 now = staging->api->monotonic(staging->blob->host);
  guint fetchers = staging->tuning.fetchers, busy = g_hash_table_size(target->fetching);
  GHashTableIter iter;
  gpointer fetch;
  if (staging->tuning.rate > 0 || target->op == NULL || target->landing || next_run(target) != NULL)
    return;
  gboolean ending = g_hash_table_size(source->sending) == 0 && n_under_way(target) * 2 <= fetchers;
  g_hash_table_iter_init(&iter, target->fetching);
  while (busy < fetchers && g_hash_table_iter_next(&iter, NULL, &fetch)) {
    BlobRun *run = &((BlobFetch *) fetch)->run;
    if (!blob_run_is_late(run, &target->pace, blob_run_next_length(staging->ledger, run), ending, now))
      continue;
    g_queue_push_head(&target->waiting, blob_run_twin(run));
    busy++;
  }
  if (next_run(target) != NULL)
    blob_target_pump(target);
}

static gboolean
has_all(BlobTarget *target)
{
  BlobStaging *staging = target->session.staging;
  const BlobSource *source = &staging->source;
  if (!source->planned)
    return FALSE;
  if (source->n_small > 0 && (source->n_pieces < 0 || (gint64) target->next_piece < source->n_pieces))
    return FALSE;
  for (guint i = 0; i < target->pieces->len; i++)
    if (target->pieces->data[i] != CHUNK_GOT)
      return FALSE;
  if (staging->ledger->bigs->len > 0 && !target->meta_got)
    return FALSE;
  for (guint i = 0; i < staging->ledger->bigs->len; i++) {
    const BlobBig *big = g_ptr_array_index(staging->ledger->bigs, i);
    for (guint32 k = 0; k < big->n; k++)
      if (*state_of(target, i, k) != CHUNK_GOT)
        return FALSE;
  }
  return TRUE;
}

void
blob_target_pump(BlobTarget *target)
{
  BlobStaging *staging = target->session.staging;
  if (target->op == NULL || target->session.exec == NULL || target->landing || !staging->stands)
    return;
  if (!target->greeted)
    greet(target);
  pump_pieces(target);
  if (!target->meta_asked && staging->source.has_meta) {
    blob_session_say(&target->session, "meta %s", staging->source.meta);
    target->meta_asked = TRUE;
  }
  pump_runs(target);
  if (g_hash_table_size(target->fetching) > 0 || !g_queue_is_empty(&target->waiting) || !has_all(target))
    return;
  for (guint i = 0; staging->tuning.warm && i < staging->ledger->bigs->len; i++)
    blob_session_say(&target->session, "whole %u %" G_GUINT64_FORMAT, i,
                     ((const BlobBig *) g_ptr_array_index(staging->ledger->bigs, i))->size);
  blob_session_say(&target->session, "land");
  target->landing = TRUE;
}

/* ---- its session ---- */

static void
forget(BlobTarget *target)
{
  BlobLedger *ledger = target->session.staging->ledger;
  g_queue_clear_full(&target->waiting, g_free);
  g_hash_table_remove_all(target->fetching);
  g_byte_array_set_size(target->pieces, 0);
  target->pieces_open = target->next_piece = 0;
  target->greeted = target->unpacking = target->packed = target->meta_asked = target->meta_got = FALSE;
  target->landing = target->again = FALSE;
  target->landed = -1;
  for (guint i = 0; i < target->got->len; i++) {
    GByteArray *states = g_ptr_array_index(target->got, i);
    for (guint32 k = 0; k < states->len; k++)
      states->data[k] = states->data[k] == CHUNK_GOT ? CHUNK_GOT : CHUNK_UNKNOWN;
    BlobRun whole = { .big = i, .count = ((BlobBig *) g_ptr_array_index(ledger->bigs, i))->n };
    blob_target_expect(target, &whole);
  }
}

void
blob_target_start(BlobTarget *target)
{
  BlobStaging *staging = target->session.staging;
  const BlobTuning *tuning = &staging->tuning;
  g_autofree char *body = g_strconcat(blob_common_functions, blob_target_script, NULL), *script = landing_script(body),
                  *lanes = blob_session_lanes(&target->session, tuning->fetchers);
  const char *const argv[] = { "sh",
                               "-c",
                               script,
                               "azlin",
                               target->job.target_folder,
                               target->job.run,
                               target->job.single_file ? "kept" : "",
                               blob_lanes_program,
                               NULL };
  g_autofree char *text = g_strdup_printf("set %d %u %" G_GUINT64_FORMAT " %s\n%s", tuning->keep ? 1 : 0, tuning->level,
                                          tuning->rate, tuning->near ? "crc" : "md5sum", lanes);
  g_autoptr(GBytes) input = g_bytes_new(text, strlen(text));
  AzlinExec request = { .size = sizeof request,
                        .vm = target->job.target,
                        .argv = argv,
                        .input = input,
                        .on_line = on_line,
                        .line_data = target,
                        .interactive = TRUE };
  forget(target);
  target->session.attempt++;
  blob_staging_ref(staging);
  target->session.exec = staging->api->op_new(target->op, "empty the container", 0, on_ended, target);
  staging->api->exec(staging->blob->host, &request, target->session.exec);
  blob_target_pump(target);
}

void
blob_target_restart(BlobTarget *target)
{
  if (target->op == NULL || target->session.exec == NULL)
    return;
  target->again = TRUE;
  api_of(target)->op_cancel(target->session.exec, "the stream is another one");
}

static void
on_slept(AzlinOp *op, gpointer data)
{
  BlobTarget *target = data;
  BlobStaging *staging = target->session.staging;
  if (target->op != NULL && staging->api->op_error(op) == NULL)
    blob_target_start(target);
  blob_staging_unref(staging);
}

static void
try_again(BlobTarget *target, AzlinOp *exec)
{
  BlobStaging *staging = target->session.staging;
  g_autoptr(GError) error = blob_session_error(&target->session, exec);
  int delay = target->again ? 0 : staging->api->retry_delay_ms(error, target->session.attempt);
  if (delay < 0) {
    blob_target_end(target, error);
    return;
  }
  staging->api->log(staging->blob->host, G_LOG_LEVEL_INFO, "%s, attempt %u: %s; again in %d ms",
                    target->job.target->region, target->session.attempt, error->message, delay);
  staging->api->sleep(staging->blob->host, (guint32) delay,
                      staging->api->op_new(target->op, "wait to retry", 0, on_slept, target));
  blob_staging_ref(staging);
}

static void
on_ended(AzlinOp *exec, gpointer data)
{
  BlobTarget *target = data;
  BlobStaging *staging = target->session.staging;
  target->session.exec = NULL;
  if (target->op != NULL && (target->landed == 0 || target->landed == 23))
    blob_target_end(target, NULL);
  else if (target->op != NULL)
    try_again(target, exec);
  blob_staging_unref(staging);
}

/* ---- making it ---- */

BlobTarget *
blob_target_new(BlobStaging *staging, const AzlinSyncJob *job, AzlinOp *op)
{
  BlobTarget *target = g_new0(BlobTarget, 1);
  *target = (BlobTarget){ .op = op, .job = sync_job_copy(staging->api, job), .landed = -1 };
  target->session = (BlobSession){ .staging = staging, .vm = target->job.target };
  target->fetching = g_hash_table_new_full(NULL, NULL, NULL, g_free);
  target->got = g_ptr_array_new_with_free_func((GDestroyNotify) g_byte_array_unref);
  target->pieces = g_byte_array_new();
  target->left = g_byte_array_new();
  target->errors = g_ptr_array_new_with_free_func(g_free);
  g_queue_init(&target->waiting);
  staging->api->op_on_cancel(op, on_cancelled, target);
  return target;
}

void
blob_target_free(gpointer data)
{
  BlobTarget *target = data;
  sync_job_clear(api_of(target), &target->job);
  g_free(target->session.words);
  g_hash_table_unref(target->fetching);
  g_ptr_array_unref(target->got);
  g_byte_array_unref(target->pieces);
  g_byte_array_unref(target->left);
  g_ptr_array_unref(target->errors);
  g_queue_clear_full(&target->waiting, g_free);
  g_free(target);
}
