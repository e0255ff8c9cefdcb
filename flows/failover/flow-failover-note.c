/* What switches and fences leave in the state of failovers, and how people hear of it. */
#include "flow-failover-note.h"
#include "error.h"
#include "flow-failover-options.h"
#include "flow-failover.h"

/* ---- switches ---- */

typedef struct {
  const AzSwitchNote *note;
  gint64 now;
} Noting;

static void
drop_fence(AzFailoverState *state, const char *region)
{
  for (guint i = state->fences->len; i > 0; i--) {
    const AzFencePending *fence = g_ptr_array_index(state->fences, i - 1);
    if (g_str_equal(fence->region, region))
      g_ptr_array_remove_index(state->fences, i - 1);
  }
}

static void
add_fence(AzFailoverState *state, const Noting *noting)
{
  AzFencePending *fence = g_new0(AzFencePending, 1);

  drop_fence(state, noting->note->from);
  *fence = (AzFencePending){ .region = g_strdup(noting->note->from),
                             .vm_name = g_strdup(noting->note->from_vm),
                             .epoch = noting->note->epoch,
                             .since = noting->now };
  g_ptr_array_add(state->fences, fence);
}

static void
open_window(AzFailoverState *state, const Noting *noting)
{
  az_failover_close_window(state);
  state->window_until = noting->now + (gint64) noting->note->window_s * G_USEC_PER_SEC;
  state->window_epoch = noting->note->epoch;
  state->window_from = g_strdup(noting->note->from);
  state->window_to = g_strdup(noting->note->to);
}

static void
note_automatic(AzFailoverState *state, const Noting *noting)
{
  state->automatic_at = noting->now;
  state->automatic_epoch = noting->note->epoch;
  state->acknowledged = FALSE;
  g_free(state->automatic_from);
  g_free(state->automatic_to);
  state->automatic_from = g_strdup(noting->note->from);
  state->automatic_to = g_strdup(noting->note->to);
}

static void
add_isolated(AzFailoverState *state, const char *region)
{
  if (!az_failover_is_isolated(state, region))
    g_ptr_array_add(state->isolated, g_strdup(region));
}

static void
drop_isolated(AzFailoverState *state, const char *region)
{
  guint i = 0;

  if (g_ptr_array_find_with_equal_func(state->isolated, region, g_str_equal, &i))
    g_ptr_array_remove_index(state->isolated, i);
}

static void
change_by_switch(AzFailoverState *state, gpointer data)
{
  const Noting *noting = data;
  const AzSwitchNote *note = noting->note;

  if (state->noted_epoch == note->epoch)
    return; /* noted before: what people did since then (ack, commit) stands */
  state->noted_epoch = note->epoch;
  if (state->window_until != 0)
    az_failover_close_window(state);
  if (note->automatic)
    note_automatic(state, noting);
  if (note->automatic && note->window_s > 0)
    open_window(state, noting);
  if (note->unfenced)
    add_fence(state, noting);
  if (note->isolated)
    add_isolated(state, note->from);
}

gboolean
az_failover_note_switch(AzEngine *engine, const AzSwitchNote *note, GError **error)
{
  Noting noting = { note, az_clock_now(az_engine_clock(engine)) };

  return az_failover_state_change(engine, change_by_switch, &noting, error);
}

gboolean
az_failover_note_of_entry(const AzJournalEntry *entry, AzSwitchNote *ret_note)
{
  const char *fence = "";
  guint64 before = 0;

  *ret_note = (AzSwitchNote){ .from_vm = "" };
  if (!g_variant_lookup(entry->undo, "from", "&s", &ret_note->from)
      || !g_variant_lookup(entry->undo, "to", "&s", &ret_note->to)
      || !g_variant_lookup(entry->undo, "epoch", "t", &before))
    return FALSE;
  ret_note->epoch = before + 1;
  g_variant_lookup(entry->undo, "vm", "&s", &ret_note->from_vm);
  g_variant_lookup(entry->undo, "automatic", "b", &ret_note->automatic);
  g_variant_lookup(entry->undo, "window", "u", &ret_note->window_s);
  g_variant_lookup(entry->undo, "fence", "&s", &fence);
  g_variant_lookup(entry->undo, "isolation-asked", "b", &ret_note->isolated);
  ret_note->unfenced = g_str_equal(fence, "unconfirmed");
  return TRUE;
}

static gboolean
is_committed(const AzSwitchNote *note, const AzStored *stored)
{
  return note->epoch == stored->epoch && g_str_equal(note->to, stored->primary);
}

gboolean
az_failover_note_crashed(AzEngine *engine, const AzStored *stored, GError **error)
{
  AzJournal *journal = az_engine_journal(engine, error);
  g_autoptr(GPtrArray) entries = journal != NULL ? az_journal_open_entries(journal, error) : NULL;

  if (entries == NULL)
    return FALSE;
  for (guint i = 0; i < entries->len; i++) {
    const AzJournalEntry *entry = g_ptr_array_index(entries, i);
    AzSwitchNote note;
    if (!g_str_equal(entry->owner, AZ_FAILOVER_OWNER) || !az_flow_entry_abandoned(entry)
        || !az_failover_note_of_entry(entry, &note) || !is_committed(&note, stored))
      continue;
    if (!az_failover_note_switch(engine, &note, error))
      return FALSE;
  }
  return TRUE;
}

/* ---- fences ---- */

typedef struct {
  const char *region, *how;
} FenceNews;

static void
change_fence(AzFailoverState *state, gpointer data)
{
  const FenceNews *news = data;

  if (news->how == NULL || g_str_equal(news->how, "isolated"))
    add_isolated(state, news->region); /* it was asked for */
  if (news->how != NULL) {
    drop_fence(state, news->region);
    return;
  }
  for (guint i = 0; i < state->fences->len; i++) {
    AzFencePending *fence = g_ptr_array_index(state->fences, i);
    if (g_str_equal(fence->region, news->region) && fence->attempts < G_MAXUINT32)
      fence->attempts++;
  }
}

gboolean
az_failover_note_fence(AzEngine *engine, const char *region, const char *how, GError **error)
{
  FenceNews news = { region, how };

  return az_failover_state_change(engine, change_fence, &news, error);
}

static void
change_returned(AzFailoverState *state, gpointer data)
{
  drop_fence(state, data);
  drop_isolated(state, data);
}

gboolean
az_failover_note_returned(AzEngine *engine, const char *region, GError **error)
{
  g_autofree char *name = g_strdup(region);

  return az_failover_state_change(engine, change_returned, name, error);
}

/* ---- for people ---- */

static void
say_pause(AzJob *job, const AzFailoverState *state, gint64 now)
{
  g_autofree char *reason = NULL, *step = NULL;
  const AzPolicyInput input = { .state = state, .now = now, .automatic = TRUE };

  if (az_failover_policy(&input, &reason, &step) != AZ_HOLD_PAUSED)
    return;
  az_job_message(job, "warn", NULL, "No automatic failover: %s", reason);
  az_job_message(job, "hint", NULL, "To end the pause: %s", step);
}

static void
say_fences(AzJob *job, const AzFailoverState *state)
{
  for (guint i = 0; i < state->fences->len; i++) {
    const AzFencePending *fence = g_ptr_array_index(state->fences, i);
    g_autofree char *since = az_time_to_string(fence->since);
    az_job_message(job, "warn", NULL,
                   "%s (%s) is a stale primary that may still serve: since %s its fence is pending, %u further "
                   "attempt%s failed",
                   fence->region, fence->vm_name, since, fence->attempts, fence->attempts == 1 ? "" : "s");
  }
  if (state->fences->len > 0)
    az_job_message(job, "hint", NULL,
                   "To fence it: azlin recover; if it is off for sure: azlin failover ack --fenced %s",
                   ((const AzFencePending *) g_ptr_array_index(state->fences, 0))->region);
}

static void
say_window(AzJob *job, const AzFailoverState *state, gint64 now)
{
  g_autofree char *until = az_time_to_string(state->window_until);

  if (state->window_until == 0)
    return;
  az_job_message(job, "warn", NULL, "The automatic switch from %s to %s %s %s", state->window_from, state->window_to,
                 now < state->window_until ? "is taken back unless it is confirmed until"
                                           : "is to be taken back: it was not confirmed until",
                 until);
  az_job_message(job, "hint", NULL, "To keep it: azlin failover commit. To take it back: azlin failover rollback");
}

static void
say_cool_down(AzJob *job, const AzFailoverState *state, gint64 now)
{
  AzEngine *engine = az_job_engine(job);
  gint64 until = az_failover_cools_until(state, az_failover_option_cool_down_s(engine), now);
  g_autofree char *text = az_time_to_string(until);

  if (until == 0)
    return;
  az_job_message(job, "warn", NULL, "No automatic failover until %s: the last one cools down", text);
  az_job_message(job, "hint", NULL, "To allow the next one: azlin failover ack");
}

static void
say_interrupted(AzJob *job)
{
  AzJournal *journal = az_engine_journal(az_job_engine(job), NULL);
  g_autoptr(GPtrArray) entries = journal != NULL ? az_journal_open_entries(journal, NULL) : NULL;

  for (guint i = 0; entries != NULL && i < entries->len; i++) {
    const AzJournalEntry *entry = g_ptr_array_index(entries, i);
    if (!g_str_equal(entry->owner, AZ_FAILOVER_OWNER) || !az_flow_entry_abandoned(entry))
      continue;
    az_job_message(job, "warn", NULL, "A failover was interrupted; it is neither finished nor undone yet");
    az_job_message(job, "hint", NULL, "To finish or undo it: azlin recover");
    return;
  }
}

/* Options are known once the brick is loaded; only a cool-down asks for one. */
static void
load_brick(AzEngine *engine, const AzFailoverState *state)
{
  gpointer self = NULL;
  g_autoptr(GError) error = NULL;

  if (state->automatic_at != 0 && az_engine_lookup(engine, AZLIN_KIND_FAILOVER, NULL, &self, &error) == NULL)
    g_info("options of failovers: %s", error->message);
}

void
az_failover_say_state(AzJob *job, gboolean all, AzHold said)
{
  AzEngine *engine = az_job_engine(job);
  g_autoptr(GError) error = NULL;
  g_autoptr(AzFailoverState) state = az_failover_state_load(engine, &error);
  gint64 now = az_clock_now(az_engine_clock(engine));

  if (state == NULL) {
    g_autofree char *message = az_error_message(error);
    az_job_message(job, "warn", NULL, "%s", message);
    return;
  }
  say_interrupted(job);
  if (said != AZ_HOLD_PAUSED)
    say_pause(job, state, now);
  say_fences(job, state);
  if (said != AZ_HOLD_WINDOW_OPEN)
    say_window(job, state, now);
  if (!all || said == AZ_HOLD_COOLING_DOWN)
    return;
  load_brick(engine, state);
  say_cool_down(job, state, now);
}

/* ---- for scripts ---- */

static GVariant *
time_value(gint64 time)
{
  g_autofree char *text = az_time_to_string(time);

  return az_variant_str(text);
}

static GVariant *
fences_value(const AzFailoverState *state)
{
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < state->fences->len; i++) {
    const AzFencePending *fence = g_ptr_array_index(state->fences, i);
    g_variant_builder_open(&list, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&list, "{sv}", "region", g_variant_new_string(fence->region));
    g_variant_builder_add(&list, "{sv}", "vm_name", az_variant_str(fence->vm_name));
    g_variant_builder_add(&list, "{sv}", "epoch", g_variant_new_uint64(fence->epoch));
    g_variant_builder_add(&list, "{sv}", "since", time_value(fence->since));
    g_variant_builder_add(&list, "{sv}", "attempts", g_variant_new_uint32(fence->attempts));
    g_variant_builder_close(&list);
  }
  return g_variant_builder_end(&list);
}

GVariant *
az_failover_state_to_variant(AzEngine *engine)
{
  GVariantBuilder result;
  g_autoptr(AzFailoverState) state = az_failover_state_load(engine, NULL);
  gint64 now = az_clock_now(az_engine_clock(engine));

  if (state == NULL)
    return az_null();
  load_brick(engine, state);
  gboolean paused = az_failover_is_paused(state, now);
  gint64 cools = az_failover_cools_until(state, az_failover_option_cool_down_s(engine), now);
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "paused", g_variant_new_boolean(paused));
  g_variant_builder_add(&result, "{sv}", "paused_until", paused ? time_value(state->paused_until) : az_null());
  g_variant_builder_add(&result, "{sv}", "pause_reason", paused ? az_variant_str(state->pause_reason) : az_null());
  g_variant_builder_add(&result, "{sv}", "cooling_down_until", time_value(cools));
  g_variant_builder_add(&result, "{sv}", "commit_until", time_value(state->window_until));
  g_variant_builder_add(&result, "{sv}", "fences_pending", fences_value(state));
  return g_variant_builder_end(&result);
}
