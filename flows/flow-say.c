/* What flows tell people and keep on record: errors with their next steps, durations, audit records, interrupted
 * intents. */
#include "error.h"
#include "flow-support.h"
#include "health.h"
#include <string.h>

#define WORDS 200 /* bytes of what a machine or a hook says that are passed on */

char *
az_flow_duration(double seconds)
{
  guint64 whole = (guint64) (seconds < 0 ? 0 : seconds + 0.5);
  if (seconds < 10)
    return g_strdup_printf("%.1fs", seconds < 0 ? 0.0 : seconds);
  if (whole < 60)
    return g_strdup_printf("%us", (guint) whole);
  if (whole < 3600)
    return g_strdup_printf("%um %us", (guint) (whole / 60), (guint) (whole % 60));
  return g_strdup_printf("%uh %um", (guint) (whole / 3600), (guint) (whole % 3600 / 60));
}

double
az_flow_seconds_since(AzEngine *engine, gint64 start)
{
  return (double) (az_clock_monotonic(az_engine_clock(engine)) - start) / G_USEC_PER_SEC;
}

void
az_flow_say_error(AzJob *job, const char *region, const GError *error)
{
  g_autoptr(GVariant) result = g_variant_ref_sink(az_error_to_variant(error, NULL));
  g_autofree const char **steps = NULL;
  g_autofree char *text = az_error_message(error);
  az_job_message(job, "fail", region, "Failed: %s", text);
  if (!g_variant_lookup(result, "resolution_steps", "^a&s", &steps))
    return;
  for (gsize i = 0; steps[i] && i < 2; i++)
    az_job_message(job, "warn", region, "Consider: %s", steps[i]);
}

void
az_flow_audit(AzJob *job, const char *what, GVariant *facts)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(facts);
  g_autoptr(GError) error = NULL;
  AzAudit *audit = az_engine_audit(az_job_engine(job), &error);
  if (!audit || !az_audit_write_of(audit, az_job_number(job), what, sunk, &error))
    az_job_message(job, "warn", NULL, "The audit log cannot be written: %s", error->message);
}

void
az_flow_audit_vm(AzJob *job, const char *what, const AzlinVm *vm, const char *outcome)
{
  GVariantDict facts;
  g_autofree char *word = g_strdup(outcome);
  az_error_cut_steps(word);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", vm->region);
  g_variant_dict_insert_value(&facts, "vm_name", az_variant_str(vm->vm_name));
  g_variant_dict_insert_value(&facts, "provider", az_variant_str(vm->provider));
  g_variant_dict_insert(&facts, "outcome", "s", word);
  az_flow_audit(job, what, g_variant_dict_end(&facts));
}

static void
keep(AzEngine *engine, GHashTable *verdicts, GVariant *watched)
{
  GHashTableIter iter;
  gpointer key, value;
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{sb}"));
  g_hash_table_iter_init(&iter, verdicts);
  while (g_hash_table_iter_next(&iter, &key, &value))
    g_variant_builder_add(&builder, "{sb}", key, GPOINTER_TO_INT(value) != 0);
  az_vantage_store_history(engine, g_variant_builder_end(&builder), watched);
}

void
az_flow_keep_verdicts(AzEngine *engine, GHashTable *verdicts)
{
  keep(engine, verdicts, NULL);
}

void
az_flow_keep_sightings(AzEngine *engine, GHashTable *verdicts)
{
  az_flow_keep_watch(engine, verdicts, NULL);
}

void
az_flow_keep_watch(AzEngine *engine, GHashTable *verdicts, GVariant *watched)
{
  GHashTableIter iter;
  gpointer key, value;
  g_autoptr(GHashTable) alive = g_hash_table_new(g_str_hash, g_str_equal);
  g_hash_table_iter_init(&iter, verdicts);
  while (g_hash_table_iter_next(&iter, &key, &value))
    if (GPOINTER_TO_INT(value))
      g_hash_table_add(alive, strchr(key, '>'));
  g_hash_table_iter_init(&iter, verdicts);
  while (g_hash_table_iter_next(&iter, &key, &value))
    if (!GPOINTER_TO_INT(value) && !g_hash_table_contains(alive, strchr(key, '>')))
      g_hash_table_iter_remove(&iter);
  keep(engine, verdicts, watched);
}

void
az_flow_keep_verdict(AzEngine *engine, const char *vantage, const char *region, gboolean up)
{
  g_autoptr(GHashTable) one = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_insert(one, g_strdup_printf("%s>%s", vantage, region), GINT_TO_POINTER(up));
  az_flow_keep_verdicts(engine, one);
}

void
az_flow_forget_all_verdicts(AzEngine *engine, GHashTable *regions)
{
  GVariantIter iter;
  GHashTableIter names;
  gpointer region;
  const char *pair;
  g_autoptr(GHashTable) gone = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GVariant) all = az_vantage_all(engine);
  g_hash_table_iter_init(&names, regions);
  while (g_hash_table_iter_next(&names, &region, NULL))
    g_hash_table_insert(gone, g_strdup_printf("here>%s", (const char *) region), GINT_TO_POINTER(FALSE));
  if (all != NULL)
    g_variant_iter_init(&iter, all);
  while (all != NULL && g_variant_iter_next(&iter, "{&sv}", &pair, NULL)) {
    const char *about = strchr(pair, '>');
    if (about != NULL && g_hash_table_contains(regions, about + 1))
      g_hash_table_replace(gone, g_strdup(pair), GINT_TO_POINTER(FALSE));
  }
  az_flow_keep_verdicts(engine, gone);
}

void
az_flow_forget_verdicts(AzEngine *engine, const char *region)
{
  g_autoptr(GHashTable) one = g_hash_table_new(g_str_hash, g_str_equal);
  g_hash_table_add(one, (gpointer) (guintptr) region);
  az_flow_forget_all_verdicts(engine, one);
}

gboolean
az_flow_entry_abandoned(const AzJournalEntry *entry)
{
  gboolean interrupted = FALSE;
  g_variant_lookup(entry->undo, "interrupted", "b", &interrupted);
  return interrupted || !entry->alive;
}

void
az_flow_entry_interrupted(AzEngine *engine, guint64 id)
{
  g_autoptr(GError) error = NULL;
  GVariantDict facts;
  AzJournal *journal = az_engine_journal(engine, &error);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "interrupted", "b", TRUE);
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&facts));
  if (!journal || !az_journal_update(journal, id, value, &error))
    g_warning("journal: %s", error->message);
}

char *
az_flow_first_words(GBytes *bytes)
{
  gsize length = 0;
  const char *start_of = g_bytes_get_data(bytes, &length);
  g_autofree char *raw = g_strndup(start_of != NULL ? start_of : "", MIN(length, WORDS));
  raw[strcspn(raw, "\r\n")] = 0;
  char *text = g_utf8_make_valid(raw, -1);
  GString *clean = g_string_new(NULL);
  for (char *c = text; *c != 0; c = g_utf8_next_char(c)) {
    gunichar one = g_utf8_get_char(c);
    if (g_unichar_isprint(one) && !g_unichar_iszerowidth(one))
      g_string_append_unichar(clean, one);
  }
  g_free(text);
  return g_strstrip(g_string_free(clean, FALSE));
}
