/* Carries out switches of a simulation: the failover flow itself, on a simulated cloud, in a home of its own. */
#define _XOPEN_SOURCE 700
#include "flow-simulate.h"
#include <errno.h>
#include <ftw.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <unistd.h>

#define PATIENCE_MS 600000

typedef struct _Execution Execution;

typedef struct { /* one command of the course of a switch */
  const char *kind;
  GVariant *(*args)(const Execution *execution);
  /* Looks at what came out; FALSE and a complaint (owned) when that is wrong. */
  gboolean (*check)(Execution *execution, GVariant *result, char **ret_complaint);
} Step;

struct _Execution {
  AzEngine *outer;
  AzJob *outer_job;
  AzlinOp *waits; /* of the outer job: it does not end before we have */
  const AzSimPlan *plan;
  GArray *switches; /* of AzSimSwitch, borrowed */
  guint index;      /* the one at work */
  guint step;
  char *home;
  AzEngine *engine;
  AzJob *job;
  gboolean cancelled;
  AzSimExecuted sum;
  void (*done)(const AzSimExecuted *executed, gpointer data);
  gpointer data;
};

static const AzSimSwitch *
present(const Execution *execution)
{
  return &g_array_index(execution->switches, AzSimSwitch, execution->index);
}

static const char *
region_name(const Execution *execution, int region)
{
  return region == AZ_SIM_HERE ? AZ_VANTAGE_HERE : g_ptr_array_index(execution->plan->scenario->regions, region);
}

/* ---- the home ---- */

static int
remove_one(const char *path, const struct stat *info, int kind, struct FTW *where)
{
  return g_remove(path);
}

static void
remove_home(Execution *execution)
{
  if (execution->home != NULL)
    nftw(execution->home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  g_clear_pointer(&execution->home, g_free);
}

/* Homes begin with the number of the process that made them: what a killed one left is taken away. */
static void
remove_orphans(const char *parent)
{
  g_autoptr(GDir) dir = g_dir_open(parent, 0, NULL);

  for (const char *name; dir != NULL && (name = g_dir_read_name(dir)) != NULL;) {
    gint64 pid = g_ascii_strtoll(name, NULL, 10);
    g_autofree char *path = g_build_filename(parent, name, NULL);
    if (pid > 0 && kill((pid_t) pid, 0) != 0 && errno == ESRCH)
      nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
  }
}

static gboolean
write_file(const Execution *execution, const char *name, const char *text, GError **error)
{
  g_autofree char *path = g_build_filename(execution->home, name, NULL);

  return g_file_set_contents_full(path, text, -1, G_FILE_SET_CONTENTS_NONE, 0600, error);
}

/* The options of failovers are those of the real configuration; everything else is the simulated cloud's. */
static void
add_failover_options(const Execution *execution, GString *text)
{
  AzConfig *config = az_engine_config(execution->outer);
  g_autofree char *group = g_strconcat("failover.", az_config_string(config, "bricks", "failover"), NULL);
  g_autoptr(GVariant) rows = g_variant_ref_sink(az_config_show(config));

  g_string_append_printf(text, "[%s]\n", group);
  for (gsize i = 0; i < g_variant_n_children(rows); i++) {
    g_autoptr(GVariant) row = g_variant_get_child_value(rows, i);
    const char *of = "", *name = "", *value = "", *origin = "";
    g_variant_lookup(row, "group", "&s", &of);
    g_variant_lookup(row, "name", "&s", &name);
    g_variant_lookup(row, "value", "&s", &value);
    g_variant_lookup(row, "origin", "&s", &origin);
    if (g_str_equal(of, group) && !g_str_equal(origin, "default"))
      g_string_append_printf(text, "%s=%s\n", name, value);
  }
}

static char *
region_list(const Execution *execution)
{
  GString *list = g_string_new(NULL);

  for (guint i = 0; i < execution->plan->scenario->regions->len; i++)
    g_string_append_printf(list, "%s%s", i > 0 ? ";" : "", region_name(execution, (int) i));
  return g_string_free(list, FALSE);
}

static gboolean
write_config(const Execution *execution, GError **error)
{
  g_autoptr(GString) text = g_string_new(NULL);
  g_autofree char *regions = region_list(execution);
  AzConfig *config = az_engine_config(execution->outer);

  g_string_append_printf(text, "[bricks]\nprovider=sim\nfailover=%s\n[policy]\nallowed-regions=%s\n",
                         az_config_string(config, "bricks", "failover"), regions);
  g_string_append_printf(text, "[provider.sim]\nscript=%s/script\npower-seconds=3\n", execution->home);
  add_failover_options(execution, text);
  return write_file(execution, "azlin.conf", text->str, error);
}

static gboolean
make_home(Execution *execution, GError **error)
{
  AzPaths *paths = az_engine_paths(execution->outer);
  g_autofree char *parent = az_paths_file(paths, "simulate");

  if (!az_paths_ensure(paths, error) || !az_paths_make_dir(parent, error))
    return FALSE;
  g_autofree char *name = g_strdup_printf("%d-XXXXXX", (int) getpid());
  g_autofree char *home = g_build_filename(parent, name, NULL);
  remove_orphans(parent);
  if (g_mkdtemp_full(home, 0700) == NULL) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot make a folder in %s: %s", parent, g_strerror(errno));
    return FALSE;
  }
  execution->home = g_steal_pointer(&home);
  return write_config(execution, error) && write_file(execution, "script", "", error);
}

/* ---- what has happened to the cloud ---- */

static void
add_sight(const Execution *execution, GString *script, int vantage, int region, AzSimSight sight)
{
  static const char *const outcomes[AZ_SIM_N_SIGHTS] = {
    [AZ_SIM_SEES_SILENCE] = "timeout",
    [AZ_SIM_SEES_REFUSAL] = "refused",
    [AZ_SIM_SEES_HANG] = "refused",
    [AZ_SIM_SEES_NO_AUTH] = "auth_failed",
    [AZ_SIM_SEES_OTHER_KEY] = "host_key_changed",
  };

  if (outcomes[sight] != NULL)
    g_string_append_printf(script, "probe %s from %s %s\n", region_name(execution, region),
                           region_name(execution, vantage), outcomes[sight]);
}

/* The world of the window at the time of its verdict, in the words of provider-sim. */
static char *
script_of(const Execution *execution)
{
  const AzSimPlan *plan = execution->plan;
  const AzSimSwitch *made = present(execution);
  gint64 timeout = (gint64) (plan->rules.probe_timeout_s * G_USEC_PER_SEC), at = made->seen;
  int n = (int) plan->scenario->regions->len;
  GString *script = g_string_new(NULL);
  AzSimWorld world;

  az_sim_world_draw(&world, plan->scenario, plan->seed, made->window);
  world.primary = made->from;
  for (int region = 0; region < n; region++) {
    const char *name = region_name(execution, region);
    for (int vantage = AZ_SIM_HERE; vantage < n; vantage++)
      if (vantage != region)
        add_sight(execution, script, vantage, region, az_sim_world_look(&world, vantage, region, at, timeout));
    if (az_sim_world_holds(&world, AZ_SIM_END, region, at))
      g_string_append_printf(script, "machine %s kill\n", name);
    if (az_sim_world_holds(&world, AZ_SIM_CONTROL_PLANE, region, at))
      g_string_append_printf(script, "get %s fail network\npower %s fail network\n", name, name);
  }
  return g_string_free(script, FALSE);
}

/* ---- the steps ---- */

static GVariant *
deploy_args(const Execution *execution)
{
  GVariantDict args;
  g_autoptr(GPtrArray) names = g_ptr_array_new();

  g_ptr_array_add(names, (gpointer) (guintptr) region_name(execution, present(execution)->from));
  for (int i = 0; i < (int) execution->plan->scenario->regions->len; i++)
    if (i != present(execution)->from)
      g_ptr_array_add(names, (gpointer) (guintptr) region_name(execution, i));
  g_variant_dict_init(&args, NULL);
  g_variant_dict_insert_value(&args, "regions",
                              g_variant_new_strv((const char *const *) names->pdata, (gssize) names->len));
  return g_variant_dict_end(&args);
}

static GVariant *
no_args(const Execution *execution)
{
  return g_variant_new_parsed("@a{sv} {}");
}

static GVariant *
failover_args(const Execution *execution)
{
  return g_variant_new_parsed("{'auto': <true>, 'to': <%s>}", region_name(execution, present(execution)->to));
}

static gboolean
check_switch(Execution *execution, GVariant *result, char **ret_complaint)
{
  const char *target = "";
  gboolean success = FALSE;
  double took = 0;

  g_variant_lookup(result, "success", "b", &success);
  g_variant_lookup(result, "target_region", "&s", &target);
  g_variant_lookup(result, "duration_seconds", "d", &took);
  execution->sum.longest_s = MAX(execution->sum.longest_s, took);
  if (success && g_str_equal(target, region_name(execution, present(execution)->to)))
    return TRUE;
  *ret_complaint = g_strdup_printf("it says success: %s, target: %s", success ? "yes" : "no", target);
  return FALSE;
}

static gboolean
check_records(Execution *execution, GVariant *result, char **ret_complaint)
{
  const char *primary = "", *wanted = region_name(execution, present(execution)->to);
  g_autoptr(GPtrArray) open = az_journal_open_entries(az_engine_journal(execution->engine, NULL), NULL);

  g_variant_lookup(result, "primary", "&s", &primary);
  if (open != NULL && open->len == 0 && g_str_equal(primary, wanted))
    return TRUE;
  *ret_complaint = g_strdup_printf("the primary is \"%s\" instead of %s, %u entries of the journal are open", primary,
                                   wanted, open != NULL ? open->len : 0);
  return FALSE;
}

static const Step steps[] = {
  { "deploy", deploy_args, NULL },
  { "regions-health", no_args, NULL },
  { "failover", failover_args, check_switch },
  { "regions-list", no_args, check_records },
};
#define STEP_OF_THE_SWITCH 2

static void run_step(Execution *execution);

static void
finish(Execution *execution)
{
  g_autofree Execution *owned = execution;

  az_clock_release(az_engine_clock(owned->outer));
  az_op_finish(owned->waits);
  if (!owned->cancelled)
    owned->done(&owned->sum, owned->data);
  g_free(owned->sum.complaint);
}

static void
end_switch(Execution *execution, char *complaint)
{
  const AzSimSwitch *made = present(execution);
  g_autofree char *owned = complaint;

  g_clear_pointer(&execution->engine, az_engine_free);
  remove_home(execution);
  execution->sum.executed++;
  execution->sum.failed += owned != NULL ? 1 : 0;
  if (owned != NULL && execution->sum.complaint == NULL)
    execution->sum.complaint = g_strdup_printf("The switch of window %" G_GUINT64_FORMAT " (%s to %s) failed at %s: %s",
                                               made->window, region_name(execution, made->from),
                                               region_name(execution, made->to), steps[execution->step].kind, owned);
  execution->index++;
  execution->step = 0;
  az_job_progress(execution->outer_job, execution->index, execution->switches->len, "switches carried out");
  run_step(execution);
}

static char *
complaint_of(Execution *execution)
{
  GVariant *result = az_job_result(execution->job);
  g_autoptr(GVariant) error = g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT);
  const char *message = "no reason given";
  char *complaint = NULL;

  if (az_job_exit_code(execution->job) == 0) {
    if (steps[execution->step].check != NULL)
      steps[execution->step].check(execution, result, &complaint);
    return complaint;
  }
  if (error != NULL)
    g_variant_lookup(error, "error_message", "&s", &message);
  return g_strdup_printf("exit code %d, %s", az_job_exit_code(execution->job), message);
}

/* Not from within the job's own callback: what ends here frees its engine. */
static gboolean
on_idle(gpointer data)
{
  Execution *execution = data;
  char *complaint = complaint_of(execution);

  if (complaint != NULL || execution->cancelled || execution->step + 1 == G_N_ELEMENTS(steps)) {
    end_switch(execution, complaint);
    return G_SOURCE_REMOVE;
  }
  execution->step++;
  run_step(execution);
  return G_SOURCE_REMOVE;
}

static void
on_finished(AzJob *job, gpointer data)
{
  g_autoptr(GSource) source = g_idle_source_new();

  g_source_set_priority(source, G_PRIORITY_DEFAULT);
  g_source_set_callback(source, on_idle, data, NULL);
  g_source_attach(source, g_main_context_get_thread_default());
}

/* A cloud that nothing has happened to yet; or, for the switch, one that reads what has. */
static gboolean
prepare(Execution *execution, GError **error)
{
  g_autofree char *script = NULL, *config = NULL;

  if (execution->step == 0 && !make_home(execution, error))
    return FALSE;
  if (execution->step != 0 && execution->step != STEP_OF_THE_SWITCH)
    return TRUE;
  script = execution->step == 0 ? g_strdup("") : script_of(execution);
  if (!write_file(execution, "script", script, error))
    return FALSE;
  config = g_build_filename(execution->home, "azlin.conf", NULL);
  g_clear_pointer(&execution->engine, az_engine_free);
  execution->engine = az_engine_new(config, execution->home, error);
  return execution->engine != NULL;
}

static void
run_step(Execution *execution)
{
  const AzJobWatch watch = { .finished = on_finished, .data = execution };
  g_autoptr(GError) error = NULL;

  if (execution->cancelled || execution->index >= execution->switches->len) {
    finish(execution);
    return;
  }
  if (prepare(execution, &error))
    execution->job = az_engine_submit(execution->engine, steps[execution->step].kind,
                                      steps[execution->step].args(execution), &watch, &error);
  if (error != NULL)
    end_switch(execution, g_strdup(error->message));
  else
    az_engine_start(execution->engine, execution->job);
}

static void
on_cancel(gpointer data)
{
  Execution *execution = data;

  execution->cancelled = TRUE;
  if (execution->engine != NULL && execution->job != NULL)
    az_engine_cancel(execution->engine, execution->job);
}

static void
ignore(AzlinOp *op, gpointer data)
{
}

void
az_sim_execute(AzJob *job, const AzSimPlan *plan, GArray *switches,
               void (*done)(const AzSimExecuted *executed, gpointer data), gpointer data)
{
  Execution *execution = g_new0(Execution, 1);

  *execution = (Execution){
    .outer = az_job_engine(job), .outer_job = job, .plan = plan, .switches = switches, .done = done, .data = data
  };
  /* Where the engine's own clock is virtual, its deadlines must not come while another one is at work. */
  az_clock_hold(az_engine_clock(execution->outer));
  execution->waits = az_job_cleanup_op(job, "the simulated switches", PATIENCE_MS, ignore, NULL);
  az_op_on_cancel(az_job_root(job), on_cancel, execution);
  run_step(execution);
}
