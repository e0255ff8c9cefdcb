/* What holds a switch back, as other processes set it: pause, cool-down, fences, the commit window; told when it
 * changes, and worked off where that is the watch's to do. */
#include "flow-watch.h"
#include "flow-failover-options.h"
#include "flow-failover-retry.h"
#include <glib/gstdio.h>

#define FENCE_MS 120000

static gint64
now(AzWatch *watch)
{
  return az_clock_now(az_engine_clock(watch->engine));
}

/* ---- the file ---- */

static gint64
stamp_of_file(AzWatch *watch)
{
  g_autofree char *path = az_paths_file(az_engine_paths(watch->engine), "failover.json");
  GStatBuf info;

  if (g_stat(path, &info) != 0)
    return -1;
  return (gint64) info.st_mtim.tv_sec * G_GINT64_CONSTANT(1000000000) + info.st_mtim.tv_nsec + (gint64) info.st_ino * 31
         + (gint64) info.st_size;
}

/* A file that cannot be read holds everything back: policy must not be lost. */
static gboolean
load(AzWatch *watch)
{
  g_autoptr(GError) error = NULL;
  gint64 stamp = stamp_of_file(watch);

  if (watch->state != NULL && stamp == watch->state_stamp)
    return TRUE;
  AzFailoverState *state = az_failover_state_load(watch->engine, &error);
  if (state == NULL) {
    g_clear_pointer(&watch->state, az_failover_state_free);
    if (az_watch_stand(watch, "policy", "unreadable", "fail", error->message, NULL))
      az_job_message(watch->job, "fail", NULL, "No switch until this is mended: %s", error->message);
    return FALSE;
  }
  g_clear_pointer(&watch->state, az_failover_state_free);
  watch->state = state;
  watch->state_stamp = stamp;
  az_watch_stand(watch, "policy", NULL, NULL, NULL, NULL);
  return TRUE;
}

/* ---- what stands ---- */

static void
stand_pause(AzWatch *watch)
{
  const AzFailoverState *state = watch->state;
  g_autofree char *until = state->paused_until != 0 ? az_watch_clock(state->paused_until) : NULL;
  g_autofree char *text = NULL;

  if (az_failover_is_paused(state, now(watch)))
    text = g_strdup_printf("Paused%s%s%s%s; to go on: azlin failover resume", until != NULL ? " until " : "",
                           until != NULL ? until : "", state->pause_reason != NULL ? ": " : "",
                           state->pause_reason != NULL ? state->pause_reason : "");
  if (az_watch_stand(watch, "paused", "", "warn", text, NULL))
    az_job_message(watch->job, text != NULL ? "warn" : "ok", NULL, "%s",
                   text != NULL ? text : "Not paused any more: it switches by itself again");
}

static void
stand_inhibitor(AzWatch *watch)
{
  const char *inhibitor = az_engine_inhibitor(watch->engine);
  g_autofree char *text
      = inhibitor != NULL ? g_strdup_printf("No switch by itself while a program forbids it (%s)", inhibitor) : NULL;

  if (az_watch_stand(watch, "inhibited", "", "warn", text, NULL))
    az_job_message(watch->job, text != NULL ? "warn" : "ok", NULL, "%s",
                   text != NULL ? text : "No program forbids a switch any more");
}

static void
stand_cool_down(AzWatch *watch)
{
  const AzFailoverState *state = watch->state;
  gint64 until = az_failover_cools_until(state, az_failover_option_cool_down_s(watch->engine), now(watch));
  g_autofree char *clock = until != 0 ? az_watch_clock(until) : NULL;
  g_autofree char *text = NULL;

  if (clock != NULL)
    text = g_strdup_printf("Cooling down until %s after the switch from %s to %s; to end it: azlin failover ack", clock,
                           state->automatic_from, state->automatic_to);
  if (az_watch_stand(watch, "cool-down", "", "warn", text, NULL))
    az_job_message(watch->job, text != NULL ? "warn" : "ok", NULL, "%s",
                   text != NULL ? text : "No cool-down any more: it switches by itself again");
}

static void
stand_window(AzWatch *watch)
{
  const AzFailoverState *state = watch->state;
  g_autofree char *until = state->window_until != 0 ? az_watch_clock(state->window_until) : NULL;
  g_autofree char *text = NULL;

  if (until != NULL && az_failover_window_due(state, now(watch)))
    text = g_strdup_printf("Nobody confirmed the switch from %s to %s in time", state->window_from, state->window_to);
  else if (until != NULL)
    text = g_strdup_printf("The switch from %s to %s is undone at %s unless somebody says: azlin failover commit",
                           state->window_from, state->window_to, until);
  if (az_watch_stand(watch, "commit-window", "", "warn", text, NULL))
    az_job_message(watch->job, text != NULL ? "warn" : "ok", NULL, "%s",
                   text != NULL ? text : "The commit window is closed");
}

static void
stand_fences(AzWatch *watch)
{
  g_autoptr(GString) text = g_string_new(NULL);

  for (guint i = 0; i < watch->state->fences->len; i++) {
    const AzFencePending *fence = g_ptr_array_index(watch->state->fences, i);
    g_autofree char *since = az_watch_clock(fence->since);
    g_string_append_printf(text, "%s%s (since %s)",
                           text->len > 0 ? ", " : "Not confirmed to be off, tried again: ", fence->region, since);
  }
  if (az_watch_stand(watch, "fence-pending", text->str, "warn", text->len > 0 ? text->str : NULL, NULL))
    az_job_message(watch->job, text->len > 0 ? "warn" : "ok", NULL, "%s",
                   text->len > 0 ? text->str : "Every old primary is confirmed to be off");
}

/* ---- what is worked off ---- */

static void
on_retried(AzlinOp *op, gpointer data)
{
  AzWatch *watch = data;

  watch->fencing = FALSE;
  if (az_op_cancelled(watch->root))
    return;
  if (az_op_error(op) != NULL && !g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_LOCKED))
    az_job_message(watch->job, "warn", NULL, "The fence could not be tried again: %s", az_op_error(op)->message);
  az_watch_read_policy(watch);
}

static void
retry_fences(AzWatch *watch)
{
  AzClock *clock = az_engine_clock(watch->engine);
  gint64 wait = (gint64) az_failover_fence_wait_s(watch->state) * G_USEC_PER_SEC;

  if (wait == 0 || watch->fencing || watch->busy || watch->dry_run || watch->ending || !az_watch_is_judge(watch)
      || watch->no_lock != NULL || az_clock_monotonic(clock) - watch->fenced_at < wait)
    return;
  watch->fencing = TRUE;
  watch->fenced_at = az_clock_monotonic(clock);
  az_failover_fence_retry(watch->engine, az_op_new(watch->root, "fence-retry", FENCE_MS, on_retried, watch));
}

void
az_watch_read_policy(AzWatch *watch)
{
  if (!load(watch))
    return;
  stand_pause(watch);
  stand_inhibitor(watch);
  stand_cool_down(watch);
  stand_window(watch);
  stand_fences(watch);
  retry_fences(watch);
  if (az_failover_window_due(watch->state, now(watch)))
    az_watch_take_back(watch);
}

/* ---- the question ---- */

const AzFailoverState *
az_watch_state(AzWatch *watch)
{
  return load(watch) ? watch->state : NULL;
}
