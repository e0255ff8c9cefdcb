/* What the files of the sync flow share: one run from one source, its paths, and a pair per target. */
#pragma once
#include "compare.h"
#include "flow-epoch.h"
#include "flow-sync.h"
#include "flow-support.h"
#include "scan.h"

typedef struct {
  char *path;    /* as given */
  AzScan scan;   /* of the source */
  GError *error; /* or why it cannot be copied */
} AzSyncPath;

typedef struct _AzSyncLive AzSyncLive; /* flow-sync-live.h */

typedef struct _AzSync { /* counted with g_rc_box */
  AzJob *job;            /* may be NULL */
  AzEngine *engine;
  AzlinVm *source;
  GPtrArray *paths; /* of AzSyncPath */
  char **exclude;
  char *strategy;                        /* as asked for, "auto" too; NULL = as configured */
  gboolean whole;                        /* the default paths: all that is ever copied by itself */
  gboolean delete_extra, dry_run, fresh; /* fresh: no hash of an earlier run counts */
  guint32 bwlimit_kib, max_delete;       /* max_delete: G_MAXUINT32 = not given */
  gboolean blocks;                       /* messages stand in a block for each target */
  gboolean expecting; /* that something differs: the connections are prepared for what will be sent */
  guint32 n_targets;
  GPtrArray *pairs;     /* of AzSyncPair, borrowed: all targets of a run that may go together; NULL = one alone */
  AzSyncLive *live;     /* borrowed: what a watch keeps on the machines; or NULL */
  guint64 files, bytes; /* found out: of all paths */
} AzSync;
AzSync *az_sync_new(AzJob *job, AzEngine *engine, const AzlinVm *source, const char *const *paths);
void az_sync_unref(AzSync *sync);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzSync, az_sync_unref)

/* ---- flow-sync-survey.c ---- */

/* Scans all paths on the source; afterwards every path has its listing or its error and the sums stand. */
void az_sync_survey(AzSync *sync, AzlinOp *op);

/* ---- flow-sync-pair.c ---- */

typedef struct { /* what --delete would do at one path */
  gboolean known;
  guint64 files, target_files;
} AzSyncDeletion;

typedef struct _AzSyncGrant AzSyncGrant;

typedef struct _AzSyncPair { /* everything that one target gets; counted with g_rc_box */
  AzSync *sync;
  AzlinVm *target;
  AzEpochs epochs;    /* of the target, before */
  guint64 data_epoch; /* of what is copied */
  GError *refused;    /* why nothing may be copied to it, or NULL */
  char *label;        /* region whose block the messages belong to, or NULL */
  gboolean brief;     /* says one line at its end and no steps */
  AzlinOp *op;
  gint64 started;
  double seconds;
  guint next; /* path in work */
  guint64 files, bytes, deleted;
  guint64 moved, moving, to_move; /* for progress: bytes of the paths before, of the one in work, of all known so far */
  guint done_paths, partial_paths;
  GPtrArray *errors; /* of char* */
  GPtrArray *items;  /* of char*: a dry run's lines */
  guint64 n_items;
  AzSyncDeletion *deletions; /* per path; NULL without --delete */
  char *strategy;            /* used last; NULL = nothing had to be copied */
  double predicted, took;    /* seconds of the transfers alone: as chosen by, and in truth; < 0 = none */
  GVariant *scores;          /* aa{sv} of the last choice, or NULL */
  /* a scan of the first path that was begun before its turn came */
  AzScan ahead_scan;
  AzlinOp *ahead;       /* while it runs */
  AzlinDone ahead_done; /* who waits for it */
  /* the path in work */
  AzScan scan;  /* of the target */
  AzScan again; /* of the source, after a transfer; its listing is NULL before */
  AzScan sums;  /* of the source, beside a transfer: its hashes are known by the time they are wanted */
  GBytes *sum_names;
  AzlinOp *summing;
  void (*summed)(struct _AzSyncPair *pair); /* who waits for it */
  char **left_out;                          /* names that are none of this copy's business on either side */
  AzComparison *comparison;
  const AzlinSync *brick;
  gpointer brick_self;
  char *run; /* names what stands while this path is copied */
  char *target_folder;
  gpointer check;    /* a verification that waits for the hashes */
  GPtrArray *grants; /* of AzSyncGrant: keys to take back */
  guint closing;     /* keys that are being taken back */
  gboolean over;     /* the path has its outcome, and waits for them */
  gboolean unsure;   /* a transfer did not end well: something of it may still be at work */
  GVariant *grant_facts;
  GBytes *only;          /* names in work */
  AzListing *found;      /* the target, as it was before the copy */
  GHashTable *vanished;  /* of char*: names that were copied, and that the source has no more; after a check */
  GPtrArray *words;      /* of char*: what the last transfer could not do */
  guint round;           /* transfers so far */
  gboolean cut;          /* its op was cancelled, and may be gone */
  gboolean incomplete;   /* some entry cannot be copied as things are: said already */
  double rtt_between_ms; /* -1 = not measured, or AZ_SYNC_SHUT */
  double mib_per_second; /* of the last large transfer between the two; 0 = there was none */
  AzlinOp *transfer;     /* at work, or waiting for its turn; or NULL */
  GError *no_key;        /* why it was ended, or NULL */
  GError *failure;       /* why the transfer failed, while the target is tidied up; or NULL */
  AzlinOp *measuring;
  void (*measured)(struct _AzSyncPair *pair);
  gint64 transfer_started;
  gboolean running; /* copying at all */
  AzlinOp *turn;    /* of a transfer that waits for the other targets, or NULL */
  char *failed;     /* the strategy that could not do this path; or NULL */
  /* progress */
  guint64 files_to_move, rate_bytes;
  double rate; /* bytes per second, smoothed */
  gint64 rate_at, told_at;
} AzSyncPair;
AzSyncPair *az_sync_pair_new(AzSync *sync, const AzlinVm *target, const char *label);
void az_sync_pair_unref(AzSyncPair *pair);
AzSyncPath *az_sync_pair_path(AzSyncPair *pair);
/* Says what went wrong, and keeps it among the errors of the target; takes `text`. */
void az_sync_pair_note(AzSyncPair *pair, char *text);
void az_sync_pair_error(AzSyncPair *pair, const GError *error);
/* Begins to scan the first path before it is known whether anything may be copied: nothing is changed by it. */
void az_sync_pair_scan_ahead(AzSyncPair *pair, AzlinOp *parent);
/* Scans the place of the path in work on the target; `done` finds pair->scan filled, or the op's error. */
void az_sync_pair_scan(AzSyncPair *pair, gboolean make, AzlinDone done);
/* The same place once more, in the course of a copy; pair->comparison, which points into the last listing, is gone.
 * What is passed is as of AzScan, borrowed until `op` has ended. */
void az_sync_pair_scan_again(AzSyncPair *pair, AzScanHash hash, GBytes *names, GBytes *expected, const char *arrived,
                             AzlinOp *op);
/* What is left out, seen from both ends (pair->left_out), and whether the place is usable at all. */
gboolean az_sync_pair_accept(AzSyncPair *pair, GError **error);
/* The newest listing of the source, and the target's: an empty one where nothing is. */
AzListing *az_sync_pair_source(AzSyncPair *pair);
void az_sync_pair_compare(AzSyncPair *pair);
/* The job for a strategy; what it points to is borrowed from `pair` and `facts`. */
AzlinSyncJob az_sync_pair_job(AzSyncPair *pair, const AzlinSyncFacts *facts);
AzlinSyncFacts az_sync_pair_facts(AzSyncPair *pair);
/* Forgets the path in work and moves to the next. */
void az_sync_pair_next(AzSyncPair *pair);

/* ---- flow-sync-plan.c ---- */

/* Compares every path: fills items and deletions. `op` fails only when cancelled. */
void az_sync_plan(AzSyncPair *pair, AzlinOp *op);

/* ---- flow-sync-copy.c, flow-sync-verify.c ---- */

/* Copies and verifies every path; `op` fails only when cancelled. */
void az_sync_copy(AzSyncPair *pair, AzlinOp *op);
/* The op of one transfer of `pair`, for its strategy to finish. */
AzlinOp *az_sync_transfer_op(AzSyncPair *pair);
typedef enum { AZ_SYNC_EQUAL, AZ_SYNC_DIFFERS, AZ_SYNC_UNSURE } AzSyncVerdict;
/* Begins to hash on the source what is about to be copied. */
void az_sync_sum(AzSyncPair *pair);
/* Scans both sides again and hashes what was copied or never compared; then pair->comparison says what still differs.
 * `done` gets UNSURE with an error when a side could not be asked or read. */
void az_sync_check(AzSyncPair *pair, void (*done)(AzSyncPair *pair, AzSyncVerdict verdict, const GError *error));
/* Says and keeps what still differs, or cannot be read. */
void az_sync_report(AzSyncPair *pair);

/* ---- flow-sync-choose.c ---- */

/* The named strategy, or the one that predicts the fewest seconds for pair->comparison: sets brick, strategy,
 * predicted, scores. */
gboolean az_sync_choose(AzSyncPair *pair, GError **error);

/* ---- flow-sync-round.c ---- */

typedef struct _AzSyncRound AzSyncRound;
/* Takes `sync`; `targets` (of AzlinVm) are copied. `quiet`: says only what changed, and asks nobody: what would need an
 * answer fails with POLICY. The round hears the progress of the job until it is freed. */
AzSyncRound *az_sync_round_new(AzJob *job, AzlinOp *root, AzSync *sync, GPtrArray *targets, gboolean quiet);
/* What changed alone is looked at, where sync->live can do that. */
void az_sync_round_set_short(AzSyncRound *round);
gboolean az_sync_round_was_whole(AzSyncRound *round); /* it has looked at everything */
void az_sync_round_free(AzSyncRound *round);
/* `done` gets an error, its own, when nothing was copied at all; it does not run once the job is cancelled. */
void
az_sync_round_run(AzSyncRound *round, void (*done)(AzSyncRound *round, GError *error, gpointer data), gpointer data);
GPtrArray *az_sync_round_pairs(AzSyncRound *round); /* of AzSyncPair, borrowed */
AzSync *az_sync_round_sync(AzSyncRound *round);
gint64 az_sync_round_began(AzSyncRound *round); /* wall time */
int az_sync_round_code(AzSyncRound *round);
GVariant *az_sync_round_result(AzSyncRound *round); /* aa{sv}; floating */
void az_sync_round_audit(AzSyncRound *round, int code);
gboolean az_sync_pair_is_verified(const AzSyncPair *pair);

/* ---- flow-sync-resume.c ---- */

void az_sync_unfinished_note(AzEngine *engine, GVariant *args);
void az_sync_unfinished_clear(AzEngine *engine, GVariant *args); /* when it is this one that is on record */
/* Arguments of the last sync that did not end well; NOT_FOUND when there is none. Owned. */
GVariant *az_sync_unfinished(AzEngine *engine, GError **error);

/* ---- flow-sync.c, flow-sync-watch.c ---- */

/* As `args` have it: the job's own, or those of the sync that it goes on with. */
AzSync *az_sync_of(AzJob *job, GVariant *args, const AzlinVm *source);
/* Copies for ever, until az_sync_watch_stop(). */
void az_sync_watch(AzJob *job, AzlinOp *root, const AzlinVm *source, GPtrArray *targets);
void az_sync_watch_stop(AzJob *job);

/* ---- flow-sync-together.c ---- */

/* TRUE: the strategy takes several targets at once, and `pair` waits for those that are on their way. */
gboolean az_sync_together_join(AzSyncPair *pair);
/* Sets those off who wait for nobody any more. */
void az_sync_together_look(AzSync *sync);

/* ---- flow-sync-link.c ---- */

#define AZ_SYNC_SHUT (-2) /* rtt_between_ms of a target that the source cannot reach */
/* How long a packet takes from source to target: pair->rtt_between_ms, from an earlier run, or measured beside what
 * else is done. Never fails. */
void az_sync_link_measure(AzSyncPair *pair, AzlinOp *parent);
/* `done` runs once that measurement is over: at once when none is under way. */
void az_sync_link_await(AzSyncPair *pair, void (*done)(AzSyncPair *pair));
/* Keeps what a transfer predicted and took. */
void az_sync_link_learn(AzSyncPair *pair, guint64 bytes, double seconds);

/* ---- flow-sync-manifest.c ---- */

typedef struct {
  char *source, *target, *path, *base; /* base: "" = a folder */
  gint64 at;
  char **exclude;
  AzListing *listing; /* without inodes */
} AzSyncManifest;
void az_sync_manifest_free(AzSyncManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzSyncManifest, az_sync_manifest_free)
/* Keeps what the target of `pair` was just found to hold. */
void az_sync_manifest_keep(AzSyncPair *pair);
/* The same of the folder `path` on `target`: `listing` but for what is `left_out` (or NULL). */
void az_sync_manifest_write(AzSync *sync, const AzlinVm *target, const char *path, const char *const *left_out,
                            const AzListing *listing);
/* NOT_FOUND when no verified sync of it is on record. */
AzSyncManifest *az_sync_manifest_read(AzEngine *engine, const char *target, const char *path, GError **error);
GPtrArray *az_sync_manifest_paths(AzEngine *engine, const char *target); /* of char*: all that are on record */

/* ---- flow-sync-progress.c ---- */

/* A strategy has moved `done` bytes of the path in work. */
void az_sync_progress(AzSyncPair *pair, guint64 done);
/* Shows all targets together; `text` is what a strategy had to say, or NULL. */
void az_sync_progress_all(AzJob *job, GPtrArray *pairs, const char *text);
double az_sync_rate(double rate, guint64 bytes, double seconds); /* smoothed; pure */
char *az_sync_eta(guint64 left, double rate);                    /* "ETA: 1m 5s"; NULL = nobody knows; pure */

/* ---- flow-sync-trash.c ---- */

/* Moves entries of the target (of AzEntry) into its trash folder, never out of its tree. Without `whole` a
 * folder is removed where it is empty, else left. */
void az_sync_trash(AzSyncPair *pair, GPtrArray *entries, gboolean whole, AzlinOp *op);
/* Gives folders (of AzEntry of the source) their mode and time on the target. Fails when one did not take it. */
void az_sync_fix_folders(AzSyncPair *pair, GPtrArray *entries, AzlinOp *op);

/* ---- flow-sync-residue.c ---- */

/* Fills pair->vanished: what was copied and is gone from the source since was compared with nothing, it may be half of
 * one state and half of another. A name counts until the source has it again or the target has not. */
void az_sync_find_vanished(AzSyncPair *pair);
/* az_sync_find_vanished(), and throws away what killed transfers have left on the target, both by its newest listing.
 * `op` fails when something stays. */
void az_sync_residue(AzSyncPair *pair, AzlinOp *op);

/* ---- flow-sync-grant.c ---- */

/* Journals the intent, then asks for a key from source to `target`, for rsync to `folder`; `op` gets the grant's
 * variant. NULL: nothing was done and `op` has failed. */
AzSyncGrant *az_sync_grant_open(AzSync *sync, const AzlinVm *target, const char *folder, AzlinOp *op);
/* While a strategy works on `pair` it may ask for keys (AzlinHostApi.sync_grant), each of which joins pair->grants.
 * Where a login takes longer than admitting it, `op` does not wait for that; a target that then refuses ends the
 * transfer. */
void az_sync_grant_serve(AzSyncPair *pair, gboolean on);
void az_sync_grant_asked(const AzlinSyncJob *job, const char *receiver, AzlinOp *op);
/* Takes the key back on both ends, also when the job is being cancelled, closes the intent, then runs `done`.
 * `running`: a transfer may still be at work with it and is ended first. */
void az_sync_grant_close(AzSyncGrant *grant, gboolean running, void (*done)(gpointer data), gpointer data);

/* ---- flow-sync-epoch.c ---- */

/* Reads the epochs of the source and of every target of `pairs` (of AzSyncPair). Fails with FENCED when one of them may
 * not be written over; a machine that cannot be asked makes its pair `refused`. */
void az_sync_guard(AzSync *sync, GPtrArray *pairs, AzlinOp *op);
/* az_sync_copy() of a pair that is not refused; what was copied as a whole then holds the source's epoch. */
void az_sync_copy_guarded(AzSyncPair *pair, AzlinOp *op);

/* ---- flow-sync-say.c ---- */

char *az_sync_size(guint64 bytes); /* "342MB" */
void az_sync_say(AzSync *sync, const char *level, const char *label, const char *format, ...) G_GNUC_PRINTF(4, 5);
GVariant *az_sync_pair_result(AzSyncPair *pair); /* one element of results[] */
void az_sync_pair_summary(AzSyncPair *pair);

/* ---- *.sh ---- */

extern const char az_sync_stop_script[], az_sync_sweep_script[], az_sync_measure_script[], az_sync_trash_script[],
    az_sync_folders_script[], az_sync_listen_script[];

/* ---- pure rules, for flow and tests ---- */

/* Must a deletion of `deletes` of the target's `files` be confirmed? `max_delete` G_MAXUINT32 = no bound of its own. */
gboolean az_sync_needs_answer(guint64 deletes, guint64 files, guint32 max_delete);
/* Does it fit? `present` bytes of it stand on the target already. */
gboolean az_sync_fits(guint64 bytes, guint64 present, guint64 free_bytes);
/* 0, 1 or 2 from how many paths were copied in full, in part, or not at all. */
int az_sync_exit_code(guint done, guint partial, guint failed);
