/* One staged copy: a container, one source that fills it, and targets that empty it, all told what to do from here. */
#pragma once
#include "blob.h"
#include "ledger.h"
#include "train.h"

typedef struct { /* what azlin.conf asks for; 0 = nothing */
  guint connections;
  guint64 chunk_bytes;
  gboolean cold; /* not asked for, but so: a machine of the copy has no Python */
} BlobWishes;
typedef struct {
  BlobWishes wishes;
  guint64 bytes;       /* in all */
  gboolean warm;       /* all machines have Python: connections stay, and any of them takes any chunk (lanes.py) */
  gboolean near;       /* chunks are checked from end to end by CRC: MD5 would cost more than sending them */
  guint64 rate;        /* bytes per second and connection; 0 = any */
  gboolean train;      /* the source begins with one, by which the line is measured */
  BlobCut cut;         /* of files in ranges; its lanes are connections of the source */
  guint fetchers;      /* of a target: lanes at a time, and pieces at a time */
  guint64 big_bytes;   /* longer files are sent in ranges */
  guint64 piece_bytes; /* of the packed stream */
  guint packers;       /* pieces that are stored side by side */
  guint level;         /* zstd's; 0 = none */
  gboolean keep;       /* targets keep pieces that are unpacked, for a second attempt */
} BlobTuning;
/* tune.c: pure */
BlobTuning blob_tune(const AzlinSyncJob *job, const BlobWishes *wishes);
/* Connections and chunks as they fit a line that carries so much; <= 0 = unknown. */
void blob_tune_to_line(BlobTuning *tuning, double mib_per_second);
/* Lanes that are told more than they have connections for are never idle while what they said is on its way to azlin.
 */
guint blob_tune_told(const BlobTuning *tuning, guint connections);
guint32 blob_tune_longest_run(const BlobTuning *tuning); /* chunks; 0 = any */

typedef struct _BlobStaging BlobStaging;

typedef struct { /* a session: the script on one machine */
  BlobStaging *staging;
  const AzlinVm *vm;
  AzlinOp *exec; /* NULL = none runs */
  guint attempt;
  gboolean failed; /* its script said so; it was ended for that */
  char *words;     /* the last that the machine said about trouble, or NULL */
} BlobSession;

typedef struct {
  BlobSession session;
  GQueue runs;         /* of BlobRun: not begun */
  GHashTable *sending; /* id -> BlobRun */
  BlobPace pace;
  BlobTrain train;
  guint open; /* lanes */
  gboolean sorted, greeted;
  gboolean planned; /* what is to be sent is cut, and in `runs` */
  gboolean again;   /* its session was ended to begin anew */
  guint64 n_small;  /* names that go through tar */
  gint64 n_pieces;  /* < 0 = not known yet */
  int tar_status;
  gboolean has_meta;
  char meta[2 * BLOB_SUM_BYTES + 1];
  GPtrArray *warnings; /* of char* */
} BlobSource;

typedef struct {
  BlobRun run;
  guint32 passed; /* chunks that the target was told of */
  guint32 told;   /* how many its lane thinks there are */
} BlobFetch;

typedef struct {
  BlobSession session;
  AzlinOp *op; /* the caller's; NULL = it has ended */
  AzlinSyncJob job;
  GQueue waiting;       /* of BlobRun */
  GHashTable *fetching; /* id -> BlobFetch */
  BlobPace pace;
  GPtrArray *got;     /* one GByteArray per big file, a byte per chunk */
  GByteArray *pieces; /* a byte per piece: 0, asked for, got */
  guint pieces_open, next_piece;
  gboolean greeted, unpacking, packed, meta_asked, meta_got, landing;
  int landed;     /* status; < 0 = not yet */
  gboolean again; /* its stream is another one now: the session was ended to begin anew */
  guint64 bytes;
  GByteArray *left;  /* what could not be placed, as landing_read_report() reads it */
  GPtrArray *errors; /* of char* */
} BlobTarget;

struct _BlobStaging {
  Blob *blob;
  const AzlinHostApi *api;
  AzlinOp *op; /* beside the callers' trees; NULL = it has ended */
  AzlinVm *source_vm;
  char *source_folder;
  GBytes *names;
  BlobTuning tuning;
  BlobLedger *ledger;
  BlobSource source;
  GPtrArray *targets; /* of BlobTarget */
  char *container;    /* NULL until it is announced in the journal */
  guint64 intent;
  gboolean stands;               /* the container: requests may begin */
  gint64 expiry;                 /* of the signatures */
  char *source_sas, *target_sas; /* secrets */
  guint next_run;
  gint64 heard; /* when a machine last said something, monotonic */
  gboolean over;
  guint dropping;               /* stages that are being taken away */
  gboolean stage_left, removed; /* one could not be; the container could */
};

BlobStaging *blob_staging_ref(BlobStaging *staging);
void blob_staging_unref(BlobStaging *staging);
/* staging.c */
void blob_staging_failed(BlobStaging *staging, const GError *error); /* every target that is left ends with it */
void blob_staging_check(BlobStaging *staging);                       /* ends it once nobody is left */
void blob_staging_close_record(BlobStaging *staging);                /* in the journal, once nothing is left anywhere */
void blob_staging_pump(BlobStaging *staging);                        /* tells all targets what is new */
void blob_session_say(BlobSession *session, const char *format, ...) G_GNUC_PRINTF(2, 3); /* one line to the script */
void blob_session_run(BlobSession *session, guint id, const BlobRun *run);                /* a lane is to move it */
/* The order by which a script begins its program of lanes, behind "set"; owned, "" where there is none. */
char *blob_session_lanes(const BlobSession *session, guint connections);
void blob_session_cold(BlobSession *session); /* a machine has no Python after all: all begin anew without */
/* Keeps what a machine said about trouble, without anything that looks like a signature. */
void blob_session_words(BlobSession *session, const char *words);
/* The same of an answer of the service, a status in digits; "000" is none. */
void blob_session_refused(BlobSession *session, const char *status);
void blob_session_failed(BlobSession *session, const char *words); /* ends it, so that it is begun again or given up */
GError *blob_session_error(BlobSession *session, AzlinOp *exec);   /* why it ended; owned */

/* source.c */
void blob_source_start(BlobStaging *staging);
void blob_source_greet(BlobStaging *staging); /* the container stands, or signatures were renewed */
void blob_source_pump(BlobStaging *staging);
void blob_source_hedge(BlobStaging *staging); /* what takes too long is sent by another lane, too */
void blob_source_again(BlobStaging *staging, guint32 big, guint32 chunk); /* a chunk is not there any more */
void blob_source_restart(BlobStaging *staging, const char *why);
/* The blob "t/PIECE" or "m" is not what was stored, or gone: the stream is made once more, and what is stored of it is
 * not sent again. */
void blob_source_pack_again(BlobStaging *staging, const char *blob);

/* target.c */
BlobTarget *blob_target_new(BlobStaging *staging, const AzlinSyncJob *job, AzlinOp *op);
void blob_target_free(gpointer target);
void blob_target_start(BlobTarget *target);
void blob_target_expect(BlobTarget *target, const BlobRun *run); /* the source begins it */
void blob_target_pump(BlobTarget *target);
void blob_target_hedge(BlobTarget *target);                    /* what takes too long is fetched by another lane, too */
void blob_target_restart(BlobTarget *target);                  /* the packed stream is another one now */
void blob_target_end(BlobTarget *target, const GError *error); /* finishes the caller's op; NULL = done */

/* scripts, from *.sh */
extern const char blob_source_script[], blob_target_script[], blob_common_functions[], blob_lanes_program[];
