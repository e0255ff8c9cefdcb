/* What the files of the sync flow share: one run from one source, its paths, and a pair per target. */
#pragma once
#include "flow-epoch.h"
#include "flow-sync.h"
#include "flow-support.h"
#include "manifest.h"

/* One place on one machine, as it was just seen. */
typedef struct {
  char kind;    /* 'd', 'f', '-' nothing is there, 'o' anything else */
  char *folder; /* canonical: the path itself, or the folder of a file; of a missing one, the nearest that exists */
  char *base;   /* name of the file inside `folder`; NULL for a folder */
  char *full;   /* both together */
  char *home;
  guint64 files, bytes, entries, free_bytes;
} AzSyncPlace;
void az_sync_place_free(AzSyncPlace *place);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzSyncPlace, az_sync_place_free)

typedef struct {
  char *path;         /* as given */
  AzSyncPlace *place; /* on the source */
  GError *error;      /* or why it cannot be copied */
} AzSyncPath;

typedef struct _AzSync { /* counted with g_rc_box */
  AzJob *job;            /* may be NULL */
  AzEngine *engine;
  AzlinVm *source;
  GPtrArray *paths; /* of AzSyncPath */
  char **exclude;
  char *strategy; /* as asked for, "auto" too */
  gboolean whole; /* the default paths: all that is ever copied by itself */
  gboolean delete_extra, dry_run;
  guint32 bwlimit_kib, max_delete; /* max_delete: G_MAXUINT32 = not given */
  /* found out */
  guint64 files, bytes;
  const AzlinSync *brick;
  gpointer brick_self;
  char *chosen, *reason;
} AzSync;
AzSync *az_sync_new(AzJob *job, AzEngine *engine, const AzlinVm *source, const char *const *paths);
void az_sync_unref(AzSync *sync);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzSync, az_sync_unref)

/* ---- flow-sync-look.c ---- */

/* Looks at `path` on `vm`; `base`: look for that file inside it. With `make` the folder is made. `exclude` holds what
 * is left out besides what is never copied. Finishes when `*ret_place` is filled. */
void az_sync_look(AzEngine *engine, const AzlinVm *vm, const char *path, const char *base, gboolean make,
                  const char *const *exclude, AzSyncPlace **ret_place, AzlinOp *op);
/* Patterns that keep ~/.ssh and azlin's own state out of a copy of place->folder, appended to `patterns`. Pure. */
gboolean az_sync_protect(const AzSyncPlace *place, GPtrArray *patterns, GError **error);

/* ---- flow-sync-choose.c ---- */

/* Looks at all paths on the source; afterwards every path has its place or its error and the sums stand. */
void az_sync_survey(AzSync *sync, AzlinOp *op);
/* The named strategy, or the one that predicts the fewest seconds for what az_sync_survey() found. */
gboolean az_sync_choose(AzSync *sync, GError **error);

/* ---- flow-sync-grant.c ---- */

typedef struct _AzSyncGrant AzSyncGrant;
/* Journals the intent, then asks for a key from source to `target` for `folder`; `op` gets the grant's variant. NULL:
 * nothing was done and `op` has failed. */
AzSyncGrant *az_sync_grant_open(AzSync *sync, const AzlinVm *target, const char *folder, AzlinOp *op);
/* Takes the key back on both ends, also when the job is being cancelled, closes the intent, then runs `done`.
 * `running`: a transfer may still be at work with it and is ended first. */
void az_sync_grant_close(AzSyncGrant *grant, gboolean running, void (*done)(gpointer data), gpointer data);

/* ---- flow-sync-check.c ---- */

typedef struct {
  AzEngine *engine;
  const AzlinVm *source, *target;
  const char *source_folder, *target_folder, *base; /* base: NULL = the whole folder */
  const char *const *exclude;
  GBytes *only;           /* names to look at, or NULL = all */
  GPtrArray *differences; /* of AzManifestDifference; filled */
  guint64 checked;        /* entries looked at */
  gboolean capped;        /* there are more differences than were kept */
} AzSyncCheck;
#define AZ_SYNC_MAX_DIFFERENCES 2000u
/* Compares both sides by their manifests. `check` must live until `op` has ended. */
void az_sync_check(AzSyncCheck *check, AzlinOp *op);

/* ---- flow-sync-pair.c, flow-sync-copy.c, flow-sync-plan.c ---- */

typedef struct { /* what --delete would do at one path */
  gboolean known;
  guint64 entries, files, target_files;
} AzSyncDeletion;

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
  guint64 moved, moving; /* for progress: bytes of the paths before, and of the one in work */
  guint done_paths, partial_paths;
  GPtrArray *errors; /* of char* */
  GPtrArray *items;  /* of char*: a dry run's lines */
  guint64 n_items;
  AzSyncDeletion *deletions; /* per path; NULL without --delete */
  /* the path in work */
  AzSyncPlace *place; /* on the target */
  char **exclude;
  AzSyncGrant *grant;
  GVariant *grant_facts;
  AzSyncCheck check;
  GBytes *redo; /* names to copy once more, or NULL = all */
  gboolean healing;
} AzSyncPair;
AzSyncPair *az_sync_pair_new(AzSync *sync, const AzlinVm *target, const char *label);
void az_sync_pair_unref(AzSyncPair *pair);

/* Dry-runs every path against the target: fills items, deletes and target_files. `op` fails only when cancelled. */
void az_sync_plan(AzSyncPair *pair, AzlinOp *op);
/* Copies and verifies every path; `op` fails only when cancelled. */
void az_sync_copy(AzSyncPair *pair, AzlinOp *op);

/* ---- flow-sync-epoch.c ---- */

/* Reads the epochs of the source and of every target of `pairs` (of AzSyncPair). Fails with FENCED when one of them may
 * not be written over; a machine that cannot be asked makes its pair `refused`. */
void az_sync_guard(AzSync *sync, GPtrArray *pairs, AzlinOp *op);
/* az_sync_copy() of a pair that is not refused; what was copied as a whole then holds the source's epoch. */
void az_sync_copy_guarded(AzSyncPair *pair, AzlinOp *op);

/* Shared by plan and copy: the path in work, and looking at its place on the target. */
AzSyncPath *az_sync_pair_path(AzSyncPair *pair);
void az_sync_pair_error(AzSyncPair *pair, const GError *error);
/* Looks at the place of the path on the target; sets pair->place before `done`. */
void az_sync_pair_look(AzSyncPair *pair, gboolean make, AzlinDone done);
/* After it: what is left out, seen from both ends (pair->exclude), and whether the place is usable at all. */
gboolean az_sync_pair_accept(AzSyncPair *pair, GError **error);
/* The job for the strategy; what it points to is borrowed from `pair`. */
AzlinSyncJob az_sync_pair_job(AzSyncPair *pair);
/* Forgets the path in work and moves to the next. */
void az_sync_pair_next(AzSyncPair *pair);

/* ---- flow-sync-say.c ---- */

char *az_sync_size(guint64 bytes); /* "342MB" */
void az_sync_say(AzSync *sync, const char *level, const char *label, const char *format, ...) G_GNUC_PRINTF(4, 5);
GVariant *az_sync_pair_result(AzSyncPair *pair); /* one element of results[] */
void az_sync_pair_summary(AzSyncPair *pair);

/* ---- pure rules, for flow and tests ---- */

/* "FILES BYTES ENTRIES" as the machine counted them; anything else is no answer, not zero. */
gboolean az_sync_parse_count(const char *text, AzSyncPlace *place);
/* Must a deletion of `deletes` of the target's `files` be confirmed? `max_delete` G_MAXUINT32 = no bound of its own. */
gboolean az_sync_needs_answer(guint64 deletes, guint64 files, guint32 max_delete);
/* Does it fit? `present` bytes stand on the target already. */
gboolean az_sync_fits(guint64 bytes, guint64 present, guint64 free_bytes);
/* 0, 1 or 2 from how many paths were copied in full, in part, or not at all. */
int az_sync_exit_code(guint done, guint partial, guint failed);
