/* The failover flow: who is asked, what the verdict means for this command line, and how it ends. */
#include "flow-failover.h"
#include "error.h"
#include <string.h>

static void
failover_free(gpointer data)
{
  AzFailover *run = data;

  az_failover_decision_clear(&run->decision);
  g_clear_pointer(&run->source_health, az_health_copy_free);
  g_ptr_array_unref(run->others);
  g_ptr_array_unref(run->answers);
  g_array_unref(run->sights);
  g_clear_pointer(&run->sync, g_variant_unref);
  g_clear_pointer(&run->stored, az_stored_unref);
  az_drill_free(run->drill);
  g_free(run);
}

static gboolean
is_drill(AzFailover *run)
{
  return az_job_arg_bool(run->job, "drill");
}

static gboolean
only_looks(AzFailover *run)
{
  gboolean acts = run->automatic || az_job_arg_string(run->job, "to") != NULL;

  return az_job_arg_bool(run->job, "check-only") || (az_job_arg_bool(run->job, "explain") && !acts);
}

static gboolean
is_healthy(AzFailover *run)
{
  return az_health_copy_get(run->source_health)->healthy;
}

/* ---- ends without a switch ---- */

static void
end_with_check(AzFailover *run)
{
  int code = is_healthy(run) ? 0 : run->decision.should_auto_failover ? 1 : 3;

  if (!az_job_arg_bool(run->job, "explain") && !is_healthy(run)) {
    az_job_message(run->job, run->decision.should_auto_failover ? "ok" : "warn", NULL, "%s: %s",
                   run->decision.should_auto_failover ? "A failover would be automatic" : "Manual decision needed",
                   run->decision.reason);
    az_job_message(run->job, "hint", NULL, "To see the evidence: azlin failover --explain");
  }
  az_job_finish(run->job, code, az_failover_result(run, is_healthy(run), NULL));
}

static void
end_nothing_to_do(AzFailover *run, const char *why)
{
  az_job_message(run->job, "done", NULL, "Nothing to do: %s", why);
  az_job_finish(run->job, 0, az_failover_result(run, TRUE, NULL));
}

static void
end_held_back(AzFailover *run)
{
  g_autoptr(GError) error
      = g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY, "No automatic failover: %s", run->decision.reason);

  az_error_add_step(error, "What would change it: %s", run->decision.what_would_change);
  az_job_finish(run->job, 3, az_failover_result(run, FALSE, error));
}

static void
end_target_unhealthy(AzFailover *run)
{
  g_autoptr(GError) error
      = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "%s",
                    run->target != NULL ? "Target region is also unhealthy" : "No other region is there to switch to");

  az_error_add_step(error, "See all regions: azlin regions health");
  az_job_finish(run->job, 1, az_failover_result(run, FALSE, error));
}

/* ---- going on ---- */

static void
on_answer(AzJob *job, gboolean yes, gpointer data)
{
  AzFailover *run = data;

  if (yes) {
    az_failover_execute(run);
    return;
  }
  g_autoptr(GError) error
      = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_DECLINED, "Not confirmed; the primary stays where it is");
  az_job_finish(job, 2, az_failover_result(run, FALSE, error));
}

static void
ask(AzFailover *run)
{
  g_autofree char *question
      = g_strdup_printf("Switch the primary from %s (%s) to %s?", run->source->region,
                        is_healthy(run) ? "healthy: a planned switch" : run->decision.reason, run->target->region);

  az_job_ask(run->job, question, on_answer, run);
}

/* The best allowed target of the ranking, whatever its health: that it is unhealthy too is then the answer. */
static const AzlinVm *
best_target(AzFailover *run)
{
  for (guint i = 0; run->decision.ranking != NULL && i < run->decision.ranking->len; i++) {
    const char *line = g_ptr_array_index(run->decision.ranking, i);
    g_autofree char *region = g_strndup(line, strcspn(line, ":"));
    if (az_config_allowed_region(az_engine_config(run->engine), region) != NULL)
      return az_stored_find(run->stored, region);
  }
  return NULL;
}

static void
go_on(AzFailover *run)
{
  if (run->automatic && is_healthy(run)) {
    g_autofree char *why = g_strdup_printf("%s is healthy", run->source->region);
    end_nothing_to_do(run, why);
    return;
  }
  if (run->target == NULL)
    run->target = best_target(run);
  if (run->automatic && !run->decision.should_auto_failover) {
    end_held_back(run);
    return;
  }
  if (run->target != NULL)
    az_failover_say_target(run);
  const AzlinHealth *target = run->target != NULL ? az_failover_health_of(run, run->target->region) : NULL;
  if (target == NULL || !target->healthy)
    end_target_unhealthy(run);
  else if (run->automatic)
    az_failover_execute(run);
  else
    ask(run);
}

static void
drill(AzFailover *run)
{
  if (run->target == NULL)
    run->target = best_target(run);
  if (run->target == NULL)
    end_target_unhealthy(run);
  else
    az_failover_drill(run);
}

static void
on_gathered(AzFailover *run)
{
  az_failover_say_health(run);
  if (az_job_arg_bool(run->job, "explain"))
    az_failover_say_explanation(run);
  if (is_drill(run))
    drill(run);
  else if (only_looks(run))
    end_with_check(run);
  else
    go_on(run);
}

/* ---- the beginning ---- */

static gboolean
find_regions(AzFailover *run, GError **error)
{
  const char *from = az_job_arg_string(run->job, "from"), *to = az_job_arg_string(run->job, "to");

  run->source = az_stored_require(run->stored, run->engine, from, error);
  if (run->source == NULL)
    return FALSE;
  if (to == NULL)
    return TRUE;
  run->target = az_stored_require(run->stored, run->engine, to, error);
  if (run->target == NULL)
    return FALSE;
  if (az_config_allowed_region(az_engine_config(run->engine), run->target->region) != NULL)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_POLICY,
              "%s is not among [policy] allowed-regions; it cannot become primary", run->target->region);
  return FALSE;
}

static gboolean
check_regions(AzFailover *run, GError **error)
{
  if (run->target == run->source) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "source and target regions cannot be the same");
    return FALSE;
  }
  if ((only_looks(run) && !is_drill(run)) || g_str_equal(run->source->region, run->stored->primary))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
              "%s is not the primary (%s is): there is nothing to switch away from", run->source->region,
              *run->stored->primary ? run->stored->primary : "none");
  return FALSE;
}

static gboolean
is_there_already(AzFailover *run)
{
  return !only_looks(run) && !is_drill(run) && run->target != NULL
         && g_str_equal(run->target->region, run->stored->primary);
}

static void
on_stored(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzFailover *run = data;
  GError *error = NULL;

  run->stored = stored;
  if (!find_regions(run, &error)) {
    az_job_fail(job, error);
    return;
  }
  if (is_there_already(run)) {
    g_autofree char *why = g_strdup_printf("%s is the primary already", run->target->region);
    end_nothing_to_do(run, why);
    return;
  }
  if (!check_regions(run, &error)) {
    az_job_fail(job, error);
    return;
  }
  az_job_message(job, "step", NULL, "Checking health of %s region (%s)...",
                 g_str_equal(run->source->region, stored->primary) ? "primary" : "source", run->source->region);
  az_failover_gather(run);
}

static void
failover_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  AzFailover *run = g_new0(AzFailover, 1);

  *run = (AzFailover){ .job = job,
                       .engine = engine,
                       .root = root,
                       .started = az_clock_monotonic(az_engine_clock(engine)),
                       .automatic = az_job_arg_bool(job, "auto"),
                       .others = g_ptr_array_new_with_free_func((GDestroyNotify) az_health_copy_free),
                       .answers = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref),
                       .sights = g_array_new(FALSE, TRUE, sizeof(AzSight)),
                       .gathered = on_gathered };
  /* A person who names the target decides by what can be seen now; a verdict is worth waiting for only where it acts
   * or is what was asked for. */
  run->keep_looking = !is_drill(run) && (run->automatic || only_looks(run));
  az_job_set_data(job, run, failover_free);
  az_stored_read(job, root, on_stored, run);
}

static gboolean
failover_check(AzEngine *engine, GVariant *args, GError **error)
{
  const char *from = NULL, *to = NULL;
  gboolean automatic = FALSE, check_only = FALSE, explain = FALSE, drill_only = FALSE;
  AzConfig *config = az_engine_config(engine);

  g_variant_lookup(args, "from", "&s", &from);
  g_variant_lookup(args, "to", "&s", &to);
  g_variant_lookup(args, "auto", "b", &automatic);
  g_variant_lookup(args, "check-only", "b", &check_only);
  g_variant_lookup(args, "explain", "b", &explain);
  g_variant_lookup(args, "drill", "b", &drill_only);
  if (from != NULL && to != NULL && g_str_equal(az_config_alias(config, from), az_config_alias(config, to))) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "source and target regions cannot be the same");
    return FALSE;
  }
  if (drill_only && (automatic || check_only)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--drill switches nothing; give it without %s",
                automatic ? "--auto" : "--check-only");
    return FALSE;
  }
  if (to != NULL || automatic || check_only || explain || drill_only)
    return TRUE;
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                      "Say where to (--to REGION), or --auto, --check-only, --explain or --drill");
  return FALSE;
}

static const AzFlag flags[] = {
  { "to", 't', "s", "REGION", "region that becomes primary" },
  { "from", 0, "s", "REGION", "region that is left (default: the primary)" },
  { "auto", 'a', "b", NULL, "act on an automatic verdict alone; chooses the target unless --to names it" },
  { "sync", 0, "b", NULL, "copy the data first, where the source can still be read" },
  { "yes", 'y', "b", NULL, "do not ask" },
  { "check-only", 0, "b", NULL, "judge only: 0 healthy, 1 automatic, 3 manual" },
  { "explain", 0, "b", NULL, "print evidence, weights, verdict, and what would change it" },
  { "drill", 0, "b", NULL, "try every step up to the commit, measure each, switch nothing, write a report" },
  { "deallocate-source", 0, "b", NULL, "release the old primary's machine after the switch" },
  { 0 },
};

const AzFlow az_flow_failover = {
  .kind = { .kind = "failover", .help = "Move the primary to another region", .flags = flags },
  .check = failover_check,
  .run = failover_run,
  .priority = AZ_PRIORITY_FAILOVER,
};
