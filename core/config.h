/* azlin.conf: which bricks run, policy, typed options that bricks declare; read once, never written. */
#pragma once
#include "azlin-plugin.h"
#include "nearest.h"
typedef struct _AzConfig AzConfig;

/* Where azlin.conf is read from: `path` (--config) or NULL = $AZLIN_CONFIG, XDG, /etc, built-in. An explicit file that
 * is missing is an error. Checks syntax, and groups and keys of the core; brick groups are checked as bricks load. */
AzConfig *az_config_load(const char *path, GError **error);
void az_config_free(AzConfig *config);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzConfig, az_config_free)

/* Declares the options of a group ("sync.rsync"): unknown keys (nearest named), wrong types and ranges are errors. */
gboolean az_config_declare(AzConfig *config, const char *group, const AzlinOption *options, GError **error);
/* The value of a declared option (file or default), owned; NULL only for an undeclared name. */
GVariant *az_config_get(AzConfig *config, const char *group, const char *name);
const char *az_config_string(AzConfig *config, const char *group, const char *name); /* borrowed; "" when empty */
char **az_config_strv(AzConfig *config, const char *group, const char *name);
gboolean az_config_bool(AzConfig *config, const char *group, const char *name);
guint32 az_config_uint(AzConfig *config, const char *group, const char *name);
double az_config_double(AzConfig *config, const char *group, const char *name);

/* Groups in the files that nobody declared and that no plugin file (kind-name.so for [kind.name]) could own: an error
 * naming the nearest. The group of a brick that is not loaded is checked when it loads. */
gboolean az_config_check_groups(AzConfig *config, GError **error);
/* aa{sv}, all of type s: group, name, value (as a file would spell it), origin ("default", or the file), help. */
GVariant *az_config_show(AzConfig *config);
/* The main file that az_config_load(path) would read, or NULL = built-in defaults. Owned. */
char *az_config_find(const char *path);
/* The main file that was read, or NULL = built-in defaults. */
const char *az_config_source(AzConfig *config);

/* [aliases]: "us" -> "eastus"; returns `name` itself when it is no alias. */
const char *az_config_alias(AzConfig *config, const char *name);
/* All aliases, NULL-terminated, borrowed names. */
char **az_config_alias_names(AzConfig *config); /* free the array with g_free() */
/* `region` as [policy] allowed-regions holds it (borrowed), NULL when it is not allowed. */
const char *az_config_allowed_region(AzConfig *config, const char *region);
/* The other regions of the sets of [policy] allowed-fallback that hold `region`, in their order; borrowed names, ends
 * NULL. */
char **az_config_fallback_regions(AzConfig *config, const char *region); /* free the array with g_free() */
