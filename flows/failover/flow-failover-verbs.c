/* failover pause, resume, ack, commit: what people say about failovers to come, and about the one that was. */
#include "error.h"
#include "flow-failover-note.h"
#include "flow-failover-share.h"
#include <string.h>

#define MAX_TTL_S (366u * 86400u)
#define MAX_REASON 200

typedef struct {
  gint64 now;
  guint32 ttl_s;
  const char *reason; /* or NULL */
  const char *fenced; /* region, or NULL */
  gboolean changed;
  AzFencePending settled; /* what was, before */
  char *from, *to;
  guint64 epoch;
} Word;

static void
word_clear(Word *word)
{
  g_free(word->settled.region);
  g_free(word->settled.vm_name);
  g_free(word->from);
  g_free(word->to);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Word, word_clear)

static gint64
now_of(AzEngine *engine)
{
  return az_clock_now(az_engine_clock(engine));
}

/* ---- pause ---- */

/* "90", "90s", "15m", "2h", "1d"; 0 = it is none of these, or none at all. */
static guint32
seconds_of(const char *text)
{
  static const struct {
    const char *unit;
    guint32 seconds;
  } units[] = { { "", 1 }, { "s", 1 }, { "m", 60 }, { "h", 3600 }, { "d", 86400 } };
  char *end = NULL;
  guint64 number = g_ascii_isdigit(*text) ? g_ascii_strtoull(text, &end, 10) : 0;

  for (gsize i = 0; end != NULL && i < G_N_ELEMENTS(units); i++)
    if (g_str_equal(end, units[i].unit) && number <= MAX_TTL_S / units[i].seconds)
      return (guint32) number * units[i].seconds;
  return 0;
}

static gboolean
pause_check(AzEngine *engine, GVariant *args, GError **error)
{
  const char *ttl = NULL, *reason = NULL;

  if (g_variant_lookup(args, "ttl", "&s", &ttl) && seconds_of(ttl) == 0) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                "--ttl is a time such as 90, 15m, 2h or 1d, at most 366d, not \"%s\"", ttl);
    return FALSE;
  }
  if (g_variant_lookup(args, "reason", "&s", &reason) && strlen(reason) > MAX_REASON) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--reason is at most %d bytes long", MAX_REASON);
    return FALSE;
  }
  return TRUE;
}

static void
change_pause(AzFailoverState *state, gpointer data)
{
  const Word *word = data;

  state->paused = TRUE;
  state->paused_at = word->now;
  state->paused_until = word->ttl_s != 0 ? word->now + (gint64) word->ttl_s * G_USEC_PER_SEC : 0;
  g_free(state->pause_reason);
  state->pause_reason = word->reason != NULL && *word->reason != 0 ? g_strdup(word->reason) : NULL;
}

/* The end of each verb: its result shows the state as it is now. */
static void
show(AzJob *job, gboolean changed)
{
  GVariantDict result;
  g_autoptr(GVariant) state = g_variant_ref_sink(az_failover_state_to_variant(az_job_engine(job)));

  g_variant_dict_init(&result, g_variant_is_of_type(state, G_VARIANT_TYPE_VARDICT) ? state : NULL);
  g_variant_dict_insert(&result, "changed", "b", changed);
  az_job_finish(job, 0, g_variant_dict_end(&result));
}

static void
on_told(AzlinOp *op, gpointer data)
{
  AzJob *job = data;

  if (az_op_cancelled(az_job_root(job)))
    return;
  if (az_op_error(op) == NULL) {
    show(job, TRUE);
    return;
  }
  GError *error = g_error_copy(az_op_error(op));
  g_prefix_error(&error, "It holds in this home alone, the others could not be told: ");
  az_error_add_step(error, "Run this command once more when they can be reached");
  az_job_fail(job, error);
}

/* Where records are shared, what was changed is everybody's. */
static void
finish(AzJob *job, gboolean changed)
{
  if (changed)
    az_failover_share(az_job_engine(job),
                      az_op_new(az_job_root(job), "tell the others", AZ_FAILOVER_SHARE_MS, on_told, job));
  else
    show(job, FALSE);
}

/* ---- what others said, before any of it is changed ---- */

typedef struct {
  void (*act)(AzJob *job, AzEngine *engine);
  gboolean unknown_too; /* to hold back is right whatever others said */
} Verb;

static void
on_known(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  const Verb *verb = az_job_data(job);

  if (az_op_cancelled(az_job_root(job)))
    return;
  if (az_op_error(op) == NULL || verb->unknown_too) {
    verb->act(job, az_job_engine(job));
    return;
  }
  GError *error = g_error_copy(az_op_error(op));
  g_prefix_error(&error, "Nothing was changed, since what other homes hold back cannot be read: ");
  az_job_fail(job, error);
}

static void
begin(AzJob *job, const Verb *verb)
{
  az_job_set_data(job, (gpointer) (guintptr) verb, NULL);
  az_failover_share(az_job_engine(job),
                    az_op_new(az_job_root(job), "what others told", AZ_FAILOVER_SHARE_MS, on_known, job));
}

/* ---- pause, once it is known ---- */

static void
pause_known(AzJob *job, AzEngine *engine)
{
  const char *ttl = az_job_arg_string(job, "ttl");
  GError *error = NULL;
  GVariantDict facts;
  Word word = { .now = now_of(engine),
                .ttl_s = ttl != NULL ? seconds_of(ttl) : 0,
                .reason = az_job_arg_string(job, "reason") };
  g_autofree char *until = word.ttl_s != 0 ? az_time_to_string(word.now + (gint64) word.ttl_s * G_USEC_PER_SEC) : NULL;

  if (!az_failover_state_change(engine, change_pause, &word, &error)) {
    az_job_fail(job, error);
    return;
  }
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert_value(&facts, "until", az_variant_str(until));
  g_variant_dict_insert_value(&facts, "reason", az_variant_str(word.reason));
  az_flow_audit(job, "failover.pause", g_variant_dict_end(&facts));
  az_job_message(job, "ok", NULL, "No failover happens by itself%s%s; one that you name (--to REGION) still does",
                 until != NULL ? " until " : " until you resume", until != NULL ? until : "");
  az_job_message(job, "hint", NULL, "To end the pause: azlin failover resume");
  finish(job, TRUE);
}

static void
pause_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  static const Verb verb = { .act = pause_known, .unknown_too = TRUE };

  begin(job, &verb);
}

static const AzFlag pause_flags[] = {
  { "ttl", 0, "s", "TIME", "how long: 90 (seconds), 15m, 2h, 1d; without it until you resume" },
  { "reason", 0, "s", "TEXT", "why; shown wherever the pause is" },
  { 0 },
};

const AzFlow az_flow_failover_pause = {
  .kind = { .kind = "failover-pause", .help = "Hold automatic failovers back", .flags = pause_flags },
  .check = pause_check,
  .run = pause_run,
};

/* ---- resume ---- */

static void
change_resume(AzFailoverState *state, gpointer data)
{
  Word *word = data;

  word->changed = az_failover_is_paused(state, word->now);
  state->paused = FALSE;
  state->paused_at = state->paused_until = 0;
  g_clear_pointer(&state->pause_reason, g_free);
}

static void
resume_known(AzJob *job, AzEngine *engine)
{
  GError *error = NULL;
  Word word = { .now = now_of(engine) };

  if (!az_failover_state_change(engine, change_resume, &word, &error)) {
    az_job_fail(job, error);
    return;
  }
  if (word.changed) {
    GVariantDict facts;
    g_variant_dict_init(&facts, NULL);
    az_flow_audit(job, "failover.resume", g_variant_dict_end(&facts));
  }
  az_job_message(job, "ok", NULL, word.changed ? "Failovers may happen by themselves again" : "Nothing was paused");
  az_failover_say_state(job, TRUE, AZ_HOLD_NONE);
  finish(job, word.changed);
}

static void
resume_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  static const Verb verb = { .act = resume_known };

  begin(job, &verb);
}

const AzFlow az_flow_failover_resume = {
  .kind = { .kind = "failover-resume", .help = "End a pause of automatic failovers" },
  .run = resume_run,
};

/* ---- ack ---- */

static void
change_ack(AzFailoverState *state, gpointer data)
{
  Word *word = data;

  if (word->fenced != NULL) {
    for (guint i = 0; i < state->fences->len; i++) {
      const AzFencePending *fence = g_ptr_array_index(state->fences, i);
      if (!g_str_equal(fence->region, word->fenced))
        continue;
      word->changed = TRUE;
      word->settled = (AzFencePending){ .vm_name = g_strdup(fence->vm_name), .epoch = fence->epoch };
      g_ptr_array_remove_index(state->fences, i);
      return;
    }
    return;
  }
  word->changed = state->automatic_at != 0 && !state->acknowledged;
  word->from = g_strdup(state->automatic_from);
  word->to = g_strdup(state->automatic_to);
  word->epoch = state->automatic_epoch;
  state->acknowledged = state->automatic_at != 0;
}

static void
ack_fenced(AzJob *job, Word *word)
{
  GVariantDict facts;

  if (!word->changed) {
    az_job_message(job, "ok", NULL, "No fence of %s is pending", word->fenced);
    return;
  }
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", word->fenced);
  g_variant_dict_insert(&facts, "vm_name", "s", word->settled.vm_name);
  g_variant_dict_insert(&facts, "epoch", "t", word->settled.epoch);
  g_variant_dict_insert(&facts, "outcome", "s", "fenced, says the operator");
  az_flow_audit(job, "failover.fence", g_variant_dict_end(&facts));
  az_job_message(job, "ok", NULL, "%s (%s) counts as fenced: you answer for it", word->fenced, word->settled.vm_name);
}

static void
ack_switch(AzJob *job, Word *word)
{
  GVariantDict facts;

  if (!word->changed) {
    az_job_message(job, "ok", NULL, "No automatic switch waits to be acknowledged");
    return;
  }
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "from", "s", word->from);
  g_variant_dict_insert(&facts, "to", "s", word->to);
  g_variant_dict_insert(&facts, "epoch", "t", word->epoch);
  az_flow_audit(job, "failover.ack", g_variant_dict_end(&facts));
  az_job_message(job, "ok", NULL, "The automatic switch from %s to %s is acknowledged: the next one may follow",
                 word->from, word->to);
}

static void
ack_known(AzJob *job, AzEngine *engine)
{
  GError *error = NULL;
  const char *region = az_job_arg_string(job, "fenced");
  g_auto(Word) word
      = { .now = now_of(engine), .fenced = region != NULL ? az_config_alias(az_engine_config(engine), region) : NULL };

  if (!az_failover_state_change(engine, change_ack, &word, &error)) {
    az_job_fail(job, error);
    return;
  }
  if (word.fenced != NULL)
    ack_fenced(job, &word);
  else
    ack_switch(job, &word);
  az_failover_say_state(job, TRUE, AZ_HOLD_NONE);
  if (word.fenced != NULL)
    show(job, word.changed);
  else
    finish(job, word.changed);
}

/* A fence is this home's own. */
static void
ack_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  static const Verb verb = { .act = ack_known };

  if (az_job_arg_string(job, "fenced") != NULL)
    ack_known(job, engine);
  else
    begin(job, &verb);
}

static const AzFlag ack_flags[] = {
  { "fenced", 0, "s", "REGION", "instead: the old primary there is off for sure, its pending fence is settled" },
  { 0 },
};

const AzFlow az_flow_failover_ack = {
  .kind = { .kind = "failover-ack", .help = "Acknowledge the last automatic failover", .flags = ack_flags },
  .run = ack_run,
};

/* ---- commit ---- */

static void
change_commit(AzFailoverState *state, gpointer data)
{
  Word *word = data;

  if (state->window_until == 0)
    return;
  word->changed = TRUE;
  word->from = g_strdup(state->window_from);
  word->to = g_strdup(state->window_to);
  word->epoch = state->window_epoch;
  az_failover_close_window(state);
}

static void
commit_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  GError *error = NULL;
  GVariantDict facts;
  g_auto(Word) word = { .now = now_of(engine) };

  if (!az_failover_state_change(engine, change_commit, &word, &error)) {
    az_job_fail(job, error);
    return;
  }
  if (!word.changed) {
    az_job_message(job, "ok", NULL, "No switch waits for its confirmation");
    show(job, FALSE);
    return;
  }
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "from", "s", word.from);
  g_variant_dict_insert(&facts, "to", "s", word.to);
  g_variant_dict_insert(&facts, "epoch", "t", word.epoch);
  az_flow_audit(job, "failover.commit", g_variant_dict_end(&facts));
  az_job_message(job, "ok", NULL, "The switch from %s to %s stays", word.from, word.to);
  show(job, TRUE);
}

const AzFlow az_flow_failover_commit = {
  .kind = { .kind = "failover-commit", .help = "Keep an automatic failover that would be taken back otherwise" },
  .run = commit_run,
};
