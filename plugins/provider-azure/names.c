/* Names and ids of the resources of one machine, made from three words and read back from an id. */
#include "names.h"
#include "arm.h"
#include <string.h>

#define MAX_GROUP 90
#define MAX_MACHINE 64
#define MAX_DEPLOYMENT 64

/* The deployment's name is at most as long as a machine's: what does not fit is told apart by a digest. */
static char *
deployment_name(const char *vm_name)
{
  g_autofree char *name = g_strdup_printf("azlin-%s", vm_name);
  if (strlen(name) <= MAX_DEPLOYMENT)
    return g_steal_pointer(&name);
  g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, vm_name, -1);
  return g_strdup_printf("%.*s-%.8s", MAX_DEPLOYMENT - 9, name, digest);
}

static char *
id_of(const char *group, const char *type, const char *vm_name, const char *suffix)
{
  return g_strdup_printf("%s/providers/%s/%s%s", group, type, vm_name, suffix);
}

AzureNames *
azure_names_new(const char *subscription, const char *resource_group, const char *vm_name)
{
  AzureNames *names = g_new0(AzureNames, 1);
  g_autofree char *group = g_strdup_printf("/subscriptions/%s/resourceGroups/%s", subscription, resource_group);
  g_autofree char *deployment = deployment_name(vm_name);
  /* Groups and deployments are spelled "resourcegroups" in the official paths, everything in them "resourceGroups". */
  names->group = g_strdup_printf("/subscriptions/%s/resourcegroups/%s", subscription, resource_group);
  names->deployment = id_of(names->group, "Microsoft.Resources/deployments", deployment, "");
  names->vm = id_of(group, "Microsoft.Compute/virtualMachines", vm_name, "");
  names->disk = id_of(group, "Microsoft.Compute/disks", vm_name, "-osdisk");
  names->nic = id_of(group, "Microsoft.Network/networkInterfaces", vm_name, "-nic");
  names->address = id_of(group, "Microsoft.Network/publicIPAddresses", vm_name, "-pip");
  names->rules = id_of(group, "Microsoft.Network/networkSecurityGroups", vm_name, "-nsg");
  names->network = id_of(group, "Microsoft.Network/virtualNetworks", vm_name, "-vnet");
  names->subnet = g_strdup_printf("%s/subnets/default", names->network);
  names->group_name = g_strdup(resource_group);
  names->vm_name = g_strdup(vm_name);
  names->disk_name = g_strdup_printf("%s-osdisk", vm_name);
  return names;
}

void
azure_names_free(AzureNames *names)
{
  if (names == NULL)
    return;
  char *const all[]
      = { names->group,  names->vm,   names->nic,        names->address,    names->rules,   names->network,
          names->subnet, names->disk, names->deployment, names->group_name, names->vm_name, names->disk_name };
  for (gsize i = 0; i < G_N_ELEMENTS(all); i++)
    g_free(all[i]);
  g_free(names);
}

static gboolean
is_word(const char *name, gsize longest, const char *also, const char *not_last)
{
  gsize length = name != NULL ? strlen(name) : 0;
  if (length == 0 || length > longest || strchr(not_last, name[length - 1]) != NULL || strstr(name, "..") != NULL)
    return FALSE;
  for (const char *p = name; *p != '\0'; p++)
    if (!g_ascii_isalnum(*p) && strchr(also, *p) == NULL)
      return FALSE;
  return TRUE;
}

static gboolean
is_group_name(const char *name)
{
  return is_word(name, MAX_GROUP, "._()-", ".");
}

static gboolean
is_machine_name(const char *name)
{
  return is_word(name, MAX_MACHINE, "._-", ".-") && *name != '_' && *name != '-' && *name != '.';
}

AzureNames *
azure_names_from_vm_id(const char *id)
{
  static const char *const FIXED[] = {
    "", "subscriptions", NULL, "resourceGroups", NULL, "providers", "Microsoft.Compute", "virtualMachines", NULL
  };
  if (!arm_id_is_sane(id))
    return NULL;
  g_auto(GStrv) words = g_strsplit(id, "/", -1);
  if (g_strv_length(words) != G_N_ELEMENTS(FIXED))
    return NULL;
  for (gsize i = 0; i < G_N_ELEMENTS(FIXED); i++)
    if (FIXED[i] != NULL && g_ascii_strcasecmp(FIXED[i], words[i]) != 0)
      return NULL;
  if (!g_uuid_string_is_valid(words[2]) || !is_group_name(words[4]) || !is_machine_name(words[8]))
    return NULL;
  return azure_names_new(words[2], words[4], words[8]);
}

static AzureNames *
names_of_stored_id(Azure *azure, const AzlinVm *vm, GError **error)
{
  g_autoptr(AzureNames) names = azure_names_from_vm_id(vm->id);
  g_autofree char *ours = g_strdup_printf("/subscriptions/%s/", azure->subscription);
  if (names == NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "machine %s has an id that is none of a machine in Azure",
                vm->vm_name);
  else if (g_ascii_strncasecmp(names->vm, ours, strlen(ours)) != 0)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                "machine %s belongs to another subscription than the one in use, %s", vm->vm_name, azure->subscription);
  else
    return g_steal_pointer(&names);
  return NULL;
}

AzureNames *
azure_names_of_vm(Azure *azure, const AzlinVm *vm, GError **error)
{
  if (vm->id != NULL && *vm->id != '\0')
    return names_of_stored_id(azure, vm, error);
  if (is_group_name(vm->resource_group) && is_machine_name(vm->vm_name))
    return azure_names_new(azure->subscription, vm->resource_group, vm->vm_name);
  g_autofree char *name = arm_clean(vm->vm_name);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
              "machine '%s' has no id, and its name or resource group cannot be one in Azure", name);
  return NULL;
}
