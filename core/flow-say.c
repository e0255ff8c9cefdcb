/* What flows tell people and keep on record: errors with their next steps, durations, audit records, interrupted
 * intents. */
#include "error.h"
#include "flow-support.h"

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
  az_job_message(job, "fail", region, "Failed: %s", error->message);
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
  if (!audit || !az_audit_write(audit, what, sunk, &error))
    az_job_message(job, "warn", NULL, "The audit log cannot be written: %s", error->message);
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
