/* The lock of a home: of a file, so that it goes with the process however that ends. */
#include "home-lock.h"

#include "azlin-plugin.h"

#include <errno.h>
#include <fcntl.h>
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
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0)
    return fd;
  int number = errno;
  if (fd >= 0)
    close(fd);
  if (number == EAGAIN || number == EACCES)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_LOCKED, "another azlind works in %s", home);
  else
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s cannot be locked: %s", path, g_strerror(number));
  return -1;
}

/* Asks, and never holds it: a service that begins meanwhile must not find it taken. */
gboolean
az_home_lock_is_taken(const char *home)
{
  g_autofree char *path = path_of(home);
  struct flock lock = { .l_type = F_RDLCK, .l_whence = SEEK_SET };
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0)
    return FALSE;
  gboolean taken = fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
  close(fd);
  return taken;
}
