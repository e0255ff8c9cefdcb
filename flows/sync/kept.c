/* Small files below $AZLIN_HOME/sync: losing one costs time or a hint, never truth. */
#include "kept.h"

char *
az_sync_kept_path(AzEngine *engine, const char *name)
{
  g_autofree char *below = g_strconcat("sync/", name, NULL);
  return az_paths_file(az_engine_paths(engine), below);
}

void
az_sync_kept_write(AzEngine *engine, const char *name, const char *text, AzFilesCare care)
{
  g_autofree char *path = az_sync_kept_path(engine, name), *folder = g_path_get_dirname(path);
  if (az_paths_make_dir(folder, NULL))
    az_files_write(path, text, care, NULL);
}

GKeyFile *
az_sync_kept_open(AzEngine *engine, const char *name)
{
  GKeyFile *file = g_key_file_new();
  g_autofree char *path = az_sync_kept_path(engine, name);
  g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, NULL);
  return file;
}

void
az_sync_kept_save(AzEngine *engine, const char *name, GKeyFile *file)
{
  g_autofree char *text = g_key_file_to_data(file, NULL, NULL);
  az_sync_kept_write(engine, name, text, AZ_FILES_QUICK);
}
