/* How old the data of each region is: the last verified sync onto it, from the audit log and from who keeps it in step.
 */
#include "flow-failover.h"
#include "flow-sync.h"

#define RECORDS 1000 /* of the audit log: older syncs than these are no news */

static void
note_one(const char *region, gint64 at, gpointer syncs)
{
  const gint64 *known = g_hash_table_lookup(syncs, region);
  if (known == NULL || *known < at)
    g_hash_table_replace(syncs, g_strdup(region), g_memdup2(&at, sizeof at));
}

static void
note(GHashTable *syncs, GVariant *targets, gint64 at)
{
  for (gsize i = 0; targets != NULL && i < g_variant_n_children(targets); i++) {
    g_autoptr(GVariant) name = az_variant_element(targets, i);
    if (g_variant_is_of_type(name, G_VARIANT_TYPE_STRING))
      note_one(g_variant_get_string(name, NULL), at, syncs);
  }
}

/* Notes the record if it tells of a verified sync from `source`. */
static void
read_record(GHashTable *syncs, GVariant *record, const char *source)
{
  const char *what = NULL, *time = NULL, *from = NULL;

  if (!g_variant_lookup(record, "what", "&s", &what) || !g_str_equal(what, "sync")
      || !g_variant_lookup(record, "time", "&s", &time))
    return;
  g_autoptr(GVariant) facts = g_variant_lookup_value(record, "facts", G_VARIANT_TYPE_VARDICT);
  if (facts == NULL || !g_variant_lookup(facts, "source", "&s", &from) || !g_str_equal(from, source))
    return;
  g_autoptr(GVariant) targets = g_variant_lookup_value(facts, "verified_targets", G_VARIANT_TYPE_ARRAY);
  note(syncs, targets, az_time_from_string(time));
}

GHashTable *
az_failover_syncs(AzEngine *engine, const char *source)
{
  AzAudit *audit = az_engine_audit(engine, NULL);
  g_autoptr(GVariant) shown = audit != NULL ? az_audit_show(audit, RECORDS, NULL) : NULL;
  GHashTable *syncs = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);

  for (gsize i = 0; shown != NULL && i < g_variant_n_children(shown); i++) {
    g_autoptr(GVariant) record = az_variant_element(shown, i);
    read_record(syncs, record, source);
  }
  az_sync_fresh_each(engine, source, note_one, syncs);
  return syncs;
}
