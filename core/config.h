/* azlin.conf: which bricks run, policy, typed options that bricks declare; read once, never written. */
#pragma once
#include "azlin-plugin.h"
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

/* Groups in the file that nobody declared: an error naming the nearest. Call when all bricks are loaded. */
gboolean az_config_check_groups(AzConfig *config, GError **error);
/* aa{sv}: group, name, value, origin ("default", or "FILE"), help. */
GVariant *az_config_show(AzConfig *config);

/* [aliases]: "us" -> "eastus"; returns `name` itself when it is no alias. */
const char *az_config_alias(AzConfig *config, const char *name);
/* All aliases, NULL-terminated, borrowed names. */
char **az_config_alias_names(AzConfig *config);

/* The nearest of `candidates` to a misspelt word, or NULL when none is near (edit distance). Pure. */
const char *az_nearest(const char *word, const char *const *candidates);
