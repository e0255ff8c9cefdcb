/* The detector's driver in virtual time. */
#include "world.h"

#define ROAD_US 20000 /* how long an answer takes that comes at once */

typedef struct {
  guint64 id;
  gint64 at, silent_at; /* silent_at 0 = told already */
  AzSightOutcome outcome;
} Answer;

World *
world_new(const AzDetectorRules *rules, const char *const *regions, const char *primary)
{
  World *world = g_new0(World, 1);
  world->detector = az_detector_new(rules, 0);
  world->troubles = g_array_new(FALSE, TRUE, sizeof(Trouble));
  world->answers = g_array_new(FALSE, TRUE, sizeof(Answer));
  az_detector_set_regions(world->detector, regions, primary, 0);
  return world;
}

void
world_free(World *world)
{
  az_detector_free(world->detector);
  g_array_unref(world->troubles);
  g_array_unref(world->answers);
  g_free(world);
}

void
world_trouble(World *world, const char *vantage, const char *region, double from_s, double until_s,
              AzSightOutcome outcome)
{
  Trouble trouble = { vantage, region, (gint64) (from_s * 1e6), (gint64) (until_s * 1e6), outcome };
  g_array_append_val(world->troubles, trouble);
}

static gboolean
fits(const char *pattern, const char *name)
{
  return g_str_equal(pattern, "*") || g_str_equal(pattern, name);
}

static AzSightOutcome
look(World *world, const char *vantage, const char *region, gint64 until)
{
  for (guint i = 0; i < world->troubles->len; i++) {
    const Trouble *trouble = &g_array_index(world->troubles, Trouble, i);
    gboolean covers = trouble->from <= world->now && trouble->until >= until;
    if (fits(trouble->vantage, vantage) && fits(trouble->region, region) && covers)
      return trouble->outcome;
  }
  return AZ_SIGHT_ALIVE;
}

static void
ask(World *world, const AzQuestion *question)
{
  gint64 timeout = (gint64) (question->timeout_s * 1e6);
  gboolean here = g_str_equal(question->vantage, AZ_VANTAGE_HERE);
  Answer answer = { .id = question->id, .silent_at = here ? world->now + AZ_DETECTOR_EARLY_US : 0 };
  answer.outcome = look(world, question->vantage, question->region, world->now + timeout);
  if (!here && look(world, AZ_VANTAGE_HERE, question->vantage, world->now + timeout) != AZ_SIGHT_ALIVE)
    answer.outcome = AZ_SIGHT_NOTHING;
  gboolean silent = answer.outcome == AZ_SIGHT_DARK || answer.outcome == AZ_SIGHT_NOTHING;
  answer.at = world->now + (silent ? timeout : ROAD_US);
  g_array_append_val(world->answers, answer);
  world->questions++;
  world->longest_timeout_s = MAX(world->longest_timeout_s, question->timeout_s);
}

/* What has come in by now; when the next one will. */
static gint64
deliver(World *world)
{
  gint64 next = G_MAXINT64;
  for (guint i = world->answers->len; i > 0; i--) {
    Answer *answer = &g_array_index(world->answers, Answer, i - 1);
    if (answer->at <= world->now) {
      Answer now = *answer;
      g_array_remove_index_fast(world->answers, i - 1);
      az_detector_answer(world->detector, now.id, now.outcome, world->now);
      continue;
    }
    if (answer->silent_at > 0 && answer->silent_at <= world->now) {
      answer->silent_at = 0;
      az_detector_silent(world->detector, answer->id, world->now);
    }
    next = MIN(next, answer->silent_at > 0 ? MIN(answer->silent_at, answer->at) : answer->at);
  }
  return next;
}

double
world_run(World *world, double until_s, const char *region)
{
  gint64 until = (gint64) (until_s * 1e6);
  AzRegionView view;
  while (world->now < until) {
    AzQuestion question;
    gint64 next = deliver(world);
    if (region != NULL && az_detector_view(world->detector, region, &view) && view.state == AZ_REGION_DARK)
      break;
    while (az_detector_next(world->detector, world->now, &question))
      ask(world, &question);
    for (guint i = 0; i < world->answers->len; i++) {
      const Answer *answer = &g_array_index(world->answers, Answer, i);
      next = MIN(next, answer->silent_at > 0 ? MIN(answer->silent_at, answer->at) : answer->at);
    }
    world->now = MIN(until, MIN(next, az_detector_wake(world->detector, world->now)));
  }
  return (double) world->now / 1e6;
}

void
world_answer_all(World *world, AzSightOutcome outcome)
{
  for (guint i = 0; i < world->answers->len; i++)
    az_detector_answer(world->detector, g_array_index(world->answers, Answer, i).id, outcome, world->now);
  g_array_set_size(world->answers, 0);
}
