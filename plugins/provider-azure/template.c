/* One deployment of all resources of a machine: ids and values are literal, secrets travel as secure parameters. */
#include "arm.h"
#include "blueprint.h"
#include <string.h>

#define SCHEMA "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#"

/* A literal that begins with '[' would be read as an expression. */
static json_t *
escaped(json_t *value)
{
  if (json_is_string(value)) {
    const char *text = json_string_value(value);
    g_autofree char *literal = *text == '[' ? g_strconcat("[", text, NULL) : NULL;
    return json_string(literal ? literal : text);
  }
  if (json_is_array(value)) {
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(value); i++)
      json_array_append_new(list, escaped(json_array_get(value, i)));
    return list;
  }
  if (!json_is_object(value))
    return json_deep_copy(value);
  json_t *object = json_object();
  const char *key;
  json_t *member;
  json_object_foreach(value, key, member) json_object_set_new(object, key, escaped(member));
  return object;
}

/* `body` is stolen. The name is the last part of the id. */
static json_t *
template_resource(const char *type, const char *version, const char *id, json_t *body, json_t *depends_on)
{
  json_t *resource = escaped(body);
  json_decref(body);
  json_object_set_new(resource, "type", json_string(type));
  json_object_set_new(resource, "apiVersion", json_string(version));
  json_object_set_new(resource, "name", json_string(strrchr(id, '/') + 1));
  if (depends_on)
    json_object_set_new(resource, "dependsOn", depends_on);
  return resource;
}

static json_t *
vm_resource(const AzureBlueprint *blueprint)
{
  json_t *resource = template_resource("Microsoft.Compute/virtualMachines", ARM_COMPUTE, blueprint->names->vm,
                                       azure_vm_body(blueprint), json_pack("[s]", blueprint->names->nic));
  json_t *profile = json_object_get(json_object_get(resource, "properties"), "osProfile");
  json_t *ssh = json_object_get(json_object_get(profile, "linuxConfiguration"), "ssh");
  json_t *key = json_array_get(json_object_get(ssh, "publicKeys"), 0);
  json_object_set_new(key, "keyData", json_string("[parameters('sshKey')]"));
  if (blueprint->custom_data)
    json_object_set_new(profile, "customData", json_string("[parameters('customData')]"));
  return resource;
}

static json_t *
resources(const AzureBlueprint *blueprint)
{
  const AzureNames *names = blueprint->names;
  json_t *nic_needs = json_pack("[s, s, s]", names->rules, names->network, names->address);
  json_t *list = json_array();
  json_array_append_new(list, template_resource("Microsoft.Network/networkSecurityGroups", ARM_NETWORK, names->rules,
                                                azure_rules_body(blueprint), NULL));
  json_array_append_new(list, template_resource("Microsoft.Network/virtualNetworks", ARM_NETWORK, names->network,
                                                azure_network_body(blueprint), NULL));
  json_array_append_new(list, template_resource("Microsoft.Network/publicIPAddresses", ARM_NETWORK, names->address,
                                                azure_address_body(blueprint), NULL));
  json_array_append_new(list, template_resource("Microsoft.Network/networkInterfaces", ARM_NETWORK, names->nic,
                                                azure_nic_body(blueprint), nic_needs));
  json_array_append_new(list, vm_resource(blueprint));
  return list;
}

static json_t *
outputs(const AzureBlueprint *blueprint)
{
  g_autofree char *expression
      = g_strdup_printf("[reference(resourceId('Microsoft.Network/publicIPAddresses', '%s'), '%s').ipAddress]",
                        strrchr(blueprint->names->address, '/') + 1, ARM_NETWORK);
  return json_pack("{s:{s:s, s:s}}", "ip", "type", "string", "value", expression);
}

json_t *
azure_deployment_body(const AzureBlueprint *blueprint)
{
  json_t *declared = json_pack("{s:{s:s}}", "sshKey", "type", "securestring");
  json_t *given = json_pack("{s:{s:s}}", "sshKey", "value", blueprint->ssh_key);
  if (blueprint->custom_data) {
    json_object_set_new(declared, "customData", json_pack("{s:s}", "type", "securestring"));
    json_object_set_new(given, "customData", json_pack("{s:s}", "value", blueprint->custom_data));
  }
  json_t *template
      = json_pack("{s:s, s:s, s:o, s:o, s:o}", "$schema", SCHEMA, "contentVersion", "1.0.0.0", "parameters", declared,
                  "resources", resources(blueprint), "outputs", outputs(blueprint));
  return json_pack("{s:{s:s, s:s}, s:{s:s, s:o, s:o}}", "tags", AZLIN_TAG_MANAGED, "true", AZLIN_TAG_OP, blueprint->op,
                   "properties", "mode", "Incremental", "template", template, "parameters", given);
}
