/* Exclude patterns of a copy. */
#pragma once
#include <glib.h>

/* A pattern (rsync's syntax without backslashes and exotic character classes) as a POSIX extended regular expression
 * over "./a/b". `ret_only_folders`: the pattern ended in '/'. Errors are USAGE. */
char *az_exclude_regex(const char *pattern, gboolean *ret_only_folders, GError **error);
/* All patterns as arguments of find: what matches is pruned. NULL on a bad pattern. Strings owned by the array. */
GPtrArray *az_exclude_filter(const char *const *patterns, GError **error);
