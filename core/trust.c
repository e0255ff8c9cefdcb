/* Trust in files: owner and write bits of the file and of every folder above it, from the root downwards. */
#include "trust.h"
#include "azlin-plugin.h"
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

/* Debian-like systems give each user a group of the same name without other members; with umask 002 all that the user
 * makes is writable by it, and nobody else is let in. An access control list could name more people: then it counts. */
static gboolean
group_is_private(const char *path, const struct stat *info)
{
  const struct passwd *user;
  const struct group *group;
  g_autofree char *name = NULL;

  if (getxattr(path, "system.posix_acl_access", NULL, 0) > 0)
    return FALSE;
  user = getpwuid(info->st_uid);
  if (user == NULL || user->pw_gid != info->st_gid)
    return FALSE;
  name = g_strdup(user->pw_name);
  group = getgrgid(info->st_gid);
  if (group == NULL || g_strcmp0(group->gr_name, name) != 0)
    return FALSE;
  for (char **member = group->gr_mem; *member != NULL; member++)
    if (g_strcmp0(*member, name) != 0)
      return FALSE;
  return TRUE;
}

static gboolean
check_owner(const char *path, const char *what, const struct stat *info, GError **error)
{
  if (info->st_uid != 0 && info->st_uid != geteuid()) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s %s belongs to user %u; it must belong to root or to you",
                what, path, (unsigned) info->st_uid);
    return FALSE;
  }
  if ((info->st_mode & S_IWOTH) != 0 || ((info->st_mode & S_IWGRP) != 0 && !group_is_private(path, info))) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s %s can be written by others (mode %04o)", what, path,
                (unsigned) (info->st_mode & 07777));
    return FALSE;
  }
  return TRUE;
}

static gboolean
check_one_folder(const char *folder, GError **error)
{
  struct stat info;

  if (stat(folder, &info) != 0) {
    int code = errno;
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "folder %s cannot be read: %s", folder, g_strerror(code));
    return FALSE;
  }
  if (!S_ISDIR(info.st_mode)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s is not a folder", folder);
    return FALSE;
  }
  return check_owner(folder, "folder", &info, error);
}

/* From "/" downwards: once a folder is trusted, nobody else can replace what it holds while the next one is looked at.
 */
static gboolean
check_chain(const char *folder, GError **error)
{
  g_autofree char *prefix = g_strdup(folder);

  if (!check_one_folder("/", error))
    return FALSE;
  for (char *end = strchr(prefix + 1, '/'); end != NULL; end = strchr(end + 1, '/')) {
    *end = '\0';
    if (!check_one_folder(prefix, error))
      return FALSE;
    *end = '/';
  }
  return check_one_folder(prefix, error);
}

gboolean
az_trust_check_folder(const char *folder, GError **error)
{
  g_autofree char *named = NULL;
  char *real;
  gboolean ok;

  if (!g_path_is_absolute(folder)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "folder %s is not an absolute path", folder);
    return FALSE;
  }
  named = g_canonicalize_filename(folder, "/");
  if (!check_chain(named, error))
    return FALSE;
  real = realpath(folder, NULL);
  ok = real != NULL && (g_str_equal(real, named) || check_chain(real, error));
  if (real == NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "folder %s cannot be resolved", folder);
  free(real);
  return ok;
}

static int
open_checked(const char *path, GError **error)
{
  struct stat info;
  int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  int code = errno;

  if (fd < 0 && code == ELOOP) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "file %s is a symbolic link", path);
    return -1;
  }
  if (fd < 0) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "file %s cannot be opened: %s", path, g_strerror(code));
    return -1;
  }
  if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s is not a regular file", path);
    close(fd);
    return -1;
  }
  if (!check_owner(path, "file", &info, error)) {
    close(fd);
    return -1;
  }
  return fd;
}

int
az_trust_open(const char *path, gboolean follow, GError **error)
{
  g_autofree char *folder = g_path_get_dirname(path);
  char *real;
  int fd;

  if (!g_path_is_absolute(path)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s is not an absolute path", path);
    return -1;
  }
  if (!az_trust_check_folder(folder, error)) {
    g_prefix_error(error, "%s is not trusted: ", path);
    return -1;
  }
  if (!follow)
    return open_checked(path, error);
  real = realpath(path, NULL);
  if (real == NULL || g_str_equal(real, path)) {
    free(real);
    return open_checked(path, error);
  }
  fd = az_trust_open(real, FALSE, error);
  free(real);
  return fd;
}
