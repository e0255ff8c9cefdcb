/* Many windows side by side: parts of them on a thread for each processor, and totals added in the order of windows. */
#include "flow-simulate.h"

#define PART 500 /* windows */

struct _AzSimRun {
  const AzSimPlan *plan;
  guint64 first, n;
  void (*progress)(guint64 windows, gpointer data);
  void (*done)(const AzSimTotals *totals, gpointer data);
  gpointer data;
  GThreadPool *pool;
  GMainContext *context;
  AzSimTotals **parts;
  guint n_parts, n_done;
  int stopping;   /* atomic */
  GSource *ended; /* pending on the caller's context, under `lock` */
  GMutex lock;
  guint n_ended; /* under `lock` */
};

/* ---- on the threads ---- */

static gboolean on_ended(gpointer data);

static void
tell(AzSimRun *run)
{
  g_mutex_lock(&run->lock);
  run->n_ended++;
  if (run->ended == NULL) {
    run->ended = g_idle_source_new();
    g_source_set_priority(run->ended, G_PRIORITY_DEFAULT);
    g_source_set_callback(run->ended, on_ended, run, NULL);
    g_source_attach(run->ended, run->context);
  }
  g_mutex_unlock(&run->lock);
}

static void
work(gpointer task, gpointer data)
{
  AzSimRun *run = data;
  guint64 part = GPOINTER_TO_UINT(task) - 1;
  guint64 end = MIN((part + 1) * PART, run->n);
  AzSimTotals *totals = az_sim_totals_new();

  for (guint64 i = part * PART; i < end && !g_atomic_int_get(&run->stopping); i++)
    az_sim_window(run->plan, run->first + i, totals);
  run->parts[part] = totals;
  if (!g_atomic_int_get(&run->stopping))
    tell(run);
}

/* ---- on the caller's context ---- */

static void
finish(AzSimRun *run)
{
  g_autoptr(AzSimTotals) totals = az_sim_totals_new();

  for (guint i = 0; i < run->n_parts; i++)
    az_sim_totals_add(totals, run->parts[i], run->plan->executions);
  run->done(totals, run->data);
}

static gboolean
on_ended(gpointer data)
{
  AzSimRun *run = data;

  g_mutex_lock(&run->lock);
  run->n_done = run->n_ended;
  g_clear_pointer(&run->ended, g_source_unref);
  g_mutex_unlock(&run->lock);
  if (run->n_done == run->n_parts)
    finish(run);
  else
    run->progress((guint64) run->n_done * PART, run->data);
  return G_SOURCE_REMOVE;
}

AzSimRun *
az_sim_run(const AzSimPlan *plan, guint64 first, guint64 n, void (*progress)(guint64 windows, gpointer data),
           void (*done)(const AzSimTotals *totals, gpointer data), gpointer data)
{
  AzSimRun *run = g_new(AzSimRun, 1);

  *run = (AzSimRun){ .plan = plan, .first = first, .n = n, .progress = progress, .done = done, .data = data };
  run->context = g_main_context_ref_thread_default();
  run->n_parts = (guint) ((n + PART - 1) / PART);
  run->parts = g_new0(AzSimTotals *, run->n_parts);
  g_mutex_init(&run->lock);
  run->pool = g_thread_pool_new(work, run, (int) g_get_num_processors(), FALSE, NULL);
  for (guint i = 0; i < run->n_parts; i++)
    g_thread_pool_push(run->pool, GUINT_TO_POINTER(i + 1), NULL);
  return run;
}

void
az_sim_run_free(AzSimRun *run)
{
  if (run == NULL)
    return;
  g_atomic_int_set(&run->stopping, TRUE);
  g_thread_pool_free(run->pool, TRUE, TRUE);
  if (run->ended != NULL)
    g_source_destroy(run->ended);
  g_clear_pointer(&run->ended, g_source_unref);
  for (guint i = 0; i < run->n_parts; i++)
    az_sim_totals_free(run->parts[i]);
  g_free(run->parts);
  g_main_context_unref(run->context);
  g_mutex_clear(&run->lock);
  g_free(run);
}

/* ---- totals ---- */

AzSimTotals *
az_sim_totals_new(void)
{
  AzSimTotals *totals = g_new0(AzSimTotals, 1);

  totals->switches = g_array_new(FALSE, FALSE, sizeof(AzSimSwitch));
  totals->wrong = g_array_new(FALSE, FALSE, sizeof(AzSimSwitch));
  totals->trace = g_ptr_array_new_with_free_func(g_free);
  return totals;
}

void
az_sim_totals_free(AzSimTotals *totals)
{
  if (totals == NULL)
    return;
  g_array_unref(totals->switches);
  g_array_unref(totals->wrong);
  g_ptr_array_unref(totals->trace);
  g_free(totals);
}

static void
take_first(GArray *into, GArray *from, guint most)
{
  for (guint i = 0; i < from->len && into->len < most; i++)
    g_array_append_val(into, g_array_index(from, AzSimSwitch, i));
}

void
az_sim_totals_add(AzSimTotals *totals, const AzSimTotals *more, guint32 executions)
{
  totals->windows += more->windows;
  totals->outages += more->outages;
  totals->failovers += more->failovers;
  totals->false_failovers += more->false_failovers;
  totals->missed_outages += more->missed_outages;
  totals->detected += more->detected;
  totals->blind += more->blind;
  totals->timed += more->timed;
  totals->held_back += more->held_back;
  totals->decisions += more->decisions;
  totals->probes += more->probes;
  totals->detection_sum += more->detection_sum;
  if (more->detection_max > totals->detection_max) {
    totals->detection_max = more->detection_max;
    totals->slowest = more->slowest;
  }
  take_first(totals->switches, more->switches, executions);
  take_first(totals->wrong, more->wrong, AZ_SIM_WRONG_SHOWN);
  for (guint i = 0; i < more->trace->len; i++)
    g_ptr_array_add(totals->trace, g_strdup(g_ptr_array_index(more->trace, i)));
}
