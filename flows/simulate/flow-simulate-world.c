/* One window of a scenario: what was drawn for it, and what each probe sees in that. Pure, from one number alone. */
#include "flow-simulate.h"
#include <math.h>

#define ROUND_TRIP_US 60000
#define LOGIN_US 200000
#define RETRY_US 1100000 /* the first packet of a connection is sent again after a second */
#define RESEND_US 300000 /* in a connection that stands */
#define RETRY_LOSS 3     /* loss comes in bursts: the second packet is lost three times as often (failover_sim.c) */
#define NEVER G_MAXINT64

static guint64
scramble(guint64 x)
{
  x = (x ^ (x >> 30)) * G_GUINT64_CONSTANT(0xBF58476D1CE4E5B9);
  x = (x ^ (x >> 27)) * G_GUINT64_CONSTANT(0x94D049BB133111EB);
  return x ^ (x >> 31);
}

double
az_sim_random(AzSimWorld *world)
{
  world->random += G_GUINT64_CONSTANT(0x9E3779B97F4A7C15);
  return (double) (scramble(world->random) >> 11) * 0x1p-53;
}

static gint64
to_us(double seconds)
{
  return (gint64) (seconds * G_USEC_PER_SEC);
}

static gint64
draw_span(AzSimWorld *world, const AzSimSpan *span)
{
  if (span->exponential)
    return to_us(-span->from * log(1 - az_sim_random(world)));
  return to_us(span->from + (span->to - span->from) * az_sim_random(world));
}

void
az_sim_world_draw(AzSimWorld *world, const AzSimScenario *scenario, guint64 seed, guint64 window)
{
  *world = (AzSimWorld){ .scenario = scenario,
                         .random = scramble(scramble(seed) + window),
                         .length = to_us(scenario->window_s) };
  for (guint i = 0; i < scenario->n_conditions; i++) {
    const AzSimCondition *condition = &scenario->conditions[i];
    if (condition->chance < 1 && az_sim_random(world) >= condition->chance)
      continue;
    AzSimFact fact = { .condition = condition, .from = draw_span(world, &condition->at), .to = NEVER };
    if (condition->lasts.from >= 0)
      fact.to = fact.from + draw_span(world, &condition->lasts);
    world->facts[world->n_facts++] = fact;
  }
}

static gboolean
is_place(const AzSimWorld *world, int named, int index)
{
  if (named == AZ_SIM_PRIMARY)
    return index == world->primary;
  return named == AZ_SIM_ALL || named == index;
}

static gboolean
holds(const AzSimWorld *world, const AzSimFact *fact, AzSimWhat what, int region, gint64 at)
{
  return fact->condition->what == what && fact->from <= at && at < fact->to
         && is_place(world, fact->condition->region, region);
}

static const AzSimFact *
find_fact(const AzSimWorld *world, AzSimWhat what, int region, gint64 at)
{
  for (guint i = 0; i < world->n_facts; i++)
    if (holds(world, &world->facts[i], what, region, at))
      return &world->facts[i];
  return NULL;
}

gboolean
az_sim_world_holds(const AzSimWorld *world, AzSimWhat what, int region, gint64 at)
{
  return find_fact(world, what, region, at) != NULL;
}

/* Up first, then down, and again. */
static gint64
flap_end(const AzSimFact *fact, gint64 at)
{
  gint64 up = to_us(fact->condition->takes.from), down = to_us(fact->condition->takes.to);
  gint64 phase = (at - fact->from) % (up + down);

  return phase < up ? at : MIN(fact->to, at - phase + up + down);
}

/* Until when this fact keeps the road from `vantage` to `region` shut; `at` = it is open. */
static gint64
shut_until(const AzSimWorld *world, const AzSimFact *fact, int vantage, int region, gint64 at)
{
  const AzSimCondition *condition = fact->condition;

  if (at < fact->from || at >= fact->to)
    return at;
  switch (condition->what) {
  case AZ_SIM_OFFLINE:
  case AZ_SIM_ASLEEP:
    return vantage == AZ_SIM_HERE ? fact->to : at;
  case AZ_SIM_PATH:
    return is_place(world, condition->region, region) && is_place(world, condition->vantage, vantage) ? fact->to : at;
  case AZ_SIM_PAUSE:
  case AZ_SIM_DOWN:
  case AZ_SIM_STOP:
    return is_place(world, condition->region, region) ? fact->to : at;
  case AZ_SIM_FLAP:
    return is_place(world, condition->region, region) ? flap_end(fact, at) : at;
  default:
    return at;
  }
}

/* When what is sent at `at` and sent again for as long as it takes arrives. */
static gint64
open_at(const AzSimWorld *world, int vantage, int region, gint64 at)
{
  if (region >= 0 && (world->fenced & (1u << region)) != 0)
    return NEVER;
  for (guint i = 0; i < world->n_facts; i++) {
    gint64 until = shut_until(world, &world->facts[i], vantage, region, at);
    if (until == at)
      continue;
    at = until;
    if (at >= 2 * world->length) /* conditions that take turns could go on for ever */
      return NEVER;
    i = (guint) -1; /* another one may have begun meanwhile */
  }
  return at;
}

static gboolean
is_lost(AzSimWorld *world, gint64 *delay)
{
  double loss = world->scenario->loss;

  if (loss <= 0 || az_sim_random(world) >= loss)
    return FALSE;
  *delay += RETRY_US;
  return az_sim_random(world) < loss * RETRY_LOSS;
}

/* A session that stands loses no question: what gets lost is sent again, after twice the time each time. */
static gint64
session_delay(AzSimWorld *world)
{
  double loss = world->scenario->loss;
  gint64 delay = 0;

  for (gint64 wait = RESEND_US; loss > 0 && az_sim_random(world) < loss && wait < 16 * RESEND_US; wait *= 2) {
    delay += wait;
    loss = MIN(world->scenario->loss * RETRY_LOSS, 1);
  }
  return delay;
}

/* How the machine answers once it is reached. */
static AzSimSight
answer_of(const AzSimWorld *world, int region, gint64 at, const AzSimFact **ret_slow)
{
  *ret_slow = NULL;
  if (az_sim_world_holds(world, AZ_SIM_END, region, at) || az_sim_world_holds(world, AZ_SIM_REFUSE, region, at))
    return AZ_SIM_SEES_REFUSAL;
  if (az_sim_world_holds(world, AZ_SIM_HANG, region, at))
    return AZ_SIM_SEES_HANG;
  if (az_sim_world_holds(world, AZ_SIM_HOST_KEY, region, at))
    return AZ_SIM_SEES_OTHER_KEY;
  if (az_sim_world_holds(world, AZ_SIM_AUTH, region, at))
    return AZ_SIM_SEES_NO_AUTH;
  *ret_slow = find_fact(world, AZ_SIM_SLOW, region, at);
  return *ret_slow != NULL ? AZ_SIM_SEES_SLOW : AZ_SIM_SEES_OK;
}

AzSimSight
az_sim_world_look(const AzSimWorld *world, int vantage, int region, gint64 at, gint64 timeout)
{
  const AzSimFact *slow = NULL;
  gint64 open = open_at(world, vantage, region, at);

  return open >= at + timeout ? AZ_SIM_SEES_SILENCE : answer_of(world, region, open, &slow);
}

gint64
az_sim_world_probe(AzSimWorld *world, int vantage, int region, gint64 start, gint64 timeout, gboolean with_login,
                   AzSimSight *ret_sight)
{
  const AzSimFact *slow = NULL;
  gint64 delay = 0, open = open_at(world, vantage, region, start);

  *ret_sight = AZ_SIM_SEES_SILENCE;
  if (is_lost(world, &delay) || open >= start + timeout || open - start + delay >= timeout)
    return start + timeout;
  *ret_sight = answer_of(world, region, open, &slow);
  if (slow != NULL)
    delay += draw_span(world, &slow->condition->takes);
  if (*ret_sight == AZ_SIM_SEES_HANG || open - start + delay >= timeout) {
    *ret_sight = AZ_SIM_SEES_HANG;
    return start + timeout;
  }
  if (!with_login && (*ret_sight == AZ_SIM_SEES_NO_AUTH || *ret_sight == AZ_SIM_SEES_SLOW))
    *ret_sight = AZ_SIM_SEES_OK;
  return open + delay + (with_login ? LOGIN_US : ROUND_TRIP_US);
}

gint64
az_sim_world_ask(AzSimWorld *world, int witness, int region, gint64 start, gint64 timeout, AzSimSight *ret_sight)
{
  gint64 open = open_at(world, AZ_SIM_HERE, witness, start), delay = session_delay(world), end = 0;
  const AzSimFact *slow = NULL;

  *ret_sight = AZ_SIM_SEES_NOTHING;
  if (open >= start + timeout || open - start + delay >= timeout)
    return start + timeout;
  AzSimSight session = answer_of(world, witness, open, &slow);
  if (session != AZ_SIM_SEES_OK && session != AZ_SIM_SEES_SLOW)
    return session == AZ_SIM_SEES_HANG ? start + timeout : open + ROUND_TRIP_US;
  end = az_sim_world_probe(world, witness, region, open + delay + ROUND_TRIP_US, timeout, FALSE, ret_sight);
  /* The answer has to come back over the same session. */
  open = open_at(world, AZ_SIM_HERE, witness, end);
  if (open >= end + timeout) {
    *ret_sight = AZ_SIM_SEES_NOTHING;
    return end + timeout;
  }
  return open + ROUND_TRIP_US / 2;
}

gint64
az_sim_world_awake(const AzSimWorld *world, gint64 at)
{
  for (guint i = 0; i < world->n_facts; i++)
    if (world->facts[i].condition->what == AZ_SIM_ASLEEP && world->facts[i].from <= at && at < world->facts[i].to)
      at = world->facts[i].to;
  return at;
}

gboolean
az_sim_world_was_blind(const AzSimWorld *world, gint64 from, gint64 to)
{
  for (guint i = 0; i < world->n_facts; i++) {
    AzSimWhat what = world->facts[i].condition->what;
    if ((what == AZ_SIM_OFFLINE || what == AZ_SIM_ASLEEP) && world->facts[i].from < to && world->facts[i].to > from)
      return TRUE;
  }
  return FALSE;
}

AzSimTruth
az_sim_world_truth(const AzSimWorld *world, gint64 at, gint64 grace, gint64 *ret_since)
{
  AzSimTruth truth = AZ_SIM_WRONG;

  *ret_since = at;
  for (guint i = 0; i < world->n_facts; i++) {
    const AzSimFact *fact = &world->facts[i];
    if (fact->condition->truth == AZ_SIM_WRONG || at < fact->from || (fact->to != NEVER && at - grace >= fact->to)
        || !is_place(world, fact->condition->region, world->primary))
      continue;
    truth = MAX(truth, fact->condition->truth);
    *ret_since = MIN(*ret_since, fact->from);
  }
  return truth;
}

gboolean
az_sim_world_outage(const AzSimWorld *world, gint64 *ret_from, gint64 *ret_to)
{
  gboolean found = FALSE;

  for (guint i = 0; i < world->n_facts; i++) {
    const AzSimFact *fact = &world->facts[i];
    if (fact->condition->truth != AZ_SIM_RIGHT || !is_place(world, fact->condition->region, world->primary)
        || fact->from >= world->length || (found && fact->from >= *ret_from))
      continue;
    found = TRUE;
    *ret_from = fact->from;
    *ret_to = MIN(fact->to, world->length);
  }
  return found;
}
