/* Small file calls that either do all or say why not. */
#include "storage.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

gboolean
storage_fail(GError **error, const char *verb, const char *path)
{
  int saved = errno;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot %s %s: %s", verb, path, g_strerror(saved));
  errno = saved;
  return FALSE;
}

char *
storage_read(int fd, gsize length)
{
  g_autofree char *bytes = g_malloc(length + 1);
  gsize have = 0;
  while (have < length) {
    gssize n = read(fd, bytes + have, length - have);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return NULL;
    if (n == 0)
      break;
    have += (gsize) n;
  }
  /* A file that shrank meanwhile reads as damaged, and is looked at again. */
  memset(bytes + have, 0, length + 1 - have);
  return g_steal_pointer(&bytes);
}

gboolean
storage_write(int fd, const char *bytes, gsize length)
{
  while (length > 0) {
    gssize n = write(fd, bytes, length);
    if (n < 0 && errno == EINTR)
      continue;
    if (n < 0)
      return FALSE;
    bytes += n;
    length -= (gsize) n;
  }
  return TRUE;
}

gboolean
storage_sync_folder(const char *folder, GError **error)
{
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = fd >= 0 && fsync(fd) == 0;
  if (!ok)
    storage_fail(error, "make durable", folder);
  if (fd >= 0)
    close(fd);
  return ok;
}
