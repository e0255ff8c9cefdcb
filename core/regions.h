/* Region names, machine names and paths as people type them: aliases, the allowed list, one validator for every front
 * end. */
#pragma once
#include "config.h"
/* Alias resolved and checked against [policy] allowed-regions; error USAGE names the nearest. Borrowed from config. */
const char *az_region_resolve(AzConfig *config, const char *word, GError **error);
/* A list: non-empty, each resolved, no duplicates. Owned, NULL-terminated. */
char **az_region_resolve_list(AzConfig *config, const char *const *words, GError **error);
gboolean az_vm_name_check(const char *name, GError **error);
/* Absolute, canonical, no "..", no control characters, at most 4096 bytes, no system root. */
gboolean az_path_check(const char *path, GError **error);
