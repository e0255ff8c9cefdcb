/* Gathers evidence for a failover through a lookout, the running one of this engine or one of its own, until the
 * decision does not profit from more. */
#include "flow-failover.h"
#include "error.h"
#include "flow-failover-decision.h"
#include "flow-failover-lookout.h"

const AzlinHealth *
az_failover_health_of(AzFailover *run, const char *region)
{
  for (guint i = 0; i < run->others->len; i++) {
    const AzlinHealth *health = az_health_copy_get(g_ptr_array_index(run->others, i));
    if (g_strcmp0(health->vm->region, region) == 0)
      return health;
  }
  return NULL;
}

/* ---- the end ---- */

static AzHealthCopy *
copy_of(const AzlinHealth *health)
{
  g_autoptr(GVariant) value = g_variant_ref_sink(az_health_to_variant(health));
  return az_health_from_variant(value, health->vm);
}

static void
keep_evidence(AzFailover *run, AzLookout *lookout)
{
  const GPtrArray *answers = az_lookout_answers(lookout, run->source->region);
  for (guint i = 0; i < run->stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(run->stored->vms, i);
    const AzlinHealth *health = az_lookout_health(lookout, vm->region);
    if (health != NULL && vm == run->source)
      run->source_health = copy_of(health);
    else if (health != NULL)
      g_ptr_array_add(run->others, copy_of(health));
  }
  for (guint i = 0; answers != NULL && i < answers->len; i++)
    g_ptr_array_add(run->answers, g_variant_ref(g_ptr_array_index(answers, i)));
}

static const char *
who_asked(AzFailover *run)
{
  if (run->automatic)
    return "auto";
  if (az_job_arg_bool(run->job, "check-only"))
    return "check-only";
  return az_job_arg_bool(run->job, "explain") ? "explain" : "manual";
}

/* A decision that cannot be stored is no reason not to act on it. */
static void
keep_decision(AzFailover *run)
{
  g_autoptr(GError) error = NULL;
  if (run->decision_input == NULL || run->drill != NULL)
    return;
  run->decision_id = az_decision_keep(run->engine, who_asked(run), run->decision_input, &run->decision, &error);
  if (run->decision_id == NULL)
    az_job_message(run->job, "warn", NULL, "The decision is not stored: %s", error->message);
}

static gboolean
decide(AzFailover *run, AzLookout *lookout, GError **error)
{
  g_clear_pointer(&run->decision_input, g_variant_unref);
  return az_failover_decide(run->engine, lookout, run->source->region, &run->decision, &run->decision_input, error);
}

static void
finish(AzFailover *run, AzLookout *lookout)
{
  keep_evidence(run, lookout);
  keep_decision(run);
  az_lookout_free(g_steal_pointer(&run->lookout));
  run->gathered(run);
}

/* ---- each answer ---- */

static gboolean
all_looked_at(AzFailover *run, AzLookout *lookout)
{
  for (guint i = 0; i < run->stored->vms->len; i++)
    if (az_lookout_health(lookout, ((const AzlinVm *) g_ptr_array_index(run->stored->vms, i))->region) == NULL)
      return FALSE;
  return TRUE;
}

static void
judge(AzFailover *run, AzLookout *lookout)
{
  GError *error = NULL;
  AzRegionView view = { 0 };
  if (!decide(run, lookout, &error)) {
    if (error != NULL)
      az_job_fail(run->job, error);
    return;
  }
  az_detector_view(az_lookout_detector(lookout), run->source->region, &view);
  run->rounds = MAX(run->rounds, view.dark_probes);
  gboolean enough = run->decision.should_auto_failover || !run->keep_looking || !run->decision.more_evidence_helps;
  /* one that is still being asked may see life */
  if (enough && !az_detector_is_unheard(az_lookout_detector(lookout), run->source->region))
    finish(run, lookout);
  else
    az_job_progress(run->job, run->rounds, 0, run->decision.reason);
}

static void
on_seen(const char *region, gpointer data)
{
  AzFailover *run = data;
  if (all_looked_at(run, run->lookout))
    judge(run, run->lookout);
}

/* A lookout that has only just begun knows less than one of our own would find out. */
static gboolean
knows_enough(AzFailover *run, AzLookout *lookout)
{
  const char *region = run->source->region;
  if (!decide(run, lookout, NULL))
    return FALSE;
  return run->decision.should_auto_failover
         || ((!run->keep_looking || !run->decision.more_evidence_helps)
             && !az_detector_is_unheard(az_lookout_detector(lookout), region));
}

void
az_failover_gather(AzFailover *run)
{
  GError *error = NULL;
  AzLookout *warm = az_lookout_of(run->engine);
  run->rounds = 1;
  if (warm != NULL && knows_enough(run, warm)) {
    finish(run, warm);
    return;
  }
  run->lookout = az_lookout_new(run->engine, run->root, on_seen, run, &error);
  if (run->lookout == NULL)
    az_job_fail(run->job, error);
  else
    az_lookout_set_stored(run->lookout, run->stored);
}
