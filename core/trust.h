/* Whether a file can be changed by anybody but root and the user: asked before code or configuration is taken from it.
 */
#pragma once
#include <glib.h>
/* Opens the regular file `path` (absolute) for reading, close-on-exec. Refuses, each with its own sentence (error
 * CONFIG): a missing file, a symlink unless `follow`, what is no regular file, an owner other than root and us, and a
 * file or any folder above it (by its name and by its real place) that others can write, sticky or not. Returns -1 on
 * refusal. */
int az_trust_open(const char *path, gboolean follow, GError **error);
/* The same checks on a folder and the folders above it. */
gboolean az_trust_check_folder(const char *folder, GError **error);
