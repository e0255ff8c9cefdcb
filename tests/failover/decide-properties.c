/* Properties of decide() over generated scenes: vetoes block, less evidence never convinces more, one vantage never
 * acts. */
#include "scene.h"

#define ROUNDS 20000

typedef struct {
  SceneBrick *brick;
  GRand *random;
} Fixture;

static gboolean
coin(GRand *random, double chance)
{
  return g_rand_double(random) < chance;
}

static Scene
random_scene(GRand *random)
{
  static const char *const names[] = { "here", "westus2", "westeurope", "uksouth", "eastasia" };
  Scene scene = { .failure = (AzlinFailure) g_rand_int_range(random, 1, AZLIN_FAILURE_HOST_KEY_CHANGED + 1),
                  .power = (AzlinPower) g_rand_int_range(random, 0, 4),
                  .cause = (AzlinStopCause) g_rand_int_range(random, 0, 3),
                  .mode = (AzlinMode) g_rand_int_range(random, 0, 3) };
  int n = g_rand_int_range(random, 0, (int) G_N_ELEMENTS(names) + 1);

  if (coin(random, 0.6)) /* mostly the cases that can become automatic */
    scene.failure = coin(random, 0.5) ? AZLIN_FAILURE_NETWORK_UNREACHABLE : AZLIN_FAILURE_SSH_CONNECTION_FAILED;
  if (coin(random, 0.5))
    scene.power = AZLIN_POWER_UNKNOWN;
  if (coin(random, 0.3))
    scene.power_outcome = "error";
  if (coin(random, 0.2))
    scene.platform_outcome = "unavailable";
  for (int i = 0; i < n; i++) {
    SceneVantage *vantage = &scene.vantages[i];
    *vantage = (SceneVantage){ .name = names[i],
                               .was_up = coin(random, 0.8),
                               .self_check = coin(random, 0.8),
                               .alive = coin(random, 0.1),
                               .refused = coin(random, 0.3) };
    vantage->dark = vantage->alive ? 0 : (guint) g_rand_int_range(random, 0, 15);
    vantage->seconds = vantage->dark * g_rand_double_range(random, 3, 6);
  }
  return scene;
}

static double
confidence_of(Fixture *fixture, const Scene *scene, gboolean *ret_automatic)
{
  g_auto(AzlinDecision) decision = { 0 };

  scene_decide(fixture->brick, scene, &decision);
  g_assert_cmpfloat(decision.confidence, >=, 0);
  g_assert_cmpfloat(decision.confidence, <=, 1);
  g_assert_false(decision.should_auto_failover && decision.more_evidence_helps);
  if (ret_automatic != NULL)
    *ret_automatic = decision.should_auto_failover;
  return decision.confidence;
}

static guint
count_vantages(const Scene *scene)
{
  guint n = 0;

  while (n < SCENE_MAX_VANTAGES && scene->vantages[n].name != NULL)
    n++;
  return n;
}

static void
test_veto_blocks(Fixture *fixture, gconstpointer unused)
{
  guint automatic_before = 0;

  for (int i = 0; i < ROUNDS; i++) {
    Scene scene = random_scene(fixture->random);
    guint n = count_vantages(&scene);
    gboolean before, after;
    if (n == 0)
      continue;
    double without = confidence_of(fixture, &scene, &before);
    SceneVantage *vantage = &scene.vantages[g_rand_int_range(fixture->random, 0, (int) n)];
    vantage->alive = TRUE;
    double with = confidence_of(fixture, &scene, &after);
    automatic_before += before;
    g_assert_false(after);
    g_assert_cmpfloat(with, <=, without);
  }
  g_assert_cmpuint(automatic_before, >, 100); /* else nothing was proved */
}

static void
test_less_evidence_is_less(Fixture *fixture, gconstpointer unused)
{
  for (int i = 0; i < ROUNDS; i++) {
    Scene scene = random_scene(fixture->random);
    guint n = count_vantages(&scene);
    gboolean before, after;
    if (n == 0)
      continue;
    double full = confidence_of(fixture, &scene, &before);
    SceneVantage *vantage = &scene.vantages[g_rand_int_range(fixture->random, 0, (int) n)];
    if (vantage->alive)
      continue;
    switch (g_rand_int_range(fixture->random, 0, 5)) {
    case 0:
      vantage->dark = 0;
      vantage->seconds = 0;
      break;
    case 1:
      vantage->dark /= 2;
      vantage->seconds /= 2;
      break;
    case 2:
      vantage->was_up = FALSE;
      break;
    case 3:
      vantage->self_check = FALSE;
      break;
    default:
      vantage->refused = FALSE;
      break;
    }
    double less = confidence_of(fixture, &scene, &after);
    g_assert_cmpfloat(less, <=, full + 1e-12);
  }
}

static void
test_one_vantage_never_acts(Fixture *fixture, gconstpointer unused)
{
  for (int i = 0; i < ROUNDS; i++) {
    Scene scene = random_scene(fixture->random);
    gboolean automatic;
    scene.vantages[1].name = NULL;
    confidence_of(fixture, &scene, &automatic);
    g_assert_false(automatic);
  }
}

static void
test_intent_never_acts(Fixture *fixture, gconstpointer unused)
{
  for (int i = 0; i < ROUNDS; i++) {
    Scene scene = random_scene(fixture->random);
    gboolean automatic;
    scene.power = coin(fixture->random, 0.5) ? AZLIN_POWER_STOPPED : AZLIN_POWER_DEALLOCATED;
    scene.cause = coin(fixture->random, 0.5) ? AZLIN_STOP_REQUESTED : AZLIN_STOP_UNKNOWN;
    confidence_of(fixture, &scene, &automatic);
    g_assert_false(automatic);
  }
}

static void
test_pure(Fixture *fixture, gconstpointer unused)
{
  for (int i = 0; i < 1000; i++) {
    Scene scene = random_scene(fixture->random);
    g_auto(AzlinDecision) first = { 0 }, second = { 0 };
    scene_decide(fixture->brick, &scene, &first);
    scene_decide(fixture->brick, &scene, &second);
    g_assert_cmpfloat(first.confidence, ==, second.confidence);
    g_assert_cmpstr(first.reason, ==, second.reason);
    g_assert_cmpstr(first.what_would_change, ==, second.what_would_change);
  }
}

static void
setup(Fixture *fixture, gconstpointer unused)
{
  fixture->brick = scene_brick_new("hybrid", 5, 7, 0.85, NULL);
  fixture->random = g_rand_new_with_seed(20251201);
}

static void
teardown(Fixture *fixture, gconstpointer unused)
{
  scene_brick_free(fixture->brick);
  g_rand_free(fixture->random);
}

int
main(int argc, char **argv)
{
  static const struct {
    const char *path;
    void (*test)(Fixture *, gconstpointer);
  } tests[] = { { "/failover/properties/veto-blocks", test_veto_blocks },
                { "/failover/properties/less-evidence-is-less", test_less_evidence_is_less },
                { "/failover/properties/one-vantage-never-acts", test_one_vantage_never_acts },
                { "/failover/properties/intent-never-acts", test_intent_never_acts },
                { "/failover/properties/pure", test_pure } };

  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(tests); i++)
    g_test_add(tests[i].path, Fixture, NULL, setup, tests[i].test, teardown);
  return g_test_run();
}
