/* Creation, change and removal of resources as Azure Resource Manager and its providers go about them. */
#include "lifecycle.h"
#include "catalogue.h"
#include "faults.h"
#include "regions.h"
#include "settings.h"
#include "views.h"
#include <string.h>

void
refuse(Refusal *refusal, guint status, const char *code, const char *format, ...)
{
  if (refusal->status != 0)
    return;
  va_list args;
  va_start(args, format);
  refusal->message = g_strdup_vprintf(format, args);
  va_end(args);
  refusal->status = status;
  refusal->code = g_strdup(code);
}

void
refusal_clear(Refusal *refusal)
{
  g_free(refusal->code);
  g_free(refusal->message);
  *refusal = (Refusal){ 0 };
}

static const ResourceKind *
kind_in(const ResourceKind *kinds, const char *type)
{
  for (; kinds->type != NULL; kinds++) {
    if (same_text(kinds->type, type))
      return kinds;
  }
  return NULL;
}

const ResourceKind *
resource_kind(const char *type)
{
  const ResourceKind *kind = kind_in(network_kinds, type);
  return kind != NULL ? kind : kind_in(compute_kinds, type);
}

void
reference_missing(Double *world, const char *id, const char *reference, Refusal *refusal)
{
  g_autofree char *reason = g_strdup_printf("order: %s refers to %s, which does not exist yet", id, reference);
  journal_violation(world, "PUT", id, reason);
  refuse(
      refusal, 400, "InvalidResourceReference",
      "Resource %s referenced by resource %s was not found. Please make sure that the referenced resource exists, and "
      "that both resources are in the same region.",
      reference, id);
}

/* ---- writes that are none of azlin's business ---- */

static gboolean
is_managed(json_t *body)
{
  const char *name;
  json_t *value;
  json_object_foreach(json_object_get(body, "tags"), name, value)
  {
    if (g_ascii_strncasecmp(name, "azlin:", strlen("azlin:")) == 0)
      return TRUE;
  }
  return FALSE;
}

void
lifecycle_note_outside(Double *world, const char *method, const char *url, const char *id, json_t *body)
{
  g_autofree char *parent = id_parent(id);
  const Resource *resource = store_find(world, parent != NULL ? parent : id);
  json_t *judged = resource != NULL ? resource->body : body;
  if (resource != NULL && resource_is(resource, "Microsoft.Resources/deployments"))
    return;
  if (judged != NULL && !is_managed(judged))
    journal_outside(world, method, url, id);
  if (resource == NULL || !g_str_equal(method, "DELETE")
      || !resource_is(resource, "Microsoft.Resources/resourceGroups"))
    return;
  g_autoptr(GPtrArray) content = store_list(world, resource->id, NULL);
  for (guint i = 0; i < content->len; i++) {
    const Resource *inner = g_ptr_array_index(content, i);
    if (inner->foreign && !is_managed(inner->body))
      journal_outside(world, method, url, inner->id);
  }
}

/* ---- creation ---- */

static gboolean
registered(Double *world, const char *type)
{
  g_autofree char *provider = g_strndup(type, strcspn(type, "/"));
  size_t i;
  json_t *name;
  json_array_foreach(json_object_get(world->settings, "unregistered"), i, name)
  {
    if (same_text(json_string_value(name), provider))
      return FALSE;
  }
  return TRUE;
}

static void
check_surroundings(Double *world, const char *id, const char *type, json_t *body, Refusal *refusal)
{
  g_autofree char *group_id = id_group(id);
  const Resource *group = group_id != NULL ? store_find(world, group_id) : NULL, *present = store_find(world, id);
  const char *location = json_text_at(body, "location", "");
  if (group == NULL)
    refuse(refusal, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.",
           group_id != NULL ? id_name(group_id) : "");
  else if (group->deleting)
    refuse(refusal, 409, "ResourceGroupBeingDeleted",
           "The resource group '%s' is in deprovisioning state and cannot perform this operation.", group->name);
  else if (!registered(world, type))
    refuse(refusal, 409, "MissingSubscriptionRegistration",
           "The subscription is not registered to use namespace '%.*s'.", (int) strcspn(type, "/"), type);
  else if (regions_find(world, location) == NULL)
    refuse(refusal, 400, "LocationNotAvailableForResourceType",
           "The provided location '%s' is not available for resource type '%s'.", location, type);
  else if (present != NULL && !regions_same(resource_location(present), location))
    refuse(refusal, 409, "InvalidResourceLocation",
           "The resource '%s' already exists in location '%s'. A resource with the same name cannot be created in "
           "location '%s'.",
           present->name, resource_location(present), location);
  else if (present != NULL && present->deleting)
    refuse(refusal, 409, "OperationNotAllowed", "Operation is not allowed on '%s' since it is marked for deletion.",
           present->name);
  else if (present != NULL && present->operation != NULL)
    refuse(refusal, 409, "AnotherOperationInProgress",
           "Another operation on this or dependent resource is in progress.");
}

/* What the platform put into a resource survives a PUT that does not name it. */
static void
keep_platform_values(json_t *body, json_t *old)
{
  static const char *const kept[] = { "ipAddress",      "ipConfiguration", "vmId",      "timeCreated", "macAddress",
                                      "virtualMachine", "resourceGuid",    "diskState", NULL };
  json_t *properties = json_object_get(body, "properties");
  for (guint i = 0; kept[i] != NULL; i++) {
    json_t *value = json_object_get(json_object_get(old, "properties"), kept[i]);
    if (value != NULL && json_is_object(properties))
      json_object_set(properties, kept[i], value);
  }
  if (json_object_get(old, "managedBy") != NULL)
    json_object_set(body, "managedBy", json_object_get(old, "managedBy"));
}

static void
creation_ended(Double *world, Operation *operation, gpointer data)
{
  Resource *resource = store_find(world, operation->resource_id);
  if (resource == NULL)
    return;
  const ResourceKind *kind = resource_kind(resource->type);
  resource_set_state(resource, operation->error == NULL ? "Succeeded" : "Failed");
  if (operation->error == NULL && kind->created != NULL)
    kind->created(world, resource);
  if (operation->error != NULL && kind->failed != NULL)
    kind->failed(world, resource, json_text_at(operation->error, "code", ""));
}

static Resource *
store_body(Double *world, const char *id, json_t *body, Resource *present)
{
  json_t *copy = json_deep_copy(body);
  if (json_object_get(copy, "properties") == NULL)
    json_object_set_new(copy, "properties", json_object());
  if (present == NULL)
    return store_add(world, id, copy);
  keep_platform_values(copy, present->body);
  json_object_set_new(copy, "id", json_string(present->id));
  json_object_set_new(copy, "name", json_string(present->name));
  json_object_set_new(copy, "type", json_string(present->type));
  json_decref(present->body);
  present->body = copy;
  return present;
}

static void
hide_at_first(Resource *resource, const GPtrArray *faults)
{
  json_t *lag = faults_find(faults, "lag", NULL);
  if (lag != NULL)
    resource->hidden = json_int_at(lag, "gets", 1);
}

Put
lifecycle_put(Double *world, const char *id, json_t *body, const GPtrArray *faults)
{
  Put put = { 0 };
  g_autofree char *type = id_type(id);
  const ResourceKind *kind = type != NULL ? resource_kind(type) : NULL;
  if (kind == NULL) {
    refuse(&put.refusal, 400, "NoRegisteredProviderFound", "The double does not make resources of type '%s'", type);
    return put;
  }
  check_surroundings(world, id, type, body, &put.refusal);
  if (put.refusal.status == 0 && kind->check != NULL)
    kind->check(world, id, body, &put.refusal);
  if (put.refusal.status != 0)
    return put;
  Resource *present = store_find(world, id);
  gboolean done = present != NULL && !kind->slow_changes && g_str_equal(resource_state(present), "Succeeded");
  put.created = present == NULL;
  put.resource = store_body(world, id, body, present);
  json_object_set_new(put.resource->body, "etag", json_text_f("W/\"%08x\"", g_rand_int(world->rand)));
  const char *during = put.created && kind->says_creating ? "Creating" : "Updating";
  resource_set_state(put.resource, done ? "Succeeded" : during);
  if (kind->begun != NULL)
    kind->begun(world, put.resource);
  hide_at_first(put.resource, faults);
  if (done)
    return put;
  const char *lacking = catalogue_capacity_problem(world, type, body);
  put.operation = operation_start(world, put.resource, NULL, settings_duration(world, "create", type), faults,
                                  creation_ended, NULL);
  if (lacking != NULL && put.operation->error == NULL)
    put.operation->error
        = json_pack("{s:s, s:s}", "code", lacking, "message",
                    "Allocation failed. We do not have sufficient capacity for the requested VM size in "
                    "this region. Read more about improving likelihood of allocation success");
  return put;
}

static gboolean
condition_fails(Exchange *exchange, const char *id)
{
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(exchange->message);
  const char *none = soup_message_headers_get_one(headers, "If-None-Match");
  if (none == NULL || !g_str_equal(none, "*") || store_find(exchange->world, id) == NULL)
    return FALSE;
  exchange_error(exchange, 412, "PreconditionFailed", "The resource exists, and the request asked for it not to.");
  return TRUE;
}

void
lifecycle_handle_put(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL);
  if (condition_fails(exchange, id))
    return;
  lifecycle_note_outside(world, "PUT", exchange->target, id, exchange->body);
  Put put = lifecycle_put(world, id, exchange->body, exchange->faults);
  if (put.resource == NULL) {
    exchange_error(exchange, put.refusal.status, put.refusal.code, "%s", put.refusal.message);
    refusal_clear(&put.refusal);
    return;
  }
  if (put.operation != NULL && json_true_at(world->settings, "async_header"))
    operation_headers(exchange, put.operation, TRUE, FALSE);
  guint status = put.created ? 201 : 200;
  if (put.created && resource_is(put.resource, "Microsoft.Compute/disks"))
    status = 202;
  exchange_json(exchange, status, view_resource(world, put.resource));
}

/* ---- removal ---- */

void
lifecycle_remove(Double *world, Resource *resource)
{
  const ResourceKind *kind = resource_kind(resource->type);
  g_autofree char *id = g_strdup(resource->id);
  if (resource->operation != NULL)
    operation_abort(resource->operation, "OperationPreempted",
                    "The operation has been preempted by a more recent operation.");
  resource = store_find(world, id); /* the end of its operation may have removed it */
  if (resource == NULL)
    return;
  if (kind != NULL && kind->deleted != NULL)
    kind->deleted(world, resource);
  store_remove(world, resource);
}

static void
deletion_ended(Double *world, Operation *operation, gpointer data)
{
  Resource *resource = store_find(world, operation->resource_id);
  if (resource == NULL)
    return;
  resource->deleting = FALSE;
  if (operation->error != NULL)
    resource_set_state(resource, "Failed");
  else
    lifecycle_remove(world, resource);
}

void
lifecycle_handle_delete(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL), *group_id = id_group(id);
  Resource *resource = store_find(world, id);
  if (group_id == NULL || store_find(world, group_id) == NULL) {
    exchange_error(exchange, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.",
                   group_id != NULL ? id_name(group_id) : "");
    return;
  }
  if (resource == NULL) {
    exchange_json(exchange, 204, NULL);
    return;
  }
  lifecycle_note_outside(world, "DELETE", exchange->target, id, NULL);
  const ResourceKind *kind = resource_kind(resource->type);
  Refusal refusal = { 0 };
  if (kind->may_delete != NULL)
    kind->may_delete(world, resource, &refusal);
  if (refusal.status != 0) {
    exchange_error(exchange, refusal.status, refusal.code, "%s", refusal.message);
    refusal_clear(&refusal);
    return;
  }
  if (!resource->deleting && resource->operation != NULL)
    operation_abort(resource->operation, "OperationPreempted",
                    "The operation has been preempted by a more recent operation.");
  Operation *operation = resource->deleting ? resource->operation : NULL;
  if (operation == NULL)
    operation = operation_start(world, resource, NULL, settings_duration(world, "delete", resource->type),
                                exchange->faults, deletion_ended, NULL);
  resource->deleting = TRUE;
  resource_set_state(resource, "Deleting");
  operation_headers(exchange, operation, json_true_at(world->settings, "async_header"), TRUE);
  exchange_json(exchange, 202, NULL);
}
