/* Small files of $AZLIN_HOME that are written whole: the draft carries the writer's pid, so that recover can tell whose
 * it was. */
#include "flow-files.h"
#include "azlin-plugin.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DRAFT ".tmp"

gboolean
az_files_write(const char *path, const char *text, GError **error)
{
  g_autofree char *draft = g_strdup_printf("%s.%d" DRAFT, path, (int) getpid());
  if (!g_file_set_contents_full(draft, text, -1, G_FILE_SET_CONTENTS_ONLY_EXISTING, 0600, error))
    return FALSE;
  if (g_rename(draft, path) == 0)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot replace %s: %s", path, g_strerror(errno));
  g_unlink(draft);
  return FALSE;
}

/* "ssh_config.1234.tmp": the number is the writer; a draft of a live process may be half written right now. */
static gboolean
is_stale(const char *name)
{
  if (!g_str_has_suffix(name, DRAFT))
    return FALSE;
  g_autofree char *stem = g_strndup(name, strlen(name) - strlen(DRAFT));
  const char *dot = strrchr(stem, '.');
  guint64 pid = 0;
  if (!dot || !g_ascii_string_to_unsigned(dot + 1, 10, 1, G_MAXINT, &pid, NULL))
    return FALSE;
  return kill((pid_t) pid, 0) != 0 && errno == ESRCH;
}

GPtrArray *
az_files_stale(const char *folder)
{
  GPtrArray *found = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name(dir)))
    if (is_stale(name))
      g_ptr_array_add(found, g_build_filename(folder, name, NULL));
  return found;
}
