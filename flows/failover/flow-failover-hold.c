/* Puts a run before the policy: which target it may choose, and what holds it back. */
#include "flow-failover.h"
#include "flow-failover-options.h"
#include <string.h>

static gboolean
may_be_chosen(AzFailover *run, GHashTable *never, const char *region)
{
  return az_config_allowed_region(az_engine_config(run->engine), region) != NULL
         && !g_hash_table_contains(never, region) && az_failover_fence_of(run->state, region) == NULL;
}

/* The best of the ranking that may become primary by itself, whatever its health: that it is unhealthy too is then the
 * answer. NULL: none. */
const AzlinVm *
az_failover_best_target(AzFailover *run)
{
  g_autoptr(GHashTable) never = az_failover_option_set(run->engine, "never-promote");

  for (guint i = 0; run->decision.ranking != NULL && i < run->decision.ranking->len; i++) {
    const char *line = g_ptr_array_index(run->decision.ranking, i);
    g_autofree char *region = g_strndup(line, strcspn(line, ":"));
    if (may_be_chosen(run, never, region))
      return az_stored_find(run->stored, region);
  }
  return NULL;
}

AzHold
az_failover_hold(AzFailover *run, char **ret_reason, char **ret_step)
{
  g_auto(GStrv) never = az_failover_option_strv(run->engine, "never-promote");
  AzPolicyInput input = { .state = run->state,
                          .inhibitor = az_engine_inhibitor(run->engine),
                          .no_lock = run->no_lock,
                          .now = az_clock_now(az_engine_clock(run->engine)),
                          .automatic = run->automatic,
                          .target = run->target != NULL ? run->target->region : NULL,
                          .cool_down_s = az_failover_option_cool_down_s(run->engine),
                          .max_sync_age_s = az_failover_option_uint(run->engine, "max-sync-age", 0),
                          .never_promote = (const char *const *) never };

  if (run->target != NULL && input.max_sync_age_s > 0) /* a watch asks often, and the answer costs a look at the log */
    input.last_sync = az_failover_last_sync(run);
  return az_failover_policy(&input, ret_reason, ret_step);
}

/* What holds automation back does not bind a person who names the target; it is said all the same. */
void
az_failover_say_overridden(AzFailover *run)
{
  g_autofree char *reason = NULL;
  gboolean automatic = run->automatic;

  run->automatic = TRUE;
  AzHold hold = az_failover_hold(run, &reason, NULL);
  run->automatic = automatic;
  if (hold != AZ_HOLD_NONE && hold != AZ_HOLD_DATA_AGE)
    az_job_message(run->job, "warn", NULL, "It would not happen by itself: %s", reason);
}
