/* One window of a simulation: the detector's questions, answered by what was drawn, in virtual time, until it ends. */
#include "flow-failover.h"
#include "flow-simulate.h"

#define BEGIN (1000 * G_USEC_PER_SEC) /* of the detector's clock: zero has a meaning of its own there */
#define MAX_DUE 128
#define LEAST_STEP_US 1000
/* An outage that ends sooner, or during which this host could not look, is not one that was missed. */
#define DUE_AFTER_US (60 * G_USEC_PER_SEC)

typedef struct {
  gint64 at, begun;
  guint64 question;
  int vantage, region;
  AzSimSight sight;
  gboolean only_silent; /* the answer is still out; the detector may want to know that */
} Due;

typedef struct {
  AzSimScene scene;
  AzSimTotals *totals;
  guint64 number;
  Due due[MAX_DUE];
  guint n_due;
  gboolean detected, held, wrong;
  AzRegionState state; /* of the primary, as last told */
  char *said;          /* the last judgement, without its numbers */
} Window;

/* ---- what happened, for people ---- */

G_GNUC_PRINTF(3, 4)
static void
trace(Window *window, gint64 at, const char *format, ...)
{
  va_list arguments;

  if (!window->scene.plan->trace)
    return;
  va_start(arguments, format);
  g_autofree char *text = g_strdup_vprintf(format, arguments);
  va_end(arguments);
  g_ptr_array_add(window->totals->trace, g_strdup_printf("%7.1f s  %s", (double) at / G_USEC_PER_SEC, text));
}

static const char *
region_name(const Window *window, int region)
{
  return region == AZ_SIM_HERE ? AZ_VANTAGE_HERE : g_ptr_array_index(window->scene.plan->scenario->regions, region);
}

static int
region_index(const Window *window, const char *name)
{
  GPtrArray *regions = window->scene.plan->scenario->regions;

  for (guint i = 0; i < regions->len; i++)
    if (g_str_equal(g_ptr_array_index(regions, i), name))
      return (int) i;
  return AZ_SIM_HERE;
}

static char *
place_of(const Window *window, const AzSimCondition *condition)
{
  int region = condition->region, vantage = condition->vantage;

  if (condition->what == AZ_SIM_OFFLINE || condition->what == AZ_SIM_ASLEEP)
    return g_strdup("");
  const char *name = region == AZ_SIM_ALL       ? "all regions"
                     : region == AZ_SIM_PRIMARY ? "the primary"
                                                : region_name(window, region);
  if (condition->what != AZ_SIM_PATH)
    return g_strconcat(": ", name, NULL);
  return g_strconcat(" from ", vantage == AZ_SIM_ALL ? "everywhere" : region_name(window, vantage), " to ", name, NULL);
}

static void
trace_facts(Window *window)
{
  static const char *const words[AZ_SIM_N_WHATS] = {
    [AZ_SIM_OFFLINE] = "this host is offline",
    [AZ_SIM_ASLEEP] = "this host is asleep",
    [AZ_SIM_PATH] = "the path is shut",
    [AZ_SIM_PAUSE] = "the machine stands still",
    [AZ_SIM_DOWN] = "the region is down",
    [AZ_SIM_FLAP] = "the region comes and goes",
    [AZ_SIM_SLOW] = "sshd is slow",
    [AZ_SIM_HANG] = "sshd hangs",
    [AZ_SIM_REFUSE] = "connections are refused",
    [AZ_SIM_AUTH] = "logins are refused",
    [AZ_SIM_HOST_KEY] = "the host key is another one",
    [AZ_SIM_STOP] = "the machine is stopped on request",
    [AZ_SIM_END] = "the machine ended by itself",
    [AZ_SIM_CONTROL_PLANE] = "the control plane fails",
    [AZ_SIM_HARDWARE] = "the provider reports failed hardware",
  };
  const AzSimWorld *world = &window->scene.world;

  for (guint i = 0; i < world->n_facts; i++) {
    const AzSimFact *fact = &world->facts[i];
    g_autofree char *place = place_of(window, fact->condition);
    if (fact->to >= world->length)
      trace(window, fact->from, "drawn: %s%s, to the end", words[fact->condition->what], place);
    else
      trace(window, fact->from, "drawn: %s%s, for %.1f s", words[fact->condition->what], place,
            (double) (fact->to - fact->from) / G_USEC_PER_SEC);
  }
}

static void
trace_state(Window *window, gint64 at, const AzRegionView *view)
{
  if (view->state == window->state)
    return;
  window->state = view->state;
  trace(window, at, "%s is %s%s", region_name(window, window->scene.world.primary), az_region_state_name(view->state),
        view->unreachable_from_me ? ", from here alone" : "");
}

/* Once, until something other than a number in it changes. */
static void
trace_verdict(Window *window, gint64 at, const char *verdict, const char *reason)
{
  if (!window->scene.plan->trace)
    return;
  g_autofree char *text = g_strdup_printf("%s: %s", verdict, reason), *bare = g_strdup(text);
  g_strcanon(bare, "abcdefghijklmnopqrstuvwxyz: ", '.');
  if (g_strcmp0(bare, window->said) == 0)
    return;
  g_free(window->said);
  window->said = g_steal_pointer(&bare);
  trace(window, at, "%s", text);
}

/* ---- the detector ---- */

static void
watch(Window *window)
{
  GPtrArray *regions = window->scene.plan->scenario->regions;
  const char *names[AZ_SIM_REGIONS + 1] = { NULL };

  for (guint i = 0; i < regions->len; i++)
    names[i] = g_ptr_array_index(regions, i);
  az_detector_set_regions(window->scene.detector, names, names[window->scene.world.primary], BEGIN);
}

static void
remember_who_saw_whom(Window *window)
{
  guint32 watchers = window->scene.plan->scenario->watchers;
  int n = (int) window->scene.plan->scenario->regions->len;

  for (int vantage = AZ_SIM_HERE; vantage < n; vantage++)
    for (int region = 0; region < n && (watchers & (1u << (vantage + 1))) != 0; region++)
      if (region != vantage)
        az_detector_set_was_up(window->scene.detector, region_name(window, vantage), region_name(window, region), TRUE);
}

static void
put_due(Window *window, const Due *due)
{
  if (window->n_due < MAX_DUE)
    window->due[window->n_due++] = *due;
}

static Due *
first_due(Window *window)
{
  Due *first = NULL;

  for (guint i = 0; i < window->n_due; i++)
    if (first == NULL || window->due[i].at < first->at)
      first = &window->due[i];
  return first;
}

static void
ask(Window *window, const AzQuestion *question, gint64 now)
{
  AzSimWorld *world = &window->scene.world;
  gint64 timeout = (gint64) (question->timeout_s * G_USEC_PER_SEC);
  Due due = { .begun = now,
              .question = question->id,
              .vantage = region_index(window, question->vantage),
              .region = region_index(window, question->region) };

  window->totals->probes++;
  due.at = due.vantage == AZ_SIM_HERE
               ? az_sim_world_probe(world, AZ_SIM_HERE, due.region, now, timeout, question->with_login, &due.sight)
               : az_sim_world_ask(world, due.vantage, due.region, now, timeout, &due.sight);
  put_due(window, &due);
  if (due.at <= now + AZ_DETECTOR_EARLY_US)
    return;
  due.at = now + AZ_DETECTOR_EARLY_US;
  due.only_silent = TRUE;
  put_due(window, &due);
}

static void
answer(Window *window, const Due *due, gint64 now)
{
  AzSimScene *scene = &window->scene;

  if (due->only_silent) {
    az_detector_silent(scene->detector, due->question, BEGIN + now);
    return;
  }
  if (due->vantage == AZ_SIM_HERE) {
    scene->here[due->region] = due->sight;
    scene->looked[due->region] = due->begun;
    az_detector_answer(scene->detector, due->question, scene->plan->here_outcomes[due->sight], BEGIN + now);
    return;
  }
  az_detector_answer(scene->detector, due->question, scene->plan->witness_outcomes[due->sight], BEGIN + now);
}

static void
answer_all(Window *window, gint64 now)
{
  for (Due *due; (due = first_due(window)) != NULL && due->at <= now;) {
    Due done = *due;
    *due = window->due[--window->n_due];
    answer(window, &done, now);
  }
}

static void
ask_all(Window *window, gint64 now)
{
  AzQuestion question;

  while (az_detector_next(window->scene.detector, BEGIN + now, &question))
    ask(window, &question, now);
}

/* ---- the switch ---- */

static void
note_switch(Window *window, const AzSimSwitch *made)
{
  AzSimTotals *totals = window->totals;
  GArray *list = made->truth == AZ_SIM_WRONG ? totals->wrong : totals->switches;

  totals->failovers++;
  window->scene.last = *made;
  window->scene.has_switched = TRUE;
  if (made->truth == AZ_SIM_WRONG) {
    totals->false_failovers++;
    window->wrong = TRUE;
  }
  if (list->len < MAX(AZ_SIM_WRONG_SHOWN, window->scene.plan->executions))
    g_array_append_val(list, *made);
}

static void
note_detection(Window *window, gint64 now, gint64 since)
{
  AzSimTotals *totals = window->totals;

  window->detected = TRUE;
  totals->detected++;
  if (az_sim_world_was_blind(&window->scene.world, since, now)) {
    totals->blind++;
    return;
  }
  totals->timed++;
  totals->detection_sum += now - since;
  if (now - since <= totals->detection_max)
    return;
  totals->detection_max = now - since;
  totals->slowest = window->number;
}

static void
switch_to(Window *window, gint64 now, int target)
{
  AzSimWorld *world = &window->scene.world;
  gint64 timeout = (gint64) (window->scene.plan->rules.probe_timeout_s * G_USEC_PER_SEC), since = now;
  AzSimSwitch made = { .window = window->number, .at = now, .from = world->primary, .to = target };

  made.seen = window->scene.looked[world->primary];
  made.truth = az_sim_world_truth(world, now, timeout, &since);
  trace(window, now, "switched to %s: %s", region_name(window, target),
        made.truth == AZ_SIM_WRONG ? "FALSE, nothing was wrong with the primary" : "right");
  note_switch(window, &made);
  if (made.truth == AZ_SIM_RIGHT && !window->detected)
    note_detection(window, now, since);
  world->fenced |= 1u << world->primary;
  world->primary = target;
  watch(window);
}

static void
act(Window *window, gint64 now, const AzlinDecision *decision)
{
  g_autofree char *reason = NULL;
  int target = az_sim_target(&window->scene, decision);

  if (az_sim_policy(&window->scene, now, target, &reason) == AZ_HOLD_NONE) {
    trace(window, now, "automatic: %s", decision->reason);
    switch_to(window, now, target);
    return;
  }
  window->held = TRUE;
  trace_verdict(window, now, "automatic, but held back", reason);
}

static void
judge(Window *window, gint64 now)
{
  AzSimScene *scene = &window->scene;
  const char *primary = region_name(window, scene->world.primary);
  AzlinDecision decision;
  AzRegionView view;

  if (!az_detector_take_news(scene->detector, primary) || !az_detector_view(scene->detector, primary, &view))
    return;
  trace_state(window, now, &view);
  if (view.state == AZ_REGION_UP)
    return;
  az_sim_judge(scene, BEGIN + now, &decision);
  window->totals->decisions++;
  if (!decision.should_auto_failover)
    trace_verdict(window, now, "manual", decision.reason);
  if (decision.should_auto_failover)
    act(window, now, &decision);
  az_failover_decision_clear(&decision);
}

/* ---- the whole window ---- */

static void
finish(Window *window, gboolean has_outage, gint64 from, gint64 to)
{
  AzSimTotals *totals = window->totals;

  totals->windows++;
  totals->outages += has_outage ? 1 : 0;
  totals->held_back += window->held ? 1 : 0;
  if (!has_outage || window->detected || window->held || window->wrong)
    return;
  if (to - from < DUE_AFTER_US || az_sim_world_was_blind(&window->scene.world, to - DUE_AFTER_US, to)) {
    totals->blind++;
    return;
  }
  AzSimSwitch missed = { .window = window->number, .at = from, .from = window->scene.world.primary, .to = -1 };
  totals->missed_outages++;
  if (totals->wrong->len < AZ_SIM_WRONG_SHOWN)
    g_array_append_val(totals->wrong, missed);
}

void
az_sim_window(const AzSimPlan *plan, guint64 number, AzSimTotals *totals)
{
  Window window = { .scene = { .plan = plan }, .totals = totals, .number = number };
  AzSimWorld *world = &window.scene.world;
  gint64 now = 0, from = 0, to = 0;

  az_sim_world_draw(world, plan->scenario, plan->seed, number);
  gboolean has_outage = az_sim_world_outage(world, &from, &to);
  trace_facts(&window);
  window.scene.detector = az_detector_new(&plan->rules, BEGIN);
  watch(&window);
  remember_who_saw_whom(&window);
  while (now < world->length) {
    now = az_sim_world_awake(world, now);
    answer_all(&window, now);
    ask_all(&window, now);
    judge(&window, now);
    const Due *due = first_due(&window);
    gint64 next = az_detector_wake(window.scene.detector, BEGIN + now) - BEGIN;
    now = MAX(now + LEAST_STEP_US, due != NULL ? MIN(due->at, next) : next);
  }
  finish(&window, has_outage, from, to);
  az_detector_free(window.scene.detector);
  g_free(window.said);
}
