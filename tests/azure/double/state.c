/* Finds orphans and counts resources for GET /__state. */
#include "state.h"
#include "faults.h"
#include "journal.h"
#include "lifecycle.h"

static gboolean
exists(Double *world, const Resource *resource, const char *path)
{
  const char *id = json_text_at(resource->body, path, NULL);
  if (id == NULL)
    return FALSE;
  g_autofree char *parent = id_parent(id);
  return store_find(world, parent != NULL ? parent : id) != NULL;
}

/* Why a resource is an orphan; NULL = it is none. */
static const char *
orphan_reason(Double *world, const Resource *resource)
{
  if (resource_is(resource, "Microsoft.Compute/virtualMachines")) /* one whose guest was late runs all the same */
    return g_str_equal(resource_state(resource), "Failed") && g_strcmp0(resource->power, "running") != 0
               ? "the VM's creation failed"
               : NULL;
  if (resource_is(resource, "Microsoft.Network/networkInterfaces"))
    return exists(world, resource, "properties.virtualMachine.id") ? NULL : "no VM uses it";
  if (resource_is(resource, "Microsoft.Network/publicIPAddresses"))
    return exists(world, resource, "properties.ipConfiguration.id") ? NULL : "no network interface uses it";
  if (resource_is(resource, "Microsoft.Compute/disks"))
    return exists(world, resource, "managedBy") ? NULL : "no VM uses it";
  if (resource_is(resource, "Microsoft.Resources/resourceGroups")) {
    g_autoptr(GPtrArray) content = store_list(world, resource->id, NULL);
    for (guint i = 0; i < content->len; i++) {
      if (!resource_is(g_ptr_array_index(content, i), "Microsoft.Resources/deployments"))
        return NULL;
    }
    return "the group is empty";
  }
  if (resource_is(resource, "Microsoft.Resources/deployments"))
    return NULL;
  return network_user(world, resource) != NULL ? NULL : "no network interface uses it";
}

static gboolean
add_resource(gpointer key, gpointer value, gpointer data)
{
  json_t *types = data, *list;
  const Resource *resource = value;
  list = json_object_get(types, resource->type);
  if (list == NULL) {
    list = json_array();
    json_object_set_new(types, resource->type, list);
  }
  json_t *entry = json_pack("{s:s, s:s, s:s, s:b}", "id", resource->id, "state", resource_state(resource), "location",
                            resource_location(resource), "foreign", resource->foreign);
  if (resource->power != NULL)
    json_object_set_new(entry, "power", json_string(resource->power));
  if (json_object_get(resource->body, "tags") != NULL)
    json_object_set(entry, "tags", json_object_get(resource->body, "tags"));
  json_array_append_new(list, entry);
  return FALSE;
}

json_t *
state_report(Double *world)
{
  json_t *state = json_object(), *types = json_object(), *orphans = json_array();
  journal_report(world, state);
  g_tree_foreach(world->resources, add_resource, types);
  g_autoptr(GPtrArray) all = store_list(world, NULL, NULL);
  for (guint i = 0; i < all->len; i++) {
    const Resource *resource = g_ptr_array_index(all, i);
    const char *reason = resource->foreign ? NULL : orphan_reason(world, resource);
    if (reason != NULL)
      json_array_append_new(orphans, json_pack("{s:s, s:s}", "id", resource->id, "reason", reason));
  }
  json_object_set_new(state, "resources", types);
  json_object_set_new(state, "orphans", orphans);
  json_object_set_new(state, "faults", faults_report(world->faults));
  return state;
}
