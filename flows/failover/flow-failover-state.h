/* What outlives a run about failovers ($AZLIN_HOME/failover.json): pause, cool-down, fences to confirm, the commit
 * window, the last drill; and the policy that reads it. */
#pragma once
#include "flow-support.h"

typedef struct {
  char *region, *vm_name;
  guint64 epoch; /* of the switch that asked for it */
  gint64 since;  /* wall time, microseconds, as all times here */
  guint32 attempts;
} AzFencePending;
void az_fence_pending_free(AzFencePending *fence);

/* What all homes have in common that share their records. */
typedef enum { AZ_COMMON_PAUSE, AZ_COMMON_SWITCH, AZ_N_COMMON } AzCommonPart;

typedef struct {
  gboolean paused;
  gint64 paused_at, paused_until; /* until 0 = until resumed */
  char *pause_reason;             /* or NULL */
  gint64 automatic_at;            /* the last automatic switch; 0 = never */
  char *automatic_from, *automatic_to;
  guint64 automatic_epoch;
  gboolean acknowledged;
  guint64 noted_epoch; /* of the last switch that all of this knows of */
  GPtrArray *fences;   /* of AzFencePending */
  GPtrArray *isolated; /* of char*: regions whose machine may have been cut off its network by a fence */
  gint64 window_until; /* commit window; 0 = none is open */
  char *window_from, *window_to;
  guint64 window_epoch;
  gint64 drill_at; /* 0 = never */
  char *drill_to;
  double drill_rto_s, drill_rpo_s; /* < 0 = not measured */
  gboolean drill_passed;
  guint64 revisions[AZ_N_COMMON]; /* of these parts, a step for each change where records are shared */
  gboolean from_others;           /* what is being changed comes from them: no step */
} AzFailoverState;

/* A missing file is a fresh state; one that cannot be read is an error (CONFIG, exit 78): policy must not be lost. */
AzFailoverState *az_failover_state_load(AzEngine *engine, GError **error);
void az_failover_close_window(AzFailoverState *state);
void az_failover_state_free(AzFailoverState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzFailoverState, az_failover_state_free)
/* Reads, changes and replaces the file under its lock; 0600, atomic, durable. Keys that it does not know stay. FALSE:
 * nothing was changed (CONFIG when it cannot be read, LOCKED, STORAGE). */
gboolean az_failover_state_change(AzEngine *engine, void (*change)(AzFailoverState *state, gpointer data),
                                  gpointer data, GError **error);

/* That part as others are told it: a line of JSON. Owned. */
char *az_failover_common_text(const AzFailoverState *state, AzCommonPart part);
/* Takes over what was told last of that part (NULL: nothing yet), unless this home knows something newer: FALSE, and
 * the others are to be told. Where two changed it at once, what was told last stands. */
gboolean az_failover_common_take(AzFailoverState *state, AzCommonPart part, const char *told);

/* Holds `path`.lock until the descriptor that it returns is closed; -1: LOCKED after two seconds, or STORAGE. */
int az_failover_lock(const char *path, GError **error);

/* ---- policy: pure ---- */

typedef enum {
  AZ_HOLD_NONE,
  AZ_HOLD_PAUSED,
  AZ_HOLD_COOLING_DOWN,
  AZ_HOLD_FENCE_PENDING, /* of the target: it may still serve as it was */
  AZ_HOLD_DATA_AGE,      /* older than max-sync-age, or unknown */
  AZ_HOLD_NO_TARGET,     /* never-promote, or none healthy */
  AZ_HOLD_WINDOW_OPEN,   /* the last switch still waits for its confirmation */
  AZ_HOLD_INHIBITED,     /* a program forbids it for as long as it is at work */
  AZ_HOLD_NO_LOCK        /* the coordinator cannot be asked: nobody knows who else acts */
} AzHold;

typedef struct {
  const AzFailoverState *state;
  const char *inhibitor; /* "who: why", or NULL */
  const char *no_lock;   /* why the coordinator cannot be asked, or NULL */
  gint64 now;            /* wall time */
  gboolean automatic;    /* nobody typed it: all of this applies; else only what no person may override */
  const char *target;    /* NULL = none was found */
  guint32 cool_down_s, max_sync_age_s;
  gint64 last_sync; /* last verified sync source -> target; 0 = none is on record */
  const char *const *never_promote;
} AzPolicyInput;
/* Whether a switch is held back, NULL where it is not; `ret_reason` one sentence, `ret_step` the command that changes
 * it; both owned. */
AzHold az_failover_policy(const AzPolicyInput *input, char **ret_reason, char **ret_step);

gboolean az_failover_is_paused(const AzFailoverState *state, gint64 now);
/* Until when no automatic switch follows the last one; 0 = it may. */
gint64 az_failover_cools_until(const AzFailoverState *state, guint32 cool_down_s, gint64 now);
gboolean az_failover_is_isolated(const AzFailoverState *state, const char *region);
const AzFencePending *az_failover_fence_of(const AzFailoverState *state, const char *region); /* NULL = none pending */
