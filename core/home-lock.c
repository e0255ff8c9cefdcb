/* The lock of a home: of a file, so that it goes with the process however that ends. */
#include "home-lock.h"

#include "azlin-plugin.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

static char *
path_of(const char *home)
{
  return g_build_filename(home, "azlind.lock", NULL);
}

int
az_home_lock_take(const char *home, GError **error)
{
  g_autofree char *path = path_of(home);
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0)
    return fd;
  int number = errno;
  if (fd >= 0)
    close(fd);
  if (number == EWOULDBLOCK)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_LOCKED, "another azlind works in %s", home);
  else
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s cannot be locked: %s", path, g_strerror(number));
  return -1;
}

gboolean
az_home_lock_is_taken(const char *home)
{
  g_autofree char *path = path_of(home);
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    return FALSE;
  gboolean taken = flock(fd, LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
  close(fd);
  return taken;
}
