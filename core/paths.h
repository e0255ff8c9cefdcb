/* $AZLIN_HOME and what stands in it. */
#pragma once
#include <glib.h>
typedef struct _AzPaths AzPaths;
/* `home` (--home) or NULL = $AZLIN_HOME, else ~/.azlin. Nothing is created; az_paths_ensure() makes it 0700. */
AzPaths *az_paths_new(const char *home);
void az_paths_free(AzPaths *paths);
const char *az_paths_home(AzPaths *paths);
gboolean az_paths_ensure(AzPaths *paths, GError **error);    /* refuses a folder owned by another; fixes a wider mode */
gboolean az_paths_make_dir(const char *dir, GError **error); /* the same for any folder of ours, parents included */
char *az_paths_file(AzPaths *paths, const char *name);       /* $AZLIN_HOME/name */
char *az_paths_brick_dir(AzPaths *paths, const char *brick); /* $AZLIN_HOME/bricks/<kind-name> */
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzPaths, az_paths_free)
