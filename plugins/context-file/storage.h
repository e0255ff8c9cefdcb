/* Small file calls that either do all or say why not. */
#pragma once
#include "azlin-plugin.h"

/* "cannot VERB PATH: reason of errno", as STORAGE; always FALSE. */
gboolean storage_fail(GError **error, const char *verb, const char *path);
/* `length` bytes and a NUL, or NULL with errno. */
char *storage_read(int fd, gsize length);
gboolean storage_write(int fd, const char *bytes, gsize length);
gboolean storage_sync_folder(const char *folder, GError **error);
