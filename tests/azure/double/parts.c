/* PUT, DELETE and list of the parts of networks and rules. */
#include "parts.h"
#include "lifecycle.h"
#include "settings.h"
#include "views.h"

static Resource *
find_parent(Exchange *exchange, const char *id)
{
  Resource *parent = store_find(exchange->world, id);
  if (parent == NULL)
    exchange_error(exchange, 404, "ParentResourceNotFound",
                   "Can not perform requested operation on nested resource. "
                   "Parent resource '%s' not found.",
                   id_name(id));
  else if (parent->operation != NULL)
    exchange_error(exchange, 409, "AnotherOperationInProgress",
                   "Another operation on this or dependent resource is in progress.");
  return exchange->answered ? NULL : parent;
}

/* "subnets" or "securityRules", as the parent has it. */
static const char *
collection_of(const char *kind)
{
  return g_str_has_prefix(kind, "Subnets_") ? "subnets" : "securityRules";
}

static void
remove_part(json_t *list, const char *name)
{
  for (size_t i = json_array_size(list); i-- > 0;) {
    if (same_text(json_text_at(json_array_get(list, i), "name", NULL), name))
      json_array_remove(list, i);
  }
}

static gboolean
refuses_rule(Exchange *exchange, json_t *rules, const char *name)
{
  Refusal refusal = { 0 };
  if (g_str_has_prefix(exchange->kind, "SecurityRules_"))
    network_rule_check(rules, exchange->body, name, &refusal);
  if (refusal.status == 0)
    return FALSE;
  exchange_error(exchange, refusal.status, refusal.code, "%s", refusal.message);
  refusal_clear(&refusal);
  return TRUE;
}

void
parts_handle_put(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL), *parent_id = id_parent(id);
  Resource *parent = find_parent(exchange, parent_id);
  if (parent == NULL)
    return;
  lifecycle_note_outside(world, "PUT", exchange->target, id, NULL);
  g_autofree char *path = g_strdup_printf("properties.%s", collection_of(exchange->kind));
  if (refuses_rule(exchange, json_at(parent->body, path), id_name(id)))
    return;
  gboolean present = store_part(world, id) != NULL;
  json_t *part = json_deep_copy(exchange->body);
  json_object_set_new(part, "id", json_string(id));
  json_object_set_new(part, "name", json_string(id_name(id)));
  json_put_at(part, "properties.provisioningState", json_string("Succeeded"));
  if (json_at(parent->body, path) == NULL)
    json_put_at(parent->body, path, json_array());
  remove_part(json_at(parent->body, path), id_name(id));
  json_array_append_new(json_at(parent->body, path), part);
  Operation *operation
      = operation_start(world, parent, NULL, settings_duration(world, "create", NULL), exchange->faults, NULL, NULL);
  operation_headers(exchange, operation, TRUE, FALSE);
  exchange_json(exchange, present ? 200 : 201, json_deep_copy(part));
}

void
parts_handle_delete(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL), *parent_id = id_parent(id);
  Resource *parent = find_parent(exchange, parent_id);
  if (parent == NULL)
    return;
  if (store_part(world, id) == NULL) {
    exchange_json(exchange, 204, NULL);
    return;
  }
  lifecycle_note_outside(world, "DELETE", exchange->target, id, NULL);
  g_autofree char *path = g_strdup_printf("properties.%s", collection_of(exchange->kind));
  remove_part(json_at(parent->body, path), id_name(id));
  Operation *operation
      = operation_start(world, parent, NULL, settings_duration(world, "delete", NULL), exchange->faults, NULL, NULL);
  operation_headers(exchange, operation, TRUE, TRUE);
  exchange_json(exchange, 202, NULL);
}

void
parts_handle_list(Exchange *exchange)
{
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL);
  *strrchr(id, '/') = '\0';
  const Resource *parent = find_parent(exchange, id);
  if (parent == NULL)
    return;
  g_autofree char *path = g_strdup_printf("properties.%s", collection_of(exchange->kind));
  json_t *list = json_at(parent->body, path);
  view_page(exchange, list != NULL ? json_deep_copy(list) : json_array());
}
