/* Golden tables of decide(): the published confidences, every verdict in every mode, the ranking. */
#include "scene.h"
#include <math.h>

typedef struct {
  Scene scene;
  double confidence; /* < 0: not of interest */
  gboolean automatic, more;
  const char *reason; /* substring */
} Golden;

/* Acceptance cases of the seed that computed confidence supersedes: failover_decision_auto_high_confidence (.95 from
 * one look), failover_decision_manual_low_confidence (.40), confidence_network (>= .90 from one look), confidence_ssh
 * (>= .85 from one look), confidence_degraded (.50 to .70), auto_mode_forces_auto_failover (even for a stopped
 * machine). With full evidence network and SSH failures reach the seed's figures; stopped < .60 and unknown < .50 hold.
 * The other cases stand in the table of verdicts, each in all three modes. */
static const Golden confidences[] = {
  { { .name = "one probe fails",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { { "here", TRUE, TRUE, FALSE, FALSE, 1, 0 } } },
    0.0005,
    FALSE,
    FALSE,
    "needs two" },
  { { .name = "here dark, no self-check",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { { "here", TRUE, FALSE, FALSE, FALSE, 7, 36 } } },
    0.003,
    FALSE,
    FALSE,
    "cannot tell" },
  { { .name = "here dark, self-check ok",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { SCENE_DARK_HERE } },
    0.032,
    FALSE,
    FALSE,
    "needs two" },
  { { .name = "here dark, platform failed",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .platform_outcome = "unavailable",
      .vantages = { SCENE_DARK_HERE } },
    0.625,
    FALSE,
    FALSE,
    "needs two" },
  { { .name = "here and a witness dark, platform silent",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    0.971,
    TRUE,
    FALSE,
    "2 of 2 vantages" },
  { { .name = "the same, running",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .power = AZLIN_POWER_RUNNING,
      .power_outcome = "running",
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    0.909,
    TRUE,
    FALSE,
    "90.9 %" },
  { { .name = "the same, control plane fails there alone",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .power_outcome = "error",
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    0.994,
    TRUE,
    FALSE,
    "" },
  { { .name = "the same, platform failed",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .platform_outcome = "unavailable",
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    0.999,
    TRUE,
    FALSE,
    "" },
  { { .name = "a witness sees it up",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { SCENE_DARK_HERE, { "westus2", TRUE, TRUE, TRUE, FALSE, 0, 0 } } },
    0.000,
    FALSE,
    FALSE,
    "westus2 sees the machine alive" },
};

static const Golden verdicts[] = {
  { { .name = "confidence_stopped: by request",
      .failure = AZLIN_FAILURE_VM_STOPPED,
      .power = AZLIN_POWER_STOPPED,
      .cause = AZLIN_STOP_REQUESTED,
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    0.0001,
    FALSE,
    FALSE,
    "stopped on request" },
  { { .name = "confidence_stopped: for unknown cause",
      .failure = AZLIN_FAILURE_VM_STOPPED,
      .power = AZLIN_POWER_STOPPED,
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    0.5,
    FALSE,
    FALSE,
    "may be intended" },
  { { .name = "vm_deallocated_manual",
      .failure = AZLIN_FAILURE_VM_DEALLOCATED,
      .power = AZLIN_POWER_DEALLOCATED,
      .cause = AZLIN_STOP_ENDED,
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    0.5,
    FALSE,
    FALSE,
    "may be intended" },
  { { .name = "killed machine: at once",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .power = AZLIN_POWER_STOPPED,
      .cause = AZLIN_STOP_ENDED,
      .vantages = { SCENE_REFUSED("here"), SCENE_REFUSED("westus2") } },
    0.99997,
    TRUE,
    FALSE,
    "2 of 2" },
  { { .name = "killed machine, told as stopped",
      .failure = AZLIN_FAILURE_VM_STOPPED,
      .power = AZLIN_POWER_STOPPED,
      .cause = AZLIN_STOP_ENDED,
      .vantages = { SCENE_REFUSED("here"), SCENE_REFUSED("westus2") } },
    0.99997,
    TRUE,
    FALSE,
    "2 of 2" },
  { { .name = "killed machine, silent instead of refusing: waits",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .power = AZLIN_POWER_STOPPED,
      .cause = AZLIN_STOP_ENDED,
      .vantages = { { "here", TRUE, TRUE, FALSE, FALSE, 1, 0 }, { "westus2", TRUE, TRUE, FALSE, FALSE, 1, 0 } } },
    0.714,
    FALSE,
    TRUE,
    "not for long enough" },
  { { .name = "refused, no word from the provider: waits",
      .failure = AZLIN_FAILURE_SSH_CONNECTION_FAILED,
      .vantages = { SCENE_REFUSED("here"), SCENE_REFUSED("westus2") } },
    0.0244,
    FALSE,
    TRUE,
    "not for long enough" },
  { { .name = "confidence_ssh: settled",
      .failure = AZLIN_FAILURE_SSH_CONNECTION_FAILED,
      .power = AZLIN_POWER_RUNNING,
      .power_outcome = "running",
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    0.997,
    TRUE,
    FALSE,
    "SSH fails" },
  { { .name = "seven probes in thirty seconds: waits",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { { "here", TRUE, TRUE, FALSE, FALSE, 7, 30 }, { "westus2", TRUE, TRUE, FALSE, FALSE, 7, 30 } } },
    0.971,
    FALSE,
    TRUE,
    "2 of 2 settled, 30 s" },
  { { .name = "six probes in fifty seconds: waits",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { { "here", TRUE, TRUE, FALSE, FALSE, 6, 50 }, SCENE_DARK("westus2") } },
    0.971,
    FALSE,
    TRUE,
    "1 of 2 settled" },
  { { .name = "a witness that never saw it up is no evidence",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { SCENE_DARK_HERE, { "westus2", FALSE, TRUE, FALSE, FALSE, 8, 36 } } },
    0.032,
    FALSE,
    FALSE,
    "1 vantage with evidence" },
  { { .name = "no vantage counts",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { { "here", FALSE, TRUE, FALSE, FALSE, 8, 36 } } },
    0.0001,
    FALSE,
    FALSE,
    "0 vantages" },
  { { .name = "two witnesses, here blocked",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { { "here", FALSE, TRUE, FALSE, FALSE, 8, 36 }, SCENE_DARK("westus2"), SCENE_DARK("westeurope") } },
    0.990,
    TRUE,
    FALSE,
    "2 of 2" },
  { { .name = "this host sees it alive",
      .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
      .vantages = { { "here", TRUE, TRUE, TRUE, FALSE, 0, 0 }, SCENE_DARK("westus2") } },
    0.000,
    FALSE,
    FALSE,
    "this host sees the machine alive" },
  { { .name = "performance_degraded_manual",
      .failure = AZLIN_FAILURE_PERFORMANCE_DEGRADED,
      .power = AZLIN_POWER_RUNNING,
      .vantages = { { "here", TRUE, TRUE, TRUE, FALSE, 0, 0 } } },
    0.000,
    FALSE,
    FALSE,
    "slow but serves" },
  { { .name = "confidence_unknown", .failure = AZLIN_FAILURE_UNKNOWN, .vantages = { SCENE_DARK_HERE } },
    0.032,
    FALSE,
    FALSE,
    "cannot be told apart" },
  { { .name = "auth_failed_never",
      .failure = AZLIN_FAILURE_AUTH_FAILED,
      .power = AZLIN_POWER_RUNNING,
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    -1,
    FALSE,
    FALSE,
    "refuses the key" },
  { { .name = "host_key_changed_never",
      .failure = AZLIN_FAILURE_HOST_KEY_CHANGED,
      .power = AZLIN_POWER_RUNNING,
      .vantages = { SCENE_DARK_HERE, SCENE_DARK("westus2") } },
    -1,
    FALSE,
    FALSE,
    "never automatic" },
  { { .name = "healthy",
      .healthy = TRUE,
      .power = AZLIN_POWER_RUNNING,
      .vantages = { { "here", TRUE, TRUE, TRUE, FALSE, 0, 0 } } },
    0.000,
    FALSE,
    FALSE,
    "is healthy" },
  { { .name = "nobody looked", .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE }, 0.0001, FALSE, FALSE, "0 vantages" },
};

static void
check_golden(SceneBrick *brick, const Golden *golden, AzlinMode mode)
{
  g_auto(AzlinDecision) decision = { 0 };
  Scene scene = golden->scene;
  gboolean proposes_only = mode == AZLIN_MODE_MANUAL;

  scene.mode = mode;
  scene_decide(brick, &scene, &decision);
  g_test_message("%s, mode %d: %.4f, %s", scene.name, (int) mode, decision.confidence, decision.reason);
  if (golden->confidence >= 0)
    g_assert_cmpfloat_with_epsilon(decision.confidence, golden->confidence, 0.002);
  g_assert_cmpint(decision.should_auto_failover, ==, golden->automatic && !proposes_only);
  g_assert_cmpint(decision.more_evidence_helps, ==, golden->more && !proposes_only);
  if (proposes_only && golden->automatic)
    g_assert_nonnull(g_strstr_len(decision.reason, -1, "mode is manual"));
  else
    g_assert_nonnull(g_strstr_len(decision.reason, -1, golden->reason));
  if (decision.more_evidence_helps) {
    g_assert_cmpfloat(decision.wait_seconds, >=, 1);
    g_assert_cmpfloat(decision.wait_seconds, <=, 5);
  }
}

static void
check_table(const Golden *table, gsize n)
{
  g_autoptr(SceneBrick) brick = scene_brick_new("hybrid", 5, 7, 0.85, NULL);

  for (gsize i = 0; i < n; i++)
    for (int mode = AZLIN_MODE_HYBRID; mode <= AZLIN_MODE_MANUAL; mode++)
      check_golden(brick, &table[i], (AzlinMode) mode);
}

static void
test_confidence_table(void)
{
  check_table(confidences, G_N_ELEMENTS(confidences));
}

static void
test_verdicts_and_modes(void)
{
  check_table(verdicts, G_N_ELEMENTS(verdicts));
}

static void
test_weights_sum_up(void)
{
  g_autoptr(SceneBrick) brick = scene_brick_new("hybrid", 5, 7, 0.85, NULL);

  for (gsize i = 0; i < G_N_ELEMENTS(verdicts); i++) {
    g_auto(AzlinDecision) decision = { 0 };
    double sum = 0;
    scene_decide(brick, &verdicts[i].scene, &decision);
    for (guint k = 0; k < decision.weights->len; k++)
      sum += g_array_index(decision.weights, AzlinWeight, k).weight;
    g_assert_cmpfloat_with_epsilon(1 / (1 + exp(-sum)), decision.confidence, 1e-9);
  }
}

static void
test_ignored_vantage_says_why(void)
{
  g_autoptr(SceneBrick) brick = scene_brick_new("hybrid", 5, 7, 0.85, NULL);
  g_auto(AzlinDecision) decision = { 0 };
  Scene scene = { .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
                  .vantages = { { "westus2", FALSE, TRUE, FALSE, FALSE, 8, 36 } } };

  scene_decide(brick, &scene, &decision);
  const AzlinWeight *line = &g_array_index(decision.weights, AzlinWeight, 1);
  g_assert_cmpfloat(line->weight, ==, 0.0);
  g_assert_nonnull(g_strstr_len(line->what, -1, "had not seen the machine up before"));
}

static void
test_options_act(void)
{
  Scene scene
      = { .failure = AZLIN_FAILURE_NETWORK_UNREACHABLE,
          .vantages = { { "here", TRUE, TRUE, FALSE, FALSE, 5, 12 }, { "westus2", TRUE, TRUE, FALSE, FALSE, 5, 9 } } };
  const struct {
    guint interval, fall;
    double threshold;
    gboolean automatic;
  } rows[] = { { 2, 5, 0.85, TRUE }, { 3, 5, 0.85, FALSE }, { 2, 6, 0.85, FALSE }, { 2, 5, 0.98, FALSE } };

  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(SceneBrick) brick = scene_brick_new("hybrid", rows[i].interval, rows[i].fall, rows[i].threshold, NULL);
    g_auto(AzlinDecision) decision = { 0 };
    scene_decide(brick, &scene, &decision);
    g_assert_cmpint(decision.should_auto_failover, ==, rows[i].automatic);
  }
}

static void
test_bad_mode(void)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(SceneBrick) brick = scene_brick_new("always", 5, 7, 0.85, &error);

  g_assert_null(brick);
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_nonnull(g_strstr_len(error->message, -1, "auto, hybrid, manual"));
}

static void
test_ranking(void)
{
  static const struct {
    const char *region;
    gboolean healthy;
    double ms;
  } rows[] = { { "westus", FALSE, -1 },    { "japaneast", TRUE, 20 }, { "westus2", TRUE, 80 },
               { "westeurope", TRUE, -1 }, { "centralus", TRUE, 45 }, { "uksouth", TRUE, 30 } };
  static const char *const expected[] = { "centralus: healthy, same geography as eastus, 45 ms",
                                          "westus2: healthy, same geography as eastus, 80 ms",
                                          "japaneast: healthy, 20 ms",
                                          "uksouth: healthy, 30 ms",
                                          "westeurope: healthy",
                                          "westus: unhealthy (no answer), paired with eastus" };
  g_autoptr(SceneBrick) brick = scene_brick_new("hybrid", 5, 7, 0.85, NULL);
  g_auto(AzlinDecision) decision = { 0 };
  AzlinVm source_vm = { .size = sizeof source_vm, .region = "eastus" }, vms[G_N_ELEMENTS(rows)];
  AzlinHealth source = scene_health(&source_vm, FALSE, -1), health[G_N_ELEMENTS(rows)];
  const AzlinHealth *others[G_N_ELEMENTS(rows) + 1] = { NULL };

  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    vms[i] = (AzlinVm){ .size = sizeof(AzlinVm), .region = rows[i].region };
    health[i] = scene_health(&vms[i], rows[i].healthy, rows[i].ms);
    health[i].detail = rows[i].healthy ? NULL : "no answer";
    others[i] = &health[i];
  }
  AzlinDecisionInput input = { .size = sizeof input, .source = &source, .others = others };
  scene_decide_input(brick, &input, &decision);
  g_assert_cmpuint(decision.ranking->len, ==, G_N_ELEMENTS(expected));
  for (guint i = 0; i < decision.ranking->len; i++)
    g_assert_cmpstr(g_ptr_array_index(decision.ranking, i), ==, expected[i]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/failover/decide/confidence-table", test_confidence_table);
  g_test_add_func("/failover/decide/verdicts-and-modes", test_verdicts_and_modes);
  g_test_add_func("/failover/decide/weights-sum-up", test_weights_sum_up);
  g_test_add_func("/failover/decide/ignored-vantage-says-why", test_ignored_vantage_says_why);
  g_test_add_func("/failover/decide/options-act", test_options_act);
  g_test_add_func("/failover/decide/bad-mode", test_bad_mode);
  g_test_add_func("/failover/decide/ranking", test_ranking);
  return g_test_run();
}
