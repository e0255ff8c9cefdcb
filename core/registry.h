/* Bricks that are loaded: found by name from the configuration, checked, initialised, looked up by kind and name. */
#pragma once
#include "config.h"
#include "engine-private.h"
typedef struct _AzRegistry AzRegistry;
AzRegistry *az_registry_new(AzEngine *engine);
void az_registry_free(AzRegistry *registry);
/* Loads kind-name.so unless it is loaded already, checks it, declares its options, calls init. */
gboolean az_registry_load(AzRegistry *registry, AzlinKind kind, const char *name, GError **error);
/* The interface of a loaded brick, NULL name = the first that [bricks] selects; loads it on first use. */
gconstpointer
az_registry_lookup(AzRegistry *registry, AzlinKind kind, const char *name, gpointer *ret_self, GError **error);
const AzlinBrick *az_registry_brick(AzRegistry *registry, const char *owner /* "provider-local" */, gpointer *ret_self);
/* aa{sv}: kind, name, summary, version, license, file, state, options. `name` NULL = all that can be found. */
GVariant *az_registry_show(AzRegistry *registry, const char *name, GError **error);
const char *az_kind_to_string(AzlinKind kind);
