/* What is stored and what is not: chunks of big files, pieces of the packed stream. Pure. */
#pragma once
#include "azlin-plugin.h"

#define BLOB_SUM_BYTES 16 /* MD5 */
#define BLOB_BLOCK 65536u /* of the scripts' dd */

typedef struct {
  guint64 offset;                /* in its file */
  guint8 sum[BLOB_SUM_BYTES];    /* as the source read it */
  guint8 echoed[BLOB_SUM_BYTES]; /* as the service has it */
  gboolean has_sum, has_echo, stored;
  gboolean leads; /* a run begins with it */
} BlobChunk;

typedef struct {
  guint64 size;
  guint32 n;         /* chunks */
  BlobChunk *chunks; /* NULL until it is cut */
} BlobBig;

typedef struct { /* how files are cut */
  guint64 chunk_bytes;
  guint lanes;
  gboolean graded; /* the first chunks of each lane are short, so that targets begin early, and the last ones, too, so
                      that all lanes end together */
  gboolean shared; /* any lane takes any chunk: they are graded by their place in all that is sent */
} BlobCut;

typedef struct { /* neighbours of one file, sent or fetched over one connection */
  guint32 big, first, count;
  guint tries;
  guint32 done;   /* chunks of it that are stored, or fetched, in their order */
  gint64 since;   /* the chunk behind them is under way, in us of a monotonic clock; 0 = it waits */
  gboolean twice; /* that chunk is on a second connection, too; or this is the second one */
} BlobRun;

typedef struct {
  guint8 sum[BLOB_SUM_BYTES];
  guint64 length;
  gboolean stored;
} BlobPiece;

typedef struct {
  GPtrArray *bigs;  /* of BlobBig */
  GArray *pieces;   /* of BlobPiece */
  gboolean no_echo; /* the service computes another sum than source and target: theirs alone counts */
} BlobLedger;

BlobLedger *blob_ledger_new(void);
void blob_ledger_free(BlobLedger *ledger);

/* The file of that number has that size; FALSE: it had another one before, or a number was left out. */
gboolean blob_ledger_add(BlobLedger *ledger, guint32 big, guint64 size);
/* Cuts those that are not cut yet; a file begun keeps its chunks. FALSE: one would have more than can be kept. */
gboolean blob_ledger_cut(BlobLedger *ledger, const BlobCut *cut);
BlobChunk *blob_ledger_chunk(BlobLedger *ledger, guint32 big, guint32 chunk); /* NULL = there is none */
guint64 blob_ledger_length(BlobLedger *ledger, guint32 big, guint32 chunk);
guint64 blob_ledger_bytes(BlobLedger *ledger, guint32 big, guint32 first, guint32 count); /* of neighbours */
BlobPiece *
blob_ledger_piece(BlobLedger *ledger, guint32 piece); /* made when it is the next one; NULL = out of order by far */

typedef enum { BLOB_CHUNK_WAITS, BLOB_CHUNK_STORED, BLOB_CHUNK_TORN, BLOB_CHUNK_KNOWN } BlobChunkNews;
/* What the source read, in hex, and what the service answered, in base64: once both are there the chunk is STORED or
 * TORN. KNOWN: it was stored already. */
BlobChunkNews blob_ledger_sum(BlobLedger *ledger, guint32 big, guint32 chunk, const char *hex);
BlobChunkNews blob_ledger_echo(BlobLedger *ledger, guint32 big, guint32 chunk, const char *base64);

guint64 blob_run_next_length(BlobLedger *ledger, const BlobRun *run); /* of its chunk under way; 0 = none is left */
/* It is not there any more. */
void blob_ledger_lose(BlobLedger *ledger, guint32 big, guint32 chunk);
/* All chunks that are not stored as runs of at most `longest` chunks (0: as the files were cut for lanes side by side);
 * appended to `runs` (of BlobRun, each g_new'ed). */
void blob_ledger_plan(BlobLedger *ledger, guint32 longest, GQueue *runs);
/* "OFFSET LENGTH LENGTH ...": where the first chunk of `run` begins, and how long each is; owned. */
char *blob_ledger_spans(BlobLedger *ledger, const BlobRun *run);
/* What of `run` is missing by `has`, as runs of at most `longest` chunks (0: by what a broken connection may cost):
 * with one try more when none of it was there, else with none. */
typedef gboolean (*BlobHas)(guint32 big, guint32 chunk, gpointer data);
gboolean blob_ledger_is_stored(guint32 big, guint32 chunk, gpointer ledger); /* a BlobHas */
void blob_run_rest(const BlobRun *run, guint32 longest, BlobHas has, gpointer data, GQueue *runs);

/* Takes the second half of what `run` has behind its first `kept` chunks as a run of its own; owned, NULL = there is
 * nothing. `run` ends before it. */
BlobRun *blob_run_split(BlobRun *run, guint32 kept);

typedef struct { /* how long chunks take, smoothed, in us for each MiB; 0 = none has been moved */
  gint64 usual;
} BlobPace;
/* Is it worth another connection, which has to be made first and begins slowly, to take over so many bytes of a lane?
 */
gboolean blob_pace_worth_taking(const BlobPace *pace, guint64 bytes);
gboolean blob_run_is_at(const BlobRun *run, guint32 big, guint32 chunk); /* this chunk is under way, or next */
/* The chunk under way, of so many bytes, has been moved. */
void blob_run_moved(BlobRun *run, BlobPace *pace, guint64 length, gint64 now);
/* Does its chunk under way take so long that another connection should try it, too? `ending`: nothing else is left to
 * do, so that it costs nobody anything. */
gboolean blob_run_is_late(const BlobRun *run, const BlobPace *pace, guint64 length, gboolean ending, gint64 now);
BlobRun *blob_run_twin(BlobRun *run); /* that chunk alone, as a run; owned */

gboolean blob_sum_from_hex(const char *hex, guint8 *ret_sum); /* exactly 32 digits */
