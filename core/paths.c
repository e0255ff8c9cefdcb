/* $AZLIN_HOME and what stands in it. */
#include "paths.h"
#include "azlin-plugin.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct _AzPaths {
  char *home;
};

AzPaths *
az_paths_new(const char *home)
{
  AzPaths *paths = g_new0(AzPaths, 1);
  const char *chosen = home;

  if (chosen == NULL || *chosen == '\0')
    chosen = secure_getenv("AZLIN_HOME");
  if (chosen != NULL && *chosen != '\0')
    paths->home = g_canonicalize_filename(chosen, NULL);
  else
    paths->home = g_build_filename(g_get_home_dir(), ".azlin", NULL);
  return paths;
}

void
az_paths_free(AzPaths *paths)
{
  if (paths == NULL)
    return;
  g_free(paths->home);
  g_free(paths);
}

const char *
az_paths_home(AzPaths *paths)
{
  return paths->home;
}

static gboolean
storage_error(GError **error, const char *what, const char *dir, int code)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "%s %s: %s", what, dir, g_strerror(code));
  return FALSE;
}

gboolean
az_paths_make_dir(const char *dir, GError **error)
{
  struct stat info;

  if (g_mkdir_with_parents(dir, 0700) != 0)
    return storage_error(error, "cannot make the folder", dir, errno);
  if (stat(dir, &info) != 0)
    return storage_error(error, "cannot read the folder", dir, errno);
  if (info.st_uid != geteuid()) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "the folder %s belongs to user %u, not to you", dir,
                (unsigned) info.st_uid);
    return FALSE;
  }
  if ((info.st_mode & 077) != 0 && chmod(dir, info.st_mode & 0700) != 0)
    return storage_error(error, "cannot make the folder private:", dir, errno);
  return TRUE;
}

gboolean
az_paths_ensure(AzPaths *paths, GError **error)
{
  return az_paths_make_dir(paths->home, error);
}

char *
az_paths_file(AzPaths *paths, const char *name)
{
  return g_build_filename(paths->home, name, NULL);
}

char *
az_paths_brick_dir(AzPaths *paths, const char *brick)
{
  return g_build_filename(paths->home, "bricks", brick, NULL);
}
