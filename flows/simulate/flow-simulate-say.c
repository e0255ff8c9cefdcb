/* What a simulation came to: in words, with the next command to type, and as the JSON document. */
#include "flow-simulate-private.h"

static char *
count(guint64 n, const char *one, const char *many)
{
  return g_strdup_printf("%" G_GUINT64_FORMAT " %s", n, n == 1 ? one : many);
}

static double
mean_s(const AzSimTotals *totals)
{
  return totals->timed == 0 ? 0 : (double) totals->detection_sum / (double) totals->timed / G_USEC_PER_SEC;
}

static double
max_s(const AzSimTotals *totals)
{
  return (double) totals->detection_max / G_USEC_PER_SEC;
}

void
az_sim_say_start(AzSimulate *sim)
{
  g_autofree char *length = az_flow_duration(sim->scenario->window_s);
  g_autofree char *windows = count(sim->n, "window", "windows");
  const char *about = sim->scenario->about;

  if (sim->plan.trace)
    az_job_message(sim->job, "step", NULL, "Window %" G_GUINT64_FORMAT " of %s, seed %" G_GUINT64_FORMAT "...",
                   sim->first, sim->scenario->name, sim->plan.seed);
  else
    az_job_message(sim->job, "step", NULL, "Simulating %s: %s of %s, seed %" G_GUINT64_FORMAT "...",
                   sim->scenario->name, windows, length, sim->plan.seed);
  if (about != NULL)
    az_job_message(sim->job, "step", NULL, "%s", about);
  if (*sim->without != '\0')
    az_job_message(sim->job, "warn", NULL, "Without %s: a demonstration, no azlin runs like that", sim->without);
}

static void
say_false(AzSimulate *sim)
{
  AzSimTotals *totals = sim->totals;

  if (totals->false_failovers == 0) {
    az_job_message(sim->job, "ok", NULL, "No false failover");
    return;
  }
  az_job_message(sim->job, "fail", NULL, "%" G_GUINT64_FORMAT " false failover%s: %.2f in 10,000 windows",
                 totals->false_failovers, totals->false_failovers == 1 ? "" : "s",
                 1e4 * (double) totals->false_failovers / (double) totals->windows);
}

static void
say_outages(AzSimulate *sim)
{
  AzSimTotals *totals = sim->totals;

  if (totals->outages == 0)
    return;
  az_job_message(sim->job, totals->missed_outages > 0 ? "fail" : "ok", NULL,
                 "%" G_GUINT64_FORMAT " of %" G_GUINT64_FORMAT " outages detected, %" G_GUINT64_FORMAT " missed",
                 totals->detected, totals->outages, totals->missed_outages);
  if (totals->timed > 0)
    az_job_message(sim->job, "step", NULL, "From outage to verdict %.1f s on average, %.1f s at most", mean_s(totals),
                   max_s(totals));
  if (totals->blind > 0)
    az_job_message(sim->job, "step", NULL,
                   "In %" G_GUINT64_FORMAT " of them this host was offline for a while, which no detector sees through",
                   totals->blind);
}

void
az_sim_say_totals(AzSimulate *sim)
{
  AzSimTotals *totals = sim->totals;

  for (guint i = 0; i < totals->trace->len; i++)
    az_job_message(sim->job, "step", NULL, "%s", (const char *) g_ptr_array_index(totals->trace, i));
  say_false(sim);
  say_outages(sim);
  g_autofree char *held = count(totals->held_back, "window", "windows");
  if (totals->held_back > 0)
    az_job_message(sim->job, "step", NULL, "In %s a further switch was held back by the policy", held);
}

static gboolean
is_bad(const AzSimTotals *totals, const AzSimExecuted *executed)
{
  return totals->false_failovers > 0 || totals->missed_outages > 0 || executed->failed > 0;
}

static void
say_next(AzSimulate *sim, gboolean bad)
{
  const AzSimTotals *totals = sim->totals;
  GArray *list = totals->wrong->len > 0 ? totals->wrong : totals->switches;
  guint64 window = list->len > 0 ? g_array_index(list, AzSimSwitch, 0).window : 0;
  gboolean slowest = !bad && totals->timed > 0;
  g_autofree char *without = *sim->without != '\0' ? g_strdup_printf(" --without %s", sim->without) : g_strdup("");

  if (sim->plan.trace)
    az_job_message(sim->job, "hint", NULL, "To see many windows: azlin simulate %s --windows 10000",
                   sim->scenario->name);
  else
    az_job_message(sim->job, "hint", NULL,
                   "To see %s from the inside: azlin simulate %s --seed %" G_GUINT64_FORMAT " --only %" G_GUINT64_FORMAT
                   "%s",
                   bad       ? "the first window that went wrong"
                   : slowest ? "the slowest window"
                             : "one window",
                   sim->scenario->name, sim->plan.seed, slowest ? totals->slowest : window, without);
}

/* ---- the document ---- */

static void
add_uint(GVariantBuilder *builder, const char *key, guint64 value)
{
  g_variant_builder_add(builder, "{sv}", key, g_variant_new_uint64(value));
}

static void
add_seconds(GVariantBuilder *builder, const char *key, double value, gboolean known)
{
  g_variant_builder_add(builder, "{sv}", key, known ? g_variant_new_double(value) : az_null());
}

static GVariant *
wrong_windows(const AzSimTotals *totals)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("at"));
  for (guint i = 0; i < totals->wrong->len; i++)
    g_variant_builder_add(&list, "t", g_array_index(totals->wrong, AzSimSwitch, i).window);
  return g_variant_builder_end(&list);
}

static GVariant *
result_of(AzSimulate *sim, const AzSimExecuted *executed)
{
  const AzSimTotals *totals = sim->totals;
  GVariantBuilder result;

  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "scenario", g_variant_new_string(sim->scenario->name));
  add_uint(&result, "seed", sim->plan.seed);
  g_variant_builder_add(&result, "{sv}", "without", az_variant_str(sim->without));
  add_uint(&result, "windows", totals->windows);
  add_seconds(&result, "window_seconds", sim->scenario->window_s, TRUE);
  add_uint(&result, "failovers", totals->failovers);
  add_uint(&result, "false_failovers", totals->false_failovers);
  add_uint(&result, "outages", totals->outages);
  add_uint(&result, "detected_outages", totals->detected);
  add_uint(&result, "missed_outages", totals->missed_outages);
  add_uint(&result, "outages_while_offline", totals->blind);
  add_uint(&result, "held_back", totals->held_back);
  add_seconds(&result, "detection_mean_s", mean_s(totals), totals->timed > 0);
  add_seconds(&result, "detection_max_s", max_s(totals), totals->timed > 0);
  g_variant_builder_add(&result, "{sv}", "slowest_window",
                        totals->timed > 0 ? g_variant_new_uint64(totals->slowest) : az_null());
  add_uint(&result, "executed", executed->executed);
  add_uint(&result, "failed_executions", executed->failed);
  add_seconds(&result, "execution_max_s", executed->longest_s, executed->executed > 0);
  add_uint(&result, "probes", totals->probes);
  add_uint(&result, "decisions", totals->decisions);
  g_variant_builder_add(&result, "{sv}", "wrong_windows", wrong_windows(totals));
  add_seconds(&result, "duration_seconds", sim->windows_s, TRUE);
  return g_variant_builder_end(&result);
}

void
az_sim_end(AzSimulate *sim, const AzSimExecuted *executed)
{
  gboolean bad = is_bad(sim->totals, executed);
  g_autofree char *took = az_flow_duration(sim->windows_s), *windows = count(sim->totals->windows, "window", "windows");

  if (executed->executed > 0)
    az_job_message(sim->job, executed->failed > 0 ? "fail" : "ok", NULL,
                   "%u of %u switches carried out, each in at most %.1f s", executed->executed - executed->failed,
                   executed->executed, executed->longest_s);
  if (executed->complaint != NULL)
    az_job_message(sim->job, "fail", NULL, "%s", executed->complaint);
  az_job_message(sim->job, bad ? "failed" : "done", NULL, "%s %s: %s in %s", sim->scenario->name,
                 bad ? "went wrong" : "went well", windows, took);
  say_next(sim, bad);
  az_job_finish(sim->job, bad ? 1 : 0, result_of(sim, executed));
}
