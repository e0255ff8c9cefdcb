/* Small files of $AZLIN_HOME that are written whole: the draft carries the writer's pid, so that recover can tell whose
 * it was. */
#pragma once
#include <glib.h>
typedef enum {
  AZ_FILES_QUICK,  /* old or new after a crash of ours; a power cut may take it */
  AZ_FILES_SYNCED, /* on disk before the name changes: never half a file */
  AZ_FILES_DURABLE /* and the new name is on disk when this returns */
} AzFilesCare;
/* Replaces `path` (0600) by one rename; STORAGE. */
gboolean az_files_write(const char *path, const char *text, AzFilesCare care, GError **error);
/* The folder of `path` on disk, new names in it; STORAGE. */
gboolean az_files_sync_folder(const char *path, GError **error);
/* All of it, however often the kernel takes a part; FALSE: errno says why. */
gboolean az_files_write_all(int fd, const char *bytes, gsize length);
/* So many, from there on; FALSE: errno says why, EIO where it ends before. */
gboolean az_files_read_all(int fd, guint64 offset, char *bytes, gsize length);
/* Drafts in `folder` whose writer is dead: their paths, owned. */
GPtrArray *az_files_stale(const char *folder);
