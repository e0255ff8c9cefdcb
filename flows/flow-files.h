/* Small files of $AZLIN_HOME that are written whole: the draft carries the writer's pid, so that recover can tell whose
 * it was. */
#pragma once
#include <glib.h>
/* Replaces `path` (0600) by one rename. */
gboolean az_files_write(const char *path, const char *text, GError **error);
/* Drafts in `folder` whose writer is dead: their paths, owned. */
GPtrArray *az_files_stale(const char *folder);
