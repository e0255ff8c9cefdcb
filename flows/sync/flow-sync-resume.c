/* sync --resume: the arguments of the last sync that did not end well, kept until one like it has. */
#include "error.h"
#include "flow-sync-private.h"
#include "kept.h"
#include <glib/gstdio.h>

#define UNFINISHED "unfinished"

void
az_sync_unfinished_note(AzEngine *engine, GVariant *args)
{
  g_autofree char *text = g_variant_print(args, TRUE);
  az_sync_kept_write(engine, UNFINISHED, text, AZ_FILES_SYNCED);
}

void
az_sync_unfinished_clear(AzEngine *engine, GVariant *args)
{
  g_autofree char *path = az_sync_kept_path(engine, UNFINISHED), *text = g_variant_print(args, TRUE), *kept = NULL;
  if (g_file_get_contents(path, &kept, NULL, NULL) && g_str_equal(kept, text))
    g_unlink(path);
}

GVariant *
az_sync_unfinished(AzEngine *engine, GError **error)
{
  g_autofree char *path = az_sync_kept_path(engine, UNFINISHED), *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL)) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "no sync was interrupted");
    return NULL;
  }
  GVariant *args = g_variant_parse(G_VARIANT_TYPE_VARDICT, text, NULL, NULL, NULL);
  if (args == NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "what was interrupted cannot be read from %s", path);
  return args;
}
