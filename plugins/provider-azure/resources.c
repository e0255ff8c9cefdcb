/* The JSON of the resources of one machine, as direct PUTs take it; the template is made of the same. */
#include "blueprint.h"

#define ADDRESS_SPACE "10.0.0.0/16"
#define SUBNET "10.0.0.0/24"
#define SSH_PRIORITY 1000
#define MACHINES_PRIORITY 1010

json_t *
azure_group_body(const char *region)
{
  return json_pack("{s:s, s:{s:s}}", "location", region, "tags", AZLIN_TAG_MANAGED, "true");
}

/* ---- tags ---- */

static json_t *
piece_tags(const AzureBlueprint *blueprint)
{
  return json_pack("{s:s, s:s}", AZLIN_TAG_MANAGED, "true", AZLIN_TAG_OP, blueprint->op);
}

/* What the caller gives stands, except for what marks a machine as ours. */
GVariant *
azure_vm_tags(const AzureBlueprint *blueprint)
{
  g_auto(GVariantDict) tags = G_VARIANT_DICT_INIT(NULL);
  GVariantBuilder all;
  GVariantIter iter;
  const char *key, *value;
  g_variant_dict_insert(&tags, AZLIN_TAG_REGION, "s", blueprint->region);
  g_variant_dict_insert(&tags, AZLIN_TAG_CREATED, "s", blueprint->created_at);
  if (blueprint->vm_type && *blueprint->vm_type)
    g_variant_dict_insert(&tags, AZLIN_TAG_TYPE, "s", blueprint->vm_type);
  if (blueprint->tags) {
    g_variant_iter_init(&iter, blueprint->tags);
    while (g_variant_iter_loop(&iter, "{&s&s}", &key, &value))
      g_variant_dict_insert(&tags, key, "s", value);
  }
  g_variant_dict_insert(&tags, AZLIN_TAG_MANAGED, "s", "true");
  g_variant_dict_insert(&tags, AZLIN_TAG_OP, "s", blueprint->op);
  g_autoptr(GVariant) merged = g_variant_ref_sink(g_variant_dict_end(&tags));
  GVariant *item;
  g_variant_builder_init(&all, G_VARIANT_TYPE("a{ss}"));
  g_variant_iter_init(&iter, merged);
  while (g_variant_iter_loop(&iter, "{&sv}", &key, &item))
    g_variant_builder_add(&all, "{ss}", key, g_variant_get_string(item, NULL));
  return g_variant_ref_sink(g_variant_builder_end(&all));
}

static json_t *
vm_tags_json(const AzureBlueprint *blueprint)
{
  g_autoptr(GVariant) tags = azure_vm_tags(blueprint);
  json_t *object = json_object();
  GVariantIter iter;
  const char *key, *value;
  g_variant_iter_init(&iter, tags);
  while (g_variant_iter_loop(&iter, "{&s&s}", &key, &value))
    json_object_set_new(object, key, json_string(value));
  return object;
}

static json_t *
resource(const AzureBlueprint *blueprint, json_t *tags, json_t *properties)
{
  return json_pack("{s:s, s:o, s:o}", "location", blueprint->region, "tags", tags, "properties", properties);
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
azure_rules_body(const AzureBlueprint *blueprint)
{
  const char *const *sources = (const char *const *) blueprint->ssh_source;
  json_t *rules = json_pack("[{s:s, s:o}]", "name", AZURE_SSH_RULE, "properties", allow_ssh(SSH_PRIORITY, sources));
  return resource(blueprint, piece_tags(blueprint), json_pack("{s:o}", "securityRules", rules));
}

json_t *
azure_network_body(const AzureBlueprint *blueprint)
{
  json_t *properties = json_pack("{s:{s:[s]}, s:[{s:s, s:{s:s}}]}", "addressSpace", "addressPrefixes", ADDRESS_SPACE,
                                 "subnets", "name", "default", "properties", "addressPrefix", SUBNET);
  return resource(blueprint, piece_tags(blueprint), properties);
}

static void
set_zone(const AzureBlueprint *blueprint, json_t *body)
{
  if (blueprint->zone)
    json_object_set_new(body, "zones", json_pack("[s]", blueprint->zone));
}

json_t *
azure_address_body(const AzureBlueprint *blueprint)
{
  json_t *properties = json_pack("{s:s, s:s}", "publicIPAllocationMethod", "Static", "deleteOption", "Delete");
  json_t *body = resource(blueprint, piece_tags(blueprint), properties);
  json_object_set_new(body, "sku", json_pack("{s:s}", "name", "Standard"));
  set_zone(blueprint, body);
  return body;
}

json_t *
azure_nic_body(const AzureBlueprint *blueprint)
{
  json_t *address
      = json_pack("{s:s, s:{s:s}}", "id", blueprint->names->address, "properties", "deleteOption", "Delete");
  json_t *configuration = json_pack("{s:s, s:{s:{s:s}, s:o}}", "name", "ipconfig1", "properties", "subnet", "id",
                                    blueprint->names->subnet, "publicIPAddress", address);
  json_t *properties = json_pack("{s:{s:s}, s:[o]}", "networkSecurityGroup", "id", blueprint->names->rules,
                                 "ipConfigurations", configuration);
  return resource(blueprint, piece_tags(blueprint), properties);
}

/* ---- the machine itself ---- */

static json_t *
storage_profile(const AzureBlueprint *blueprint)
{
  return json_pack("{s:O, s:{s:s, s:s, s:s, s:{s:s}}}", "imageReference", blueprint->image, "osDisk", "name",
                   blueprint->names->disk_name, "createOption", "FromImage", "deleteOption", "Delete", "managedDisk",
                   "storageAccountType", "StandardSSD_LRS");
}

static json_t *
os_profile(const AzureBlueprint *blueprint)
{
  g_autofree char *path = g_strdup_printf("/home/%s/.ssh/authorized_keys", blueprint->user);
  json_t *keys = json_pack("[{s:s, s:s}]", "path", path, "keyData", blueprint->ssh_key);
  json_t *profile
      = json_pack("{s:s, s:s, s:{s:b, s:{s:o}}}", "computerName", blueprint->vm_name, "adminUsername", blueprint->user,
                  "linuxConfiguration", "disablePasswordAuthentication", TRUE, "ssh", "publicKeys", keys);
  if (blueprint->custom_data)
    json_object_set_new(profile, "customData", json_string(blueprint->custom_data));
  return profile;
}

/* Managed boot diagnostics keep the serial log, which is the second channel for the host key. */
json_t *
azure_vm_body(const AzureBlueprint *blueprint)
{
  json_t *nic = json_pack("{s:s, s:{s:b, s:s}}", "id", blueprint->names->nic, "properties", "primary", TRUE,
                          "deleteOption", "Delete");
  json_t *properties
      = json_pack("{s:{s:s}, s:o, s:o, s:{s:[o]}, s:{s:{s:b}}}", "hardwareProfile", "vmSize", blueprint->vm_size,
                  "storageProfile", storage_profile(blueprint), "osProfile", os_profile(blueprint), "networkProfile",
                  "networkInterfaces", nic, "diagnosticsProfile", "bootDiagnostics", "enabled", TRUE);
  json_t *body = resource(blueprint, vm_tags_json(blueprint), properties);
  set_zone(blueprint, body);
  return body;
}
