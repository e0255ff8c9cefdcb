/* GET and lists: resources as Azure shows them, page by page. */
#include "views.h"
#include <string.h>

json_t *
view_vm_instance(Double *world, const Resource *vm)
{
  const char *state = resource_state(vm);
  g_autofree char *lower = g_ascii_strdown(state, -1), *now = double_timestamp();
  g_autofree char *code = vm->failure != NULL && g_str_equal(lower, "failed")
                              ? g_strdup_printf("ProvisioningState/failed/%s", vm->failure)
                              : g_strdup_printf("ProvisioningState/%s", lower);
  json_t *statuses = json_pack("[{s:s, s:s, s:s+, s:s}]", "code", code, "level", vm->failure != NULL ? "Error" : "Info",
                               "displayStatus", "Provisioning ", lower, "time", now);
  json_t *view = json_pack("{s:o}", "statuses", statuses);
  if (vm->power != NULL && json_true_at(world->settings, "power_state")) {
    g_autofree char *power = g_strdup_printf("PowerState/%s", vm->power);
    json_array_append_new(
        statuses, json_pack("{s:s, s:s, s:s+}", "code", power, "level", "Info", "displayStatus", "VM ", vm->power));
  }
  if (g_strcmp0(vm->power, "running") == 0)
    json_object_set_new(view, "vmAgent",
                        json_pack("{s:s, s:[{s:s, s:s, s:s, s:s}]}", "vmAgentVersion", "2.9.0.4", "statuses", "code",
                                  "ProvisioningState/succeeded", "level", "Info", "displayStatus", "Ready", "time",
                                  now));
  json_t *maintenance = json_object_get(json_object_get(world->settings, "maintenance"), vm->name);
  if (maintenance != NULL)
    json_object_set_new(view, "maintenanceRedeployStatus", json_deep_copy(maintenance));
  return view;
}

json_t *
view_resource(Double *world, const Resource *resource)
{
  json_t *view = json_deep_copy(resource->body);
  json_t *os = json_at(view, "properties.osProfile");
  json_object_del(os, "customData");
  json_object_del(os, "adminPassword");
  json_object_del(json_object_get(view, "properties"), "userData");
  return view;
}

static void
upper_group(json_t *object, const char *key)
{
  g_auto(GStrv) parts = g_strsplit(json_text_at(object, key, ""), "/", -1);
  if (g_strv_length(parts) < 5)
    return;
  char *upper = g_ascii_strup(parts[4], -1);
  g_free(parts[4]);
  parts[4] = upper;
  g_autofree char *id = g_strjoinv("/", parts);
  json_object_set_new(object, key, json_string(id));
}

json_t *
view_listed(Double *world, const Resource *resource)
{
  const ResourceKind *kind = resource_kind(resource->type);
  json_t *view = view_resource(world, resource);
  if (kind != NULL && kind->upper_case_lists)
    upper_group(view, "id");
  json_t *disk = json_at(view, "properties.storageProfile.osDisk.managedDisk");
  if (disk != NULL)
    upper_group(disk, "id");
  return view;
}

/* The target with `$skiptoken` set to what came before, percent-encoded as Azure's own are. */
static char *
next_target(Exchange *exchange, size_t start)
{
  GString *target = g_string_new(exchange->path);
  GHashTableIter iter;
  gpointer name, value;
  char separator = '?';
  g_hash_table_iter_init(&iter, exchange->query);
  while (g_hash_table_iter_next(&iter, &name, &value)) {
    if (g_str_equal(name, "$skiptoken"))
      continue;
    g_autofree char *escaped = g_uri_escape_string(value, NULL, FALSE);
    g_string_append_printf(target, "%c%s=%s", separator, (char *) name, escaped);
    separator = '&';
  }
  g_autofree char *token = g_strdup_printf("page+%" G_GSIZE_FORMAT "/=", start);
  g_autofree char *escaped = g_uri_escape_string(token, NULL, FALSE);
  g_string_append_printf(target, "%c$skiptoken=%s", separator, escaped);
  return g_string_free(target, FALSE);
}

void
view_page(Exchange *exchange, json_t *items)
{
  Double *world = exchange->world;
  size_t start = GPOINTER_TO_SIZE(g_hash_table_lookup(world->links, exchange->target));
  size_t size = (size_t) json_int_at(world->settings, "page_size", 500), total = json_array_size(items);
  gboolean empty
      = json_true_at(world->settings, "empty_first_page") && !g_hash_table_contains(world->links, exchange->target);
  size_t end = empty ? start : MIN(total, start + MAX(size, 1));
  json_t *page = json_array();
  for (size_t i = start; i < end; i++)
    json_array_append(page, json_array_get(items, i));
  json_decref(items);
  json_t *body = json_pack("{s:o}", "value", page);
  if (end < total || empty) {
    char *target = next_target(exchange, end);
    json_object_set_new(body, "nextLink", json_text_f("%s%s", exchange->base, target));
    g_hash_table_insert(world->links, target, GSIZE_TO_POINTER(end));
  }
  exchange_json(exchange, 200, body);
}

static gboolean
not_found(Exchange *exchange, const char *id)
{
  g_autofree char *group = id_group(id), *type = id_type(id);
  if (group != NULL && store_find(exchange->world, group) == NULL)
    exchange_error(exchange, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.", id_name(group));
  else
    exchange_error(exchange, 404, "ResourceNotFound", "The Resource '%s/%s' was not found.", type != NULL ? type : "",
                   id_name(id));
  return TRUE;
}

void
views_handle_get(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL);
  gboolean instance = g_str_equal(exchange->kind, "VirtualMachines_InstanceView");
  if (instance)
    *strrchr(id, '/') = '\0';
  Resource *resource = store_find(world, id);
  if (resource == NULL || resource->hidden > 0) {
    if (resource != NULL)
      resource->hidden--;
    not_found(exchange, id);
    return;
  }
  if (instance) {
    exchange_json(exchange, 200, view_vm_instance(world, resource));
    return;
  }
  json_t *view = view_resource(world, resource);
  if (same_text(exchange_query(exchange, "$expand"), "instanceView"))
    json_put_at(view, "properties.instanceView", view_vm_instance(world, resource));
  exchange_json(exchange, 200, view);
}

void
views_handle_part(Exchange *exchange)
{
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL);
  json_t *part = store_part(exchange->world, id);
  if (part == NULL)
    not_found(exchange, id);
  else
    exchange_json(exchange, 200, json_deep_copy(part));
}

/* "Microsoft.Network/networkInterfaces" from ".../providers/Microsoft.Network/networkInterfaces". */
static char *
listed_type(const char *path)
{
  const char *provider = g_strrstr(path, "/providers/");
  g_auto(GStrv) parts = g_strsplit(provider != NULL ? provider : "", "/", -1);
  guint count = g_strv_length(parts);
  return count >= 4 ? g_strdup_printf("%s/%s", parts[2], parts[count - 1]) : NULL;
}

static json_t *
status_only(Double *world, const Resource *vm)
{
  json_t *full = view_listed(world, vm);
  json_t *view
      = json_pack("{s:O, s:O, s:O, s:O}", "id", json_object_get(full, "id"), "name", json_object_get(full, "name"),
                  "type", json_object_get(full, "type"), "location", json_object_get(full, "location"));
  json_object_set_new(view, "properties",
                      json_pack("{s:s, s:o}", "vmId", json_text_at(full, "properties.vmId", ""), "instanceView",
                                view_vm_instance(world, vm)));
  json_decref(full);
  return view;
}

void
views_handle_list(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *path = g_uri_unescape_string(exchange->path, NULL);
  g_autofree char *type = listed_type(path), *group = id_group(path);
  g_autofree char *prefix
      = group != NULL ? g_strdup(group) : g_strdup_printf("/subscriptions/%s", exchange->subscription);
  if (group != NULL && store_find(world, group) == NULL) {
    exchange_error(exchange, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.", id_name(group));
    return;
  }
  const char *location = exchange_segment(exchange, "location");
  gboolean statuses = same_text(exchange_query(exchange, "statusOnly"), "true");
  g_autoptr(GPtrArray) resources = store_list(world, prefix, type);
  json_t *list = json_array();
  for (guint i = 0; i < resources->len; i++) {
    Resource *resource = g_ptr_array_index(resources, i);
    if (location[0] != '\0' && !same_text(location, resource_location(resource)))
      continue;
    json_array_append_new(list, statuses ? status_only(world, resource) : view_listed(world, resource));
  }
  view_page(exchange, list);
}

/* ---- generic lists of resources, with their filters ---- */

typedef struct {
  char *tag, *value, *prefix, *type;
  gboolean wrong;
} Filter;

static void
filter_clear(Filter *filter)
{
  g_free(filter->tag);
  g_free(filter->value);
  g_free(filter->prefix);
  g_free(filter->type);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Filter, filter_clear)

static char *
quoted(const char *term, const char *head)
{
  if (!g_str_has_prefix(term, head))
    return NULL;
  const char *text = term + strlen(head), *end = strchr(text, '\'');
  return end != NULL ? g_strndup(text, (gsize) (end - text)) : NULL;
}

static void
read_filter(const char *text, Filter *filter)
{
  g_auto(GStrv) terms = g_strsplit(text, " and ", -1);
  for (guint i = 0; terms[i] != NULL; i++) {
    const char *term = g_strstrip(terms[i]);
    char *tag = quoted(term, "tagName eq '"), *value = quoted(term, "tagValue eq '");
    char *prefix = quoted(term, "startswith(tagName,'"), *type = quoted(term, "resourceType eq '");
    filter->wrong |= tag == NULL && value == NULL && prefix == NULL && type == NULL;
    filter->tag = tag != NULL ? tag : filter->tag;
    filter->value = value != NULL ? value : filter->value;
    filter->prefix = prefix != NULL ? prefix : filter->prefix;
    filter->type = type != NULL ? type : filter->type;
  }
  filter->wrong |= filter->type != NULL && (filter->tag != NULL || filter->prefix != NULL);
}

static gboolean
filter_passes(const Filter *filter, const Resource *resource)
{
  const char *name;
  json_t *value;
  if (filter->type != NULL && !resource_is(resource, filter->type))
    return FALSE;
  if (filter->tag == NULL && filter->prefix == NULL)
    return TRUE;
  json_object_foreach(json_object_get(resource->body, "tags"), name, value)
  {
    if (filter->prefix != NULL && g_ascii_strncasecmp(name, filter->prefix, strlen(filter->prefix)) == 0)
      return TRUE;
    if (same_text(name, filter->tag)
        && (filter->value == NULL || g_strcmp0(json_string_value(value), filter->value) == 0))
      return TRUE;
  }
  return FALSE;
}

void
views_handle_resources(Exchange *exchange)
{
  g_auto(Filter) filter = { 0 };
  const char *text = exchange_query(exchange, "$filter"), *group = exchange_segment(exchange, "resourceGroupName");
  g_autofree char *subscription = g_strdup_printf("/subscriptions/%s", exchange->subscription);
  g_autofree char *prefix
      = group[0] != '\0' ? g_strdup_printf("%s/resourceGroups/%s", subscription, group) : g_strdup(subscription);
  if (group[0] != '\0' && store_find(exchange->world, prefix) == NULL) {
    exchange_error(exchange, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.", group);
    return;
  }
  if (text != NULL)
    read_filter(text, &filter);
  if (filter.wrong) {
    exchange_error(exchange, 400, "InvalidFilterInQueryString", "Invalid $filter '%s'", text);
    return;
  }
  gboolean tagless = filter.tag != NULL || filter.prefix != NULL;
  g_autoptr(GPtrArray) resources = store_list(exchange->world, prefix, NULL);
  json_t *list = json_array();
  for (guint i = 0; i < resources->len; i++) {
    Resource *resource = g_ptr_array_index(resources, i);
    if (resource_is(resource, "Microsoft.Resources/resourceGroups")
        || resource_is(resource, "Microsoft.Resources/deployments") || !filter_passes(&filter, resource))
      continue;
    json_t *item = view_listed(exchange->world, resource);
    json_object_del(item, "properties");
    json_object_del(item, "etag");
    if (tagless)
      json_object_del(item, "tags");
    json_array_append_new(list, item);
  }
  view_page(exchange, list);
}
