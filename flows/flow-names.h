/* Names that azlin gives: the short id of this home, machine names made from it, resource groups. */
#pragma once
#include "engine-private.h"

/* The id of this $AZLIN_HOME, made on first need; with `make` FALSE it is NULL when there is none yet. Owned. */
char *az_names_home_id(AzEngine *engine, gboolean make, GError **error);
/* "azlin-<region>-<short id>": the same for this home and region every time, so that a re-run finds the machine. */
char *az_names_vm(const char *home_id, const char *region);
/* What stands for this home in the tag AZLIN_TAG_HOME of a machine. Owned. */
char *az_names_home_tag(const char *home_id);
/* The base and the region: "azlin-vms-<region>". The base is the selected provider's option resource-group where it has
 * one that is set, else that of [defaults]. */
char *az_names_resource_group(AzEngine *engine, const char *region);
/* The first line of a public key file, or of FILE.pub for a private key; USAGE when it cannot be read or is none. */
gboolean az_names_public_key(const char *path, char **ret_line, GError **error);
