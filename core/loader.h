/* The only dlopen: path and owner checks before any code of the plugin can run, ABI checks before any of it is used. */
#pragma once
#include "azlin-plugin.h"
/* Opens `file` (absolute). Refuses: symlink, no regular file, owner neither root nor us, file or any folder above it
 * writable by others, no symbol, newer minor, short structs, a brick without a required slot. Never unloads. */
const AzlinPlugin *az_loader_open(const char *file, GError **error);
/* The file of a brick, "provider-local": AZLIN_PLUGIN_PATH (secure_getenv), then the installed folder. NULL = none. */
char *az_loader_find(const char *plugin, GError **error);
/* Names of all plugin files in those folders, for `bricks list`; nothing is opened. */
char **az_loader_list(void);
/* A module of azlin's own (transport/): same folders, same checks, `symbol` looked up. */
gconstpointer az_loader_module(const char *module, const char *symbol, GError **error);
/* The interface of a brick, zero-padded to the size that this engine knows: slots of newer minors read NULL. */
gconstpointer az_loader_iface(const AzlinBrick *brick);
