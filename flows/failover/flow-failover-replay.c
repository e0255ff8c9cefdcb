/* The flow failover-replay: asks the failover brick again what it decided, with the inputs that were stored then, and
 * with other options where they are given. Offline: nothing is probed, nothing is stored. */
#include "error.h"
#include "flow-failover-decision.h"
#include "flow-failover.h"
#include "trial.h"
#include <string.h>

#define LISTED 20
#define CONFIDENCE_GRAIN 1e-9

/* ---- the list ---- */

static GVariant *
row_of(GVariant *record)
{
  static const char *const names[] = { "verdict", "should_auto_failover", "confidence", "reason" };
  g_autoptr(GVariant) decision = g_variant_lookup_value(record, "decision", G_VARIANT_TYPE_VARDICT);
  GVariantDict row;

  g_variant_dict_init(&row, NULL);
  for (guint i = 0; i < 4; i++) {
    static const char *const heads[] = { "id", "time", "why", "region" };
    g_autoptr(GVariant) value = g_variant_lookup_value(record, heads[i], NULL);
    if (value != NULL)
      g_variant_dict_insert_value(&row, heads[i], value);
  }
  for (guint i = 0; decision != NULL && i < G_N_ELEMENTS(names); i++) {
    g_autoptr(GVariant) value = g_variant_lookup_value(decision, names[i], NULL);
    if (value != NULL)
      g_variant_dict_insert_value(&row, names[i], value);
  }
  return g_variant_dict_end(&row);
}

static const char *
word_in(GVariant *dict, const char *name)
{
  const char *word = "?";

  g_variant_lookup(dict, name, "&s", &word);
  return word;
}

static double
confidence_in(GVariant *decision)
{
  double confidence = 0;
  gint64 whole;

  if (!g_variant_lookup(decision, "confidence", "d", &confidence)
      && g_variant_lookup(decision, "confidence", "x", &whole))
    confidence = (double) whole;
  return confidence;
}

static gboolean
is_automatic(GVariant *decision)
{
  gboolean automatic = FALSE;

  g_variant_lookup(decision, "should_auto_failover", "b", &automatic);
  return automatic;
}

/* Rounded down: certainty is never claimed. */
static double
percent(double confidence)
{
  return (double) (int) (confidence * 1000) / 10;
}

static void
list(AzJob *job, const GPtrArray *decisions)
{
  GVariantBuilder result, rows;

  g_variant_builder_init(&rows, G_VARIANT_TYPE("aa{sv}"));
  az_job_message(job, "step", NULL, "Decisions, the newest first...");
  for (guint i = decisions->len; i > 0 && decisions->len - i < LISTED; i--) {
    g_autoptr(GVariant) row = g_variant_ref_sink(row_of(g_ptr_array_index(decisions, i - 1)));
    az_job_message(job, "detail", NULL, "%s  %s  %-10s  %-10s  %s, %s (%.1f%%)", word_in(row, "id"),
                   word_in(row, "time"), word_in(row, "why"), word_in(row, "region"), word_in(row, "verdict"),
                   is_automatic(row) ? "automatic" : "not automatic", percent(confidence_in(row)));
    g_variant_builder_add_value(&rows, row);
  }
  if (decisions->len == 0)
    az_job_message(job, "detail", NULL, "None is stored yet; azlin failover --check-only makes one");
  else
    az_job_message(job, "hint", NULL, "To ask again: azlin failover replay ID [--with fall=5,threshold=0.9]");
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "decisions", g_variant_builder_end(&rows));
  az_job_finish(job, 0, g_variant_builder_end(&result));
}

/* ---- one, again ---- */

static GVariant *
find(const GPtrArray *decisions, const char *id, GError **error)
{
  for (guint i = decisions->len; i > 0; i--) {
    GVariant *record = g_ptr_array_index(decisions, i - 1);
    if (g_str_equal(word_in(record, "id"), id))
      return record;
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "No decision %s is stored (the newest %d are)", id,
              AZ_DECISIONS_KEPT);
  az_error_add_step(*error, "See which ones are: azlin failover replay");
  return NULL;
}

/* "fall=5,threshold=0.9" over what was in force then; a{ss}. Lists have ';' between their words. */
static GVariant *
options_of(GVariant *record, const char *with, GError **error)
{
  GVariantDict dict;
  GVariantBuilder texts;
  g_auto(GStrv) pairs = g_strsplit(with != NULL ? with : "", ",", -1);
  g_autoptr(GVariant) stored = g_variant_lookup_value(record, "options", G_VARIANT_TYPE_VARDICT);

  g_variant_dict_init(&dict, stored);
  for (char **pair = pairs; *pair != NULL; pair++) {
    char *value = strchr(*pair, '=');
    if (with == NULL || value == NULL) {
      g_variant_dict_clear(&dict);
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--with %s: it is NAME=VALUE, several with commas", *pair);
      return NULL;
    }
    *value++ = '\0';
    g_variant_dict_insert(&dict, g_strstrip(*pair), "s", g_strstrip(value));
  }
  g_autoptr(GVariant) merged = g_variant_ref_sink(g_variant_dict_end(&dict));
  GVariantIter iter;
  const char *name;
  GVariant *value;
  g_variant_builder_init(&texts, G_VARIANT_TYPE("a{ss}"));
  g_variant_iter_init(&iter, merged);
  while (g_variant_iter_next(&iter, "{&sv}", &name, &value)) {
    if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
      g_variant_builder_add(&texts, "{ss}", name, g_variant_get_string(value, NULL));
    g_variant_unref(value);
  }
  return g_variant_ref_sink(g_variant_builder_end(&texts));
}

static void
follow_mode(const AzTrial *trial, AzlinDecisionInput *input)
{
  const char *mode = NULL;

  g_variant_lookup(az_trial_texts(trial), "mode", "&s", &mode);
  if (g_strcmp0(mode, "auto") == 0)
    input->mode = AZLIN_MODE_AUTO;
  else if (g_strcmp0(mode, "manual") == 0)
    input->mode = AZLIN_MODE_MANUAL;
  else if (g_strcmp0(mode, "hybrid") == 0)
    input->mode = AZLIN_MODE_HYBRID;
}

static GVariant *
decide_again(AzEngine *engine, GVariant *record, const char *with, GError **error)
{
  g_autoptr(GVariant) texts = options_of(record, with, error);
  if (texts == NULL)
    return NULL;
  g_autoptr(AzTrial) trial = az_trial_new(engine, word_in(record, "brick"), texts, error);
  if (trial == NULL)
    return NULL;
  g_autoptr(GVariant) document = g_variant_lookup_value(record, "input", G_VARIANT_TYPE_VARDICT);
  g_autoptr(AzDecisionInput) input
      = document != NULL
            ? az_decision_input_from_variant(document, error)
            : (g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "The stored decision has lost its inputs"),
               NULL);
  if (input == NULL)
    return NULL;
  AzlinDecision decision = { .size = sizeof decision };
  const AzlinFailover *brick = az_trial_iface(trial);
  follow_mode(trial, az_decision_input_get(input));
  brick->decide(az_trial_self(trial), az_decision_input_get(input), &decision);
  GVariant *value = g_variant_ref_sink(az_decision_to_variant(&decision));
  az_failover_decision_clear(&decision);
  return value;
}

static const char *
first_target(GVariant *decision, char **ret_owned)
{
  g_autoptr(GVariant) ranking = g_variant_lookup_value(decision, "ranking", G_VARIANT_TYPE_ARRAY);

  if (ranking == NULL || g_variant_n_children(ranking) == 0)
    return NULL;
  g_autoptr(GVariant) text = az_variant_element(ranking, 0);
  const char *line = g_variant_get_string(text, NULL);
  *ret_owned = g_strndup(line, strcspn(line, ":"));
  return *ret_owned;
}

/* Names of what a switch depends on and that is not the same; as "as". */
static GVariant *
differences(GVariant *then, GVariant *now)
{
  g_autofree char *target_then = NULL, *target_now = NULL;
  GVariantBuilder names;

  g_variant_builder_init(&names, G_VARIANT_TYPE_STRING_ARRAY);
  if (!g_str_equal(word_in(then, "verdict"), word_in(now, "verdict")))
    g_variant_builder_add(&names, "s", "verdict");
  if (is_automatic(then) != is_automatic(now))
    g_variant_builder_add(&names, "s", "should_auto_failover");
  if (ABS(confidence_in(then) - confidence_in(now)) > CONFIDENCE_GRAIN)
    g_variant_builder_add(&names, "s", "confidence");
  if (g_strcmp0(first_target(then, &target_then), first_target(now, &target_now)) != 0)
    g_variant_builder_add(&names, "s", "target");
  return g_variant_builder_end(&names);
}

static void
say_decision(AzJob *job, const char *title, GVariant *decision)
{
  az_job_message(job, "step", NULL, "%s...", title);
  az_job_message(job, is_automatic(decision) ? "ok" : "warn", NULL, "%s (%s), confidence %.1f%%",
                 is_automatic(decision) ? "Automatic" : "Not automatic", word_in(decision, "verdict"),
                 percent(confidence_in(decision)));
  az_job_message(job, "detail", NULL, "%s", word_in(decision, "reason"));
  az_job_message(job, "detail", NULL, "What would change it: %s", word_in(decision, "what_would_change"));
}

static void
compare(AzJob *job, GVariant *record, const char *with, GVariant *then, GVariant *now)
{
  GVariantBuilder result;
  g_autoptr(GVariant) names = g_variant_ref_sink(differences(then, now));
  gsize n = g_variant_n_children(names);
  g_auto(GStrv) names_of = g_variant_dup_strv(names, NULL);
  g_autofree char *words = g_strjoinv(", ", names_of);

  az_job_message(job, "step", NULL, "Decision %s about %s, %s (%s)...", word_in(record, "id"),
                 word_in(record, "region"), word_in(record, "time"), word_in(record, "why"));
  say_decision(job, "Then", then);
  g_autofree char *title = with != NULL ? g_strdup_printf("Now, with %s", with) : g_strdup("Now");
  say_decision(job, title, now);
  az_job_message(job, n == 0 ? "done" : "failed", NULL, n == 0 ? "The same%s" : "It differs: %s", n == 0 ? "" : words);
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < 4; i++) {
    static const char *const heads[] = { "id", "time", "why", "region" };
    g_variant_builder_add(&result, "{sv}", heads[i], g_variant_new_string(word_in(record, heads[i])));
  }
  g_variant_builder_add(&result, "{sv}", "with", az_variant_str(with));
  g_variant_builder_add(&result, "{sv}", "same", g_variant_new_boolean(n == 0));
  g_variant_builder_add(&result, "{sv}", "differs", names);
  g_variant_builder_add(&result, "{sv}", "then", then);
  g_variant_builder_add(&result, "{sv}", "now", now);
  az_job_finish(job, n == 0 ? 0 : 1, g_variant_builder_end(&result));
}

static void
replay(AzJob *job, AzEngine *engine, const GPtrArray *decisions, const char *id)
{
  GError *error = NULL;
  const char *with = az_job_arg_string(job, "with");
  GVariant *record = find(decisions, id, &error);
  g_autoptr(GVariant) now = record != NULL ? decide_again(engine, record, with, &error) : NULL;

  if (now == NULL) {
    az_job_fail(job, error);
    return;
  }
  g_autoptr(GVariant) then = g_variant_lookup_value(record, "decision", G_VARIANT_TYPE_VARDICT);
  if (then == NULL) {
    az_job_fail(job, g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_STORAGE, "The stored decision has lost its answer"));
    return;
  }
  compare(job, record, with, then, now);
}

static void
replay_run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  GError *error = NULL;
  const char *id = az_job_arg_string(job, "id");
  g_autoptr(GPtrArray) decisions = az_decision_list(engine, &error);

  if (decisions == NULL)
    az_job_fail(job, error);
  else if (id == NULL)
    list(job, decisions);
  else
    replay(job, engine, decisions, id);
}

static gboolean
replay_check(AzEngine *engine, GVariant *args, GError **error)
{
  const char *id = NULL, *with = NULL;

  g_variant_lookup(args, "id", "&s", &id);
  g_variant_lookup(args, "with", "&s", &with);
  if (with == NULL || id != NULL)
    return TRUE;
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "--with asks one decision again: name its id");
  return FALSE;
}

static const AzFlag flags[] = {
  { "id", 0, "s", "ID", "the decision (default: the last ones are listed)" },
  { "with", 'w', "s", "NAME=VALUE,...", "options of the failover brick that are to differ, as fall=5,threshold=0.9" },
  { 0 },
};

const AzFlow az_flow_failover_replay = {
  .kind
  = { .kind = "failover-replay", .help = "Ask again what a failover decided, also with other options", .flags = flags },
  .check = replay_check,
  .run = replay_run,
};
