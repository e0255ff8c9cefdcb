/* What is drawn from a scenario: as often and for as long as it says, the same for the same numbers, seen by the right
 * ones. */
#include "flow-simulate.h"
#include <math.h>

#define US G_USEC_PER_SEC
#define TIMEOUT (4 * US)

static AzSimScenario *
read_scenario(const char *lines)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *text = g_strconcat("regions eastus westus2 westeurope\n", lines, NULL);
  AzSimScenario *scenario = az_sim_scenario_parse("test", text, "test", &error);

  g_assert_no_error(error);
  return scenario;
}

/* Of 100,000 windows, in how many the first condition was drawn, and how long it lasted on average. */
static void
measure(const char *lines, double *ret_share, double *ret_mean_s)
{
  g_autoptr(AzSimScenario) scenario = read_scenario(lines);
  guint drawn = 0, windows = 100000;
  double seconds = 0;

  for (guint i = 0; i < windows; i++) {
    AzSimWorld world;
    az_sim_world_draw(&world, scenario, 7, i);
    if (world.n_facts == 0)
      continue;
    drawn++;
    seconds += (double) (world.facts[0].to - world.facts[0].from) / US;
  }
  *ret_share = (double) drawn / windows;
  *ret_mean_s = drawn > 0 ? seconds / drawn : 0;
}

static void
test_chances(void)
{
  static const struct {
    const char *line;
    double share, mean_s;
  } rows[] = {
    { "offline chance 5% mean 60", 0.05, 60 },
    { "path eastus from here chance 2% mean 20", 0.02, 20 },
    { "pause eastus chance 1% for 5..30", 0.01, 17.5 },
    { "down eastus at 60..90 for 100", 1, 100 },
  };

  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    double share, mean_s;
    measure(rows[i].line, &share, &mean_s);
    g_test_message("%s: %.4f, %.2f s", rows[i].line, share, mean_s);
    g_assert_cmpfloat_with_epsilon(share, rows[i].share, 5 * sqrt(rows[i].share / 100000));
    g_assert_cmpfloat_with_epsilon(mean_s, rows[i].mean_s, rows[i].mean_s * 0.05);
  }
}

/* A probe is lost with p * 3p: one packet, and the one that is sent again. */
static void
test_loss(void)
{
  g_autoptr(AzSimScenario) scenario = read_scenario("loss 20%");
  AzSimWorld world;
  guint lost = 0;

  az_sim_world_draw(&world, scenario, 1, 1);
  for (guint i = 0; i < 100000; i++) {
    AzSimSight sight;
    gint64 end = az_sim_world_probe(&world, AZ_SIM_HERE, 0, US, TIMEOUT, FALSE, &sight);
    g_assert_cmpint(end, <=, US + TIMEOUT);
    g_assert_true(sight == AZ_SIM_SEES_OK || sight == AZ_SIM_SEES_SILENCE);
    lost += sight == AZ_SIM_SEES_SILENCE ? 1 : 0;
  }
  g_assert_cmpfloat_with_epsilon(lost / 1e5, 0.12, 0.005);
}

static void
test_same_numbers_same_world(void)
{
  g_autoptr(AzSimScenario) scenario = read_scenario("offline mean 60\npause * for 5..30\nloss 30%");
  AzSimWorld one, two, other;
  AzSimSight a, b;

  az_sim_world_draw(&one, scenario, 42, 1000);
  az_sim_world_draw(&two, scenario, 42, 1000);
  az_sim_world_draw(&other, scenario, 42, 1001);
  g_assert_cmpint(one.facts[0].from, ==, two.facts[0].from);
  g_assert_cmpint(one.facts[0].from, !=, other.facts[0].from);
  for (gint64 at = 0; at < 600 * US; at += US) {
    g_assert_cmpint(az_sim_world_probe(&one, AZ_SIM_HERE, 0, at, TIMEOUT, TRUE, &a), ==,
                    az_sim_world_probe(&two, AZ_SIM_HERE, 0, at, TIMEOUT, TRUE, &b));
    g_assert_cmpint(a, ==, b);
  }
  /* The numbers themselves are a promise: a stored seed must give the same window in the next release, too. */
  g_assert_cmpuint((guint64) (az_sim_random(&other) * 1e6), ==, 298653);
}

static void
test_who_sees_what(void)
{
  static const struct {
    const char *line;
    int vantage, region;
    AzSimSight sight, asked; /* by a probe from `vantage`, and by the machine of region 1 asked from here */
  } rows[] = {
    { "down eastus at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_SILENCE, AZ_SIM_SEES_SILENCE },
    { "down eastus at 0", AZ_SIM_HERE, 2, AZ_SIM_SEES_OK, AZ_SIM_SEES_SILENCE },
    { "offline at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_SILENCE, AZ_SIM_SEES_NOTHING },
    { "offline at 0", 1, 0, AZ_SIM_SEES_OK, AZ_SIM_SEES_NOTHING },
    { "path eastus from here at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_SILENCE, AZ_SIM_SEES_OK },
    { "path eastus from westus2 at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_OK, AZ_SIM_SEES_SILENCE },
    { "path westus2 from here at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_OK, AZ_SIM_SEES_NOTHING },
    { "pause westus2 at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_OK, AZ_SIM_SEES_NOTHING },
    { "stop eastus at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_SILENCE, AZ_SIM_SEES_SILENCE },
    { "end eastus at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_REFUSAL, AZ_SIM_SEES_REFUSAL },
    { "refuse eastus at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_REFUSAL, AZ_SIM_SEES_REFUSAL },
    { "hang eastus at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_HANG, AZ_SIM_SEES_HANG },
    { "slow eastus at 0 takes 1", AZ_SIM_HERE, 0, AZ_SIM_SEES_SLOW, AZ_SIM_SEES_OK },
    { "slow eastus at 0 takes 9", AZ_SIM_HERE, 0, AZ_SIM_SEES_HANG, AZ_SIM_SEES_HANG },
    { "auth eastus at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_NO_AUTH, AZ_SIM_SEES_OK },
    { "host-key eastus at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_OTHER_KEY, AZ_SIM_SEES_OTHER_KEY },
    { "control-plane * at 0", AZ_SIM_HERE, 0, AZ_SIM_SEES_OK, AZ_SIM_SEES_OK },
    { "flap eastus at 0 up 10 down 50", AZ_SIM_HERE, 0, AZ_SIM_SEES_SILENCE, AZ_SIM_SEES_SILENCE },
  };

  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(AzSimScenario) scenario = read_scenario(rows[i].line);
    AzSimWorld world;
    AzSimSight sight, asked;
    az_sim_world_draw(&world, scenario, 1, 1);
    az_sim_world_probe(&world, rows[i].vantage, rows[i].region, 30 * US, TIMEOUT, TRUE, &sight);
    az_sim_world_ask(&world, 1, 0, 30 * US, TIMEOUT, &asked);
    g_test_message("%s", rows[i].line);
    g_assert_cmpint(sight, ==, rows[i].sight);
    g_assert_cmpint(asked, ==, rows[i].asked);
  }
}

/* As in failover_sim.c: only what covers the whole of a probe's time makes it dark. */
static void
test_a_short_gap_is_waited_out(void)
{
  g_autoptr(AzSimScenario) scenario = read_scenario("pause eastus at 10 for 3.5");
  AzSimWorld world;
  AzSimSight sight;

  az_sim_world_draw(&world, scenario, 1, 1);
  gint64 end = az_sim_world_probe(&world, AZ_SIM_HERE, 0, 10 * US, TIMEOUT, FALSE, &sight);
  g_assert_cmpint(sight, ==, AZ_SIM_SEES_OK);
  g_assert_cmpint(end, >=, (gint64) (13.5 * US));
}

static void
test_truth(void)
{
  g_autoptr(AzSimScenario) scenario
      = read_scenario("down eastus at 100 for 50 right\ndown westus2 at 10 right\npath eastus from * at 400 allowed");
  AzSimWorld world;
  gint64 since, from, to;

  az_sim_world_draw(&world, scenario, 1, 1);
  g_assert_cmpint(az_sim_world_truth(&world, 99 * US, 0, &since), ==, AZ_SIM_WRONG);
  g_assert_cmpint(az_sim_world_truth(&world, 120 * US, 0, &since), ==, AZ_SIM_RIGHT);
  g_assert_cmpint(since, ==, 100 * US);
  g_assert_cmpint(az_sim_world_truth(&world, 153 * US, TIMEOUT, &since), ==, AZ_SIM_RIGHT);
  g_assert_cmpint(az_sim_world_truth(&world, 155 * US, TIMEOUT, &since), ==, AZ_SIM_WRONG);
  g_assert_cmpint(az_sim_world_truth(&world, 401 * US, TIMEOUT, &since), ==, AZ_SIM_ALLOWED);
  g_assert_true(az_sim_world_outage(&world, &from, &to));
  g_assert_cmpint(from, ==, 100 * US);
  g_assert_cmpint(to, ==, 150 * US);
  world.primary = 1;
  g_assert_true(az_sim_world_outage(&world, &from, &to));
  g_assert_cmpint(from, ==, 10 * US);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/simulate/world/chances", test_chances);
  g_test_add_func("/simulate/world/loss", test_loss);
  g_test_add_func("/simulate/world/same-numbers-same-world", test_same_numbers_same_world);
  g_test_add_func("/simulate/world/who-sees-what", test_who_sees_what);
  g_test_add_func("/simulate/world/a-short-gap-is-waited-out", test_a_short_gap_is_waited_out);
  g_test_add_func("/simulate/world/truth", test_truth);
  return g_test_run();
}
