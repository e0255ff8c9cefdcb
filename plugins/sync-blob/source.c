/* The source's side of a staged copy: its session, what it is told to send, and what it says has been stored. */
#include "staging.h"
#include <stdlib.h>
#include <string.h>

#define MAX_TRIES 8u
#define MAX_WARNINGS 20u
#define GATHER_MS 1000
#define UNDER_WAY 2u /* chunks of a lane that it sends, or may have begun before it hears of a cut */

static void on_ended(AzlinOp *exec, gpointer data);

static void
fail(BlobStaging *staging, AzlinError code, const char *text)
{
  g_autoptr(GError) error = g_error_new_literal(AZLIN_ERROR, (int) code, text);
  blob_staging_failed(staging, error);
}

/* ---- what it says ---- */

static void
take_big(BlobStaging *staging, char **words)
{
  guint64 size = g_ascii_strtoull(words[2], NULL, 10);
  if (!blob_ledger_add(staging->ledger, (guint32) strtoul(words[1], NULL, 10), size))
    fail(staging, AZLIN_ERROR_SYNC, "what the source holds changed while the copy was begun again");
}

static void
take_sorted(BlobStaging *staging, char **words)
{
  BlobSource *source = &staging->source;
  source->sorted = TRUE;
  source->n_small = g_ascii_strtoull(words[1], NULL, 10);
  blob_source_pump(staging);
  blob_staging_pump(staging);
}

static void
take_news(BlobStaging *staging, BlobChunkNews news)
{
  if (news == BLOB_CHUNK_STORED)
    blob_staging_pump(staging);
}

static void
take_begun(BlobStaging *staging, char **words)
{
  BlobRun *run = g_hash_table_lookup(staging->source.sending, GUINT_TO_POINTER((guint) strtoul(words[1], NULL, 10)));
  if (run != NULL)
    run->since = staging->heard;
}

static void
take_cold(BlobStaging *staging, char **words)
{
  blob_session_cold(&staging->source.session);
}

static void
take_end(BlobStaging *staging, char **words)
{
  BlobSource *source = &staging->source;
  guint id = (guint) strtoul(words[1], NULL, 10);
  BlobRun *run = g_hash_table_lookup(source->sending, GUINT_TO_POINTER(id));
  if (run == NULL)
    return;
  guint before = source->runs.length;
  blob_run_rest(run, blob_tune_longest_run(&staging->tuning), blob_ledger_is_stored, staging->ledger, &source->runs);
  gboolean hopeless = source->runs.length > before && ((BlobRun *) source->runs.tail->data)->tries >= MAX_TRIES;
  g_hash_table_remove(source->sending, GUINT_TO_POINTER(id));
  source->open--;
  if (hopeless) {
    g_autofree char *text
        = g_strdup_printf("the source could not store a part of a file %u times: %s", MAX_TRIES,
                          source->session.words != NULL ? source->session.words : "it keeps changing");
    fail(staging, AZLIN_ERROR_SYNC, text);
  } else {
    blob_source_pump(staging);
  }
}

static void
take_pack(BlobStaging *staging, char **words)
{
  guint32 number = (guint32) strtoul(words[1], NULL, 10);
  BlobPiece *piece = blob_ledger_piece(staging->ledger, number);
  guint8 sum[BLOB_SUM_BYTES];
  if (piece == NULL || !blob_sum_from_hex(words[2], sum)) {
    fail(staging, AZLIN_ERROR_SYNC, "the source said what cannot be");
    return;
  }
  gboolean other = piece->stored && memcmp(piece->sum, sum, sizeof sum) != 0;
  memcpy(piece->sum, sum, sizeof sum);
  piece->length = g_ascii_strtoull(words[3], NULL, 10);
  piece->stored = TRUE;
  for (guint i = 0; other && i < staging->targets->len; i++)
    blob_target_restart(g_ptr_array_index(staging->targets, i));
  blob_staging_pump(staging);
}

static void
take_packed(BlobStaging *staging, char **words)
{
  staging->source.n_pieces = (gint64) strtoul(words[1], NULL, 10);
  staging->source.tar_status = atoi(words[2]);
  blob_staging_pump(staging);
}

static void
take_meta(BlobStaging *staging, char **words)
{
  BlobSource *source = &staging->source;
  guint8 sum[BLOB_SUM_BYTES];
  if (!blob_sum_from_hex(words[1], sum))
    return;
  g_strlcpy(source->meta, words[1], sizeof source->meta);
  source->has_meta = TRUE;
  blob_staging_pump(staging);
}

/* Another lane has stored what they have under way. */
static void
drop_others(BlobSource *source, guint id, guint32 big, guint32 chunk)
{
  GHashTableIter iter;
  gpointer other, run;
  g_hash_table_iter_init(&iter, source->sending);
  while (g_hash_table_iter_next(&iter, &other, &run))
    if (GPOINTER_TO_UINT(other) != id && blob_run_is_at(run, big, chunk))
      blob_session_say(&source->session, "drop %u", GPOINTER_TO_UINT(other));
}

static void
take_put(BlobStaging *staging, char **words)
{
  BlobSource *source = &staging->source;
  guint32 big = (guint32) strtoul(words[1], NULL, 10), chunk = (guint32) strtoul(words[2], NULL, 10);
  guint id = (guint) strtoul(words[5], NULL, 10);
  BlobRun *run = g_hash_table_lookup(source->sending, GUINT_TO_POINTER(id));
  gboolean twice = run != NULL && run->twice;
  if (run != NULL && blob_run_is_at(run, big, chunk))
    blob_run_moved(run, &source->pace, blob_ledger_length(staging->ledger, big, chunk),
                   staging->api->monotonic(staging->blob->host));
  if (!g_str_equal(words[3], "201")) {
    blob_session_refused(&source->session, words[3]);
    return;
  }
  if (twice)
    drop_others(source, id, big, chunk);
  take_news(staging, blob_ledger_echo(staging->ledger, big, chunk, words[4]));
}

static void
take_sum(BlobStaging *staging, char **words)
{
  guint32 big = (guint32) strtoul(words[1], NULL, 10), chunk = (guint32) strtoul(words[2], NULL, 10);
  take_news(staging, blob_ledger_sum(staging->ledger, big, chunk, words[3]));
}

static const struct {
  const char *word;
  guint n; /* words in all */
  void (*take)(BlobStaging *staging, char **words);
} lines[] = {
  { "big", 3, take_big },     { "sorted", 2, take_sorted }, { "sum", 4, take_sum },   { "put", 6, take_put },
  { "end", 3, take_end },     { "pack", 4, take_pack },     { "meta", 2, take_meta }, { "packed", 3, take_packed },
  { "begun", 2, take_begun }, { "cold", 1, take_cold },
};

static void
take_words(BlobSource *source, const char *line)
{
  if (g_str_has_prefix(line, "warn ") && source->warnings->len < MAX_WARNINGS)
    g_ptr_array_add(source->warnings, g_utf8_make_valid(line + strlen("warn "), -1));
  else if (g_str_has_prefix(line, "say "))
    blob_session_words(&source->session, line + strlen("say "));
  else if (g_str_has_prefix(line, "fail "))
    blob_session_failed(&source->session, line + strlen("fail "));
}

static void
on_line(const char *line, gpointer data)
{
  BlobStaging *staging = data;
  if (line[0] != '@' || staging->over)
    return;
  staging->heard = staging->api->monotonic(staging->blob->host);
  if (g_str_has_prefix(line, "@train ")) {
    blob_train_arrived(&staging->source.train, strlen(line), staging->heard);
    return;
  }
  take_words(&staging->source, line + 1);
  g_auto(GStrv) words = g_strsplit(line + 1, " ", 7);
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
    if (words[0] != NULL && g_str_equal(words[0], lines[i].word) && g_strv_length(words) >= lines[i].n) {
      lines[i].take(staging, words);
      return;
    }
}

/* ---- what it is told ---- */

/* A lane that has nothing to do takes over half of what the busiest one has not begun. */
static void
steal(BlobStaging *staging)
{
  BlobSource *source = &staging->source;
  BlobRun *busiest = NULL;
  guint busiest_id = 0;
  guint64 most = 0;
  GHashTableIter iter;
  gpointer id, value;
  g_hash_table_iter_init(&iter, source->sending);
  while (g_hash_table_iter_next(&iter, &id, &value)) {
    BlobRun *run = value;
    guint32 begun = MIN(run->done + UNDER_WAY, run->count);
    guint64 left = blob_ledger_bytes(staging->ledger, run->big, run->first + begun, run->count - begun);
    if (left <= most)
      continue;
    most = left;
    busiest = run;
    busiest_id = GPOINTER_TO_UINT(id);
  }
  gboolean worth_it = busiest != NULL && blob_pace_worth_taking(&source->pace, most);
  BlobRun *tail = worth_it ? blob_run_split(busiest, busiest->done + UNDER_WAY) : NULL;
  if (tail == NULL)
    return;
  g_queue_push_tail(&source->runs, tail);
  blob_session_say(&source->session, "cut %u %u", busiest_id, busiest->count);
}

/* Once the container stands: until then the train says what the line carries. */
static void
plan(BlobStaging *staging)
{
  BlobSource *source = &staging->source;
  double rate = blob_train_rate(&source->train);
  if (rate > 0)
    blob_tune_to_line(&staging->tuning, rate);
  if (!blob_ledger_cut(staging->ledger, &staging->tuning.cut)) {
    fail(staging, AZLIN_ERROR_SYNC, "the source says that it has a file of impossible size");
    return;
  }
  blob_ledger_plan(staging->ledger, blob_tune_longest_run(&staging->tuning), &source->runs);
  source->planned = TRUE;
}

void
blob_source_pump(BlobStaging *staging)
{
  BlobSource *source = &staging->source;
  if (source->sorted && source->greeted && !source->planned)
    plan(staging);
  while (source->planned && source->session.exec != NULL
         && source->open < blob_tune_told(&staging->tuning, staging->tuning.cut.lanes)) {
    if (g_queue_is_empty(&source->runs))
      steal(staging);
    if (g_queue_is_empty(&source->runs))
      return;
    BlobRun *run = g_queue_pop_head(&source->runs);
    guint id = staging->next_run++;
    run->since = staging->api->monotonic(staging->blob->host);
    g_hash_table_insert(source->sending, GUINT_TO_POINTER(id), run);
    source->open++;
    blob_session_run(&source->session, id, run);
    for (guint i = 0; i < staging->targets->len; i++)
      blob_target_expect(g_ptr_array_index(staging->targets, i), run);
  }
}

/* Lanes have nothing to do only towards the end. A rate that is asked for holds for each connection. */
void
blob_source_hedge(BlobStaging *staging)
{
  BlobSource *source = &staging->source;
  gint64 now = staging->api->monotonic(staging->blob->host);
  guint idle = staging->tuning.cut.lanes - MIN(source->open, staging->tuning.cut.lanes);
  GHashTableIter iter;
  gpointer run;
  if (staging->tuning.rate > 0 || !g_queue_is_empty(&source->runs))
    return;
  g_hash_table_iter_init(&iter, source->sending);
  while (idle > 0 && g_hash_table_iter_next(&iter, NULL, &run)) {
    guint64 length = blob_run_next_length(staging->ledger, run);
    if (!blob_run_is_late(run, &source->pace, length, source->open * 2 <= staging->tuning.cut.lanes, now))
      continue;
    g_queue_push_tail(&source->runs, blob_run_twin(run));
    idle--;
  }
  if (!g_queue_is_empty(&source->runs))
    blob_source_pump(staging);
}

void
blob_source_again(BlobStaging *staging, guint32 big, guint32 number)
{
  BlobChunk *chunk = blob_ledger_chunk(staging->ledger, big, number);
  if (chunk == NULL || !chunk->stored)
    return;
  blob_ledger_lose(staging->ledger, big, number);
  BlobRun *run = g_new0(BlobRun, 1);
  *run = (BlobRun){ .big = big, .first = number, .count = 1, .tries = 1 };
  g_queue_push_head(&staging->source.runs, run);
  blob_source_pump(staging);
}

static void
on_gathered(AzlinOp *op, gpointer data)
{
  BlobStaging *staging = data;
  if (!staging->over)
    blob_source_restart(staging, "something is to be sent again");
  blob_staging_unref(staging);
}

void
blob_source_pack_again(BlobStaging *staging, const char *blob)
{
  BlobSource *source = &staging->source;
  if (g_str_has_prefix(blob, "t/")) {
    BlobPiece *piece = blob_ledger_piece(staging->ledger, (guint32) strtoul(blob + 2, NULL, 10));
    if (piece == NULL || !piece->stored)
      return;
    piece->stored = FALSE;
  }
  if (source->again || source->session.exec == NULL)
    return;
  source->again = TRUE; /* several may be gone */
  staging->api->sleep(staging->blob->host, GATHER_MS,
                      staging->api->op_new(staging->op, "gather", 0, on_gathered, blob_staging_ref(staging)));
}

void
blob_source_restart(BlobStaging *staging, const char *why)
{
  if (staging->source.session.exec == NULL)
    return;
  staging->source.again = TRUE;
  staging->api->op_cancel(staging->source.session.exec, why);
}

void
blob_source_greet(BlobStaging *staging)
{
  BlobSource *source = &staging->source;
  if (source->session.exec == NULL || staging->source_sas == NULL || !staging->stands)
    return;
  blob_session_say(&source->session, "base %s/%s", staging->blob->account.endpoint->url, staging->container);
  blob_session_say(&source->session, "sas %s", staging->source_sas);
  if (!source->greeted)
    blob_session_say(&source->session, "go");
  source->greeted = TRUE;
  blob_source_pump(staging);
}

static void
say_stored(BlobStaging *staging)
{
  for (guint i = 0; i < staging->ledger->pieces->len; i++) {
    const BlobPiece *piece = &g_array_index(staging->ledger->pieces, BlobPiece, i);
    if (!piece->stored)
      continue;
    GString *hex = g_string_new(NULL);
    for (guint k = 0; k < BLOB_SUM_BYTES; k++)
      g_string_append_printf(hex, "%02x", piece->sum[k]);
    blob_session_say(&staging->source.session, "skip %u %s", i, hex->str);
    g_string_free(hex, TRUE);
  }
}

void
blob_source_start(BlobStaging *staging)
{
  BlobSource *source = &staging->source;
  const BlobTuning *tuning = &staging->tuning;
  g_autofree char *script = g_strconcat(blob_common_functions, blob_source_script, NULL);
  const char *const argv[] = { "sh", "-c", script, "azlin", staging->source_folder, blob_lanes_program, NULL };
  g_autofree char *lanes = blob_session_lanes(&source->session, tuning->cut.lanes);
  GString *input = g_string_new(NULL);
  gsize length = 0;
  const char *names = g_bytes_get_data(staging->names, &length);
  g_string_append_printf(input, "set %" G_GUINT64_FORMAT " %u %u %" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %s\n%s%s",
                         tuning->piece_bytes, tuning->packers, tuning->level, tuning->rate, tuning->big_bytes,
                         tuning->near ? "crc" : "md5sum", lanes, tuning->train ? "train\n" : "");
  g_string_append_printf(input, "names %" G_GSIZE_FORMAT "\n", length);
  g_string_append_len(input, names, (gssize) length);
  g_autoptr(GBytes) bytes = g_string_free_to_bytes(input);
  AzlinExec request = { .size = sizeof request,
                        .vm = staging->source_vm,
                        .argv = argv,
                        .input = bytes,
                        .on_line = on_line,
                        .line_data = staging,
                        .interactive = TRUE };
  source->session.attempt++;
  source->sorted = source->greeted = source->planned = FALSE;
  source->train = (BlobTrain){ 0 };
  source->open = 0;
  g_queue_clear_full(&source->runs, g_free);
  g_hash_table_remove_all(source->sending);
  source->session.exec
      = staging->api->op_new(staging->op, "fill the container", 0, on_ended, blob_staging_ref(staging));
  staging->api->exec(staging->blob->host, &request, source->session.exec);
  say_stored(staging);
  blob_source_greet(staging);
}

/* ---- its end ---- */

static void
on_slept(AzlinOp *op, gpointer data)
{
  BlobStaging *staging = data;
  if (staging->api->op_error(op) == NULL && !staging->over)
    blob_source_start(staging);
  blob_staging_unref(staging);
}

static void
on_ended(AzlinOp *exec, gpointer data)
{
  BlobStaging *staging = data;
  const AzlinHostApi *api = staging->api;
  BlobSession *session = &staging->source.session;
  session->exec = NULL;
  if (!staging->over) {
    g_autoptr(GError) error = blob_session_error(session, exec);
    gboolean wanted = staging->source.again && session->attempt < MAX_TRIES;
    int delay = wanted ? 0 : api->retry_delay_ms(error, session->attempt);
    staging->source.again = FALSE;
    if (delay < 0) {
      blob_staging_failed(staging, error);
    } else {
      api->log(staging->blob->host, G_LOG_LEVEL_INFO, "the source's attempt %u: %s; again in %d ms", session->attempt,
               error->message, delay);
      api->sleep(staging->blob->host, (guint32) delay,
                 api->op_new(staging->op, "wait to retry", 0, on_slept, blob_staging_ref(staging)));
    }
  }
  blob_staging_unref(staging);
}
