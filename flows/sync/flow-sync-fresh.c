/* sync: how fresh the data of each target is, kept where a failover looks: the beginning of the last round that ended
 * verified. */
#include "files.h"
#include "flow-sync.h"
#include "engine-private.h"

static char *
file_of(AzEngine *engine)
{
  return az_paths_file(az_engine_paths(engine), "sync/fresh.ini");
}

void
az_sync_fresh_note(AzEngine *engine, const char *source, const char *target, gint64 at)
{
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autofree char *path = file_of(engine), *folder = g_path_get_dirname(path);
  g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL);
  g_key_file_set_int64(file, source, target, at);
  g_autofree char *text = g_key_file_to_data(file, NULL, NULL);
  if (az_paths_make_dir(folder, NULL))
    az_files_write(path, text, AZ_FILES_QUICK, NULL);
}

void
az_sync_fresh_each(AzEngine *engine, const char *source, void (*func)(const char *target, gint64 at, gpointer data),
                   gpointer data)
{
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autofree char *path = file_of(engine);
  if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL))
    return;
  g_auto(GStrv) targets = g_key_file_get_keys(file, source, NULL, NULL);
  for (guint i = 0; targets != NULL && targets[i] != NULL; i++)
    func(targets[i], g_key_file_get_int64(file, source, targets[i], NULL), data);
}
