/* The JSON of the resources of one machine, as direct PUTs take it; the template is made of the same. */
#include "machine.h"

#define ADDRESS_SPACE "10.0.0.0/16"
#define SUBNET "10.0.0.0/24"
#define SSH_PRIORITY 1000
#define MACHINES_PRIORITY 1010

json_t *
azure_group_body(const char *region)
{
  return json_pack("{s:s, s:{s:s}}", "location", region, "tags", AZURE_TAG_MANAGED, "true");
}

/* ---- tags ---- */

static json_t *
piece_tags(const AzureMachine *machine)
{
  return json_pack("{s:s, s:s}", AZURE_TAG_MANAGED, "true", AZURE_TAG_OP, machine->op);
}

/* What the caller gives stands, except for what marks a machine as ours. */
GVariant *
azure_vm_tags(const AzureMachine *machine)
{
  g_auto(GVariantDict) tags = G_VARIANT_DICT_INIT(NULL);
  GVariantBuilder all;
  GVariantIter iter;
  const char *key, *value;
  g_variant_dict_insert(&tags, AZURE_TAG_REGION, "s", machine->region);
  g_variant_dict_insert(&tags, AZURE_TAG_CREATED, "s", machine->created_at);
  if (machine->vm_type && *machine->vm_type)
    g_variant_dict_insert(&tags, AZURE_TAG_TYPE, "s", machine->vm_type);
  if (machine->tags) {
    g_variant_iter_init(&iter, machine->tags);
    while (g_variant_iter_loop(&iter, "{&s&s}", &key, &value))
      g_variant_dict_insert(&tags, key, "s", value);
  }
  g_variant_dict_insert(&tags, AZURE_TAG_MANAGED, "s", "true");
  g_variant_dict_insert(&tags, AZURE_TAG_OP, "s", machine->op);
  g_autoptr(GVariant) merged = g_variant_ref_sink(g_variant_dict_end(&tags));
  GVariant *item;
  g_variant_builder_init(&all, G_VARIANT_TYPE("a{ss}"));
  g_variant_iter_init(&iter, merged);
  while (g_variant_iter_loop(&iter, "{&sv}", &key, &item))
    g_variant_builder_add(&all, "{ss}", key, g_variant_get_string(item, NULL));
  return g_variant_ref_sink(g_variant_builder_end(&all));
}

static json_t *
vm_tags_json(const AzureMachine *machine)
{
  g_autoptr(GVariant) tags = azure_vm_tags(machine);
  json_t *object = json_object();
  GVariantIter iter;
  const char *key, *value;
  g_variant_iter_init(&iter, tags);
  while (g_variant_iter_loop(&iter, "{&s&s}", &key, &value))
    json_object_set_new(object, key, json_string(value));
  return object;
}

static json_t *
resource(const AzureMachine *machine, json_t *tags, json_t *properties)
{
  return json_pack("{s:s, s:o, s:o}", "location", machine->region, "tags", tags, "properties", properties);
}

/* ---- network ---- */

static json_t *
allow_ssh(int priority, const char *const *sources)
{
  json_t *rule = json_pack("{s:i, s:s, s:s, s:s, s:s, s:s, s:s}", "priority", priority, "direction", "Inbound",
                           "access", "Allow", "protocol", "Tcp", "sourcePortRange", "*", "destinationAddressPrefix",
                           "*", "destinationPortRange", "22");
  if (!sources || !sources[1]) {
    json_object_set_new(rule, "sourceAddressPrefix", json_string(sources ? sources[0] : "*"));
    return rule;
  }
  json_t *list = json_array();
  for (; *sources; sources++)
    json_array_append_new(list, json_string(*sources));
  json_object_set_new(rule, "sourceAddressPrefixes", list);
  return rule;
}

json_t *
azure_machines_rule(const char *const *addresses)
{
  return json_pack("{s:o}", "properties", allow_ssh(MACHINES_PRIORITY, addresses));
}

json_t *
azure_rules_body(const AzureMachine *machine)
{
  const char *const *sources = (const char *const *) machine->ssh_source;
  json_t *rules = json_pack("[{s:s, s:o}]", "name", AZURE_SSH_RULE, "properties", allow_ssh(SSH_PRIORITY, sources));
  return resource(machine, piece_tags(machine), json_pack("{s:o}", "securityRules", rules));
}

json_t *
azure_network_body(const AzureMachine *machine)
{
  json_t *properties = json_pack("{s:{s:[s]}, s:[{s:s, s:{s:s}}]}", "addressSpace", "addressPrefixes", ADDRESS_SPACE,
                                 "subnets", "name", "default", "properties", "addressPrefix", SUBNET);
  return resource(machine, piece_tags(machine), properties);
}

static void
set_zone(const AzureMachine *machine, json_t *body)
{
  if (machine->zone)
    json_object_set_new(body, "zones", json_pack("[s]", machine->zone));
}

json_t *
azure_address_body(const AzureMachine *machine)
{
  json_t *properties = json_pack("{s:s, s:s}", "publicIPAllocationMethod", "Static", "deleteOption", "Delete");
  json_t *body = resource(machine, piece_tags(machine), properties);
  json_object_set_new(body, "sku", json_pack("{s:s}", "name", "Standard"));
  set_zone(machine, body);
  return body;
}

json_t *
azure_nic_body(const AzureMachine *machine)
{
  json_t *address = json_pack("{s:s, s:{s:s}}", "id", machine->names->address, "properties", "deleteOption", "Delete");
  json_t *configuration = json_pack("{s:s, s:{s:{s:s}, s:o}}", "name", "ipconfig1", "properties", "subnet", "id",
                                    machine->names->subnet, "publicIPAddress", address);
  json_t *properties = json_pack("{s:{s:s}, s:[o]}", "networkSecurityGroup", "id", machine->names->rules,
                                 "ipConfigurations", configuration);
  return resource(machine, piece_tags(machine), properties);
}

/* ---- the machine itself ---- */

static json_t *
storage_profile(const AzureMachine *machine)
{
  return json_pack("{s:O, s:{s:s, s:s, s:s, s:{s:s}}}", "imageReference", machine->image, "osDisk", "name",
                   machine->names->disk_name, "createOption", "FromImage", "deleteOption", "Delete", "managedDisk",
                   "storageAccountType", "StandardSSD_LRS");
}

static json_t *
os_profile(const AzureMachine *machine)
{
  g_autofree char *path = g_strdup_printf("/home/%s/.ssh/authorized_keys", machine->user);
  json_t *keys = json_pack("[{s:s, s:s}]", "path", path, "keyData", machine->ssh_key);
  json_t *profile
      = json_pack("{s:s, s:s, s:{s:b, s:{s:o}}}", "computerName", machine->vm_name, "adminUsername", machine->user,
                  "linuxConfiguration", "disablePasswordAuthentication", TRUE, "ssh", "publicKeys", keys);
  if (machine->custom_data)
    json_object_set_new(profile, "customData", json_string(machine->custom_data));
  return profile;
}

/* Managed boot diagnostics keep the serial log, which is the second channel for the host key. */
json_t *
azure_vm_body(const AzureMachine *machine)
{
  json_t *nic = json_pack("{s:s, s:{s:b, s:s}}", "id", machine->names->nic, "properties", "primary", TRUE,
                          "deleteOption", "Delete");
  json_t *properties
      = json_pack("{s:{s:s}, s:o, s:o, s:{s:[o]}, s:{s:{s:b}}}", "hardwareProfile", "vmSize", machine->vm_size,
                  "storageProfile", storage_profile(machine), "osProfile", os_profile(machine), "networkProfile",
                  "networkInterfaces", nic, "diagnosticsProfile", "bootDiagnostics", "enabled", TRUE);
  json_t *body = resource(machine, vm_tags_json(machine), properties);
  set_zone(machine, body);
  return body;
}
