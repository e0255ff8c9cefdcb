/* Puts what was drawn before the code that decides in real life: the health verdict and the failover brick. */
#include "flow-failover-options.h"
#include "flow-simulate.h"
#include "health.h"

#define SLOW_MS 3000 /* a login that takes longer than [health] accepts */

/* ---- sights as evidence ---- */

typedef struct {
  AzlinVm vm;
  AzlinEvidence records[5];
  const AzlinEvidence *list[6];
  guint n;
  char *detail;
  AzlinHealth health;
} Checked;

static void
checked_clear(Checked *checked)
{
  g_free(checked->detail);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Checked, checked_clear)

static void
add_evidence(Checked *checked, const char *probe, const char *outcome, double ms)
{
  AzlinEvidence *record = &checked->records[checked->n];

  *record = (AzlinEvidence){
    .size = sizeof *record, .vantage = AZ_VANTAGE_HERE, .probe = probe, .outcome = outcome, .ms = ms
  };
  checked->list[checked->n++] = record;
}

static void
add_sight(Checked *checked, AzSimSight sight)
{
  switch (sight) {
  case AZ_SIM_SEES_SILENCE:
    add_evidence(checked, "tcp", "timeout", 0);
    return;
  case AZ_SIM_SEES_REFUSAL:
    add_evidence(checked, "tcp", "refused", 0);
    return;
  case AZ_SIM_SEES_HANG:
  case AZ_SIM_SEES_OTHER_KEY:
    add_evidence(checked, "tcp", "ok", 0);
    add_evidence(checked, "ssh", sight == AZ_SIM_SEES_HANG ? "timeout" : "host_key_changed", 0);
    return;
  case AZ_SIM_SEES_OK:
  case AZ_SIM_SEES_SLOW:
  case AZ_SIM_SEES_NO_AUTH:
    add_evidence(checked, "tcp", "ok", 0);
    add_evidence(checked, "ssh", "ok", 0);
    add_evidence(checked, "login", sight == AZ_SIM_SEES_NO_AUTH ? "auth_failed" : "ok",
                 sight == AZ_SIM_SEES_SLOW ? 2 * SLOW_MS : 50);
    return;
  case AZ_SIM_SEES_NOTHING:
  case AZ_SIM_N_SIGHTS:
  default:
    return;
  }
}

static void
conclude(Checked *checked)
{
  checked->health = (AzlinHealth){
    .size = sizeof checked->health, .vm = &checked->vm, .response_time_ms = -1, .evidence = checked->list
  };
  checked->health.failure
      = az_health_verdict(checked->list, checked->vm.power, checked->vm.stop_cause, SLOW_MS, &checked->detail);
  checked->health.healthy = checked->health.failure == AZLIN_FAILURE_NONE;
  checked->health.detail = checked->detail;
}

/* What the provider says of the machine at that moment. */
static void
add_platform(Checked *checked, const AzSimWorld *world, int region, gint64 at)
{
  AzlinVm *vm = &checked->vm;
  gboolean fenced = (world->fenced & (1u << region)) != 0;

  vm->power = AZLIN_POWER_RUNNING;
  if (az_sim_world_holds(world, AZ_SIM_CONTROL_PLANE, region, at)) {
    vm->power = AZLIN_POWER_UNKNOWN;
    add_evidence(checked, "power", "error", 0);
    return;
  }
  if (az_sim_world_holds(world, AZ_SIM_END, region, at)) {
    vm->power = AZLIN_POWER_STOPPED;
    vm->stop_cause = AZLIN_STOP_ENDED;
  } else if (fenced || az_sim_world_holds(world, AZ_SIM_STOP, region, at)) {
    vm->power = AZLIN_POWER_STOPPED;
    vm->stop_cause = AZLIN_STOP_REQUESTED;
  }
  add_evidence(checked, "power", az_power_to_string(vm->power), 0);
  if (az_sim_world_holds(world, AZ_SIM_HARDWARE, region, at))
    add_evidence(checked, "platform", "unavailable", 0);
}

static void
check(const AzSimScene *scene, int region, AzSimSight sight, gint64 at, Checked *ret_checked)
{
  *ret_checked = (Checked){ .vm = { .size = sizeof ret_checked->vm,
                                    .region = g_ptr_array_index(scene->world.scenario->regions, region) } };
  add_platform(ret_checked, &scene->world, region, at);
  add_sight(ret_checked, sight);
  conclude(ret_checked);
}

/* ---- the plan ---- */

/* Computed once: what a probe comes back with is what real evidence of that kind amounts to. */
static void
fill_outcomes(AzSimPlan *plan)
{
  static const char *const scans[AZ_SIM_N_SIGHTS] = {
    [AZ_SIM_SEES_OK] = "ok",           [AZ_SIM_SEES_SLOW] = "ok",
    [AZ_SIM_SEES_SILENCE] = "timeout", [AZ_SIM_SEES_REFUSAL] = "refused",
    [AZ_SIM_SEES_HANG] = "timeout",    [AZ_SIM_SEES_NO_AUTH] = "ok",
    [AZ_SIM_SEES_NOTHING] = "error",   [AZ_SIM_SEES_OTHER_KEY] = "host_key_changed",
  };

  for (int sight = 0; sight < AZ_SIM_N_SIGHTS; sight++) {
    g_auto(Checked) checked = { .vm = { .size = sizeof checked.vm } };
    g_autoptr(GVariant) scan
        = g_variant_ref_sink(g_variant_new_parsed("{'probe': <'ssh'>, 'outcome': <%s>}", scans[sight]));
    add_sight(&checked, (AzSimSight) sight);
    conclude(&checked);
    plan->here_outcomes[sight] = az_sight_of_health(&checked.health);
    plan->witness_outcomes[sight] = az_sight_of_evidence(scan);
  }
  /* Without the self-check a question that got lost is a machine that does not answer. */
  if (plan->without == AZ_SIM_WITHOUT_SELF_CHECK)
    plan->witness_outcomes[AZ_SIM_SEES_NOTHING] = AZ_SIGHT_DARK;
}

gboolean
az_sim_plan_init(AzSimPlan *plan, AzEngine *engine, GError **error)
{
  plan->brick = az_engine_lookup(engine, AZLIN_KIND_FAILOVER, NULL, &plan->brick_self, error);
  if (plan->brick == NULL)
    return FALSE;
  plan->rules = az_failover_option_rules(engine);
  plan->rules.no_self_check = plan->without == AZ_SIM_WITHOUT_SELF_CHECK;
  plan->rules.no_witness = plan->without == AZ_SIM_WITHOUT_WITNESS;
  plan->mode = az_failover_option_mode(engine);
  plan->cool_down_s = az_failover_option_cool_down_s(engine);
  plan->max_sync_age_s = az_failover_option_uint(engine, "max-sync-age", 0);
  plan->never_promote = az_failover_option_strv(engine, "never-promote");
  plan->no_fences = g_ptr_array_new();
  fill_outcomes(plan);
  return az_detector_rules_check(&plan->rules, error);
}

void
az_sim_plan_clear(AzSimPlan *plan)
{
  g_clear_pointer(&plan->never_promote, g_strfreev);
  g_clear_pointer(&plan->no_fences, g_ptr_array_unref);
}

/* ---- the verdict ---- */

/* The demonstrations change what the judgement is given; the judgement itself stays as it is. Without witnesses this
 * host's word is taken for that of two. */
static void
mask(const AzSimPlan *plan, GArray *vantages)
{
  for (guint i = 0; plan->without == AZ_SIM_WITHOUT_VETO && i < vantages->len; i++)
    g_array_index(vantages, AzlinVantage, i).fresh_success = FALSE;
  if (plan->without != AZ_SIM_WITHOUT_WITNESS)
    return;
  for (guint i = vantages->len; i > 0; i--)
    if (!g_str_equal(g_array_index(vantages, AzlinVantage, i - 1).vantage, AZ_VANTAGE_HERE))
      g_array_remove_index(vantages, i - 1);
  if (vantages->len == 0)
    return;
  AzlinVantage again = g_array_index(vantages, AzlinVantage, 0);
  again.vantage = "here, once more";
  g_array_append_val(vantages, again);
}

static gboolean
checks_itself(const AzSimScene *scene)
{
  return scene->plan->without != AZ_SIM_WITHOUT_SELF_CHECK;
}

void
az_sim_judge(const AzSimScene *scene, gint64 now, AzlinDecision *ret_decision)
{
  const AzSimPlan *plan = scene->plan;
  GPtrArray *regions = plan->scenario->regions;
  int primary = scene->world.primary;
  g_autoptr(GArray) seen = az_detector_vantages(scene->detector, g_ptr_array_index(regions, primary), now);
  g_autofree const AzlinVantage **vantages = NULL;
  const AzlinHealth *others[AZ_SIM_REGIONS + 1] = { NULL };
  Checked checked[AZ_SIM_REGIONS] = { 0 };
  guint n = 0;

  mask(plan, seen); /* it may add a row */
  vantages = g_new0(const AzlinVantage *, seen->len + 1);
  for (guint i = 0; i < seen->len; i++)
    vantages[i] = &g_array_index(seen, AzlinVantage, i);
  for (int i = 0; i < (int) regions->len; i++) {
    gboolean shown = i == primary || checks_itself(scene);
    check(scene, i, shown ? scene->here[i] : AZ_SIM_SEES_OK, scene->looked[i], &checked[i]);
    if (i != primary)
      others[n++] = &checked[i].health;
  }
  AzlinDecisionInput input = { .size = sizeof input,
                               .source = &checked[primary].health,
                               .others = others,
                               .vantages = vantages,
                               .mode = plan->mode,
                               .now = now,
                               .self_score = checks_itself(scene) ? az_detector_self_score(scene->detector) : 0,
                               .blind = checks_itself(scene) && az_detector_blind(scene->detector) };
  *ret_decision = (AzlinDecision){ .size = sizeof *ret_decision };
  plan->brick->decide(plan->brick_self, &input, ret_decision);
  for (guint i = 0; i < regions->len; i++)
    checked_clear(&checked[i]);
}

static gboolean
is_healthy_line(const char *line, const char *region)
{
  g_autofree char *start = g_strconcat(region, ": healthy", NULL);

  return g_str_has_prefix(line, start);
}

int
az_sim_target(const AzSimScene *scene, const AzlinDecision *decision)
{
  GPtrArray *regions = scene->plan->scenario->regions;

  for (guint i = 0; decision->ranking != NULL && i < decision->ranking->len; i++) {
    for (guint j = 0; j < regions->len; j++) {
      const char *region = g_ptr_array_index(regions, j);
      if (is_healthy_line(g_ptr_array_index(decision->ranking, i), region)
          && !g_strv_contains((const char *const *) scene->plan->never_promote, region))
        return (int) j;
    }
  }
  return -1;
}

AzHold
az_sim_policy(const AzSimScene *scene, gint64 now, int target, char **ret_reason)
{
  const AzSimPlan *plan = scene->plan;
  const AzSimSwitch *last = &scene->last;
  GPtrArray *regions = plan->scenario->regions;
  AzFailoverState state = { .fences = plan->no_fences };

  if (scene->has_switched) {
    state.automatic_at = last->at;
    state.automatic_from = g_ptr_array_index(regions, last->from);
    state.automatic_to = g_ptr_array_index(regions, last->to);
  }
  AzPolicyInput input = { .state = &state,
                          .now = now,
                          .automatic = TRUE,
                          .target = target >= 0 ? g_ptr_array_index(regions, target) : NULL,
                          .cool_down_s = plan->cool_down_s,
                          .max_sync_age_s = plan->max_sync_age_s,
                          .last_sync = now,
                          .never_promote = (const char *const *) plan->never_promote };
  return az_failover_policy(&input, ret_reason, NULL);
}
