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
test_rare_questions(void)
{
  AzDetectorRules rules = usual;
  rules.interval_s = 7200; /* more microseconds than 32 bits hold */
  g_autoptr(World) world = world_new(&rules, (const char *const[]){ "east", "west", NULL }, "east");
  world_run(world, 20000, NULL);
  g_assert_cmpuint(world->questions, <=, 20000 / 5 + 4);
  g_assert_cmpuint(az_detector_self_score(world->detector), ==, 0);
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
        if (took > 40 || took < 34)
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

/* One after the other: here that vouches for itself, and a witness that has seen the machine up. */
static void
test_what_counts(void)
{
  g_autoptr(World) world = world_new(&usual, (const char *const[]){ "east", "west", NULL }, "east");
  world_trouble(world, "*", "east", 0, 1e6, AZ_SIGHT_DARK); /* nobody has ever seen it */
  world_run(world, 200, "east");
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_SUSPECT);
  az_detector_set_was_up(world->detector, "west", "east", TRUE);
  world_run(world, 210, "east");
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_DARK);
}

static AzlinVantage
seen_from(World *world, const char *vantage, const char *region)
{
  g_autoptr(GArray) vantages = az_detector_vantages(world->detector, region, world->now);
  for (guint i = 0; i < vantages->len; i++)
    if (g_str_equal(g_array_index(vantages, AzlinVantage, i).vantage, vantage))
      return g_array_index(vantages, AzlinVantage, i);
  return (AzlinVantage){ .vantage = NULL };
}

/* What decide() is told once it is settled: all of the row, from each who looks. */
static void
test_evidence_of_an_outage(void)
{
  for (double phase = 0; phase < 5; phase += 0.5) {
    g_autoptr(World) world = fleet_of(5, &usual);
    az_detector_set_healed_rate(world->detector, "here", 0.002);
    az_detector_set_healed_rate(world->detector, "eu", 0.0005);
    for (guint i = 1; i < 5; i++)
      az_detector_set_was_up(world->detector, fleet[i], "east", TRUE);
    world_trouble(world, "*", "east", 60 + phase, 1e6, AZ_SIGHT_DARK);
    world_run(world, 300, "east");
    g_autoptr(GArray) vantages = az_detector_vantages(world->detector, "east", world->now);
    g_assert_cmpuint(vantages->len, ==, 1 + usual.witnesses);
    for (guint i = 0; i < vantages->len; i++) {
      const AzlinVantage *seen = &g_array_index(vantages, AzlinVantage, i);
      g_assert_true(seen->was_up && seen->self_check_ok && !seen->fresh_success && !seen->refused);
      g_assert_cmpuint(seen->dark_probes, >=, 7);
      g_assert_cmpfloat(seen->dark_seconds, >=, 30);
    }
    g_assert_cmpfloat(seen_from(world, "here", "east").dark_seconds, >=, 33.99);
    g_assert_cmpfloat(seen_from(world, "here", "east").healed_rate, ==, 0.002);
    g_assert_cmpfloat(seen_from(world, "eu", "east").healed_rate, ==, 0.0005);
    g_assert_cmpfloat(seen_from(world, "west", "east").healed_rate, ==, 0);
    g_assert_cmpuint(az_detector_self_score(world->detector), <, 3);
  }
}

/* A witness that cannot be asked is no trouble of this host: the outage is found as if it were not there. */
static void
test_sick_witness(void)
{
  g_autoptr(World) world = fleet_of(4, &usual);
  world_trouble(world, "eu", "*", 0, 1e6, AZ_SIGHT_NOTHING);
  world_trouble(world, "*", "east", 62, 1e6, AZ_SIGHT_DARK);
  g_assert_cmpfloat(world_run(world, 300, "east"), <=, 101.1);
  g_assert_cmpuint(az_detector_self_score(world->detector), ==, 0);
  g_assert_cmpuint(seen_from(world, "eu", "east").dark_probes, ==, 0);
  g_assert_cmpuint(seen_from(world, "west", "east").dark_probes, >=, 7);
}

/* Each of those that count must have seen enough of it: one that saw life until then begins its row late. */
static void
test_late_witness(void)
{
  g_autoptr(World) world = fleet_of(3, &usual);
  world_trouble(world, "here", "east", 62, 1e6, AZ_SIGHT_DARK);
  world_trouble(world, "eu", "east", 62, 1e6, AZ_SIGHT_DARK);
  world_trouble(world, "west", "east", 80, 1e6, AZ_SIGHT_DARK);
  az_detector_set_was_up(world->detector, "eu", "east", TRUE);
  double took = world_run(world, 300, "east") - 80;
  g_assert_cmpfloat(took, >=, 34);
  g_assert_cmpfloat(took, <=, 39.01);
}

/* Trouble of this host itself: counted up to eight, mended tick by tick; its probes get more time, within the beat. */
static void
test_self_score(void)
{
  g_autoptr(World) world = fleet_of(3, &usual);
  world_trouble(world, "here", "*", 61, 180, AZ_SIGHT_DARK);
  world_run(world, 61, NULL);
  g_assert_cmpfloat(world->longest_timeout_s, ==, 4);
  world_run(world, 90, NULL);
  g_assert_cmpuint(az_detector_self_score(world->detector), >=, 3);
  g_assert_cmpfloat(world->longest_timeout_s, >, 4);
  g_assert_cmpfloat(world->longest_timeout_s, <, 5);
  world_run(world, 179, NULL);
  g_assert_cmpuint(az_detector_self_score(world->detector), ==, 8);
  world_run(world, 210, NULL);
  g_assert_cmpuint(az_detector_self_score(world->detector), <, 5);
  world_run(world, 230, NULL);
  g_assert_cmpuint(az_detector_self_score(world->detector), ==, 0);
}

static void
test_late_timers(void)
{
  AzQuestion question;
  g_autoptr(World) world = fleet_of(2, &usual);
  world_run(world, 60, NULL);
  for (guint i = 1; i <= 4; i++) { /* each tick is called two seconds late */
    world->now = az_detector_wake(world->detector, world->now) + 2 * G_USEC_PER_SEC;
    while (az_detector_next(world->detector, world->now, &question))
      az_detector_answer(world->detector, question.id, AZ_SIGHT_ALIVE, world->now);
  }
  g_assert_cmpuint(az_detector_self_score(world->detector), >=, 3);
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_UP);
}

/* Whoever sees life stops it, however late it looks, and takes the verdict back. */
static void
test_veto(void)
{
  g_autoptr(World) world = fleet_of(3, &usual);
  world_trouble(world, "here", "east", 62, 1e6, AZ_SIGHT_DARK);
  world_trouble(world, "west", "east", 62, 1e6, AZ_SIGHT_DARK);
  world_trouble(world, "eu", "east", 62, 90, AZ_SIGHT_DARK);
  world_run(world, 200, "east");
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_SUSPECT);
  g_assert_true(seen_from(world, "eu", "east").fresh_success);

  g_autoptr(World) later = fleet_of(3, &usual);
  world_trouble(later, "here", "east", 62, 1e6, AZ_SIGHT_DARK);
  world_trouble(later, "west", "east", 62, 1e6, AZ_SIGHT_DARK);
  world_trouble(later, "eu", "east", 62, 200, AZ_SIGHT_DARK);
  g_assert_cmpfloat(world_run(later, 190, "east"), <=, 101.1);
  world_run(later, 250, NULL);
  g_assert_cmpint(state_of(later, "east"), ==, AZ_REGION_SUSPECT);
}

/* A machine that comes and goes is never up for long enough to be called so, nor dark. */
static void
test_rise_and_fall(void)
{
  AzDetectorRules rules = usual;
  rules.rise = 3;
  rules.fall = 3;
  rules.primary_interval_s = 2;
  rules.interval_s = 4;
  rules.probe_timeout_s = 1;
  g_autoptr(World) world = world_new(&rules, (const char *const[]){ "east", "west", NULL }, "east");
  world_run(world, 3.5, NULL);
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_UNKNOWN); /* two probes */
  world_run(world, 4.5, NULL);
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_UP);
  world_trouble(world, "*", "east", 20, 1e6, AZ_SIGHT_DARK);
  double took = world_run(world, 100, "east") - 20;
  g_assert_cmpfloat(took, >=, 5);
  g_assert_cmpfloat(took, <=, 7.01); /* one beat, two more, and the timeout of the last */
}

static void
test_history(void)
{
  AzWatched watched;
  g_autoptr(World) world = fleet_of(3, &usual);
  for (guint i = 1; i < 3; i++)
    az_detector_set_was_up(world->detector, fleet[i], "east", TRUE);
  world_trouble(world, "*", "east", 62, 132, AZ_SIGHT_DARK);      /* heals by itself, */
  world_trouble(world, "eu", "east", 62, 145, AZ_SIGHT_DARK);     /* from there later than from here */
  world_trouble(world, "here", "east", 300, 318, AZ_SIGHT_DARK);  /* too short to matter */
  world_trouble(world, "here", "*", 400, 500, AZ_SIGHT_DARK);     /* that is this host's, not the road's */
  world_trouble(world, "here", "west", 700, 1500, AZ_SIGHT_DARK); /* so long that somebody mended it */
  world_run(world, 1800, NULL);
  guint pairs = 0, healed = 0;
  while (az_detector_take_watched(world->detector, &watched)) {
    gboolean here = g_str_equal(watched.vantage, "here");
    pairs++;
    healed += watched.healed;
    if (g_str_equal(watched.region, "east")) {
      g_assert_cmpuint(watched.healed, ==, 1);
      if (here)
        g_assert_cmpuint(watched.watched_s, >, 1500);
    } else if (here) {
      g_assert_cmpuint(watched.healed, ==, 0);
    }
    if (here)
      g_assert_cmpuint(watched.watched_s, <, g_str_equal(watched.region, "west") ? 950 : 1725); /* darkness is none */
  }
  g_assert_cmpuint(pairs, >=, 5); /* three regions from here, two witnesses */
  g_assert_cmpuint(healed, ==, 3);
  g_assert_false(az_detector_take_watched(world->detector, &watched));
}

static void
test_offline_host_is_blind(void)
{
  for (double length = 5; length <= 300; length += 5) {
    g_autoptr(World) world = fleet_of(3, &usual);
    world_trouble(world, "here", "*", 62, 62 + length, AZ_SIGHT_DARK);
    world_run(world, 62 + length - 5.1, "east"); /* later probes may wait until the network is back */
    if (length >= 30)
      g_assert_true(az_detector_blind(world->detector));
    world_run(world, 62 + length - 0.1, "east");
    g_assert_cmpint(state_of(world, "east"), !=, AZ_REGION_DARK);
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

/* The lid was closed, and what was under way is answered before anything else is asked. */
static void
test_gap_before_an_answer(void)
{
  AzQuestion question;
  g_autoptr(World) world = fleet_of(3, &usual);
  for (guint i = 1; i < 3; i++)
    az_detector_set_was_up(world->detector, fleet[i], "east", TRUE);
  world_trouble(world, "*", "east", 60, 1e6, AZ_SIGHT_DARK);
  world_run(world, 92.9, "east"); /* the seventh probe is out */
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_SUSPECT);
  world->now += G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC;
  world_answer_all(world, AZ_SIGHT_DARK);
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_UNKNOWN);
  g_assert_cmpuint(seen_from(world, "here", "east").dark_probes, ==, 0);
  g_assert_true(az_detector_next(world->detector, world->now, &question));
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

/* A configuration that changes in the middle of an outage: what was seen counts, by the new rules. */
static void
test_rules_may_change(void)
{
  for (guint fall = 3; fall <= 9; fall += 6) {
    AzDetectorRules rules = usual;
    rules.fall = fall;
    g_autoptr(World) world = fleet_of(3, &usual);
    world_trouble(world, "*", "east", 60, 1e6, AZ_SIGHT_DARK);
    world_run(world, 82, "east");
    g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_SUSPECT);
    AzRegionView before, after;
    g_assert_true(az_detector_view(world->detector, "east", &before));
    az_detector_set_rules(world->detector, &rules, world->now);
    g_assert_true(az_detector_view(world->detector, "east", &after));
    g_assert_cmpint(after.state, ==, AZ_REGION_SUSPECT);
    g_assert_cmpuint(after.dark_probes, ==, before.dark_probes);
    g_assert_cmpint(state_of(world, "west"), ==, AZ_REGION_UP);
    g_assert_cmpint(az_detector_wake(world->detector, world->now), ==, world->now);
    world_answer_all(world, AZ_SIGHT_ALIVE); /* to questions of before: nobody's any more */
    g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_SUSPECT);
    double settled = world_run(world, 300, "east");
    if (fall < usual.fall)
      g_assert_cmpfloat(settled, <, 60 + 34); /* sooner than by the rules before */
    else
      g_assert_true(settled > 60 + 40 && settled < 60 + 52);
  }
}

/* Nobody may count as darkness what nobody watched while the rules changed. */
static void
test_rules_that_change_late_forget(void)
{
  g_autoptr(World) world = fleet_of(3, &usual);
  world_trouble(world, "*", "east", 60, 1e6, AZ_SIGHT_DARK);
  world_run(world, 82, "east");
  az_detector_set_rules(world->detector, &usual, world->now + 15 * G_USEC_PER_SEC);
  g_assert_cmpint(state_of(world, "east"), ==, AZ_REGION_UNKNOWN);
}

#define MANY 1000u

typedef struct {
  guint all, from_witnesses, with_login, with_key, most; /* most: in one step of 50 ms, but for the first */
  GHashTable *asked;                                     /* region -> how often */
  GHashTable *witnesses;                                 /* of regions, the vantage -> how often */
} Asked;

typedef struct {
  char **names;
  AzDetector *detector;
  Asked asked;
} Many;

static Many *
many_new(void)
{
  Many *many = g_new0(Many, 1);
  many->detector = az_detector_new(&usual, 0);
  many->names = g_new0(char *, MANY + 1);
  for (guint i = 0; i < MANY; i++)
    many->names[i] = g_strdup_printf("region%03u", i);
  many->asked.asked = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  many->asked.witnesses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  az_detector_set_regions(many->detector, (const char *const *) many->names, many->names[0], 0);
  return many;
}

static void
many_free(Many *many)
{
  az_detector_free(many->detector);
  g_hash_table_unref(many->asked.asked);
  g_hash_table_unref(many->asked.witnesses);
  g_strfreev(many->names);
  g_free(many);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Many, many_free)

static void
count(GHashTable *times, const char *name, guint more)
{
  guint before = GPOINTER_TO_UINT(g_hash_table_lookup(times, name));
  g_hash_table_insert(times, g_strdup(name), GUINT_TO_POINTER(before + more));
}

/* Each is answered at once: about regions whose number ends in 1 or 9 with `outcome`, about others that they live. */
static void
run_many(Many *many, gint64 from_s, gint64 until_s, AzSightOutcome outcome)
{
  AzDetector *detector = many->detector;
  Asked *asked = &many->asked;
  AzQuestion question;
  for (gint64 now = from_s * G_USEC_PER_SEC; now < until_s * G_USEC_PER_SEC; now += G_USEC_PER_SEC / 20) {
    guint in_step = 0;
    for (; az_detector_next(detector, now, &question); in_step++) {
      gboolean here = g_str_equal(question.vantage, "here");
      asked->from_witnesses += !here;
      asked->with_login += question.with_login;
      asked->with_key += question.with_key;
      count(asked->asked, question.region, here);
      if (!here)
        count(asked->witnesses, question.vantage, 1);
      gboolean chosen = (question.region[strlen(question.region) - 1] - '0') % 8 == 1;
      az_detector_answer(detector, question.id, chosen ? outcome : AZ_SIGHT_ALIVE, now);
    }
    asked->all += in_step;
    asked->most = now > 0 ? MAX(asked->most, in_step) : 0;
  }
}

static void
test_many_are_spread(void)
{
  g_autoptr(Many) many = many_new();
  Asked *asked = &many->asked;
  run_many(many, 0, 60, AZ_SIGHT_ALIVE);
  g_assert_cmpuint(asked->most, <=, 64 + MANY / 300 * 3);
  g_assert_cmpuint(asked->with_login, <=, 60 * 64 / 30 + 64 + 1);
  g_assert_cmpuint(asked->with_key - asked->with_login, <=, 12); /* of the primary alone */
  for (guint i = 1; i < MANY; i++) {
    guint n = GPOINTER_TO_UINT(g_hash_table_lookup(asked->asked, many->names[i]));
    if (n < 4 || n > 5)
      g_error("%s was asked %u times in four intervals", many->names[i], n);
  }
  /* in each step a few, and not all in one */
  g_hash_table_remove_all(asked->asked);
  asked->all = asked->most = 0;
  run_many(many, 60, 120, AZ_SIGHT_ALIVE);
  g_assert_cmpuint(asked->all, <=, 4 * MANY + 12);
  g_assert_cmpuint(asked->most, <=, 64 + MANY / 300 * 3);
}

/* What a watch takes over has waited for it: it is asked about in seconds, not in an interval, and not all in one step.
 */
static void
test_what_is_taken_over_is_asked_soon(void)
{
  g_autoptr(Many) many = many_new();
  g_autoptr(GPtrArray) own = g_ptr_array_new();
  Asked *asked = &many->asked;
  for (guint i = 0; i < MANY / 2; i++)
    g_ptr_array_add(own, many->names[i]);
  g_ptr_array_add(own, NULL);
  az_detector_set_regions(many->detector, (const char *const *) own->pdata, many->names[0], 0);
  run_many(many, 0, 60, AZ_SIGHT_ALIVE);
  az_detector_set_regions(many->detector, (const char *const *) many->names, many->names[0], 60 * G_USEC_PER_SEC);
  asked->most = 0;
  run_many(many, 60, 62, AZ_SIGHT_ALIVE);
  for (guint i = MANY / 2; i < MANY; i++)
    g_assert_nonnull(g_hash_table_lookup(asked->asked, many->names[i]));
  g_assert_cmpuint(asked->most, <=, MANY / 5);
}

/* Of many, that which may have to take over is checked as a whole at once, and each half a minute while that is wished.
 */
static void
test_wished_for_is_checked_as_a_whole(void)
{
  g_autoptr(Many) many = many_new();
  guint wholes = 0;
  run_many(many, 0, 60, AZ_SIGHT_ALIVE);
  az_detector_check_whole(many->detector, "nobody", 60 * G_USEC_PER_SEC);
  for (gint64 now = 60 * G_USEC_PER_SEC; now < 125 * G_USEC_PER_SEC; now += G_USEC_PER_SEC / 20) {
    AzQuestion question;
    az_detector_check_whole(many->detector, many->names[MANY - 2], now);
    while (az_detector_next(many->detector, now, &question)) {
      wholes += question.with_login && g_str_equal(question.region, many->names[MANY - 2]);
      az_detector_answer(many->detector, question.id, AZ_SIGHT_ALIVE, now);
    }
    g_assert_cmpuint(wholes, >=, 1); /* in the first step */
  }
  g_assert_cmpuint(wholes, ==, 3);
}

/* Two hundred suspects at once: no more witnesses are asked than for sixty-four, none of them about many, and all are
 * dark in the end. */
static void
test_many_in_trouble(void)
{
  AzRegionView view;
  g_autoptr(Many) many = many_new();
  Asked *asked = &many->asked;
  run_many(many, 0, 60, AZ_SIGHT_ALIVE);
  asked->from_witnesses = 0;
  run_many(many, 60, 120, AZ_SIGHT_DARK);
  g_assert_cmpuint(asked->from_witnesses, >, 0);
  g_assert_cmpuint(asked->from_witnesses, <=, 64 * 3 * (60 / 5 + 1));
  GHashTableIter iter;
  gpointer times = NULL;
  g_hash_table_iter_init(&iter, asked->witnesses);
  while (g_hash_table_iter_next(&iter, NULL, &times)) /* eight, and those that others have left to it */
    g_assert_cmpuint(GPOINTER_TO_UINT(times), <=, 2 * 8 * (60 / 5 + 1));
  run_many(many, 120, 240, AZ_SIGHT_DARK);
  for (guint i = 0; i < MANY; i++) {
    g_assert_true(az_detector_view(many->detector, many->names[i], &view));
    g_assert_cmpint(view.state, ==, (i % 10) % 8 == 1 ? AZ_REGION_DARK : AZ_REGION_UP);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/detector/calm", test_calm);
  g_test_add_func("/detector/outage-is-settled-in-time", test_outage_is_settled_in_time);
  g_test_add_func("/detector/pauses-are-ridden-through", test_pauses_are_ridden_through);
  g_test_add_func("/detector/rare-questions", test_rare_questions);
  g_test_add_func("/detector/what-counts", test_what_counts);
  g_test_add_func("/detector/evidence-of-an-outage", test_evidence_of_an_outage);
  g_test_add_func("/detector/sick-witness", test_sick_witness);
  g_test_add_func("/detector/late-witness", test_late_witness);
  g_test_add_func("/detector/self-score", test_self_score);
  g_test_add_func("/detector/late-timers", test_late_timers);
  g_test_add_func("/detector/veto", test_veto);
  g_test_add_func("/detector/rise-and-fall", test_rise_and_fall);
  g_test_add_func("/detector/history", test_history);
  g_test_add_func("/detector/gap-before-an-answer", test_gap_before_an_answer);
  g_test_add_func("/detector/offline-host-is-blind", test_offline_host_is_blind);
  g_test_add_func("/detector/path-of-this-host", test_path_of_this_host);
  g_test_add_func("/detector/without-its-parts", test_without_its_parts);
  g_test_add_func("/detector/gap-forgets", test_gap_forgets);
  g_test_add_func("/detector/regions-come-and-go", test_regions_come_and_go);
  g_test_add_func("/detector/many-are-spread", test_many_are_spread);
  g_test_add_func("/detector/what-is-taken-over-is-asked-soon", test_what_is_taken_over_is_asked_soon);
  g_test_add_func("/detector/wished-for-is-checked-as-a-whole", test_wished_for_is_checked_as_a_whole);
  g_test_add_func("/detector/many-in-trouble", test_many_in_trouble);
  g_test_add_func("/detector/rules", test_rules);
  g_test_add_func("/detector/rules-may-change", test_rules_may_change);
  g_test_add_func("/detector/rules-that-change-late-forget", test_rules_that_change_late_forget);
  return g_test_run();
}
