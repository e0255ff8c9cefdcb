/* The parts of a watch: what they share of one run. `azlin watch` judges and switches; `regions health --watch` only
 * looks. */
#pragma once
#include "flow-failover-lookout.h"
#include "flow-failover-state.h"
#include "flow-failover.h"

typedef struct { /* one region as it was last shown */
  char *region;
  AzRegionState state;
  gint64 since, last_answer; /* wall time; 0 = never */
  gint64 checked;            /* the last time that it was seen UP or DARK, wall time */
  gint64 looked;             /* the last time that an answer came, monotonic */
  double latency_ms;         /* < 0 = not known */
  gboolean unreachable_from_me;
  char *status; /* as it is to be stored: "ok", "down", "stopped"; NULL = nothing new is known */
} AzWatchRow;

typedef struct _AzWatch AzWatch;
typedef struct _AzWatchMembers AzWatchMembers;
struct _AzWatch {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  gboolean acts;    /* judges the primary, and switches by policy */
  gboolean dry_run; /* judges and says what it would do */
  gint64 started;   /* monotonic */
  AzlinOp *hold;    /* what the lock of the watch is held under */
  gboolean refused; /* it could not be had this time */
  char *no_lock;    /* why not; NULL = it is held: else it only looks */
  AzLookout *lookout;
  AzStored *stored;
  AzStored *watched;       /* the part of it that this watch looks at, where several share; else NULL */
  AzWatchMembers *members; /* who else watches; NULL = one watches alone (flow-watch-members.c) */
  GHashTable *rows;        /* region -> AzWatchRow */
  gboolean ending;         /* asked to end: only what was begun is still finished */
  GHashTable *standing;    /* name of a line that stands -> what it says (flow-watch-say.c) */

  /* records (flow-watch-records.c) */
  gboolean reading, read_again;
  gboolean writing, dirty; /* dirty: a status changed, and should not wait for its minute */
  gint64 read_at;          /* monotonic: when the beat last read the records */
  gint64 written;          /* monotonic */
  AzlinOp *waiting;        /* for the write that runs */

  AzlinDecision decision; /* about the primary (flow-watch-judge.c) */

  /* acting (flow-watch-act.c) */
  AzJob *child;          /* the switch that runs, or the last one that ran */
  gboolean busy;         /* `child` runs */
  const char *from, *to; /* of it; owned */
  gboolean taking_back;  /* it undoes a switch that nobody confirmed */
  gint64 not_before;     /* monotonic: a switch that failed is not tried again at once */
  guint failures;        /* in a row */
  guint switches;        /* that succeeded */
  guint64 own_epoch;     /* of the last of them: a primary at a later one was moved by somebody else */

  /* policy (flow-watch-policy.c) */
  AzFailoverState *state;
  gint64 state_stamp; /* of the file that it was read from */
  gboolean fencing;   /* a fence is tried again */
  gint64 fenced_at;   /* monotonic: the last time */
};

/* ---- flow-watch.c ---- */

/* Begins once records and lock are there; runs until az_watch_stop() or the time of --for. */
void az_watch_run(AzJob *job, AzEngine *engine, AzlinOp *root, gboolean acts);
/* Ends in good order: a switch that is under way is finished first. */
void az_watch_stop(AzJob *job);
void az_watch_end_if_idle(AzWatch *watch);
void az_watch_say_primary(AzWatch *watch);                    /* the line of the primary and its epoch */
gboolean az_watch_check_time(GVariant *args, GError **error); /* of --for */

/* Looks from now on: who else watches is known, or nobody can know. */
void az_watch_begin_looking(AzWatch *watch);
/* Why no switch may come by itself (owned), NULL = nothing stands in the way any more. */
void az_watch_set_no_lock(AzWatch *watch, char *why);

/* ---- flow-watch-members.c: several watches share the regions ---- */

AzWatchMembers *az_watch_members_new(AzWatch *watch);
void az_watch_members_free(AzWatchMembers *members);
/* Says that it is there and looks who else is; then az_watch_begin_looking(). */
void az_watch_members_begin(AzWatch *watch);
/* Looks at its part of the records, which may have changed, or at all of them (flow-watch-share.c). FALSE: it is the
 * part that it had. */
gboolean az_watch_share(AzWatch *watch);
gboolean az_watch_owns(AzWatch *watch, const char *region); /* what is on record about it is this one's to write */
/* The primary is this one's to judge; its policy, its fences and the way back too. */
gboolean az_watch_is_judge(AzWatch *watch);
char *az_watch_held_elsewhere(AzWatch *watch); /* why another watch holds switches back; NULL = none does; owned */
/* Another watch that sees the machine alive; NULL = none does. */
const char *az_watch_seen_elsewhere(AzWatch *watch, const char *region);
void az_watch_tell_members(AzWatch *watch); /* there is something to say that cannot wait */

/* ---- flow-watch-rows.c: what people and scripts see of the regions ---- */

void az_watch_row_free(gpointer row);
/* Shows what is known of `region` now, and tells what changed. */
void az_watch_show(AzWatch *watch, const char *region);
void az_watch_show_all(AzWatch *watch);
void az_watch_note_look(AzWatch *watch, const char *region); /* an answer came */
void az_watch_forget(AzWatch *watch, const char *region);
GVariant *az_watch_row_list(AzWatch *watch); /* av of a{sv}, floating */

/* ---- flow-watch-records.c: the records of regions, read again and kept up to date ---- */

void az_watch_read(AzWatch *watch); /* in a moment, when one is under way */
/* Writes status and time of the last check where a status changed, or five minutes after the last time. `op` (NULL =
 * none): at once, and finished when it is done. */
void az_watch_keep_status(AzWatch *watch, AzlinOp *op);

/* ---- flow-watch-judge.c: the verdict on the primary ---- */

void az_watch_judge(AzWatch *watch);
void az_watch_primary_moved(AzWatch *watch); /* what was judged was about another one */

/* ---- flow-watch-act.c: switches, each a job of its own ---- */

/* Begins what the verdict asks for, unless one runs or one that failed is too fresh. */
void az_watch_switch(AzWatch *watch, const char *to);
/* Takes the last switch back, whose commit window has run out. */
void az_watch_take_back(AzWatch *watch);
void az_watch_calm_down(AzWatch *watch); /* nothing asks for a switch any more: what failed before is forgotten */

/* ---- flow-watch-policy.c: what holds back, as other processes set it ---- */

void az_watch_read_policy(AzWatch *watch);
/* As it is now; NULL when it cannot be read, which holds every switch back. */
const AzFailoverState *az_watch_state(AzWatch *watch);

/* ---- flow-watch-say.c ---- */

/* An event of this name with these facts (a{sv}, sunk) and the time. */
void az_watch_tell(AzWatch *watch, const char *name, GVariant *facts);
/* A line that stands under the table, and an event, until it comes again with another text, or with NULL. A `key` that
 * begins with "held:" is for a text that counts down: it is told once a minute. TRUE when the key is another one than
 * before: worth a line in the log. `facts` (sunk) may be NULL. */
gboolean
az_watch_stand(AzWatch *watch, const char *name, const char *key, const char *level, const char *text, GVariant *facts);
char *az_watch_clock(gint64 wall); /* "2026-11-27 21:14:05", local time */
