/* sync --resume: the arguments of the last sync that did not end well, kept until one like it has. */
#include "error.h"
#include "files.h"
#include "flow-sync-private.h"
#include <glib/gstdio.h>

static char *
file_of(AzEngine *engine)
{
  return az_paths_file(az_engine_paths(engine), "sync/unfinished");
}

void
az_sync_unfinished_note(AzEngine *engine, GVariant *args)
{
  g_autofree char *path = file_of(engine), *folder = g_path_get_dirname(path), *text = g_variant_print(args, TRUE);
  if (az_paths_make_dir(folder, NULL))
    az_files_write(path, text, AZ_FILES_SYNCED, NULL);
}

void
az_sync_unfinished_clear(AzEngine *engine, GVariant *args)
{
  g_autofree char *path = file_of(engine), *text = g_variant_print(args, TRUE), *kept = NULL;
  if (g_file_get_contents(path, &kept, NULL, NULL) && g_str_equal(kept, text))
    g_unlink(path);
}

GVariant *
az_sync_unfinished(AzEngine *engine, GError **error)
{
  g_autofree char *path = file_of(engine), *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL)) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "no sync was interrupted");
    return NULL;
  }
  GVariant *args = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
  if (args == NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "what was interrupted cannot be read from %s", path);
  return args;
}
