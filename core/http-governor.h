/* Who may send when: one budget per account and kind of request, as the cloud counts it. */
#pragma once
#include "op.h"

typedef enum { AZ_BUDGET_READS, AZ_BUDGET_WRITES, AZ_BUDGET_DELETES, AZ_N_BUDGETS } AzBudgetKind;
AzBudgetKind az_budget_kind(const char *method);

/* ---- one bucket of tokens; pure, every call is told the time (monotonic microseconds) ---- */

typedef struct {
  double level, burst, per_second; /* below 0: more is under way than the cloud has left */
  gint64 counted_at;               /* when `level` was true */
  gint64 held_until;               /* nobody goes before */
  guint in_flight;
  guint silent;   /* answers so far that named no budget */
  gboolean named; /* the cloud has spoken of this budget, by a header or by a 429 */
  gboolean free_when_unnamed;
} AzBudget;
void az_budget_init(AzBudget *budget, AzBudgetKind kind, gint64 now);
/* When the next request may go: `now` or earlier = at once. */
gint64 az_budget_next(AzBudget *budget, gint64 now);
void az_budget_take(AzBudget *budget, gint64 now);
/* A request has ended. `remaining`: what the cloud says is left, -1 = it does not say. It lowers the level, and raises
 * it only where it is more than the budget was thought to hold at all. Reads of a cloud that never speaks of a budget
 * are not paced. */
void az_budget_end(AzBudget *budget, gint64 remaining, gint64 now);
/* The cloud wants nothing of this kind before `until`. */
void az_budget_hold(AzBudget *budget, gint64 until, gint64 now);

/* ---- all of them, and who waits ---- */

typedef struct _AzGovernor AzGovernor;
typedef struct _AzTurn AzTurn;
AzGovernor *az_governor_new(AzClock *clock);
void az_governor_free(AzGovernor *governor); /* after its turns */

typedef struct {
  const char *account, *method;
  const char *path; /* of the URL; what is held back for one resource alone */
  AzOpPriority priority;
  gint64 deadline; /* az_clock_monotonic(); 0 = none */
  /* The request may go (`wait_ms` 0), or is held back for longer than its deadline allows. Also from inside
   * az_turn_ask(). */
  void (*go)(gint64 wait_ms, gpointer data);
  gpointer data;
} AzTurnRequest;
AzTurn *az_turn_new(AzGovernor *governor, const AzTurnRequest *request);
/* Waits for its turn: higher priority first, then first come, first served. Again for each attempt. */
void az_turn_ask(AzTurn *turn);
/* FALSE: it was never given, has ended, or what it is for has been held back since. */
gboolean az_turn_stands(const AzTurn *turn);
/* The attempt has ended; `headers` (lower-case name, value, ...) or NULL. */
void az_turn_end(AzTurn *turn, const char *const *headers);
/* After `ms` at the earliest: requests of this account and kind, or those of this path alone. */
void az_turn_hold(AzTurn *turn, gint64 ms, gboolean path_only);
void az_turn_free(AzTurn *turn); /* from any state, also NULL */
