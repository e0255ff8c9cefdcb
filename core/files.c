/* Small files of $AZLIN_HOME, written whole. */
#include "files.h"
#include "azlin-plugin.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#define DRAFT ".tmp"

static gboolean
fail(GError **error, const char *verb, const char *path)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot %s %s: %s", verb, path, g_strerror(errno));
  return FALSE;
}

gboolean
az_files_write_all(int fd, const char *bytes, gsize length)
{
  while (length > 0) {
    gssize n = write(fd, bytes, length);
    if (n < 0 && errno != EINTR)
      return FALSE;
    bytes += n > 0 ? n : 0;
    length -= n > 0 ? (gsize) n : 0;
  }
  return TRUE;
}

gboolean
az_files_read_all(int fd, guint64 offset, char *bytes, gsize length)
{
  for (gsize have = 0; have < length;) {
    gssize n = pread(fd, bytes + have, length - have, (off_t) (offset + have));
    if (n == 0)
      errno = EIO;
    if (n == 0 || (n < 0 && errno != EINTR))
      return FALSE;
    have += n > 0 ? (gsize) n : 0;
  }
  return TRUE;
}

gboolean
az_files_sync_folder(const char *path, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = fd >= 0 && fsync(fd) == 0;
  if (!ok)
    fail(error, "make durable", folder);
  if (fd >= 0)
    close(fd);
  return ok;
}

gboolean
az_files_write(const char *path, const char *text, AzFilesCare care, GError **error)
{
  g_autofree char *draft = g_strdup_printf("%s.%d" DRAFT, path, (int) getpid());
  int fd = open(draft, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return fail(error, "write", draft);
  gboolean ok = az_files_write_all(fd, text, strlen(text)) && (care == AZ_FILES_QUICK || fsync(fd) == 0);
  ok = close(fd) == 0 && ok && g_rename(draft, path) == 0;
  if (ok)
    return care != AZ_FILES_DURABLE || az_files_sync_folder(path, error);
  fail(error, "replace", path);
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
