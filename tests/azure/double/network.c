/* Rules, networks, addresses and interfaces: what they refer to, what they get, and when they are in use. */
#include "lifecycle.h"
#include <string.h>

#define NIC "Microsoft.Network/networkInterfaces"

/* Referenced things must exist and be finished. */
static void
check_reference(Double *world, const char *id, const char *reference, Refusal *refusal)
{
  if (reference == NULL || refusal->status != 0)
    return;
  g_autofree char *parent = id_parent(reference);
  const Resource *target = store_find(world, parent != NULL ? parent : reference);
  if (target == NULL || !store_exists(world, reference)) {
    reference_missing(world, id, reference, refusal);
    return;
  }
  if (!g_str_equal(resource_state(target), "Succeeded"))
    refuse(refusal, 409, "ReferencedResourceNotProvisioned",
           "Cannot proceed with operation because resource %s used by resource %s is not in Succeeded state.",
           reference, id);
}

/* The parts of a resource have ids of their own. */
static void
name_parts(Resource *resource, const char *collection)
{
  g_autofree char *path = g_strdup_printf("properties.%s", collection);
  size_t i;
  json_t *part;
  json_array_foreach(json_at(resource->body, path), i, part)
  {
    json_object_set_new(part, "id", json_text_f("%s/%s/%s", resource->id, collection, json_text_at(part, "name", "")));
    if (json_object_get(part, "properties") == NULL)
      json_object_set_new(part, "properties", json_object());
    json_put_at(part, "properties.provisioningState", json_string("Succeeded"));
  }
}

static void
guid_begun(Resource *resource)
{
  if (json_at(resource->body, "properties.resourceGuid") == NULL) {
    g_autofree char *guid = g_uuid_string_random();
    json_put_at(resource->body, "properties.resourceGuid", json_string(guid));
  }
}

/* Two rules of one direction never have the same priority. */
static gboolean
rule_clashes(json_t *rules, json_t *one, const char *name)
{
  size_t i;
  json_t *other;
  json_array_foreach(rules, i, other)
  {
    if (one != other && !same_text(json_text_at(other, "name", ""), name)
        && same_text(json_text_at(other, "properties.direction", ""), json_text_at(one, "properties.direction", NULL))
        && json_int_at(other, "properties.priority", 0) == json_int_at(one, "properties.priority", 0))
      return TRUE;
  }
  return FALSE;
}

void
network_rule_check(json_t *rules, json_t *one, const char *name, Refusal *refusal)
{
  gint64 priority = json_int_at(one, "properties.priority", 0);
  if (priority < 100 || priority > 4096)
    refuse(refusal, 400, "SecurityRuleInvalidPriority",
           "Security rule has invalid Priority. Value provided: %" G_GINT64_FORMAT " Allowed range 100-4096.",
           priority);
  if (rule_clashes(rules, one, name))
    refuse(refusal, 400, "SecurityRuleConflict",
           "Security rule %s conflicts with another rule. Rules cannot have the same Priority and Direction.", name);
}

static void
security_rules_check(Double *world, const char *id, json_t *body, Refusal *refusal)
{
  json_t *rules = json_at(body, "properties.securityRules"), *one;
  size_t i;
  json_array_foreach(rules, i, one) network_rule_check(rules, one, json_text_at(one, "name", ""), refusal);
}

static void
rules_begun(Double *world, Resource *resource)
{
  guid_begun(resource);
  name_parts(resource, "securityRules");
}

static void
network_begun(Double *world, Resource *resource)
{
  guid_begun(resource);
  name_parts(resource, "subnets");
}

static void
network_check(Double *world, const char *id, json_t *body, Refusal *refusal)
{
  size_t i;
  json_t *subnet;
  if (json_at(body, "properties.addressSpace.addressPrefixes.0") == NULL)
    refuse(refusal, 400, "InvalidRequestFormat", "Virtual network %s has no address space.", id);
  json_array_foreach(json_at(body, "properties.subnets"), i, subnet)
      check_reference(world, id, json_text_at(subnet, "properties.networkSecurityGroup.id", NULL), refusal);
}

static void
address_check(Double *world, const char *id, json_t *body, Refusal *refusal)
{
  const char *sku = json_text_at(body, "sku.name", "Basic");
  const char *method = json_text_at(body, "properties.publicIPAllocationMethod", "Dynamic");
  if (!g_str_equal(sku, "Standard"))
    refuse(refusal, 400, "IPv4BasicSkuPublicIpCountLimitReached",
           "Cannot create more than 0 IPv4 Basic SKU public IP addresses for this subscription in this region.");
  else if (!g_str_equal(method, "Static"))
    refuse(refusal, 400, "StandardSkuPublicIPAddressesMustBeStatic",
           "Standard sku publicIp %s must have AllocationMethod set to Static.", id);
}

static void
address_begun(Double *world, Resource *resource)
{
  guid_begun(resource);
  if (json_at(resource->body, "sku.tier") == NULL)
    json_put_at(resource->body, "sku.tier", json_string("Regional"));
}

static void
address_created(Double *world, Resource *resource)
{
  const char *fixed = json_text_at(json_object_get(world->settings, "addresses"), resource->name, NULL);
  if (json_at(resource->body, "properties.ipAddress") != NULL)
    return;
  guint number = ++world->next_address;
  json_put_at(resource->body, "properties.ipAddress",
              fixed != NULL ? json_string(fixed) : json_text_f("127.77.%u.%u", number / 250 % 256, number % 250 + 1));
}

static json_t *
ip_configurations(json_t *nic)
{
  return json_at(nic, "properties.ipConfigurations");
}

static void
nic_check(Double *world, const char *id, json_t *body, Refusal *refusal)
{
  size_t i;
  json_t *configuration;
  if (json_array_size(ip_configurations(body)) == 0)
    refuse(refusal, 400, "NetworkInterfaceMustHaveOneIpConfiguration", "Network interface %s has no ip configuration.",
           id);
  check_reference(world, id, json_text_at(body, "properties.networkSecurityGroup.id", NULL), refusal);
  json_array_foreach(ip_configurations(body), i, configuration)
  {
    const char *subnet = json_text_at(configuration, "properties.subnet.id", NULL);
    const char *address = json_text_at(configuration, "properties.publicIPAddress.id", NULL);
    if (subnet == NULL)
      refuse(refusal, 400, "InvalidRequestFormat", "An ip configuration of %s has no subnet.", id);
    check_reference(world, id, subnet, refusal);
    check_reference(world, id, address, refusal);
    const Resource *target = address != NULL ? store_find(world, address) : NULL;
    const char *user = target != NULL ? json_text_at(target->body, "properties.ipConfiguration.id", NULL) : NULL;
    if (user != NULL && g_ascii_strncasecmp(user, id, strlen(id)) != 0)
      refuse(refusal, 400, "PublicIPAddressInUse", "Resource %s is already allocated to %s.", address, user);
  }
}

static void
nic_begun(Double *world, Resource *resource)
{
  size_t i;
  json_t *configuration;
  guid_begun(resource);
  name_parts(resource, "ipConfigurations");
  json_put_at(resource->body, "properties.macAddress",
              json_text_f("00-0D-3A-%02X-%02X-%02X", g_rand_int_range(world->rand, 0, 256),
                          g_rand_int_range(world->rand, 0, 256), g_rand_int_range(world->rand, 0, 256)));
  json_array_foreach(ip_configurations(resource->body), i, configuration)
  {
    Resource *address = store_find(world, json_text_at(configuration, "properties.publicIPAddress.id", ""));
    json_put_at(configuration, "properties.privateIPAddress", json_string("10.0.0.4"));
    json_put_at(configuration, "properties.privateIPAllocationMethod", json_string("Dynamic"));
    if (address != NULL)
      json_put_at(address->body, "properties.ipConfiguration",
                  json_pack("{s:s}", "id", json_text_at(configuration, "id", "")));
  }
}

static void
nic_may_delete(Double *world, Resource *resource, Refusal *refusal)
{
  const char *vm = json_text_at(resource->body, "properties.virtualMachine.id", NULL);
  if (vm != NULL && store_find(world, vm) != NULL)
    refuse(refusal, 400, "NicInUse",
           "Network Interface %s is used by existing resource %s. In order to delete the network interface, it must be "
           "dissociated from the resource.",
           resource->id, vm);
  else if (double_now(world) < resource->reserved_until)
    refuse(
        refusal, 400, "NicReservedForAnotherVm",
        "Nic(s) in request is reserved for another Virtual Machine for 180 seconds. Please provide another nic(s) or "
        "retry after 180 seconds.");
}

static void
nic_deleted(Double *world, Resource *resource)
{
  size_t i;
  json_t *configuration;
  json_array_foreach(ip_configurations(resource->body), i, configuration)
  {
    const char *id = json_text_at(configuration, "properties.publicIPAddress.id", "");
    Resource *address = store_find(world, id);
    if (address != NULL)
      json_object_del(json_object_get(address->body, "properties"), "ipConfiguration");
  }
}

static void
address_may_delete(Double *world, Resource *resource, Refusal *refusal)
{
  const char *user = json_text_at(resource->body, "properties.ipConfiguration.id", NULL);
  if (user != NULL)
    refuse(refusal, 400, "PublicIPAddressCannotBeDeleted",
           "Public IP address %s can not be deleted since it is still allocated to resource %s.", resource->id, user);
}

/* A subnet of the same group that has these rules. */
static const Resource *
network_with_rules(Double *world, const Resource *rules)
{
  g_autoptr(GPtrArray) networks = store_list(world, rules->group_id, "Microsoft.Network/virtualNetworks");
  size_t j;
  json_t *subnet;
  for (guint i = 0; i < networks->len; i++) {
    const Resource *network = g_ptr_array_index(networks, i);
    json_array_foreach(json_at(network->body, "properties.subnets"), j, subnet)
    {
      if (same_text(json_text_at(subnet, "properties.networkSecurityGroup.id", ""), rules->id))
        return network;
    }
  }
  return NULL;
}

const Resource *
network_user(Double *world, const Resource *resource)
{
  g_autoptr(GPtrArray) nics = store_list(world, resource->group_id, NIC);
  size_t length = strlen(resource->id), j;
  json_t *configuration;
  for (guint i = 0; i < nics->len; i++) {
    const Resource *nic = g_ptr_array_index(nics, i);
    if (same_text(json_text_at(nic->body, "properties.networkSecurityGroup.id", ""), resource->id))
      return nic;
    json_array_foreach(ip_configurations(nic->body), j, configuration)
    {
      const char *subnet = json_text_at(configuration, "properties.subnet.id", "");
      if (g_ascii_strncasecmp(subnet, resource->id, length) == 0 && subnet[length] == '/')
        return nic;
    }
  }
  return resource_is(resource, "Microsoft.Network/networkSecurityGroups") ? network_with_rules(world, resource) : NULL;
}

static void
network_may_delete(Double *world, Resource *resource, Refusal *refusal)
{
  const Resource *user = network_user(world, resource);
  if (user == NULL)
    return;
  gboolean network = resource_is(resource, "Microsoft.Network/virtualNetworks");
  refuse(refusal, 400, network ? "InUseSubnetCannotBeDeleted" : "InUseNetworkSecurityGroupCannotBeDeleted",
         "%s is in use by %s and cannot be deleted.", resource->id, user->id);
}

const ResourceKind network_kinds[] = {
  { .type = "Microsoft.Network/networkSecurityGroups",
    .slow_changes = TRUE,
    .check = security_rules_check,
    .begun = rules_begun,
    .may_delete = network_may_delete },
  { .type = "Microsoft.Network/virtualNetworks",
    .check = network_check,
    .begun = network_begun,
    .may_delete = network_may_delete },
  { .type = "Microsoft.Network/publicIPAddresses",
    .check = address_check,
    .begun = address_begun,
    .created = address_created,
    .may_delete = address_may_delete },
  { .type = NIC, .check = nic_check, .begun = nic_begun, .may_delete = nic_may_delete, .deleted = nic_deleted },
  { NULL },
};
