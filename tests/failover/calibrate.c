/* Calibration: of 10,000 labelled windows, half of them outages, each decile of confidence is as often an outage as it
 * says. Detector and brick are the real ones, on a clock of their own; the noise is that of the published comparison of
 * detectors. Several seeds, so that the model holds and not one draw. */
#include "detector.h"
#include "scene.h"
#include <math.h>

#define WINDOWS 10000
#define LENGTH_S 600.0
#define LATENCY_S 0.05
#define WITNESS_S 0.5 /* what a command over SSH takes beside its scan */
#define MAX_REGIONS 4
#define DECILES 10
#define LEAST_IN_DECILE 50
#define TOLERANCE 0.05
#define BRIER 0.02

typedef struct { /* seconds; empty when both are 0 */
  double from, to;
} Span;

typedef struct {
  GRand *random;
  double loss;
  guint regions; /* the primary is the first */
  gboolean outage, cold;
  double began, start, end;                       /* the outage; the look; the moment of judgement */
  Span observer, here, pause, paths[MAX_REGIONS]; /* paths: of the witness to the primary */
} World;

typedef struct {
  gboolean open, told;
  guint64 id;
  AzSightOutcome outcome;
  double asked, at;
} Answer;

static const char *const names[MAX_REGIONS + 1] = { "eastus", "westus2", "westeurope", "uksouth", NULL };

/* ---- the world ---- */

static double
exponential(GRand *random, double mean)
{
  return -mean * log(1 - g_rand_double(random));
}

static Span
event(GRand *random, double chance, double length)
{
  double from = g_rand_double(random) * LENGTH_S;

  return g_rand_double(random) < chance ? (Span){ from, from + length } : (Span){ 0, 0 };
}

static World
draw(GRand *random, gboolean outage)
{
  World world = { .random = random, .outage = outage };

  world.loss = g_rand_boolean(random) ? 0.02 : 0.2;
  world.regions = (guint) g_rand_int_range(random, 2, MAX_REGIONS + 1);
  world.cold = g_rand_boolean(random);
  world.observer = event(random, 0.05, exponential(random, 60));
  world.here = event(random, 0.02, exponential(random, 20));
  world.pause = event(random, 0.01, g_rand_double_range(random, 5, 30));
  for (guint i = 1; i < world.regions; i++)
    world.paths[i] = event(random, 0.01, exponential(random, 20));
  world.began = outage ? 60 + 30 * g_rand_double(random) : LENGTH_S * 10;
  double first = outage ? world.began : 60;
  if (world.cold) { /* somebody looks for a while, and wants to know */
    world.start = g_rand_double_range(random, first, LENGTH_S - 50);
    world.end = world.start + g_rand_double_range(random, 5, 45);
  } else { /* the watch has been looking all the time */
    world.end = g_rand_double_range(random, first, LENGTH_S);
  }
  return world;
}

static gboolean
covers(Span span, double start, double timeout)
{
  return span.to > span.from && span.from <= start && span.to >= start + timeout;
}

/* One retry within a probe, as in the published comparison. */
static gboolean
is_lost(const World *world)
{
  return g_rand_double(world->random) < world->loss && g_rand_double(world->random) < world->loss * 3;
}

static AzSightOutcome
probe(const World *world, const AzQuestion *question, double now)
{
  gboolean here = g_str_equal(question->vantage, AZ_VANTAGE_HERE), primary = g_str_equal(question->region, names[0]);
  double timeout = question->timeout_s;
  gboolean dark = is_lost(world);

  if (!here && covers(world->observer, now, timeout))
    return AZ_SIGHT_NOTHING;
  if (here)
    dark |= covers(world->observer, now, timeout) || (primary && covers(world->here, now, timeout));
  for (guint i = 1; !here && i < world->regions; i++)
    dark |= g_str_equal(names[i], question->vantage) && covers(world->paths[i], now, timeout);
  if (primary)
    dark |= covers(world->pause, now, timeout) || world->began <= now;
  return dark ? AZ_SIGHT_DARK : AZ_SIGHT_ALIVE;
}

/* ---- looking ---- */

static gint64
usec(double seconds)
{
  return (gint64) (seconds * G_USEC_PER_SEC);
}

static Answer
ask(const World *world, const AzQuestion *question, double now)
{
  AzSightOutcome outcome = probe(world, question, now);
  gboolean here = g_str_equal(question->vantage, AZ_VANTAGE_HERE);
  double takes = outcome == AZ_SIGHT_ALIVE ? LATENCY_S : question->timeout_s;

  return (Answer){ TRUE, FALSE, question->id, outcome, now, now + takes + (here ? 0 : WITNESS_S) };
}

/* The next instant at which something happens: a question falls due, is silent for a second, or is answered. */
static double
next_instant(AzDetector *detector, const GArray *answers, double now)
{
  gint64 wake = az_detector_wake(detector, usec(now));
  double next = wake == G_MAXINT64 ? LENGTH_S * 2 : (double) wake / G_USEC_PER_SEC;

  for (guint i = 0; i < answers->len; i++) {
    const Answer *answer = &g_array_index(answers, Answer, i);
    if (answer->open)
      next = MIN(next, MIN(answer->at, answer->told ? answer->at : answer->asked + 1));
  }
  return MAX(next, now);
}

static void
step(const World *world, AzDetector *detector, GArray *answers, double now)
{
  AzQuestion question;

  for (guint i = 0; i < answers->len; i++) {
    Answer *answer = &g_array_index(answers, Answer, i);
    if (answer->open && answer->at <= now) {
      answer->open = FALSE;
      az_detector_answer(detector, answer->id, answer->outcome, usec(now));
    } else if (answer->open && !answer->told && answer->asked + 1 <= now) {
      answer->told = TRUE;
      az_detector_silent(detector, answer->id, usec(now));
    }
  }
  while (az_detector_next(detector, usec(now), &question)) {
    Answer answer = ask(world, &question, now);
    guint i = 0;
    while (i < answers->len && g_array_index(answers, Answer, i).open)
      i++;
    if (i == answers->len)
      g_array_append_val(answers, answer);
    else
      g_array_index(answers, Answer, i) = answer;
  }
}

/* Until the moment of judgement, or beyond it until whoever was asked has been heard, as the flow does. */
static double
look(const World *world, AzDetector *detector)
{
  g_autoptr(GArray) answers = g_array_new(FALSE, TRUE, sizeof(Answer));
  double now = world->start;
  const char *regions[MAX_REGIONS + 1] = { NULL };

  for (guint i = 0; i < world->regions; i++)
    regions[i] = names[i];
  az_detector_set_regions(detector, regions, names[0], usec(now));
  az_detector_set_was_up(detector, AZ_VANTAGE_HERE, names[0], TRUE);
  for (guint i = 1; i < world->regions; i++) /* some witness never could reach it */
    az_detector_set_was_up(detector, names[i], names[0], g_rand_double(world->random) < 0.95);
  while (now < world->end || (az_detector_is_unheard(detector, names[0]) && now < world->end + 10)) {
    step(world, detector, answers, now);
    double next = next_instant(detector, answers, now);
    now = next > now ? next : now + 0.001;
  }
  return now;
}

/* ---- judging ---- */

/* What the provider says: last known to run more often while it does, and its own trouble seldom without an outage. */
static void
draw_platform(const World *world, AzlinVm *vm, AzlinEvidence *power, AzlinEvidence *platform)
{
  double word = g_rand_double(world->random), failed = g_rand_double(world->random);

  *power = (AzlinEvidence){ .size = sizeof *power, .vantage = "here", .probe = "power", .outcome = "timeout" };
  *platform = (AzlinEvidence){ .size = sizeof *platform, .vantage = "here", .probe = "platform", .outcome = "ok" };
  if (word < (world->outage ? 0.3 : 0.95)) {
    vm->power = AZLIN_POWER_RUNNING;
    power->outcome = "running";
  } else if (word < (world->outage ? 0.4 : 0.97)) {
    power->outcome = "error";
  }
  if (failed < (world->outage ? 0.2 : 0.004))
    platform->outcome = "unavailable";
}

static double
judge(SceneBrick *brick, const World *world, const AzDetector *detector, double now)
{
  AzlinVm vm = { .size = sizeof vm, .region = names[0] }, other_vm = { .size = sizeof vm, .region = names[1] };
  AzlinEvidence power, platform,
      fine = { .size = sizeof fine, .vantage = "here", .probe = "power", .outcome = "running" };
  const AzlinEvidence *evidence[] = { &power, &platform, NULL }, *other_evidence[] = { &fine, NULL };
  const AzlinVantage *list[MAX_REGIONS + 1] = { NULL };
  g_autoptr(GArray) seen = az_detector_vantages(detector, names[0], usec(now));
  g_auto(AzlinDecision) decision = { 0 };
  gboolean dark = FALSE;

  draw_platform(world, &vm, &power, &platform);
  for (guint i = 0; i < seen->len && i < MAX_REGIONS; i++) {
    list[i] = &g_array_index(seen, AzlinVantage, i);
    dark |= g_str_equal(list[i]->vantage, AZ_VANTAGE_HERE) && !list[i]->fresh_success;
  }
  AzlinHealth source = scene_health(&vm, !dark, 40), other = scene_health(&other_vm, TRUE, 45);
  source.evidence = evidence;
  other.evidence = other_evidence;
  const AzlinHealth *others[] = { &other, NULL };
  AzlinDecisionInput input = { .size = sizeof input,
                               .source = &source,
                               .others = others,
                               .vantages = list,
                               .now = SCENE_NOW,
                               .self_score = az_detector_self_score(detector),
                               .blind = az_detector_blind(detector) };
  scene_decide_input(brick, &input, &decision);
  return decision.confidence;
}

/* ---- the table ---- */

typedef struct {
  guint n, outages;
  double confidence;
} Decile;

static void
check(const Decile *deciles, double brier, guint32 seed)
{
  g_test_message("seed %u: Brier score %.4f", seed, brier);
  for (guint i = 0; i < DECILES; i++) {
    const Decile *decile = &deciles[i];
    if (decile->n == 0)
      continue;
    double mean = decile->confidence / decile->n, frequency = (double) decile->outages / decile->n;
    g_test_message("  %.1f to %.1f: %5u windows, mean confidence %.3f, outages %.3f%s", i / 10.0, (i + 1) / 10.0,
                   decile->n, mean, frequency, decile->n < LEAST_IN_DECILE ? " (too few to tell)" : "");
    if (decile->n >= LEAST_IN_DECILE)
      g_assert_cmpfloat(fabs(mean - frequency), <=, TOLERANCE);
  }
  g_assert_cmpfloat(brier, <=, BRIER);
}

static void
test_calibrated(gconstpointer data)
{
  guint32 seed = GPOINTER_TO_UINT(data);
  g_autoptr(SceneBrick) brick = scene_brick_with("prior=0.5", NULL);
  g_autoptr(GRand) random = g_rand_new_with_seed(seed);
  const AzDetectorRules rules = AZ_DETECTOR_RULES_DEFAULT;
  Decile deciles[DECILES] = { { 0 } };
  double brier = 0;

  for (guint i = 0; i < WINDOWS; i++) {
    World world = draw(random, i % 2 == 0);
    g_autoptr(AzDetector) detector = az_detector_new(&rules, usec(world.start));
    double now = look(&world, detector), confidence = judge(brick, &world, detector, now);
    Decile *decile = &deciles[MIN((guint) (confidence * DECILES), DECILES - 1)];
    decile->n++;
    decile->outages += world.outage;
    decile->confidence += confidence;
    brier += pow(confidence - world.outage, 2) / WINDOWS;
  }
  check(deciles, brier, seed);
}

int
main(int argc, char **argv)
{
  static const guint32 seeds[] = { 1, 20251201, 424242 };

  g_test_init(&argc, &argv, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(seeds); i++) {
    g_autofree char *path = g_strdup_printf("/failover/calibrated/%u", seeds[i]);
    g_test_add_data_func(path, GUINT_TO_POINTER(seeds[i]), test_calibrated);
  }
  return g_test_run();
}
