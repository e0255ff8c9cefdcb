/* The parts of the failover flow: what they share of one run, and what other flows may call. */
#pragma once
#include "flow-support.h"
#include "sight.h"

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
typedef struct _AzDrill AzDrill;
struct _AzFailover {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  gint64 started;
  gboolean automatic; /* --auto: only an automatic verdict may act */
  AzStored *stored;
  const AzlinVm *source, *target; /* of `stored`; target NULL until it is chosen */

  /* what was seen (flow-failover-gather.c) */
  gboolean keep_looking; /* further rounds while they help */
  AzHealthCopy *source_health;
  GPtrArray *others;                 /* of AzHealthCopy */
  GArray *sights;                    /* of AzSight; the first is "here" */
  GPtrArray *answers;                /* of GVariant a{sv}: the last evidence of each witness */
  guint rounds, pending, first_look; /* rounds begun; probes out; of these, health of all regions at the beginning */
  gboolean early;                    /* the source is silent for long enough to ask witnesses */
  gboolean all_asked, ticking, closing;
  gint64 next_tick;    /* when the next round begins */
  gint64 last_contact; /* when another machine was reached */
  void (*gathered)(AzFailover *run);
  AzlinDecision decision;

  /* what was done (flow-failover-execute.c) */
  guint64 entry, epoch;
  gboolean ran, power_asked, committed;
  const char *fence; /* "confirmed", "unconfirmed", "epoch", or NULL */
  GVariant *sync;    /* result of the sync, or NULL */
  gboolean source_deallocated, verified, checks_stored;
  guint unsettled; /* steps after the commit that still run */
  AzDrill *drill;  /* NULL: it is none */
};

/* Reads the health of all machines and asks witnesses, in rounds while `keep_looking` and evidence helps; then decides
 * and calls run->gathered. */
void az_failover_gather(AzFailover *run);
const AzlinHealth *az_failover_health_of(AzFailover *run, const char *region); /* of another region; NULL = none */
/* Asks the failover brick; run->decision holds the answer. */
gboolean az_failover_decide(AzFailover *run, GError **error);
double az_failover_interval(AzFailover *run); /* seconds between probes of a suspect */
void az_failover_decision_clear(AzlinDecision *decision);

/* Every step up to the commit, measured against a pointer of its own (flow-failover-drill.c); ends the job. */
void az_failover_drill(AzFailover *run);
void az_drill_free(AzDrill *drill);

/* The journaled machine: from the lock to the audit record; ends the job. */
void az_failover_execute(AzFailover *run);
/* Ends a switch that must not go on: undoes what was done before the commit, then ends the job. Takes the error. */
void az_failover_abort(AzFailover *run, GError *error);
/* Steps after the commit (flow-failover-settle.c): they only go forward. */
void az_failover_settle(AzFailover *run);
/* Writes `epoch` on a machine, where its own tools and later syncs see it. */
void az_failover_write_epoch(AzEngine *engine, const AzlinVm *vm, guint64 epoch, AzlinOp *op);
/* The fence (flow-failover-fence.c): powers the source off and reads it back; `done` once run->fence is known. */
void az_failover_fence(AzFailover *run, void (*done)(AzFailover *run));

/* ---- what people and scripts get (flow-failover-report.c) ---- */

void az_failover_say_health(AzFailover *run);
void az_failover_say_target(AzFailover *run);
void az_failover_say_explanation(AzFailover *run);
/* How old the target's data is, as far as the audit log knows: nobody should find out afterwards. */
void az_failover_say_data_age(AzFailover *run, gboolean source_reachable);
GVariant *az_failover_result(AzFailover *run, gboolean success, const GError *error); /* floating */
void az_failover_audit(AzFailover *run, const char *outcome, const GError *error);
