/* Secrets that stand in files: read by whoever they belong to, and wiped. */
#pragma once
#include "azlin-plugin.h"

/* The text of the regular file `path`, at most `max` bytes of it, without line ends behind it; owned, secret_wipe() it.
 * NULL and CONFIG, which names `option` ("[sync.blob] key-file"): it cannot be read, is neither the user's nor root's,
 * or others may read it. */
char *secret_file_read(const char *path, const char *option, gsize max, GError **error);
void secret_wipe(char *secret); /* NULL is allowed */
