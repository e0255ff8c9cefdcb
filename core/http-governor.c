/* Budgets of requests, as the cloud counts them, and the queue of those that wait for one. */
#include "http-governor.h"

#include "http-private.h"

#include <string.h>

/* ---- one bucket ---- */

#define SILENT_ANSWERS 10

static const struct {
  double burst, per_second;
  gboolean free_when_unnamed;
} limits[AZ_N_BUDGETS] = {
  [AZ_BUDGET_READS] = { 250, 25, TRUE },
  [AZ_BUDGET_WRITES] = { 200, 10, FALSE },
  [AZ_BUDGET_DELETES] = { 200, 10, FALSE },
};

AzBudgetKind
az_budget_kind(const char *method)
{
  if (g_str_equal(method, "GET") || g_str_equal(method, "HEAD"))
    return AZ_BUDGET_READS;
  return g_str_equal(method, "DELETE") ? AZ_BUDGET_DELETES : AZ_BUDGET_WRITES;
}

void
az_budget_init(AzBudget *budget, AzBudgetKind kind, gint64 now)
{
  *budget = (AzBudget){ .level = limits[kind].burst,
                        .burst = limits[kind].burst,
                        .per_second = limits[kind].per_second,
                        .counted_at = now,
                        .free_when_unnamed = limits[kind].free_when_unnamed };
}

static void
refill(AzBudget *budget, gint64 now)
{
  if (now <= budget->counted_at)
    return;
  double gained = (double) (now - budget->counted_at) / G_USEC_PER_SEC * budget->per_second;
  budget->level = MIN(budget->burst, budget->level + gained);
  budget->counted_at = now;
}

gint64
az_budget_next(AzBudget *budget, gint64 now)
{
  refill(budget, now);
  gboolean unpaced = budget->free_when_unnamed && !budget->named && budget->silent >= SILENT_ANSWERS;
  if (unpaced || budget->level >= 1)
    return budget->held_until;
  gint64 filled = now + (gint64) ((1 - budget->level) / budget->per_second * G_USEC_PER_SEC) + 1;
  return MAX(filled, budget->held_until);
}

void
az_budget_take(AzBudget *budget, gint64 now)
{
  refill(budget, now);
  budget->level -= 1;
  budget->in_flight++;
}

void
az_budget_end(AzBudget *budget, gint64 remaining, gint64 now)
{
  budget->in_flight--;
  refill(budget, now);
  if (remaining < 0) {
    budget->silent++;
    return;
  }
  double said = (double) remaining;
  if (!budget->named || said > budget->burst)
    budget->level = said;
  budget->burst = MAX(budget->burst, said);
  budget->named = TRUE;
  budget->level = MIN(budget->level, said - budget->in_flight); /* what is under way may not have been counted yet */
}

void
az_budget_hold(AzBudget *budget, gint64 until, gint64 now)
{
  refill(budget, now);
  budget->level = budget->named ? MIN(budget->level, 0) : 0;
  budget->named = TRUE;
  budget->held_until = MAX(budget->held_until, until);
}

/* ---- lanes: one budget and those that wait for it ---- */

#define N_PRIORITIES (AZ_PRIORITY_FAILOVER + 1)

typedef struct {
  AzGovernor *governor;
  AzBudgetKind kind;
  AzBudget budget;
  GQueue waiting[N_PRIORITIES]; /* of AzTurn */
  GHashTable *paths;            /* path -> gint64: held until */
  AzTimer *timer;
  gboolean serving;
} Lane;

struct _AzGovernor {
  AzClock *clock;
  GHashTable *lanes; /* "account\nkind" -> Lane */
};

struct _AzTurn {
  Lane *lane;
  GList link;
  enum { TURN_IDLE, TURN_WAITING, TURN_UNDER_WAY } state;
  char *path;
  AzOpPriority priority;
  gint64 deadline;
  void (*go)(gint64 wait_ms, gpointer data);
  gpointer data;
};

static void
lane_free(gpointer data)
{
  Lane *lane = data;
  az_timer_cancel(lane->timer);
  g_hash_table_unref(lane->paths);
  g_free(lane);
}

AzGovernor *
az_governor_new(AzClock *clock)
{
  AzGovernor *governor = g_new0(AzGovernor, 1);
  governor->clock = clock;
  governor->lanes = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, lane_free);
  return governor;
}

void
az_governor_free(AzGovernor *governor)
{
  if (governor == NULL)
    return;
  g_hash_table_unref(governor->lanes);
  g_free(governor);
}

static Lane *
find_lane(AzGovernor *governor, const char *account, AzBudgetKind kind)
{
  g_autofree char *key = g_strdup_printf("%s\n%d", account, (int) kind);
  Lane *lane = g_hash_table_lookup(governor->lanes, key);
  if (lane != NULL)
    return lane;
  lane = g_new0(Lane, 1);
  lane->governor = governor;
  lane->kind = kind;
  lane->paths = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  az_budget_init(&lane->budget, kind, az_clock_monotonic(governor->clock));
  g_hash_table_insert(governor->lanes, g_steal_pointer(&key), lane);
  return lane;
}

AzTurn *
az_turn_new(AzGovernor *governor, const AzTurnRequest *request)
{
  AzTurn *turn = g_new0(AzTurn, 1);
  turn->lane = find_lane(governor, request->account, az_budget_kind(request->method));
  turn->link.data = turn;
  turn->path = g_strdup(request->path);
  turn->priority = request->priority;
  turn->deadline = request->deadline;
  turn->go = request->go;
  turn->data = request->data;
  return turn;
}

/* Until when this path is held back; 0 = it is not. */
static gint64
path_held_until(Lane *lane, const char *path, gint64 now)
{
  const gint64 *until = g_hash_table_size(lane->paths) > 0 ? g_hash_table_lookup(lane->paths, path) : NULL;
  if (until == NULL)
    return 0;
  if (*until > now)
    return *until;
  g_hash_table_remove(lane->paths, path);
  return 0;
}

static void
hold_path(Lane *lane, const char *path, gint64 until)
{
  g_hash_table_replace(lane->paths, g_strdup(path), g_memdup2(&until, sizeof until));
}

static void
leave_queue(AzTurn *turn)
{
  g_queue_unlink(&turn->lane->waiting[turn->priority], &turn->link);
  turn->state = TURN_IDLE;
}

typedef struct {
  AzTurn *turn;   /* may go, or is to be told that it waits in vain */
  gint64 wait_ms; /* 0 = may go */
  gint64 next;    /* without a turn: when to look again; G_MAXINT64 = when somebody asks */
} Choice;

/* FALSE = nothing can be decided about this one now; `choice->next` is brought forward. */
static gboolean
choose_turn(AzTurn *turn, gint64 now, gint64 budget_next, Choice *choice)
{
  Lane *lane = turn->lane;
  gint64 held = MAX(lane->budget.held_until, path_held_until(lane, turn->path, now));
  gint64 due = MAX(held, budget_next);
  if (turn->deadline > 0 && held > turn->deadline) {
    *choice = (Choice){ .turn = turn, .wait_ms = MAX((held - now) / 1000, 1) };
    return TRUE;
  }
  if (due > now) {
    choice->next = MIN(choice->next, due);
    return FALSE;
  }
  *choice = (Choice){ .turn = turn };
  return TRUE;
}

static Choice
choose(Lane *lane, gint64 now)
{
  Choice choice = { .next = G_MAXINT64 };
  gint64 budget_next = az_budget_next(&lane->budget, now);
  gboolean by_path = g_hash_table_size(lane->paths) > 0;

  for (int priority = N_PRIORITIES - 1; priority >= 0; priority--) {
    for (GList *link = lane->waiting[priority].head; link != NULL; link = link->next) {
      if (choose_turn(link->data, now, budget_next, &choice))
        return choice;
      if (budget_next > now && !by_path && lane->budget.held_until <= now)
        break; /* those behind it wait for the same */
    }
  }
  return choice;
}

static void serve(Lane *lane);

static void
on_timer(gpointer data)
{
  Lane *lane = data;
  lane->timer = NULL;
  serve(lane);
}

static void
wake_at(Lane *lane, gint64 when, gint64 now)
{
  az_timer_cancel(g_steal_pointer(&lane->timer));
  if (when == G_MAXINT64)
    return;
  gint64 ms = (when - now + 999) / 1000;
  lane->timer = az_clock_after(lane->governor->clock, (guint32) CLAMP(ms, 1, G_MAXINT32), on_timer, lane);
}

static void
serve(Lane *lane)
{
  AzClock *clock = lane->governor->clock;
  if (lane->serving)
    return;
  lane->serving = TRUE;
  for (;;) {
    gint64 now = az_clock_monotonic(clock);
    Choice choice = choose(lane, now);
    if (choice.turn == NULL) {
      wake_at(lane, choice.next, now);
      break;
    }
    leave_queue(choice.turn);
    if (choice.wait_ms == 0) {
      choice.turn->state = TURN_UNDER_WAY;
      az_budget_take(&lane->budget, now);
    }
    choice.turn->go(choice.wait_ms, choice.turn->data);
  }
  lane->serving = FALSE;
}

void
az_turn_ask(AzTurn *turn)
{
  turn->state = TURN_WAITING;
  g_queue_push_tail_link(&turn->lane->waiting[turn->priority], &turn->link);
  serve(turn->lane);
}

gboolean
az_turn_stands(const AzTurn *turn)
{
  Lane *lane = turn->lane;
  gint64 now = az_clock_monotonic(lane->governor->clock);
  return turn->state == TURN_UNDER_WAY && lane->budget.held_until <= now && path_held_until(lane, turn->path, now) == 0;
}

static gint64
read_remaining(const char *const *headers, AzBudgetKind kind)
{
  static const char *const names[AZ_N_BUDGETS][2] = {
    [AZ_BUDGET_READS] = { "x-ms-ratelimit-remaining-subscription-reads", "x-ms-ratelimit-remaining-tenant-reads" },
    [AZ_BUDGET_WRITES] = { "x-ms-ratelimit-remaining-subscription-writes", "x-ms-ratelimit-remaining-tenant-writes" },
    [AZ_BUDGET_DELETES]
    = { "x-ms-ratelimit-remaining-subscription-deletes", "x-ms-ratelimit-remaining-tenant-deletes" },
  };
  gint64 least = -1;
  for (guint i = 0; i < 2; i++) {
    const char *text = az_http_header(headers, names[kind][i]);
    guint64 value;
    if (text != NULL && g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &value, NULL))
      least = least < 0 ? (gint64) value : MIN(least, (gint64) value);
  }
  return least;
}

void
az_turn_end(AzTurn *turn, const char *const *headers)
{
  Lane *lane = turn->lane;
  gint64 remaining = headers != NULL ? read_remaining(headers, lane->kind) : -1;
  if (turn->state == TURN_UNDER_WAY)
    az_budget_end(&lane->budget, remaining, az_clock_monotonic(lane->governor->clock));
  turn->state = TURN_IDLE;
}

void
az_turn_hold(AzTurn *turn, gint64 ms, gboolean path_only)
{
  Lane *lane = turn->lane;
  gint64 now = az_clock_monotonic(lane->governor->clock);
  gint64 until = now + ms * 1000;
  if (path_only)
    hold_path(lane, turn->path, MAX(until, path_held_until(lane, turn->path, now)));
  else
    az_budget_hold(&lane->budget, until, now);
  serve(lane); /* those that will wait in vain hear it now */
}

void
az_turn_free(AzTurn *turn)
{
  if (turn == NULL)
    return;
  if (turn->state == TURN_WAITING)
    leave_queue(turn);
  az_turn_end(turn, NULL);
  g_free(turn->path);
  g_free(turn);
}
