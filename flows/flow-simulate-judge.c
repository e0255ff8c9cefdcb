/* Puts what was drawn before the code that decides in real life: the health verdict and the failover brick. */
#include "flow-failover.h"
#include "flow-simulate.h"
#include "health.h"

#define SLOW_MS 3000 /* a login that takes longer than [health] accepts */

/* ---- what the configuration says ---- */

static GVariant *
option(AzEngine *engine, const char *name, const GVariantType *type)
{
  AzConfig *config = az_engine_config(engine);
  g_autofree char *group = g_strconcat("failover.", az_config_string(config, "bricks", "failover"), NULL);
  g_autoptr(GVariant) value = az_config_get(config, group, name);

  return value != NULL && g_variant_is_of_type(value, type) ? g_steal_pointer(&value) : NULL;
}

static guint32
uint_option(AzEngine *engine, const char *name, guint32 fallback)
{
  g_autoptr(GVariant) value = option(engine, name, G_VARIANT_TYPE_UINT32);

  return value != NULL ? g_variant_get_uint32(value) : fallback;
}

static AzlinMode
mode_option(AzEngine *engine)
{
  g_autoptr(GVariant) value = option(engine, "mode", G_VARIANT_TYPE_STRING);
  const char *mode = value != NULL ? g_variant_get_string(value, NULL) : "";

  if (g_str_equal(mode, "auto"))
    return AZLIN_MODE_AUTO;
  return g_str_equal(mode, "manual") ? AZLIN_MODE_MANUAL : AZLIN_MODE_HYBRID;
}

static void
read_rules(AzSimPlan *plan, AzEngine *engine)
{
  AzDetectorRules rules = AZ_DETECTOR_RULES_DEFAULT;
  g_autoptr(GVariant) timeout = option(engine, "probe-timeout", G_VARIANT_TYPE_DOUBLE);

  rules.rise = uint_option(engine, "rise", rules.rise);
  rules.fall = uint_option(engine, "fall", rules.fall);
  rules.primary_interval_s = uint_option(engine, "primary-interval", rules.primary_interval_s);
  rules.interval_s = uint_option(engine, "interval", rules.interval_s);
  rules.witnesses = uint_option(engine, "witnesses", rules.witnesses);
  rules.probe_timeout_s = timeout != NULL ? g_variant_get_double(timeout) : rules.probe_timeout_s;
  rules.no_self_check = plan->without == AZ_SIM_WITHOUT_SELF_CHECK;
  rules.no_witness = plan->without == AZ_SIM_WITHOUT_WITNESS;
  plan->rules = rules;
}

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
}

gboolean
az_sim_plan_init(AzSimPlan *plan, AzEngine *engine, GError **error)
{
  plan->brick = az_engine_lookup(engine, AZLIN_KIND_FAILOVER, NULL, &plan->brick_self, error);
  if (plan->brick == NULL)
    return FALSE;
  g_autoptr(GVariant) never = option(engine, "never-promote", G_VARIANT_TYPE_STRING_ARRAY);
  read_rules(plan, engine);
  plan->mode = mode_option(engine);
  plan->cool_down_s = uint_option(engine, "cool-down", 3600);
  plan->max_sync_age_s = uint_option(engine, "max-sync-age", 0);
  plan->never_promote = never != NULL ? g_variant_dup_strv(never, NULL) : g_new0(char *, 1);
  fill_outcomes(plan);
  return az_detector_rules_check(&plan->rules, error);
}

void
az_sim_plan_clear(AzSimPlan *plan)
{
  g_clear_pointer(&plan->never_promote, g_strfreev);
}

/* ---- the verdict ---- */

/* What the demonstration of a missing part hides from the judgement; the judgement itself stays as it is. */
static void
mask(const AzSimPlan *plan, GArray *vantages)
{
  for (guint i = 0; plan->without == AZ_SIM_WITHOUT_VETO && i < vantages->len; i++)
    g_array_index(vantages, AzlinVantage, i).fresh_success = FALSE;
}

void
az_sim_judge(const AzSimScene *scene, gint64 now, AzlinDecision *ret_decision)
{
  const AzSimPlan *plan = scene->plan;
  GPtrArray *regions = plan->scenario->regions;
  int primary = scene->world.primary;
  g_autoptr(GArray) seen = az_detector_vantages(scene->detector, g_ptr_array_index(regions, primary), now);
  g_autofree const AzlinVantage **vantages = g_new0(const AzlinVantage *, seen->len + 1);
  const AzlinHealth *others[AZ_SIM_REGIONS + 1] = { NULL };
  Checked checked[AZ_SIM_REGIONS] = { 0 };
  guint n = 0;

  mask(plan, seen);
  for (guint i = 0; i < seen->len; i++)
    vantages[i] = &g_array_index(seen, AzlinVantage, i);
  for (int i = 0; i < (int) regions->len; i++) {
    check(scene, i, scene->here[i], scene->looked[i], &checked[i]);
    if (i != primary)
      others[n++] = &checked[i].health;
  }
  AzlinDecisionInput input = { .size = sizeof input,
                               .source = &checked[primary].health,
                               .others = others,
                               .vantages = vantages,
                               .mode = plan->mode,
                               .now = now,
                               .self_score = az_detector_self_score(scene->detector),
                               .blind = az_detector_blind(scene->detector) };
  *ret_decision = (AzlinDecision){ .size = sizeof *ret_decision };
  plan->brick->decide(plan->brick_self, &input, ret_decision);
  for (guint i = 0; i < regions->len; i++)
    checked_clear(&checked[i]);
}

int
az_sim_target(const AzSimScene *scene, const AzlinDecision *decision)
{
  GPtrArray *regions = scene->plan->scenario->regions;

  for (guint i = 0; decision->ranking != NULL && i < decision->ranking->len; i++) {
    const char *line = g_ptr_array_index(decision->ranking, i);
    for (guint j = 0; j < regions->len; j++) {
      g_autofree char *start = g_strconcat(g_ptr_array_index(regions, j), ": healthy", NULL);
      if (g_str_has_prefix(line, start))
        return (int) j;
    }
  }
  return -1;
}
