/* Names and ids of the resources of one machine: all follow from subscription, group and machine, so that a second run
 * and a recovery find what a first one made. */
#pragma once
#include "azure.h"

typedef struct { /* ARM ids, owned */
  char *group, *vm, *nic, *address, *rules, *network, *subnet, *disk, *deployment;
  char *group_name, *vm_name, *disk_name;
} AzureNames;
/* {n}-nsg, {n}-vnet, {n}-pip, {n}-nic, {n}-osdisk; the deployment is called azlin-{n}. */
AzureNames *azure_names_new(const char *subscription, const char *resource_group, const char *vm_name);
void azure_names_free(AzureNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzureNames, azure_names_free)
/* From the id of a machine, whatever its case; NULL = not one. */
AzureNames *azure_names_from_vm_id(const char *id);
/* The names of a stored record: by its id, else by group and name. NULL and USAGE when they cannot be legal. */
AzureNames *azure_names_of_vm(Azure *azure, const AzlinVm *vm, GError **error);
