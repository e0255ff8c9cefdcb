/* The only dlopen: path and owner checks before any code of the plugin can run, ABI checks before any of it is used. */
#pragma once
#include "azlin-plugin.h"
/* Opens `file` (absolute). Refuses, each with its own sentence (error CONFIG): what az_trust_open() refuses, what is no
 * shared object, no symbol, another major, a newer minor, short structs, a brick without a required slot. The
 * descriptor that is returned is the engine's own copy: structs of an older minor are padded, so that a slot they do
 * not have reads NULL. Never unloads; the same file gives the same descriptor. */
const AzlinPlugin *az_loader_open(const char *file, GError **error);
/* Checks a descriptor that is in memory and copies it as above; az_loader_open() does this. For tests and linked
 * bricks. */
AzlinPlugin *az_loader_adopt(const char *file, const AzlinPlugin *plugin, GError **error);
/* The interface of any brick, full size: bytes that its `size` leaves out read zero. Lives for ever. */
gconstpointer az_loader_iface(const AzlinBrick *brick);
/* The file of a brick, "provider-local": AZLIN_PLUGIN_PATH (folders, ':' between; ignored when setuid), then the
 * installed folder. NULL and error CONFIG (naming the nearest) when there is none. */
char *az_loader_find(const char *plugin, GError **error);
/* Names of all plugin files in those folders, for `bricks list`; nothing is opened. Sorted, owned. */
char **az_loader_list(void);
/* A module of azlin's own (transport/): same folders, same checks, `symbol` looked up. */
gconstpointer az_loader_module(const char *module, const char *symbol, GError **error);
