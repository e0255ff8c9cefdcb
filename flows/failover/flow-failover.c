/* The failover flow: who is asked, what the verdict means for this command line, and how it ends. */
#include "flow-failover.h"
#include "error.h"
#include "flow-failover-note.h"
#include "flow-lease.h"
#include <string.h>

static void
failover_free(gpointer data)
{
  AzFailover *run = data;

  az_failover_decision_clear(&run->decision);
  g_clear_pointer(&run->decision_input, g_variant_unref);
  g_clear_error(&run->refusal);
  g_free(run->decision_id);
  g_free(run->no_lock);
  g_clear_pointer(&run->source_health, az_health_copy_free);
  g_ptr_array_unref(run->others);
  g_ptr_array_unref(run->answers);
  az_lookout_free(run->lookout);
  g_clear_pointer(&run->sync, g_variant_unref);
  g_clear_pointer(&run->state, az_failover_state_free);
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

/* What would hold an automatic switch back now. */
static AzHold
would_be_held(AzFailover *run, char **ret_reason, char **ret_step)
{
  const AzlinVm *named = run->target;
  gboolean automatic = run->automatic;
  AzHold hold = AZ_HOLD_NONE;

  run->automatic = TRUE;
  if (named == NULL)
    run->target = az_failover_best_target(run);
  if (run->others->len > 0)
    hold = az_failover_hold(run, ret_reason, ret_step);
  run->target = named;
  run->automatic = automatic;
  return hold;
}

static void
say_verdict(AzFailover *run)
{
  if (run->decision.should_auto_failover)
    az_job_message(run->job, "ok", NULL, "A failover would be automatic: %s", run->decision.reason);
  else
    az_job_message(run->job, "warn", NULL, "Manual decision needed: %s", run->decision.reason);
  az_job_message(run->job, "hint", NULL, "To see the evidence: azlin failover --explain");
}

static void
end_with_check(AzFailover *run)
{
  g_autofree char *reason = NULL, *step = NULL;
  gboolean automatic = !is_healthy(run) && run->decision.should_auto_failover;
  AzHold hold = automatic ? would_be_held(run, &reason, &step) : AZ_HOLD_NONE;
  int code = is_healthy(run) ? 0 : automatic && hold == AZ_HOLD_NONE ? 1 : 3;

  if (!az_job_arg_bool(run->job, "explain") && !is_healthy(run))
    say_verdict(run);
  if (hold != AZ_HOLD_NONE) {
    az_job_message(run->job, "warn", NULL, "Yet it is held back: %s", reason);
    az_job_message(run->job, "hint", NULL, "To change that: %s", step);
  }
  az_failover_say_state(run->job, TRUE, hold);
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

static void
refuse(AzFailover *run, GError *error, int code)
{
  g_autoptr(GError) owned = error;

  az_job_finish(run->job, code, az_failover_result(run, FALSE, owned));
}

/* What policy says; TRUE: it holds the run back, which has ended. */
static gboolean
is_held(AzFailover *run)
{
  g_autofree char *reason = NULL, *step = NULL;

  if (az_failover_hold(run, &reason, &step) == AZ_HOLD_NONE) {
    if (!run->automatic)
      az_failover_say_overridden(run);
    return FALSE;
  }
  GError *error
      = g_error_new(AZLIN_ERROR, AZLIN_ERROR_POLICY, "No %sfailover%s%s: %s", run->automatic ? "automatic " : "",
                    run->target != NULL ? " to " : "", run->target != NULL ? run->target->region : "", reason);
  az_error_add_step(error, "To change that: %s", step);
  refuse(run, error, 3);
  return TRUE;
}

static gboolean
target_is_healthy(AzFailover *run)
{
  const AzlinHealth *target = run->target != NULL ? az_failover_health_of(run, run->target->region) : NULL;

  return target != NULL && target->healthy;
}

static void
go_on(AzFailover *run)
{
  gboolean ahead = g_strcmp0(run->decision.verdict, "maintenance") == 0 && run->decision.should_auto_failover;

  if (run->automatic && is_healthy(run) && !ahead) {
    end_nothing_to_do(run, run->decision.reason);
    return;
  }
  if (run->automatic && ahead) /* a planned switch: nothing that can still be copied is left behind */
    run->with_sync = TRUE;
  if (run->automatic && !run->decision.should_auto_failover) {
    end_held_back(run);
    return;
  }
  if (run->target == NULL)
    run->target = az_failover_best_target(run);
  if (run->target == NULL && run->others->len == 0) {
    end_target_unhealthy(run);
    return;
  }
  if (is_held(run))
    return;
  az_failover_say_target(run);
  if (!target_is_healthy(run))
    end_target_unhealthy(run);
  else if (run->automatic)
    az_failover_execute(run);
  else
    ask(run);
}

static void
go_back(AzFailover *run)
{
  if (is_held(run))
    return;
  az_failover_say_target(run);
  if (!target_is_healthy(run)) {
    end_target_unhealthy(run);
    return;
  }
  if (is_healthy(run)) {
    ask(run);
    return;
  }
  GError *error
      = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                    "The way back is for two healthy machines, and %s is not: its data could not be taken along",
                    run->source->region);
  az_error_add_step(error, "To leave it with what is on %s: azlin failover --to %s", run->target->region,
                    run->target->region);
  refuse(run, error, 1);
}

/* The time is over, and the old primary cannot take it back: the switch stays, once and for all. */
static void
keep(AzFailover *run)
{
  GError *error = NULL;
  g_autofree char *why = g_strdup_printf("%s is not healthy", run->target->region);

  if (!az_failover_keep(run, why, &error)) {
    az_job_fail(run->job, error);
    return;
  }
  az_job_message(run->job, "warn", NULL, "The switch from %s to %s was not confirmed in time, but %s: it stays",
                 run->target->region, run->source->region, why);
  if (!az_job_arg_bool(run->job, "auto")) {
    az_job_finish(run->job, 0, az_failover_result(run, FALSE, NULL));
    return;
  }
  az_failover_close_window(run->state);
  run->plan = AZ_FAILOVER_PLAIN;
  run->automatic = TRUE;
  run->cause = "automatic";
  run->target = NULL;
  go_on(run);
}

static void
take_back(AzFailover *run)
{
  if (is_held(run))
    return;
  if (!target_is_healthy(run) && run->due)
    keep(run);
  else if (!target_is_healthy(run))
    end_target_unhealthy(run);
  else if (run->due)
    az_failover_execute(run);
  else
    ask(run);
}

static void
drill(AzFailover *run)
{
  if (run->target == NULL)
    run->target = az_failover_best_target(run);
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
  else if (run->plan == AZ_FAILOVER_BACK)
    go_back(run);
  else if (run->plan == AZ_FAILOVER_ROLLBACK)
    take_back(run);
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
  if (to == NULL && run->plan == AZ_FAILOVER_PLAIN)
    return TRUE;
  run->target = run->plan != AZ_FAILOVER_PLAIN ? az_failover_way_back(run, error)
                                               : az_stored_require(run->stored, run->engine, to, error);
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

/* A window that ran out is seen to before anything happens by itself. */
static void
plan_rollback(AzFailover *run)
{
  gboolean due = az_failover_window_due(run->state, az_clock_now(az_engine_clock(run->engine)));

  if (!run->automatic || only_looks(run) || !due || run->state->window_epoch != run->stored->epoch)
    return;
  az_job_message(run->job, "warn", NULL, "The switch from %s to %s was not confirmed in time", run->state->window_from,
                 run->state->window_to);
  run->plan = AZ_FAILOVER_ROLLBACK;
  run->cause = "rollback";
  run->due = TRUE;
  run->automatic = FALSE;
}

/* What would happen by itself depends on it; who acts finds out when it asks for the lock. */
static void
on_coordinator(AzlinOp *op, gpointer data)
{
  AzFailover *run = data;

  if (az_op_cancelled(run->root))
    return;
  if (az_op_error(op) != NULL)
    run->no_lock = az_error_message(az_op_error(op));
  az_failover_gather(run);
}

static void
begin(AzFailover *run)
{
  if (only_looks(run))
    az_lease_check(run->engine, az_op_new(run->root, "coordinator", AZ_LEASE_CHECK_MS, on_coordinator, run));
  else
    az_failover_gather(run);
}

static void
on_stored(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  AzFailover *run = data;
  GError *error = NULL;

  run->stored = stored;
  run->state = az_failover_state_load(run->engine, &error);
  if (run->state != NULL)
    plan_rollback(run);
  if (run->state == NULL || !find_regions(run, &error)) {
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
  begin(run);
}

static AzFailover *
failover_new(AzJob *job, AzEngine *engine, AzlinOp *root)
{
  AzFailover *run = g_new0(AzFailover, 1);

  *run = (AzFailover){ .job = job,
                       .engine = engine,
                       .root = root,
                       .started = az_clock_monotonic(az_engine_clock(engine)),
                       .automatic = az_job_arg_bool(job, "auto"),
                       .with_sync = az_job_arg_bool(job, "sync"),
                       .without_lock = az_job_arg_bool(job, "without-lock"),
                       .cause = az_job_arg_bool(job, "auto") ? "automatic" : "manual",
                       .others = g_ptr_array_new_with_free_func((GDestroyNotify) az_health_copy_free),
                       .answers = g_ptr_array_new_with_free_func((GDestroyNotify) g_variant_unref),
                       .gathered = on_gathered };
  az_job_set_data(job, run, failover_free);
  return run;
}

static void
failover_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  AzFailover *run = failover_new(job, engine, root);

  if (az_job_arg_bool(job, "back")) {
    run->plan = AZ_FAILOVER_BACK;
    run->with_sync = TRUE;
    run->cause = "back";
  }
  /* A person who names the target decides by what can be seen now; a verdict is worth waiting for only where it acts
   * or is what was asked for. */
  run->keep_looking = !is_drill(run) && (run->automatic || only_looks(run));
  az_stored_read(job, root, on_stored, run);
}

static gboolean
failover_check(AzEngine *engine, GVariant *args, GError **error)
{
  const char *from = NULL, *to = NULL;
  gboolean automatic = FALSE, check_only = FALSE, explain = FALSE, back = FALSE, drill_only = FALSE, lockless = FALSE;
  AzConfig *config = az_engine_config(engine);

  g_variant_lookup(args, "from", "&s", &from);
  g_variant_lookup(args, "to", "&s", &to);
  g_variant_lookup(args, "auto", "b", &automatic);
  g_variant_lookup(args, "check-only", "b", &check_only);
  g_variant_lookup(args, "explain", "b", &explain);
  g_variant_lookup(args, "drill", "b", &drill_only);
  g_variant_lookup(args, "back", "b", &back);
  g_variant_lookup(args, "without-lock", "b", &lockless);
  if (back && (automatic || check_only || explain || drill_only)) {
    g_set_error_literal(
        error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
        "--back is the operator's own decision: it goes with neither --auto, --check-only, --explain nor --drill");
    return FALSE;
  }
  if (lockless && (automatic || check_only || drill_only || (to == NULL && !back))) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                        "--without-lock is the operator's own decision: it goes with --to REGION or --back alone");
    return FALSE;
  }
  if (from != NULL && to != NULL && g_str_equal(az_config_alias(config, from), az_config_alias(config, to))) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "source and target regions cannot be the same");
    return FALSE;
  }
  if (drill_only && (automatic || check_only)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--drill switches nothing; give it without %s",
                automatic ? "--auto" : "--check-only");
    return FALSE;
  }
  if (to != NULL || automatic || check_only || explain || back || drill_only)
    return TRUE;
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                      "Say where to (--to REGION), or --back, --auto, --check-only, --explain or --drill");
  return FALSE;
}

static const AzFlag flags[] = {
  { "to", 't', "s", "REGION", "region that becomes primary" },
  { "from", 0, "s", "REGION", "region that is left (default: the primary)" },
  { "auto", 'a', "b", NULL, "act on an automatic verdict alone; chooses the target unless --to names it" },
  { "back", 0, "b", NULL, "go back to where the primary was: copies the data first, compares, then switches" },
  { "sync", 0, "b", NULL, "copy the data first, where the source can still be read" },
  { "yes", 'y', "b", NULL, "do not ask" },
  { "check-only", 0, "b", NULL, "judge only: 0 healthy, 1 automatic, 3 manual" },
  { "explain", 0, "b", NULL, "print evidence, weights, verdict, and what would change it" },
  { "drill", 0, "b", NULL, "try every step up to the commit, measure each, switch nothing, write a report" },
  { "deallocate-source", 0, "b", NULL, "release the old primary's machine after the switch" },
  { "without-lock", 0, "b", NULL, "go on when the coordinator cannot be asked whether somebody else switches" },
  { 0 },
};

const AzFlow az_flow_failover = {
  .kind = { .kind = "failover", .help = "Move the primary to another region", .flags = flags },
  .check = failover_check,
  .run = failover_run,
  .priority = AZ_PRIORITY_FAILOVER,
};

/* ---- failover rollback ---- */

static void
rollback_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  AzFailover *run = failover_new(job, engine, root);

  run->plan = AZ_FAILOVER_ROLLBACK;
  run->cause = "rollback";
  run->due = az_job_arg_bool(job, "due");
  g_autoptr(AzFailoverState) state = run->due ? az_failover_state_load(engine, NULL) : NULL;
  if (state == NULL || az_failover_window_due(state, az_clock_now(az_engine_clock(engine)))) {
    az_stored_read(job, root, on_stored, run);
    return;
  }
  GVariantDict result;
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "success", "b", TRUE);
  az_job_message(job, "done", NULL, "Nothing to do: no commit window has run out");
  az_job_finish(job, 0, g_variant_dict_end(&result));
}

static const AzFlag rollback_flags[] = {
  { "due", 0, "b", NULL, "only when its time is over, without a question; where it cannot be, the switch stays" },
  { "yes", 'y', "b", NULL, "do not ask" },
  { 0 },
};

const AzFlow az_flow_failover_rollback = {
  .kind = { .kind = "failover-rollback",
            .help = "Take an automatic failover back that waits for its confirmation",
            .flags = rollback_flags },
  .run = rollback_run,
  .priority = AZ_PRIORITY_FAILOVER,
};
