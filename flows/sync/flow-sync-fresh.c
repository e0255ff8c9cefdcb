/* sync: how fresh the data of each target is, kept where a failover looks: the beginning of the last round that ended
 * verified. */
#include "flow-sync.h"
#include "kept.h"

#define FRESH "fresh.ini"

void
az_sync_fresh_note(AzEngine *engine, const char *source, const char *target, gint64 at)
{
  g_autoptr(GKeyFile) file = az_sync_kept_open(engine, FRESH);
  g_key_file_set_int64(file, source, target, at);
  az_sync_kept_save(engine, FRESH, file);
}

void
az_sync_fresh_each(AzEngine *engine, const char *source, void (*func)(const char *target, gint64 at, gpointer data),
                   gpointer data)
{
  g_autoptr(GKeyFile) file = az_sync_kept_open(engine, FRESH);
  g_auto(GStrv) targets = g_key_file_get_keys(file, source, NULL, NULL);
  for (guint i = 0; targets != NULL && targets[i] != NULL; i++)
    func(targets[i], g_key_file_get_int64(file, source, targets[i], NULL), data);
}
