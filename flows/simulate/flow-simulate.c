/* The simulate flow: a scenario many times over in virtual time, judged and carried out by the code of real life. */
#include "flow-simulate-private.h"
#include "error.h"

#define DEFAULT_WINDOWS 10000
#define MAX_WINDOWS 100000000
#define DEFAULT_EXECUTIONS 20
#define MAX_EXECUTIONS 1000

static void
simulate_free(gpointer data)
{
  AzSimulate *sim = data;

  az_sim_run_free(sim->run);
  az_sim_totals_free(sim->totals);
  az_sim_plan_clear(&sim->plan);
  az_sim_scenario_free(sim->scenario);
  g_free(sim);
}

static void
stop(gpointer data)
{
  AzSimulate *sim = data;

  g_clear_pointer(&sim->run, az_sim_run_free);
}

/* ---- the arguments ---- */

static const char *const withouts[] = { [AZ_SIM_WITHOUT_NOTHING] = "",
                                        [AZ_SIM_WITHOUT_SELF_CHECK] = "self-check",
                                        [AZ_SIM_WITHOUT_VETO] = "veto",
                                        [AZ_SIM_WITHOUT_WITNESS] = "witness",
                                        NULL };

static AzSimWithout
without_of(const char *word)
{
  for (int i = 0; word != NULL && withouts[i] != NULL; i++)
    if (g_str_equal(withouts[i], word))
      return (AzSimWithout) i;
  return AZ_SIM_WITHOUT_NOTHING;
}

static gboolean
check_without(const char *word, GError **error)
{
  if (word == NULL || without_of(word) != AZ_SIM_WITHOUT_NOTHING)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--without takes self-check, veto or witness, not '%s'", word);
  return FALSE;
}

static gboolean
check_windows(GVariant *args, GError **error)
{
  guint32 windows = 0;

  if (!g_variant_lookup(args, "windows", "u", &windows) || (windows > 0 && windows <= MAX_WINDOWS))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--windows takes a number from 1 to %d, not %u", MAX_WINDOWS,
              windows);
  return FALSE;
}

static gboolean
check_executions(GVariant *args, GError **error)
{
  guint32 executions = 0;

  if (!g_variant_lookup(args, "executions", "u", &executions) || executions <= MAX_EXECUTIONS)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--executions takes a number from 0 to %d, not %u", MAX_EXECUTIONS,
              executions);
  return FALSE;
}

static gboolean
check_only(GVariant *args, GError **error)
{
  if (!g_variant_lookup(args, "only", "u", NULL) || !g_variant_lookup(args, "windows", "u", NULL))
    return TRUE;
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                      "--only shows one window, --windows runs many; give one of the two");
  return FALSE;
}

static gboolean
simulate_check(AzEngine *engine, GVariant *args, GError **error)
{
  const char *name = NULL, *without = NULL;

  g_variant_lookup(args, "scenario", "&s", &name);
  g_variant_lookup(args, "without", "&s", &without);
  if (name == NULL) {
    g_auto(GStrv) names = az_sim_scenario_names();
    g_autofree char *list = g_strjoinv(", ", names);
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "Say which scenario, a file or one of: %s", list);
    return FALSE;
  }
  if (!check_without(without, error) || !check_windows(args, error) || !check_executions(args, error)
      || !check_only(args, error))
    return FALSE;
  g_autoptr(AzSimScenario) scenario = az_sim_scenario_find(name, error);
  return scenario != NULL;
}

/* ---- the run ---- */

static void
on_executed(const AzSimExecuted *executed, gpointer data)
{
  AzSimulate *sim = data;

  az_sim_end(sim, executed);
}

static void
on_done(const AzSimTotals *totals, gpointer data)
{
  AzSimulate *sim = data;

  az_sim_totals_add(sim->totals, totals, sim->plan.executions);
  sim->windows_s = (double) (g_get_monotonic_time() - sim->began) / G_USEC_PER_SEC;
  az_sim_say_totals(sim);
  if (sim->totals->switches->len > 0 && sim->plan.executions > 0)
    az_job_message(sim->job, "step", NULL, "Carrying out %u of these switches on a simulated cloud...",
                   sim->totals->switches->len);
  az_sim_execute(sim->job, &sim->plan, sim->totals->switches, on_executed, sim);
}

static void
on_progress(guint64 windows, gpointer data)
{
  AzSimulate *sim = data;

  az_job_progress(sim->job, windows, sim->n, "windows");
}

static void
simulate_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  AzSimulate *sim = g_new0(AzSimulate, 1);
  GError *error = NULL;
  guint32 only = 0;

  *sim = (AzSimulate){ .job = job, .engine = engine, .root = root, .totals = az_sim_totals_new() };
  az_job_set_data(job, sim, simulate_free);
  sim->scenario = az_sim_scenario_find(az_job_arg_string(job, "scenario"), &error);
  sim->plan.scenario = sim->scenario;
  sim->plan.seed = az_job_arg_uint(job, "seed", 1);
  sim->plan.without = without_of(az_job_arg_string(job, "without"));
  sim->without = withouts[sim->plan.without];
  sim->plan.trace = g_variant_lookup(args, "only", "u", &only);
  sim->first = only;
  sim->n = sim->plan.trace ? 1 : az_job_arg_uint(job, "windows", DEFAULT_WINDOWS);
  sim->plan.executions = az_job_arg_uint(job, "executions", DEFAULT_EXECUTIONS);
  if (sim->scenario == NULL || !az_sim_plan_init(&sim->plan, engine, &error)) {
    az_job_fail(job, error);
    return;
  }
  az_sim_say_start(sim);
  sim->began = g_get_monotonic_time();
  az_op_on_cancel(root, stop, sim);
  sim->run = az_sim_run(&sim->plan, sim->first, sim->n, on_progress, on_done, sim);
}

static const AzFlag flags[] = {
  { "scenario", 0, "s", "SCENARIO", "what happens: the name of one that is shipped, or a file" },
  { "seed", 's', "u", "N", "another draw of the same chances (default: 1)" },
  { "windows", 'w', "u", "N", "how many windows are drawn (default: 10000)" },
  { "only", 0, "u", "N", "tell all that happens in window N of that seed" },
  { "executions", 0, "u", "N", "switches that are also carried out, on a simulated cloud (default: 20)" },
  { "without", 0, "s", "PART", "a demonstration: leave out self-check, veto or witness, and see what that does" },
  { 0 },
};

const AzFlow az_flow_simulate = {
  .kind = { .kind = "simulate", .help = "Try the failover decision in thousands of drawn windows", .flags = flags },
  .check = simulate_check,
  .run = simulate_run,
};
