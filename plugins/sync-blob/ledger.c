/* What is stored and what is not: chunks of big files, pieces of the packed stream. Pure. */
#include "ledger.h"
#include <string.h>

#define MAX_BIGS (1u << 20)
#define MAX_PIECES (1u << 20)
#define MAX_CHUNKS (1u << 22)
#define MIB 1048576
#define SHORTEST_CHUNK 262144u
#define SHORTEST_PATIENCE_US 300000
#define TAKE_OVER_US 1000000
#define LONGEST_RUN 64u /* chunks: what a broken connection costs, and how unequal lanes may end */

static void
big_free(gpointer data)
{
  BlobBig *big = data;
  g_free(big->chunks);
  g_free(big);
}

BlobLedger *
blob_ledger_new(void)
{
  BlobLedger *ledger = g_new0(BlobLedger, 1);
  ledger->bigs = g_ptr_array_new_with_free_func(big_free);
  ledger->pieces = g_array_new(FALSE, TRUE, sizeof(BlobPiece));
  return ledger;
}

void
blob_ledger_free(BlobLedger *ledger)
{
  if (ledger == NULL)
    return;
  g_ptr_array_unref(ledger->bigs);
  g_array_unref(ledger->pieces);
  g_free(ledger);
}

gboolean
blob_ledger_add(BlobLedger *ledger, guint32 number, guint64 size)
{
  if (number < ledger->bigs->len)
    return ((BlobBig *) g_ptr_array_index(ledger->bigs, number))->size == size;
  if (number > ledger->bigs->len || number >= MAX_BIGS || size == 0)
    return FALSE;
  BlobBig *big = g_new0(BlobBig, 1);
  big->size = size;
  g_ptr_array_add(ledger->bigs, big);
  return TRUE;
}

/* ---- cutting ---- */

typedef struct { /* neighbours for one lane, of one file */
  guint64 bytes; /* at most */
  guint64 n, next;
  guint64 cut, left; /* of all files: chunks, bytes */
} Stretches;

/* Where any lane takes any chunk, the first of each is short, and the last ones shrink with what is left. */
static guint64
next_shared(const BlobCut *cut, const Stretches *stretches, guint64 rest)
{
  guint64 length = MIN(cut->chunk_bytes, SHORTEST_CHUNK << MIN(stretches->cut / cut->lanes, 8));
  length = MIN(length, MAX(stretches->left / (2 * cut->lanes) / BLOB_BLOCK * BLOB_BLOCK, SHORTEST_CHUNK));
  return rest < length + SHORTEST_CHUNK / 2 ? rest : length;
}

static guint64
next_length(const BlobCut *cut, const Stretches *stretches, guint nth, guint64 rest)
{
  guint64 least = MAX(cut->chunk_bytes / 4, SHORTEST_CHUNK), length = cut->chunk_bytes;
  if (cut->shared)
    return next_shared(cut, stretches, rest);
  if (!cut->graded)
    return MIN(length, rest);
  if (stretches->next < cut->lanes)
    length = MIN(length, least << MIN(nth, 8));
  if (stretches->next + cut->lanes >= stretches->n)
    length = MIN(length, MAX(rest / 3 / BLOB_BLOCK * BLOB_BLOCK, least));
  return rest < length + least / 2 ? rest : length;
}

static void
cut_one(BlobBig *big, const BlobCut *cut, Stretches *stretches)
{
  g_autoptr(GArray) chunks = g_array_new(FALSE, TRUE, sizeof(BlobChunk));
  guint64 at = 0;
  for (; at < big->size; stretches->next++) {
    guint64 end = at + MIN(stretches->bytes, big->size - at);
    for (guint nth = 0; at < end; nth++) {
      BlobChunk chunk = { .offset = at, .leads = nth == 0 };
      g_array_append_val(chunks, chunk);
      guint64 length = next_length(cut, stretches, nth, end - at);
      at += length;
      stretches->cut++;
      stretches->left -= length;
    }
  }
  big->n = chunks->len;
  big->chunks = (BlobChunk *) g_array_steal(chunks, NULL);
}

gboolean
blob_ledger_cut(BlobLedger *ledger, const BlobCut *cut)
{
  guint64 total = 0, shortest = cut->graded || cut->shared ? SHORTEST_CHUNK : cut->chunk_bytes;
  Stretches stretches = { 0 };
  for (guint i = 0; i < ledger->bigs->len; i++) {
    const BlobBig *big = g_ptr_array_index(ledger->bigs, i);
    if (big->chunks == NULL && big->size / shortest >= MAX_CHUNKS)
      return FALSE;
    total += big->chunks == NULL ? big->size : 0;
  }
  stretches.left = total;
  guint64 share = (total / MAX(cut->lanes, 1) / BLOB_BLOCK + 1) * BLOB_BLOCK;
  stretches.bytes = cut->shared ? G_MAXUINT64 / 2 : CLAMP(share, cut->chunk_bytes, LONGEST_RUN * cut->chunk_bytes);
  for (guint i = 0; i < ledger->bigs->len; i++) {
    const BlobBig *big = g_ptr_array_index(ledger->bigs, i);
    stretches.n += big->chunks == NULL ? 1 + (big->size - 1) / stretches.bytes : 0;
  }
  for (guint i = 0; i < ledger->bigs->len; i++) {
    BlobBig *big = g_ptr_array_index(ledger->bigs, i);
    if (big->chunks == NULL)
      cut_one(big, cut, &stretches);
  }
  return TRUE;
}

BlobChunk *
blob_ledger_chunk(BlobLedger *ledger, guint32 number, guint32 chunk)
{
  BlobBig *big = number < ledger->bigs->len ? g_ptr_array_index(ledger->bigs, number) : NULL;
  return big != NULL && chunk < big->n ? &big->chunks[chunk] : NULL;
}

guint64
blob_ledger_length(BlobLedger *ledger, guint32 number, guint32 chunk)
{
  const BlobBig *big = g_ptr_array_index(ledger->bigs, number);
  return (chunk + 1 < big->n ? big->chunks[chunk + 1].offset : big->size) - big->chunks[chunk].offset;
}

guint64
blob_ledger_bytes(BlobLedger *ledger, guint32 big, guint32 first, guint32 count)
{
  guint64 bytes = 0;
  for (guint32 k = first; k < first + count; k++)
    bytes += blob_ledger_length(ledger, big, k);
  return bytes;
}

guint64
blob_run_next_length(BlobLedger *ledger, const BlobRun *run)
{
  return run->done < run->count ? blob_ledger_length(ledger, run->big, run->first + run->done) : 0;
}

BlobPiece *
blob_ledger_piece(BlobLedger *ledger, guint32 piece)
{
  if (piece >= MAX_PIECES)
    return NULL;
  if (piece >= ledger->pieces->len)
    g_array_set_size(ledger->pieces, piece + 1);
  return &g_array_index(ledger->pieces, BlobPiece, piece);
}

gboolean
blob_sum_from_hex(const char *hex, guint8 *ret_sum)
{
  if (strlen(hex) != 2 * BLOB_SUM_BYTES)
    return FALSE;
  for (guint i = 0; i < BLOB_SUM_BYTES; i++) {
    int high = g_ascii_xdigit_value(hex[2 * i]), low = g_ascii_xdigit_value(hex[2 * i + 1]);
    if (high < 0 || low < 0)
      return FALSE;
    ret_sum[i] = (guint8) (high << 4 | low);
  }
  return TRUE;
}

/* Both are there: equal, or neither counts. */
static BlobChunkNews
compare(const BlobLedger *ledger, BlobChunk *chunk)
{
  if (!chunk->has_sum || !chunk->has_echo)
    return BLOB_CHUNK_WAITS;
  chunk->stored = ledger->no_echo || memcmp(chunk->sum, chunk->echoed, BLOB_SUM_BYTES) == 0;
  if (!chunk->stored)
    chunk->has_sum = chunk->has_echo = FALSE;
  return chunk->stored ? BLOB_CHUNK_STORED : BLOB_CHUNK_TORN;
}

BlobChunkNews
blob_ledger_sum(BlobLedger *ledger, guint32 big, guint32 number, const char *hex)
{
  BlobChunk *chunk = blob_ledger_chunk(ledger, big, number);
  if (chunk == NULL || chunk->stored)
    return BLOB_CHUNK_KNOWN;
  chunk->has_sum = blob_sum_from_hex(hex, chunk->sum);
  return compare(ledger, chunk);
}

BlobChunkNews
blob_ledger_echo(BlobLedger *ledger, guint32 big, guint32 number, const char *base64)
{
  BlobChunk *chunk = blob_ledger_chunk(ledger, big, number);
  if (chunk == NULL || chunk->stored)
    return BLOB_CHUNK_KNOWN;
  gsize length = 0;
  g_autofree guchar *raw = g_base64_decode(base64, &length);
  chunk->has_echo = length == BLOB_SUM_BYTES || ledger->no_echo;
  if (!chunk->has_echo)
    return BLOB_CHUNK_TORN;
  memcpy(chunk->echoed, raw, MIN(length, BLOB_SUM_BYTES));
  return compare(ledger, chunk);
}

/* ---- runs ---- */

static void
add_run(GQueue *runs, guint32 big, guint32 first, guint32 count, guint tries)
{
  BlobRun *run = g_new0(BlobRun, 1);
  *run = (BlobRun){ .big = big, .first = first, .count = count, .tries = tries };
  g_queue_push_tail(runs, run);
}

/* Stretches of neighbours, none longer than `longest`. */
static void
add_missing(const BlobRun *whole, guint32 longest, BlobHas has, gpointer data, GQueue *runs)
{
  guint32 start = whole->first, end = whole->first + whole->count;
  for (guint32 k = whole->first; k <= end; k++) {
    gboolean wanted = k < end && !has(whole->big, k, data);
    if (k > start && (!wanted || k - start == longest)) {
      add_run(runs, whole->big, start, k - start, whole->tries);
      start = k;
    }
    if (!wanted)
      start = k + 1;
  }
}

gboolean
blob_ledger_is_stored(guint32 big, guint32 chunk, gpointer data)
{
  return blob_ledger_chunk(data, big, chunk)->stored;
}

void
blob_ledger_lose(BlobLedger *ledger, guint32 big, guint32 number)
{
  BlobChunk *chunk = blob_ledger_chunk(ledger, big, number);
  *chunk = (BlobChunk){ .offset = chunk->offset, .leads = chunk->leads };
}

void
blob_ledger_plan(BlobLedger *ledger, guint32 longest, GQueue *runs)
{
  for (guint i = 0; i < ledger->bigs->len; i++) {
    const BlobBig *big = g_ptr_array_index(ledger->bigs, i);
    for (guint32 first = 0, next; first < big->n; first = next) {
      for (next = first + 1; next < big->n && !big->chunks[next].leads;)
        next++;
      BlobRun whole = { .big = i, .first = first, .count = next - first };
      add_missing(&whole, longest > 0 ? longest : G_MAXUINT32, blob_ledger_is_stored, ledger, runs);
    }
  }
}

char *
blob_ledger_spans(BlobLedger *ledger, const BlobRun *run)
{
  GString *spans = g_string_new(NULL);
  g_string_printf(spans, "%" G_GUINT64_FORMAT, blob_ledger_chunk(ledger, run->big, run->first)->offset);
  for (guint32 k = run->first; k < run->first + run->count; k++)
    g_string_append_printf(spans, " %" G_GUINT64_FORMAT, blob_ledger_length(ledger, run->big, k));
  return g_string_free(spans, FALSE);
}

void
blob_run_rest(const BlobRun *run, guint32 longest, BlobHas has, gpointer data, GQueue *runs)
{
  BlobRun again = *run;
  again.tries = run->tries + 1;
  again.done = 0;
  again.since = 0;
  again.twice = FALSE;
  for (guint32 k = run->first; k < run->first + run->count; k++)
    if (has(run->big, k, data))
      again.tries = 0;
  add_missing(&again, longest > 0 ? longest : LONGEST_RUN, has, data, runs);
}

BlobRun *
blob_run_split(BlobRun *run, guint32 kept)
{
  if (kept >= run->count)
    return NULL;
  guint32 taken = (run->count - kept + 1) / 2;
  BlobRun *tail = g_new0(BlobRun, 1);
  *tail = (BlobRun){ .big = run->big, .first = run->first + run->count - taken, .count = taken };
  run->count -= taken;
  return tail;
}

/* ---- connections that lag ---- */

gboolean
blob_pace_worth_taking(const BlobPace *pace, guint64 bytes)
{
  return (double) pace->usual * (double) bytes / MIB >= TAKE_OVER_US;
}

gboolean
blob_run_is_at(const BlobRun *run, guint32 big, guint32 chunk)
{
  return run->big == big && run->first + run->done == chunk && run->done < run->count;
}

void
blob_run_moved(BlobRun *run, BlobPace *pace, guint64 length, gint64 now)
{
  gint64 took = (now - run->since) * MIB / (gint64) MAX(length, 1);
  if (run->since > 0)
    pace->usual = pace->usual == 0 ? took : (pace->usual * 7 + took) / 8;
  run->done++;
  run->since = now;
  run->twice = FALSE;
}

gboolean
blob_run_is_late(const BlobRun *run, const BlobPace *pace, guint64 length, gboolean ending, gint64 now)
{
  gint64 usual = (gint64) ((double) pace->usual * (double) length / MIB), patience = ending ? usual : 3 * usual;
  return pace->usual > 0 && run->since > 0 && !run->twice && run->done < run->count
         && now - run->since > MAX(patience, SHORTEST_PATIENCE_US);
}

BlobRun *
blob_run_twin(BlobRun *run)
{
  BlobRun *twin = g_new0(BlobRun, 1);
  *twin = (BlobRun){ .big = run->big, .first = run->first + run->done, .count = 1, .twice = TRUE };
  run->twice = TRUE;
  return twin;
}
