/* Resource groups: made at once, removed slowly and with everything in them. */
#include "account.h"
#include "lifecycle.h"
#include "regions.h"
#include "settings.h"
#include "views.h"

#define GROUP "Microsoft.Resources/resourceGroups"

/* NULL = answered with 404. */
static Resource *
find_group(Exchange *exchange)
{
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL), *group = id_group(id);
  Resource *resource = store_find(exchange->world, group);
  if (resource != NULL && resource->hidden > 0) {
    resource->hidden--;
    resource = NULL;
  }
  if (resource == NULL)
    exchange_error(exchange, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.", id_name(group));
  return resource;
}

void
groups_handle_get(Exchange *exchange)
{
  const Resource *group = find_group(exchange);
  if (g_str_equal(exchange->method, "HEAD")) {
    guint status = group != NULL ? 204 : 404;
    json_decref(exchange->answer);
    exchange_json(exchange, status, NULL);
  } else if (group != NULL) {
    exchange_json(exchange, 200, view_resource(exchange->world, group));
  }
}

void
groups_handle_list(Exchange *exchange)
{
  g_autofree char *prefix = g_strdup_printf("/subscriptions/%s", exchange->subscription);
  g_autoptr(GPtrArray) groups = store_list(exchange->world, prefix, GROUP);
  json_t *list = json_array();
  for (guint i = 0; i < groups->len; i++)
    json_array_append_new(list, view_resource(exchange->world, g_ptr_array_index(groups, i)));
  view_page(exchange, list);
}

void
groups_handle_put(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *path = g_uri_unescape_string(exchange->path, NULL), *id = id_group(path);
  const char *location = json_text_at(exchange->body, "location", "");
  Resource *group = store_find(world, id);
  lifecycle_note_outside(world, "PUT", exchange->target, id, exchange->body);
  if (regions_find(world, location) == NULL) {
    exchange_error(exchange, 400, "LocationNotAvailableForResourceGroup",
                   "The provided location '%s' is not available for resource group.", location);
    return;
  }
  if (group != NULL && group->deleting) {
    exchange_error(exchange, 409, "ResourceGroupBeingDeleted",
                   "The resource group '%s' is in deprovisioning state and cannot perform this operation.",
                   group->name);
    return;
  }
  if (group != NULL && !regions_same(resource_location(group), location)) {
    exchange_error(exchange, 409, "InvalidResourceGroupLocation",
                   "Invalid resource group location '%s'. The Resource group already exists in location '%s'.",
                   location, resource_location(group));
    return;
  }
  guint status = group == NULL ? 201 : 200;
  if (group == NULL)
    group = store_add(world, id, json_pack("{s:s, s:{}}", "location", location, "properties"));
  json_t *tags = json_object_get(exchange->body, "tags");
  if (tags != NULL)
    json_object_set_new(group->body, "tags", json_deep_copy(tags));
  resource_set_state(group, "Succeeded");
  exchange_json(exchange, status, view_resource(world, group));
}

void
groups_handle_patch(Exchange *exchange)
{
  Resource *group = find_group(exchange);
  if (group == NULL)
    return;
  lifecycle_note_outside(exchange->world, "PATCH", exchange->target, group->id, NULL);
  json_t *tags = json_object_get(exchange->body, "tags");
  if (tags != NULL)
    json_object_set_new(group->body, "tags", json_deep_copy(tags));
  exchange_json(exchange, 200, view_resource(exchange->world, group));
}

static void
group_is_gone(Double *world, Operation *operation, gpointer data)
{
  Resource *group = store_find(world, operation->resource_id);
  if (group == NULL)
    return;
  if (operation->error != NULL) {
    group->deleting = FALSE;
    resource_set_state(group, "Succeeded");
    return;
  }
  for (;;) {
    g_autoptr(GPtrArray) content = store_list(world, group->id, NULL);
    if (content->len == 0)
      break;
    lifecycle_remove(world, g_ptr_array_index(content, 0));
  }
  g_hash_table_add(world->graves, g_ascii_strdown(group->id, -1));
  store_remove(world, group);
}

void
groups_handle_delete(Exchange *exchange)
{
  Double *world = exchange->world;
  Resource *group = find_group(exchange);
  if (group == NULL)
    return;
  lifecycle_note_outside(world, "DELETE", exchange->target, group->id, NULL);
  if (!group->deleting)
    operation_start(world, group, NULL, settings_duration(world, "delete", GROUP), exchange->faults, group_is_gone,
                    NULL);
  group->deleting = TRUE;
  resource_set_state(group, "Deleting");
  operation_headers(exchange, group->operation, FALSE, TRUE);
  exchange_json(exchange, 202, NULL);
}
