/* The table of resources and what can be read from an id. */
#include "store.h"
#include <string.h>

static void
resource_free(gpointer data)
{
  Resource *resource = data;
  if (resource->extra_free != NULL)
    resource->extra_free(resource->extra);
  g_free(resource->id);
  g_free(resource->type);
  g_free(resource->name);
  g_free(resource->group_id);
  g_free(resource->subscription);
  g_free(resource->power);
  g_free(resource->power_before);
  g_free(resource->failure);
  g_free(resource->reserved_for);
  json_decref(resource->body);
  g_free(resource);
}

static int
compare(gconstpointer a, gconstpointer b, gpointer data)
{
  return strcmp(a, b);
}

GTree *
store_new(void)
{
  return g_tree_new_full(compare, NULL, g_free, resource_free);
}

const char *
id_name(const char *id)
{
  const char *slash = strrchr(id, '/');
  return slash != NULL ? slash + 1 : id;
}

/* The first `count` parts of an id, with their slashes; NULL when it has fewer. */
static char *
id_head(const char *id, guint count)
{
  g_auto(GStrv) parts = g_strsplit(id, "/", -1);
  if (g_strv_length(parts) < count + 1)
    return NULL;
  GString *head = g_string_new(NULL);
  for (guint i = 1; i <= count; i++)
    g_string_append_printf(head, "/%s", parts[i]);
  return g_string_free(head, FALSE);
}

char *
id_group(const char *id)
{
  g_auto(GStrv) parts = g_strsplit(id, "/", -1);
  if (g_strv_length(parts) < 5 || !same_text(parts[3], "resourceGroups"))
    return NULL;
  return id_head(id, 4);
}

char *
id_subscription(const char *id)
{
  g_auto(GStrv) parts = g_strsplit(id, "/", 4);
  return g_strv_length(parts) >= 3 && same_text(parts[1], "subscriptions") ? g_strdup(parts[2]) : NULL;
}

char *
id_type(const char *id)
{
  g_auto(GStrv) parts = g_strsplit(id, "/", -1);
  guint count = g_strv_length(parts);
  if (count == 5 && same_text(parts[3], "resourceGroups"))
    return g_strdup("Microsoft.Resources/resourceGroups");
  guint provider = 0;
  for (guint i = 0; i < count; i++) {
    if (same_text(parts[i], "providers"))
      provider = i;
  }
  if (provider == 0 || provider + 3 >= count)
    return NULL;
  GString *type = g_string_new(parts[provider + 1]);
  for (guint i = provider + 2; i + 1 < count; i += 2)
    g_string_append_printf(type, "/%s", parts[i]);
  return g_string_free(type, FALSE);
}

char *
id_parent(const char *id)
{
  g_autofree char *type = id_type(id);
  g_auto(GStrv) parts = g_strsplit(id, "/", -1);
  guint count = g_strv_length(parts);
  g_auto(GStrv) types = g_strsplit(type != NULL ? type : "", "/", -1);
  return g_strv_length(types) > 2 ? id_head(id, count - 3) : NULL;
}

Resource *
store_find(Double *world, const char *id)
{
  g_autofree char *key = g_ascii_strdown(id, -1);
  return g_tree_lookup(world->resources, key);
}

Resource *
store_add(Double *world, const char *id, json_t *body)
{
  Resource *resource = g_new0(Resource, 1);
  resource->id = g_strdup(id);
  resource->type = id_type(id);
  resource->name = g_strdup(id_name(id));
  resource->group_id = id_group(id);
  resource->subscription = id_subscription(id);
  resource->body = body;
  json_object_set_new(body, "id", json_string(id));
  json_object_set_new(body, "name", json_string(resource->name));
  json_object_set_new(body, "type", json_string(resource->type));
  g_tree_replace(world->resources, g_ascii_strdown(id, -1), resource);
  return resource;
}

void
store_remove(Double *world, Resource *resource)
{
  g_autofree char *key = g_ascii_strdown(resource->id, -1);
  g_tree_remove(world->resources, key);
}

GPtrArray *
store_list(Double *world, const char *prefix, const char *type)
{
  GPtrArray *list = g_ptr_array_new();
  g_autofree char *lower = prefix != NULL ? g_ascii_strdown(prefix, -1) : g_strdup("");
  g_autofree char *start = prefix != NULL ? g_strconcat(lower, "/", NULL) : g_strdup("");
  for (GTreeNode *node = g_tree_lower_bound(world->resources, start); node != NULL; node = g_tree_node_next(node)) {
    if (!g_str_has_prefix(g_tree_node_key(node), start))
      break;
    Resource *resource = g_tree_node_value(node);
    if (type == NULL || same_text(resource->type, type))
      g_ptr_array_add(list, resource);
  }
  return list;
}

json_t *
store_part(Double *world, const char *id)
{
  g_autofree char *parent_id = id_parent(id);
  Resource *parent = parent_id != NULL ? store_find(world, parent_id) : NULL;
  if (parent == NULL)
    return NULL;
  const char *collection = id + strlen(parent_id) + 1;
  g_autofree char *name = g_strndup(collection, strcspn(collection, "/"));
  json_t *properties = json_object_get(parent->body, "properties"), *list, *item;
  const char *key;
  size_t i;
  json_object_foreach(properties, key, list)
  {
    if (!same_text(key, name))
      continue;
    json_array_foreach(list, i, item)
    {
      if (same_text(json_text_at(item, "name", NULL), id_name(id)))
        return item;
    }
  }
  return NULL;
}

gboolean
store_exists(Double *world, const char *id)
{
  return store_find(world, id) != NULL || store_part(world, id) != NULL;
}

const char *
resource_state(const Resource *resource)
{
  return json_text_at(resource->body, "properties.provisioningState", "");
}

void
resource_set_state(Resource *resource, const char *state)
{
  json_put_at(resource->body, "properties.provisioningState", json_string(state));
}

const char *
resource_location(const Resource *resource)
{
  return json_text_at(resource->body, "location", "");
}

gboolean
resource_is(const Resource *resource, const char *type)
{
  return same_text(resource->type, type);
}
