/* The verdict on the primary while it is watched: asked anew at each answer, said when it changes, put before policy.
 */
#include "flow-watch.h"
#include "flow-failover-decision.h"

typedef struct {         /* what would happen now */
  const AzlinVm *target; /* or NULL */
  gboolean held;
  AzHold hold;
  char *reason, *step; /* where it is held */
} Outlook;

static void
outlook_clear(Outlook *outlook)
{
  g_free(outlook->reason);
  g_free(outlook->step);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Outlook, outlook_clear)

/* What people forbade where another watch runs is forbidden here too. */
static void
ask_others(AzWatch *watch, Outlook *outlook)
{
  outlook->reason = az_watch_held_elsewhere(watch);
  if (outlook->reason == NULL)
    return;
  outlook->held = TRUE;
  outlook->hold = AZ_HOLD_PAUSED;
  outlook->step = g_strdup("azlin failover resume or azlin failover ack, on that host");
}

/* What a switch would begin with now; `state` NULL: it cannot be read what holds switches back, and no target is known.
 */
static AzFailover
run_of(AzWatch *watch)
{
  AzFailover run = { .job = watch->job,
                     .engine = watch->engine,
                     .automatic = TRUE,
                     .state = az_watch_state(watch) != NULL ? watch->state : NULL,
                     .no_lock = watch->no_lock,
                     .stored = watch->stored,
                     .source = az_stored_primary(watch->stored),
                     .decision = watch->decision };
  run.target = run.state != NULL ? az_failover_best_target(&run) : NULL;
  return run;
}

/* Policy as the failover flow will apply it, so that a switch is begun only where it will go on. */
static void
ask_policy(AzWatch *watch, AzFailover *run, Outlook *outlook)
{
  if (run->state == NULL) {
    *outlook = (Outlook){ .held = TRUE,
                          .hold = AZ_HOLD_PAUSED,
                          .reason = g_strdup("what holds switches back cannot be read"),
                          .step = g_strdup("azlin failover --explain") };
    return;
  }
  outlook->target = run->target;
  outlook->hold = az_failover_hold(run, &outlook->reason, &outlook->step);
  outlook->held = outlook->hold != AZ_HOLD_NONE;
  if (!outlook->held)
    ask_others(watch, outlook);
  const AzlinHealth *health = run->target != NULL ? az_lookout_health(watch->lookout, run->target->region) : NULL;
  if (outlook->held || (health != NULL && health->healthy))
    return;
  outlook->held = TRUE;
  outlook->hold = AZ_HOLD_NO_TARGET;
  outlook->reason = g_strdup_printf("%s, the best target, does not work either", run->target->region);
  outlook->step = g_strdup("azlin regions health");
}

/* ---- the verdict ---- */

static gboolean
decide(AzWatch *watch, GVariant **ret_input)
{
  g_autoptr(GError) error = NULL;

  if (az_failover_decide(watch->engine, watch->lookout, watch->stored->primary, &watch->decision, ret_input, &error)) {
    az_watch_stand(watch, "brick", NULL, NULL, NULL, NULL);
    return TRUE;
  }
  if (error == NULL)
    return FALSE; /* nothing is known yet */
  if (az_watch_stand(watch, "brick", "broken", "fail", error->message, NULL))
    az_job_message(watch->job, "fail", NULL, "Nothing can be judged: %s", error->message);
  return FALSE;
}

/* ---- what is said ---- */

/* A brick of 1.1 has no word of its own for what the detector knows. */
static const char *
word_of(AzWatch *watch)
{
  const AzlinDecision *decision = &watch->decision;
  const AzDetector *detector = az_lookout_detector(watch->lookout);
  const char *failure = az_failure_to_string(decision->failure);
  AzRegionView view = { 0 };

  if (decision->verdict != NULL)
    return decision->verdict;
  if (failure == NULL)
    return "healthy";
  if (az_detector_blind(detector))
    return "observer_blind";
  az_detector_view(detector, watch->stored->primary, &view);
  return view.unreachable_from_me ? "unreachable_from_me" : failure;
}

static void
add(GVariantBuilder *facts, const char *name, GVariant *value)
{
  g_variant_builder_add(facts, "{sv}", name, value);
}

static GVariant *
facts_of(AzWatch *watch, const Outlook *outlook)
{
  GVariantBuilder facts;
  const AzlinDecision *decision = &watch->decision;

  g_variant_builder_init(&facts, G_VARIANT_TYPE_VARDICT);
  add(&facts, "region", g_variant_new_string(watch->stored->primary));
  add(&facts, "verdict", g_variant_new_string(word_of(watch)));
  add(&facts, "should_auto_failover", g_variant_new_boolean(decision->should_auto_failover));
  add(&facts, "confidence", g_variant_new_double(decision->confidence));
  add(&facts, "reason", az_variant_str(decision->reason));
  add(&facts, "what_would_change", az_variant_str(decision->what_would_change));
  add(&facts, "target", az_variant_str(outlook->target != NULL ? outlook->target->region : NULL));
  add(&facts, "held_back_by", az_variant_str(outlook->held ? outlook->reason : NULL));
  return g_variant_builder_end(&facts);
}

/* So that each verdict can be asked again: azlin failover replay. Asked once more, with the document: of many regions
 * it is large, and most verdicts are like the one before. */
static void
keep(AzWatch *watch)
{
  g_autoptr(GVariant) input = NULL;
  g_autoptr(GError) error = NULL;
  if (!decide(watch, &input))
    return;
  g_autofree char *id = az_decision_keep(watch->engine, "watch", input, &watch->decision, &error);

  if (id == NULL)
    az_job_message(watch->job, "warn", NULL, "The decision is not stored: %s", error->message);
}

static void
say(AzWatch *watch, const Outlook *outlook)
{
  const AzlinDecision *decision = &watch->decision;
  const char *level = decision->should_auto_failover ? "fail" : "warn";
  g_autofree char *text = NULL;
  g_autofree char *key = outlook->held ? g_strdup_printf("held:%s/%d", word_of(watch), (int) outlook->hold)
                                       : g_strdup_printf("%s/%d", word_of(watch), decision->should_auto_failover);

  if (!decision->should_auto_failover)
    text = g_strdup_printf("No switch: %s", decision->reason);
  else if (outlook->held)
    text = g_strdup_printf("%s is lost, but %s; what changes it: %s", watch->stored->primary, outlook->reason,
                           outlook->step);
  else
    text = g_strdup_printf("%s is lost: %s", watch->stored->primary, decision->reason);
  if (!az_watch_stand(watch, "verdict", key, level, text, facts_of(watch, outlook)))
    return;
  az_job_message(watch->job, level, NULL, "%s", text);
  keep(watch);
}

/* ---- each answer ---- */

/* Where nothing speaks against the primary there is nothing to say. */
static gboolean
is_calm(AzWatch *watch)
{
  return g_str_equal(word_of(watch), "healthy") && !watch->decision.should_auto_failover;
}

void
az_watch_judge(AzWatch *watch)
{
  g_auto(Outlook) outlook = { 0 };

  if (watch->busy || watch->ending || !az_watch_is_judge(watch) || !decide(watch, NULL))
    return;
  AzFailover run = run_of(watch);
  if (run.target != NULL) /* where the primary would go must be known to work before it has to */
    az_lookout_check_whole(watch->lookout, run.target->region);
  if (is_calm(watch)) {
    if (az_watch_stand(watch, "verdict", NULL, NULL, NULL, NULL))
      az_job_message(watch->job, "ok", NULL, "Nothing speaks against %s any more", watch->stored->primary);
    az_watch_calm_down(watch);
    return;
  }
  gboolean lost = watch->decision.should_auto_failover; /* by what policy was asked about, whatever is decided later */
  if (lost)
    ask_policy(watch, &run, &outlook);
  say(watch, &outlook);
  if (lost && !outlook.held)
    az_watch_switch(watch, outlook.target->region);
}

void
az_watch_primary_moved(AzWatch *watch)
{
  az_watch_stand(watch, "verdict", NULL, NULL, NULL, NULL);
  az_watch_calm_down(watch);
}
