/* The parts of the failover flow: what they share of one run, and what other flows may call. */
#pragma once
#include "flow-failover-lookout.h"
#include "flow-failover-state.h"
#include "flow-lease.h"
#include "flow-support.h"

/* ---- for other flows ---- */

/* After a crash: finishes what had been committed, undoes what had not, and closes the entry (owner "flow-failover").
 */
void az_failover_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op);
/* The same for a drill (owner "flow-failover-drill"). */
void az_failover_drill_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op);
/* Asks up to three of `others` (machines known to be healthy; ends NULL) whether they reach `primary`, and stores who
 * does: the evidence that a later failover starts from. Finishes with nothing, whatever they answer. */
void az_failover_survey(AzEngine *engine, const AzlinVm *primary, const AzlinVm *const *others, AzlinOp *op);

/* ---- one run ---- */

#define AZ_FAILOVER_OWNER "flow-failover"
#define AZ_DRILL_OWNER "flow-failover-drill"
#define AZ_FAILOVER_WITNESSES 3

typedef struct _AzFailover AzFailover;
typedef enum {
  AZ_FAILOVER_PLAIN,
  AZ_FAILOVER_BACK,    /* to where the primary was: data first, compared, both sides healthy */
  AZ_FAILOVER_ROLLBACK /* of a switch that was not confirmed in its window */
} AzFailoverPlan;
typedef struct _AzDrill AzDrill;
struct _AzFailover {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  gint64 started;
  gboolean automatic; /* --auto: only an automatic verdict may act */
  AzFailoverPlan plan;
  gboolean due;           /* of a rollback: nobody typed it, its time is over */
  gboolean with_sync;     /* copy the data first, where the source can still be read */
  AzFailoverState *state; /* policy: as it was when last looked at */
  char *no_lock;          /* why the coordinator cannot be asked; NULL = it can, or was not tried */
  gboolean without_lock;  /* a person goes on without it */
  AzLease *lease;         /* NULL = it goes on without */
  void (*confirmed)(AzFailover *run);
  GError *refusal;   /* of the commit, while the lock is looked at */
  const char *cause; /* for hooks and audit: "automatic", "manual", "back", "rollback" */
  AzStored *stored;
  const AzlinVm *source, *target; /* of `stored`; target NULL until it is chosen */

  /* what was seen (flow-failover-gather.c) */
  gboolean keep_looking; /* further rounds while they help */
  AzHealthCopy *source_health;
  GPtrArray *others;  /* of AzHealthCopy */
  GPtrArray *answers; /* of GVariant a{sv}: the last evidence of each witness */
  AzLookout *lookout; /* of this run alone; NULL = a running one is used, or it has ended */
  guint rounds;       /* dark probes in a row from here, at most seen */
  void (*gathered)(AzFailover *run);
  AzlinDecision decision;
  GVariant *decision_input; /* what it was made from; NULL before */
  char *decision_id;        /* of the store; NULL = it is not in there */

  /* what was done (flow-failover-execute.c) */
  guint64 entry, epoch;
  gboolean ran, power_asked, isolation_asked, committed;
  const char *fence; /* "confirmed", "isolated", "unconfirmed", "epoch", or NULL */
  GVariant *sync;    /* result of the sync, or NULL */
  gboolean source_deallocated, noted, verified, checks_stored;
  guint unsettled;       /* steps after the commit that still run */
  gboolean looked_twice; /* at the target, before anything was done */
  AzDrill *drill;        /* NULL: it is none */
};

/* Reads the health of all machines and asks witnesses, in rounds while `keep_looking` and evidence helps; then decides
 * and calls run->gathered. */
void az_failover_gather(AzFailover *run);
const AzlinHealth *az_failover_health_of(AzFailover *run, const char *region); /* of another region; NULL = none */
/* Puts what `lookout` knows about `region` before the failover brick; `decision` holds the answer, `ret_input` all that
 * it was made from, as az_decision_keep() wants it; owned. FALSE: nothing is known yet (no error), or no brick can be
 * had.
 */
gboolean az_failover_decide(AzEngine *engine, AzLookout *lookout, const char *region, AzlinDecision *decision,
                            GVariant **ret_input, GError **error);
void az_failover_decision_clear(AzlinDecision *decision);
/* Region -> gint64 wall time of the last verified sync of `source` onto it, from the audit log. */
GHashTable *az_failover_syncs(AzEngine *engine, const char *source);

/* Every step up to the commit, measured against a pointer of its own (flow-failover-drill.c); ends the job. */
void az_failover_drill(AzFailover *run);
void az_drill_free(AzDrill *drill);

/* The journaled machine: from the lock to the audit record; ends the job. */
void az_failover_execute(AzFailover *run);
/* Ends a switch that must not go on: undoes what was done before the commit, then ends the job. Takes the error. */
void az_failover_abort(AzFailover *run, GError *error);
/* Steps after the commit (flow-failover-settle.c): they only go forward. */
void az_failover_settle(AzFailover *run);
/* The fence (flow-failover-fence.c): climbs the ladder with the source; `done` once run->fence is known. */
void az_failover_fence(AzFailover *run, void (*done)(AzFailover *run));
/* Adds the step and what was asked of the source to the entry. */
gboolean az_failover_journal(AzFailover *run, const char *step, GError **error);
/* Undoes what a fence did to a machine: lets it back onto its network, then starts it, each where it was asked for. */
void az_failover_unfence(AzEngine *engine, const AzlinVm *vm, gboolean isolated, gboolean off, AzlinOp *op);

/* ---- policy of one run (flow-failover-hold.c) ---- */

const AzlinVm *az_failover_best_target(AzFailover *run);
AzHold az_failover_hold(AzFailover *run, char **ret_reason, char **ret_step);
void az_failover_say_overridden(AzFailover *run);

/* ---- hooks (flow-failover-hooks.c) ---- */

/* Goes on with `done` unless hooks/failover-pre vetoes: then the run is aborted. */
void az_failover_hook_pre(AzFailover *run, void (*done)(AzFailover *run));
void az_failover_hook_post(AzFailover *run);

/* ---- the ways back (flow-failover-back.c) ---- */

/* Where --back or a rollback leads; NULL and error when there is no such way, or it is closed. */
const AzlinVm *az_failover_way_back(AzFailover *run, GError **error);
/* Does a window stand open whose time is over? */
gboolean az_failover_window_due(const AzFailoverState *state, gint64 now);
/* Ends the window: the switch stays. Audited with `why`. */
gboolean az_failover_keep(AzFailover *run, const char *why, GError **error);

/* ---- what people and scripts get (flow-failover-report.c) ---- */

void az_failover_say_health(AzFailover *run);
void az_failover_say_target(AzFailover *run);
void az_failover_say_explanation(AzFailover *run);
/* How old the target's data is, as far as the audit log knows: nobody should find out afterwards. */
gint64 az_failover_last_sync(AzFailover *run); /* of source to target, verified; 0 = none on record */
void az_failover_say_data_age(AzFailover *run, gboolean source_reachable);
GVariant *az_failover_result(AzFailover *run, gboolean success, const GError *error); /* floating */
void az_failover_audit(AzFailover *run, const char *outcome, const GError *error);
