/* The detector in virtual time: how soon it settles, and what must never make it settle. */
#include "world.h"
#include <string.h>

static const char *const fleet[] = { "east", "west", "eu", "asia", "south", NULL };
static const AzDetectorRules usual = AZ_DETECTOR_RULES_DEFAULT;

static World *
fleet_of(guint n, const AzDetectorRules *rules)
{
  g_autofree const char **regions = g_new0(const char *, n + 1);
  for (guint i = 0; i < n; i++)
    regions[i] = fleet[i];
  return world_new(rules, regions, "east");
}

static AzRegionState
state_of(World *world, const char *region)
{
  AzRegionView view;
  g_assert_true(az_detector_view(world->detector, region, &view));
  return view.state;
}

static void
test_calm(void)
{
  g_autoptr(World) world = fleet_of(3, &usual);
  world_run(world, 600, NULL);
  for (guint i = 0; i < 3; i++)
    g_assert_cmpint(state_of(world, fleet[i]), ==, AZ_REGION_UP);
  g_assert_cmpuint(az_detector_self_score(world->detector), ==, 0);
  g_assert_cmpuint(world->questions, <=, 120 + 2 * 40 + 6); /* nobody is asked more often than the rules say */
}

static void
test_outage_is_settled_in_time(void)
{
  for (guint n = 2; n <= 5; n++)
    for (double phase = 0; phase < 5; phase += 0.1) {
      for (guint refused = 0; refused < 2; refused++) {
        g_autoptr(World) world = fleet_of(n, &usual);
        world_trouble(world, "*", "east", 60 + phase, 1e6, refused ? AZ_SIGHT_REFUSED : AZ_SIGHT_DARK);
        double took = world_run(world, 300, "east") - 60 - phase;
        if (took > 40 || took < 30)
          g_error("%u regions, phase %.1f, %s: settled after %.2f s", n, phase, refused ? "refused" : "dark", took);
        if (!refused)
          g_assert_cmpfloat(took, <=, 39.01);
      }
    }
}

static void
test_pauses_are_ridden_through(void)
{
  for (double phase = 0; phase < 5; phase += 0.05) {
    g_autoptr(World) world = fleet_of(3, &usual);
    world_trouble(world, "*", "east", 60 + phase, 90 + phase, AZ_SIGHT_DARK);
    world_run(world, 300, "east");
    g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_UP);
  }
}

static void
test_offline_host_is_blind(void)
{
  for (double length = 5; length <= 300; length += 5) {
    g_autoptr(World) world = fleet_of(3, &usual);
    world_trouble(world, "here", "*", 62, 62 + length, AZ_SIGHT_DARK);
    world_run(world, 62 + length - 0.1, "east");
    g_assert_cmpint(state_of(world, "east"), !=, AZ_REGION_DARK);
    if (length >= 30)
      g_assert_true(az_detector_blind(world->detector));
    world_run(world, 500, NULL);
    g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_UP);
    g_assert_false(az_detector_blind(world->detector));
  }
}

static void
test_path_of_this_host(void)
{
  AzRegionView view;
  g_autoptr(World) world = fleet_of(3, &usual);
  world_trouble(world, "here", "east", 62, 1e6, AZ_SIGHT_DARK);
  world_run(world, 300, "east");
  g_assert_true(az_detector_view(world->detector, "east", &view));
  g_assert_cmpint(view.state, ==, AZ_REGION_SUSPECT);
  g_assert_true(view.unreachable_from_me);
  g_assert_false(az_detector_blind(world->detector));
  g_autoptr(GArray) vantages = az_detector_vantages(world->detector, "east", world->now);
  guint alive = 0;
  for (guint i = 0; i < vantages->len; i++)
    alive += g_array_index(vantages, AzlinVantage, i).fresh_success;
  g_assert_cmpuint(alive, ==, 2);
}

static void
test_without_its_parts(void)
{
  AzDetectorRules rules = usual;
  rules.no_self_check = rules.no_witness = TRUE;
  g_autoptr(World) world = fleet_of(3, &rules);
  world_trouble(world, "here", "*", 62, 1e6, AZ_SIGHT_DARK);
  world_run(world, 300, "east");
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_DARK); /* wrong, and that is what the parts are for */
}

static void
test_gap_forgets(void)
{
  AzQuestion question;
  g_autoptr(World) world = fleet_of(3, &usual);
  world_trouble(world, "*", "east", 60, 1e6, AZ_SIGHT_DARK);
  world_run(world, 85, NULL);
  world->now += G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC; /* the lid was closed */
  g_array_set_size(world->answers, 0);
  g_assert_true(az_detector_next(world->detector, world->now, &question));
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_UNKNOWN);
  g_autoptr(GArray) vantages = az_detector_vantages(world->detector, "east", world->now);
  for (guint i = 0; i < vantages->len; i++)
    g_assert_cmpuint(g_array_index(vantages, AzlinVantage, i).dark_probes, ==, 0);
}

static void
test_regions_come_and_go(void)
{
  static const char *const two[] = { "east", "eu", NULL };
  AzRegionView view;
  g_autoptr(World) world = fleet_of(3, &usual);
  world_trouble(world, "*", "east", 60, 1e6, AZ_SIGHT_DARK);
  world_run(world, 75, NULL);
  az_detector_set_regions(world->detector, two, "east", world->now);
  g_assert_false(az_detector_view(world->detector, "west", &view));
  g_assert_true(az_detector_view(world->detector, "east", &view));
  g_assert_cmpuint(view.dark_probes, >=, 2);
  g_assert_cmpfloat(world_run(world, 300, "east"), <=, 100);
}

static void
test_rules(void)
{
  g_autoptr(GError) error = NULL;
  AzDetectorRules rules = usual;
  g_assert_true(az_detector_rules_check(&rules, &error));
  rules.probe_timeout_s = 6;
  g_assert_false(az_detector_rules_check(&rules, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_nonnull(strstr(error->message, "probe-timeout"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/detector/calm", test_calm);
  g_test_add_func("/detector/outage-is-settled-in-time", test_outage_is_settled_in_time);
  g_test_add_func("/detector/pauses-are-ridden-through", test_pauses_are_ridden_through);
  g_test_add_func("/detector/offline-host-is-blind", test_offline_host_is_blind);
  g_test_add_func("/detector/path-of-this-host", test_path_of_this_host);
  g_test_add_func("/detector/without-its-parts", test_without_its_parts);
  g_test_add_func("/detector/gap-forgets", test_gap_forgets);
  g_test_add_func("/detector/regions-come-and-go", test_regions_come_and_go);
  g_test_add_func("/detector/rules", test_rules);
  return g_test_run();
}
