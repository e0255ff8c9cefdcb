/* The parts of `azlin simulate`: scenarios, windows drawn from them, the totals, and switches that are carried out. */
#pragma once
#include "detector.h"
#include "flow-failover-state.h"

/* ---- a scenario: what may happen, and when it is an outage (flow-simulate-scenario.c) ---- */

#define AZ_SIM_REGIONS 16
#define AZ_SIM_CONDITIONS 32

typedef enum {
  AZ_SIM_OFFLINE,       /* the network of this host */
  AZ_SIM_ASLEEP,        /* this host is suspended */
  AZ_SIM_PATH,          /* the way from one vantage to a region */
  AZ_SIM_PAUSE,         /* the machine stands still, as in a live migration */
  AZ_SIM_DOWN,          /* the region answers nobody */
  AZ_SIM_FLAP,          /* the same, off and on */
  AZ_SIM_SLOW,          /* sshd takes its time */
  AZ_SIM_HANG,          /* the port is open, and nothing comes */
  AZ_SIM_REFUSE,        /* resets */
  AZ_SIM_AUTH,          /* the login is refused */
  AZ_SIM_HOST_KEY,      /* another key than the pinned one */
  AZ_SIM_STOP,          /* the machine is stopped on request */
  AZ_SIM_END,           /* the machine ends by itself; its address refuses */
  AZ_SIM_CONTROL_PLANE, /* the provider's API fails for the region */
  AZ_SIM_HARDWARE,      /* the provider reports its hardware as failed */
  AZ_SIM_N_WHATS
} AzSimWhat;

typedef enum { AZ_SIM_WRONG, AZ_SIM_ALLOWED, AZ_SIM_RIGHT } AzSimTruth; /* a switch while it lasts */

enum { AZ_SIM_HERE = -1, AZ_SIM_ALL = -2, AZ_SIM_PRIMARY = -3 }; /* in place of the index of a region */

typedef struct { /* seconds */
  double from, to;
  gboolean exponential; /* with the mean `from` */
} AzSimSpan;

typedef struct {
  AzSimWhat what;
  AzSimTruth truth;
  int region;  /* index, AZ_SIM_ALL or AZ_SIM_PRIMARY (whichever is it at that moment) */
  int vantage; /* of a path: index, AZ_SIM_HERE or AZ_SIM_ALL */
  double chance;
  AzSimSpan at, lasts; /* lasts.from < 0: to the end of the window */
  AzSimSpan takes;     /* slow: each answer; flap: from = up, to = down */
} AzSimCondition;

typedef struct {
  char *name, *about;
  GPtrArray *regions; /* of char*; the first is the primary */
  guint32 watchers;   /* bit 0: here; bit 1 + i: region i; who has seen the primary up before */
  double window_s, loss;
  AzSimCondition conditions[AZ_SIM_CONDITIONS];
  guint n_conditions;
} AzSimScenario;

/* `where` names the text in errors, which give its line (CONFIG). */
AzSimScenario *az_sim_scenario_parse(const char *name, const char *text, const char *where, GError **error);
void az_sim_scenario_free(AzSimScenario *scenario);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzSimScenario, az_sim_scenario_free)
/* A path, or the name of one that is shipped: USAGE when there is none, naming the nearest. */
AzSimScenario *az_sim_scenario_find(const char *word, GError **error);
/* Names of those that are shipped, sorted; owned. */
char **az_sim_scenario_names(void);

/* ---- a window: what was drawn, and what a probe sees in it (flow-simulate-world.c) ---- */

typedef enum {
  AZ_SIM_SEES_OK,
  AZ_SIM_SEES_SLOW,
  AZ_SIM_SEES_SILENCE,
  AZ_SIM_SEES_REFUSAL,
  AZ_SIM_SEES_HANG, /* connects, and then nothing */
  AZ_SIM_SEES_NO_AUTH,
  AZ_SIM_SEES_OTHER_KEY,
  AZ_SIM_SEES_NOTHING, /* the question itself got lost */
  AZ_SIM_N_SIGHTS
} AzSimSight;

typedef struct {
  const AzSimCondition *condition;
  gint64 from, to; /* microseconds of the window */
} AzSimFact;

typedef struct {
  const AzSimScenario *scenario;
  guint64 random; /* state of the generator; all that happens follows from its first value */
  AzSimFact facts[AZ_SIM_CONDITIONS];
  guint n_facts;
  gint64 length;
  int primary;    /* index of a region */
  guint32 fenced; /* bit i: region i was switched off */
} AzSimWorld;

/* Splitmix64 seeded from both numbers: the same on every machine and with every version of a library. */
void az_sim_world_draw(AzSimWorld *world, const AzSimScenario *scenario, guint64 seed, guint64 window);
double az_sim_random(AzSimWorld *world); /* 0 <= result < 1 */
/* One probe of `region` from a vantage, begun at `start`; returns when its answer is there. */
gint64 az_sim_world_probe(AzSimWorld *world, int vantage, int region, gint64 start, gint64 timeout, gboolean with_login,
                          AzSimSight *ret_sight);
/* The same, asked of a machine over the SSH session that this host holds to it. */
gint64
az_sim_world_ask(AzSimWorld *world, int witness, int region, gint64 start, gint64 timeout, AzSimSight *ret_sight);
/* What a probe would see without any luck: no loss, nothing drawn. */
AzSimSight az_sim_world_look(const AzSimWorld *world, int vantage, int region, gint64 at, gint64 timeout);
/* Whether a condition of that kind holds for the region. */
gboolean az_sim_world_holds(const AzSimWorld *world, AzSimWhat what, int region, gint64 at);
/* When this host runs again; `at` itself when it is awake. */
gint64 az_sim_world_awake(const AzSimWorld *world, gint64 at);
/* Whether this host had no network at some instant from `from` to `to`. */
gboolean az_sim_world_was_blind(const AzSimWorld *world, gint64 from, gint64 to);
/* What a switch at `at` is; `ret_since` when the outage began, if one lasts or lasted within `grace`. */
AzSimTruth az_sim_world_truth(const AzSimWorld *world, gint64 at, gint64 grace, gint64 *ret_since);
/* The first outage of the window: a switch is then due. FALSE = there is none. */
gboolean az_sim_world_outage(const AzSimWorld *world, gint64 *ret_from, gint64 *ret_to);

/* ---- the judgement, as in real life (flow-simulate-judge.c) ---- */

typedef enum {
  AZ_SIM_WITHOUT_NOTHING,
  AZ_SIM_WITHOUT_SELF_CHECK,
  AZ_SIM_WITHOUT_VETO,
  AZ_SIM_WITHOUT_WITNESS
} AzSimWithout;

typedef struct { /* what all windows share; read only while they run */
  const AzSimScenario *scenario;
  guint64 seed;
  AzSimWithout without; /* a demonstration of what the parts are for */
  AzDetectorRules rules;
  const AzlinFailover *brick;
  gpointer brick_self;
  AzlinMode mode;
  guint32 cool_down_s, max_sync_age_s;
  char **never_promote;
  GPtrArray *no_fences; /* empty: in a simulation the fence holds */
  guint32 executions;   /* switches to carry out */
  gboolean trace;       /* tell what happens in the window */
  AzSightOutcome here_outcomes[AZ_SIM_N_SIGHTS], witness_outcomes[AZ_SIM_N_SIGHTS];
} AzSimPlan;

/* Reads what the configuration says of failovers; CONFIG. */
gboolean az_sim_plan_init(AzSimPlan *plan, AzEngine *engine, GError **error);
void az_sim_plan_clear(AzSimPlan *plan);

typedef struct {
  guint64 window;
  gint64 at;   /* microseconds of the window */
  gint64 seen; /* when the last look at the primary from here began */
  int from, to;
  AzSimTruth truth;
} AzSimSwitch;

typedef struct {
  const AzSimPlan *plan;
  AzSimWorld world;
  AzDetector *detector;
  AzSimSight here[AZ_SIM_REGIONS]; /* the last look from here */
  gint64 looked[AZ_SIM_REGIONS];   /* when it began */
  gboolean has_switched;
  AzSimSwitch last; /* valid when it has */
} AzSimScene;

/* Asks the brick about the primary; the caller clears `ret_decision` with az_failover_decision_clear(). */
void az_sim_judge(const AzSimScene *scene, gint64 now, AzlinDecision *ret_decision);
/* The region of the first healthy line of the ranking that may become primary by itself; -1 = none. */
int az_sim_target(const AzSimScene *scene, const AzlinDecision *decision);
/* Whether the policy holds the switch back; all data is as fresh as can be. `ret_reason` is owned. */
AzHold az_sim_policy(const AzSimScene *scene, gint64 now, int target, char **ret_reason);

/* ---- many windows (flow-simulate-window.c, flow-simulate-run.c) ---- */

typedef struct {
  guint64 windows, outages, failovers, false_failovers, missed_outages, detected, held_back, decisions, probes;
  guint64 blind;                       /* outages during which this host was offline for a while */
  guint64 timed;                       /* of the detected: this host was online all the while */
  gint64 detection_sum, detection_max; /* of those, microseconds */
  guint64 slowest;                     /* the window of detection_max */
  GArray *switches;                    /* of AzSimSwitch: the first right ones, to carry out */
  GArray *wrong;                       /* of AzSimSwitch: the first false ones, and outages missed (to < 0) */
  GPtrArray *trace;                    /* of char*: what happened, when that was asked for */
} AzSimTotals;

#define AZ_SIM_WRONG_SHOWN 5
AzSimTotals *az_sim_totals_new(void);
void az_sim_totals_free(AzSimTotals *totals);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzSimTotals, az_sim_totals_free)
void az_sim_totals_add(AzSimTotals *totals, const AzSimTotals *more, guint32 executions);
void az_sim_window(const AzSimPlan *plan, guint64 window, AzSimTotals *totals);

typedef struct _AzSimRun AzSimRun;
/* Runs `n` windows from `first` on, on all processors; totals do not depend on how many there are. On the caller's main
 * context: `progress` after each part, `done` once with the totals. */
AzSimRun *az_sim_run(const AzSimPlan *plan, guint64 first, guint64 n, void (*progress)(guint64 windows, gpointer data),
                     void (*done)(const AzSimTotals *totals, gpointer data), gpointer data);
/* Stops what still runs, and waits for that: a few windows at most. */
void az_sim_run_free(AzSimRun *run);

/* ---- switches that are carried out (flow-simulate-execute.c) ---- */

typedef struct {
  guint executed, failed;
  double longest_s; /* virtual seconds of the whole command, from its first probe to its end */
  char *complaint;  /* of the first that failed, or NULL */
} AzSimExecuted;
/* Carries out `switches` one after the other with the failover flow, each in a home of its own on a simulated cloud. */
void az_sim_execute(AzJob *job, const AzSimPlan *plan, GArray *switches,
                    void (*done)(const AzSimExecuted *executed, gpointer data), gpointer data);
