/* The policy of failovers: whether a switch is held back, in one sentence, and the command that changes it. Pure. */
#include "flow-failover-state.h"

typedef struct {
  char **reason, **step;
} Answer;

G_GNUC_PRINTF(2, 3)
static void
put(char **slot, const char *format, ...)
{
  va_list arguments;

  va_start(arguments, format);
  *slot = g_strdup_vprintf(format, arguments);
  va_end(arguments);
}

gboolean
az_failover_is_paused(const AzFailoverState *state, gint64 now)
{
  return state->paused && (state->paused_until == 0 || now < state->paused_until);
}

/* An automatic switch that lies in the future (the clock was set back) still cools down: it did happen. */
gint64
az_failover_cools_until(const AzFailoverState *state, guint32 cool_down_s, gint64 now)
{
  gint64 end = state->automatic_at + (gint64) cool_down_s * G_USEC_PER_SEC;

  return state->automatic_at != 0 && !state->acknowledged && cool_down_s > 0 && now < end ? end : 0;
}

const AzFencePending *
az_failover_fence_of(const AzFailoverState *state, const char *region)
{
  for (guint i = 0; region != NULL && i < state->fences->len; i++) {
    const AzFencePending *fence = g_ptr_array_index(state->fences, i);
    if (g_str_equal(fence->region, region))
      return fence;
  }
  return NULL;
}

gboolean
az_failover_is_isolated(const AzFailoverState *state, const char *region)
{
  return g_ptr_array_find_with_equal_func(state->isolated, region, g_str_equal, NULL);
}

static gboolean
holds_pause(const AzPolicyInput *input, Answer *answer)
{
  const AzFailoverState *state = input->state;
  g_autofree char *since = az_time_to_string(state->paused_at), *until = az_time_to_string(state->paused_until);

  if (!az_failover_is_paused(state, input->now))
    return FALSE;
  put(answer->reason, "failovers are paused%s%s%s%s%s%s%s", since != NULL ? " since " : "", since != NULL ? since : "",
      until != NULL ? " until " : "", until != NULL ? until : "", state->pause_reason != NULL ? " (" : "",
      state->pause_reason != NULL ? state->pause_reason : "", state->pause_reason != NULL ? ")" : "");
  put(answer->step, "azlin failover resume");
  return TRUE;
}

static gboolean
holds_inhibitor(const AzPolicyInput *input, Answer *answer)
{
  if (input->inhibitor == NULL)
    return FALSE;
  put(answer->reason, "a program forbids it for as long as it is at work (%s)", input->inhibitor);
  put(answer->step, "azlin failover --to %s", input->target != NULL ? input->target : "REGION");
  return TRUE;
}

static gboolean
holds_no_lock(const AzPolicyInput *input, Answer *answer)
{
  if (input->no_lock == NULL)
    return FALSE;
  put(answer->reason, "only a person may switch while nobody can tell who else does: %s", input->no_lock);
  put(answer->step, "azlin failover --to %s --without-lock", input->target != NULL ? input->target : "REGION");
  return TRUE;
}

static gboolean
holds_window(const AzPolicyInput *input, Answer *answer)
{
  const AzFailoverState *state = input->state;
  g_autofree char *until = az_time_to_string(state->window_until);

  if (state->window_until == 0)
    return FALSE;
  put(answer->reason, "the switch from %s to %s still waits for its confirmation, until %s", state->window_from,
      state->window_to, until);
  put(answer->step, "azlin failover commit");
  return TRUE;
}

static gboolean
holds_cool_down(const AzPolicyInput *input, Answer *answer)
{
  const AzFailoverState *state = input->state;
  gint64 until = az_failover_cools_until(state, input->cool_down_s, input->now);

  if (until == 0)
    return FALSE;
  g_autofree char *left = az_flow_duration((double) (until - input->now) / G_USEC_PER_SEC);
  put(answer->reason, "the last automatic switch (from %s to %s) cools down for another %s", state->automatic_from,
      state->automatic_to, left);
  put(answer->step, "azlin failover ack");
  return TRUE;
}

static gboolean
holds_target(const AzPolicyInput *input, Answer *answer)
{
  if (input->target == NULL) {
    put(answer->reason, "no other region may become primary by itself");
    put(answer->step, "azlin failover --to REGION");
    return TRUE;
  }
  if (input->never_promote == NULL || !g_strv_contains(input->never_promote, input->target))
    return FALSE;
  put(answer->reason, "%s is among never-promote: it does not become primary by itself", input->target);
  put(answer->step, "azlin failover --to %s", input->target);
  return TRUE;
}

static gboolean
holds_fence(const AzPolicyInput *input, Answer *answer)
{
  const AzFencePending *fence = az_failover_fence_of(input->state, input->target);

  if (fence == NULL)
    return FALSE;
  g_autofree char *since = az_time_to_string(fence->since);
  put(answer->reason,
      "%s is still to be fenced since %s (it was primary before epoch %" G_GUINT64_FORMAT
      "): it may serve old data, and would be switched off once it is primary",
      fence->region, since, fence->epoch);
  put(answer->step, "azlin recover");
  return TRUE;
}

static gboolean
holds_data_age(const AzPolicyInput *input, Answer *answer)
{
  if (input->max_sync_age_s == 0)
    return FALSE;
  double age = (double) (input->now - input->last_sync) / G_USEC_PER_SEC;
  if (input->last_sync != 0 && age <= input->max_sync_age_s)
    return FALSE;
  g_autofree char *bound = az_flow_duration(input->max_sync_age_s);
  if (input->last_sync == 0) {
    put(answer->reason, "no verified sync to %s is on record, and max-sync-age allows data of %s", input->target,
        bound);
  } else {
    g_autofree char *words = az_flow_duration(age);
    put(answer->reason, "the data on %s is %s old, and max-sync-age allows %s", input->target, words, bound);
  }
  put(answer->step, "azlin failover --to %s", input->target);
  return TRUE;
}

AzHold
az_failover_policy(const AzPolicyInput *input, char **ret_reason, char **ret_step)
{
  static const struct {
    AzHold hold;
    gboolean binds_people;
    gboolean (*holds)(const AzPolicyInput *input, Answer *answer);
  } rules[] = {
    { AZ_HOLD_PAUSED, FALSE, holds_pause },       { AZ_HOLD_INHIBITED, FALSE, holds_inhibitor },
    { AZ_HOLD_WINDOW_OPEN, FALSE, holds_window }, { AZ_HOLD_COOLING_DOWN, FALSE, holds_cool_down },
    { AZ_HOLD_NO_TARGET, FALSE, holds_target },   { AZ_HOLD_FENCE_PENDING, TRUE, holds_fence },
    { AZ_HOLD_DATA_AGE, FALSE, holds_data_age },  { AZ_HOLD_NO_LOCK, FALSE, holds_no_lock },
  };
  g_autofree char *reason = NULL, *step = NULL;
  Answer answer = { &reason, &step };
  AzHold hold = AZ_HOLD_NONE;

  for (gsize i = 0; hold == AZ_HOLD_NONE && i < G_N_ELEMENTS(rules); i++)
    if ((input->automatic || rules[i].binds_people) && rules[i].holds(input, &answer))
      hold = rules[i].hold;
  if (ret_reason != NULL)
    *ret_reason = g_steal_pointer(&reason);
  if (ret_step != NULL)
    *ret_step = g_steal_pointer(&step);
  return hold;
}
