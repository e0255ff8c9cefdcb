/* Runs deployments and answers what is asked about them. */
#include "deployment.h"
#include "faults.h"
#include "plan.h"
#include "regions.h"
#include "settings.h"
#include "views.h"

#define TYPE "Microsoft.Resources/deployments"

typedef struct {
  Plan *plan;
  gboolean active;
  char *begun;
} Deployment;

static void advance(Double *world, Resource *resource);

static void
deployment_free(gpointer data)
{
  Deployment *deployment = data;
  plan_free(deployment->plan);
  g_free(deployment->begun);
  g_free(deployment);
}

/* ---- the run ---- */

/* How Azure wraps the error of a resource: as an object, or in the old way as a JSON text inside the message. */
static json_t *
wrap_error(Double *world, const Node *node)
{
  json_t *inner
      = json_pack("{s:s, s:s, s:s, s:[O]}", "code", "ResourceDeploymentFailure", "target", node->id, "message",
                  "The resource write operation failed to complete successfully, because it reached terminal "
                  "provisioning state 'Failed'.",
                  "details", node->error);
  if (node->status >= 400) { /* the request itself was refused */
    json_decref(inner);
    inner = json_incref(node->error);
  }
  if (!json_true_at(world->settings, "errors_as_text"))
    return inner;
  json_t *whole = json_pack("{s:s, s:o}", "status", "Failed", "error", inner);
  g_autofree char *text = json_dumps(whole, JSON_INDENT(2));
  json_decref(whole);
  return json_pack("{s:s, s:s}", "code", "Conflict", "message", text);
}

static json_t *
collect_errors(Double *world, const Plan *plan)
{
  json_t *details = json_array();
  for (guint i = 0; i < plan->nodes->len; i++) {
    const Node *node = g_ptr_array_index(plan->nodes, i);
    if (node->state == NODE_FAILED)
      json_array_append_new(details, wrap_error(world, node));
  }
  return json_pack("{s:s, s:s, s:o}", "code", "DeploymentFailed", "message",
                   "At least one resource deployment operation failed. Please list deployment operations for details. "
                   "Please see https://aka.ms/arm-deployment-operations for usage details.",
                   "details", details);
}

static void
end(Double *world, Resource *resource, const char *state, json_t *error)
{
  Deployment *deployment = resource->extra;
  Operation *operation = resource->operation;
  deployment->active = FALSE;
  resource_set_state(resource, state);
  if (error != NULL)
    json_put_at(resource->body, "properties.error", json_incref(error));
  if (operation == NULL) {
    json_decref(error);
    return;
  }
  operation->canceled = g_str_equal(state, "Canceled");
  operation_end(operation, error);
}

static void
succeed(Double *world, Resource *resource)
{
  Deployment *deployment = resource->extra;
  g_autofree char *problem = NULL;
  json_t *outputs = plan_outputs(world, deployment->plan, &problem), *made = json_array();
  if (outputs == NULL) {
    json_decref(made);
    end(world, resource, "Failed",
        json_pack("{s:s, s:s}", "code", "DeploymentOutputEvaluationFailed", "message", problem));
    return;
  }
  for (guint i = 0; i < deployment->plan->nodes->len; i++) {
    const Node *node = g_ptr_array_index(deployment->plan->nodes, i);
    json_array_append_new(made, json_pack("{s:s}", "id", node->id));
  }
  json_put_at(resource->body, "properties.outputs", outputs);
  json_put_at(resource->body, "properties.outputResources", made);
  end(world, resource, "Succeeded", NULL);
}

static void
node_ends(Node *node, json_t *error, guint status)
{
  node->operation = NULL;
  node->state = error == NULL ? NODE_DONE : NODE_FAILED;
  node->error = error;
  node->status = status;
  node->ended = double_timestamp();
}

static void
resource_ended(Double *world, Operation *operation, gpointer data)
{
  Resource *resource = store_find(world, operation->watcher);
  if (resource == NULL)
    return;
  Deployment *deployment = resource->extra;
  for (guint i = 0; i < deployment->plan->nodes->len; i++) {
    Node *node = g_ptr_array_index(deployment->plan->nodes, i);
    if (node->operation != operation)
      continue;
    node_ends(node, json_incref(operation->error), operation->error != NULL ? 0 : 200);
    if (deployment->active)
      advance(world, resource);
    return;
  }
}

static void
begin_node(Double *world, Resource *resource, Node *node)
{
  Deployment *deployment = resource->extra;
  g_autofree char *problem = NULL;
  node->begun = double_timestamp();
  if (!plan_evaluate(world, deployment->plan, node, &problem)) {
    node_ends(node, json_pack("{s:s, s:s}", "code", "InvalidTemplate", "message", problem), 400);
    return;
  }
  const Rule *rule = rules_for_put(world->rules, node->id);
  FaultTarget target
      = { rule != NULL ? rule->id : "unknown", "PUT", node->id, json_text_at(node->body, "location", NULL) };
  g_autoptr(GPtrArray) faults = faults_pick(world->faults, &target);
  json_t *refused = faults_find(faults, "status", NULL);
  if (refused != NULL) {
    node_ends(node,
              json_pack("{s:s, s:s}", "code", json_text_at(refused, "code", "InternalServerError"), "message",
                        json_text_at(refused, "message", "The double was told to refuse.")),
              (guint) json_int_at(refused, "status", 500));
    return;
  }
  lifecycle_note_outside(world, "PUT", node->id, node->id, node->body);
  Put put = lifecycle_put(world, node->id, node->body, faults);
  if (put.resource == NULL) {
    node_ends(node, json_pack("{s:s, s:s}", "code", put.refusal.code, "message", put.refusal.message),
              put.refusal.status);
    refusal_clear(&put.refusal);
  } else if (put.operation == NULL) {
    node_ends(node, NULL, 200);
  } else {
    node->state = NODE_RUNS;
    node->operation = put.operation;
    put.operation->watch = resource_ended;
    put.operation->watcher = g_strdup(resource->id);
  }
}

static gboolean
is_ready(const Plan *plan, const Node *node)
{
  for (guint i = 0; i < node->needs->len; i++) {
    const Node *need = g_ptr_array_index(plan->nodes, g_array_index(node->needs, guint, i));
    if (need->state != NODE_DONE)
      return FALSE;
  }
  return node->state == NODE_WAITS;
}

static guint
count_nodes(const Plan *plan, NodeState state)
{
  guint count = 0;
  for (guint i = 0; i < plan->nodes->len; i++)
    count += ((Node *) g_ptr_array_index(plan->nodes, i))->state == state;
  return count;
}

static void
advance(Double *world, Resource *resource)
{
  const Plan *plan = ((Deployment *) resource->extra)->plan;
  gboolean progress = TRUE;
  while (progress && count_nodes(plan, NODE_FAILED) == 0) {
    progress = FALSE;
    for (guint i = 0; i < plan->nodes->len; i++) {
      Node *node = g_ptr_array_index(plan->nodes, i);
      if (!is_ready(plan, node))
        continue;
      begin_node(world, resource, node);
      progress = TRUE;
    }
  }
  if (count_nodes(plan, NODE_RUNS) > 0)
    return;
  if (count_nodes(plan, NODE_DONE) == plan->nodes->len)
    succeed(world, resource);
  else
    end(world, resource, "Failed", collect_errors(world, plan));
}

/* ---- requests ---- */

/* Parameters as they are shown afterwards: without the values of secure ones. */
static json_t *
shown_parameters(json_t *request)
{
  json_t *shown = json_object(), *given;
  const char *name;
  json_object_foreach(json_object_get(request, "parameters"), name, given)
  {
    json_t *declared = json_object_get(json_at(request, "template.parameters"), name);
    const char *type = json_text_at(declared, "type", "string");
    json_t *entry = json_pack("{s:s}", "type", type);
    if (!g_str_has_prefix(type, "secure") && !g_str_has_prefix(type, "Secure"))
      json_object_set(entry, "value", json_object_get(given, "value"));
    json_object_set_new(shown, name, entry);
  }
  return shown;
}

/* The group of the request; NULL = answered. */
static const Resource *
find_group(Exchange *exchange, const char *id)
{
  g_autofree char *group_id = id_group(id);
  const Resource *group = store_find(exchange->world, group_id);
  if (group == NULL)
    exchange_error(exchange, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.",
                   id_name(group_id));
  else if (group->deleting)
    exchange_error(exchange, 409, "ResourceGroupBeingDeleted",
                   "The resource group '%s' is in deprovisioning state and cannot perform this operation.",
                   group->name);
  return exchange->answered ? NULL : group;
}

/* The plan of the request's body, preflight passed; NULL = answered with 400. */
static Plan *
read_plan(Exchange *exchange, const Resource *group)
{
  Double *world = exchange->world;
  Refusal refusal = { 0 };
  Plan *plan = plan_new(world, group->id, json_object_get(exchange->body, "properties"), exchange->target, &refusal);
  if (plan == NULL) {
    exchange_error(exchange, refusal.status, refusal.code, "%s", refusal.message);
    refusal_clear(&refusal);
    return NULL;
  }
  json_t *details = plan_preflight(world, plan);
  if (details == NULL)
    return plan;
  plan_free(plan);
  json_t *body
      = error_body("InvalidTemplateDeployment", "The template deployment failed with multiple errors. Please see "
                                                "details.");
  json_put_at(body, "error.details", details);
  exchange_json(exchange, 400, body);
  return NULL;
}

static json_t *
deployment_body(const Plan *plan)
{
  g_autofree char *correlation = g_uuid_string_random(), *now = double_timestamp();
  return json_pack("{s:{s:s, s:o, s:s, s:s, s:s, s:s, s:[], s:[]}}", "properties", "templateHash", "1234567890",
                   "parameters", shown_parameters(plan->request), "mode",
                   json_text_at(plan->request, "mode", "Incremental"), "timestamp", now, "duration", "PT0S",
                   "correlationId", correlation, "providers", "dependencies");
}

static Resource *
store_deployment(Double *world, const char *id, Plan *plan)
{
  Deployment *deployment = g_new0(Deployment, 1);
  deployment->plan = plan;
  deployment->active = TRUE;
  deployment->begun = double_timestamp();
  Resource *resource = store_add(world, id, deployment_body(plan));
  resource->extra = deployment;
  resource->extra_free = deployment_free;
  resource_set_state(resource, "Accepted");
  return resource;
}

void
deployment_handle_put(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL);
  const Resource *group = find_group(exchange, id), *present = store_find(world, id);
  if (group == NULL)
    return;
  if (present != NULL && ((Deployment *) present->extra)->active) {
    exchange_error(exchange, 409, "DeploymentActive",
                   "Unable to edit or replace deployment '%s': previous deployment is still active.", present->name);
    return;
  }
  Plan *plan = read_plan(exchange, group);
  if (plan == NULL)
    return;
  guint status = present != NULL ? 200 : 201;
  Resource *resource = store_deployment(world, id, plan);
  json_t *lag = faults_find(exchange->faults, "lag", NULL);
  if (lag != NULL)
    resource->hidden = json_int_at(lag, "gets", 1);
  Operation *operation = operation_start(world, resource, NULL, -1, exchange->faults, NULL, NULL);
  operation_headers(exchange, operation, TRUE, FALSE);
  exchange_json(exchange, status, view_resource(world, resource));
  resource_set_state(resource, "Running");
  if (faults_find(exchange->faults, "never", NULL) == NULL)
    advance(world, resource);
}

void
deployment_handle_validate(Exchange *exchange)
{
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL);
  const Resource *group = find_group(exchange, id);
  Plan *plan = group != NULL ? read_plan(exchange, group) : NULL;
  if (plan == NULL)
    return;
  json_t *body = deployment_body(plan);
  json_put_at(body, "properties.provisioningState", json_string("Succeeded"));
  plan_free(plan);
  exchange_json(exchange, 200, body);
}

/* NULL = answered with 404. */
static Resource *
find_deployment(Exchange *exchange, const char *id)
{
  Resource *resource = store_find(exchange->world, id);
  if (resource != NULL && resource->hidden > 0) {
    resource->hidden--;
    resource = NULL;
  }
  g_autofree char *group_id = id_group(id);
  if (store_find(exchange->world, group_id) == NULL)
    exchange_error(exchange, 404, "ResourceGroupNotFound", "Resource group '%s' could not be found.",
                   id_name(group_id));
  else if (resource == NULL)
    exchange_error(exchange, 404, "DeploymentNotFound", "Deployment '%s' could not be found.", id_name(id));
  return exchange->answered ? NULL : resource;
}

/* The official path of a deployment's operations has no "/providers/Microsoft.Resources" in it. Owned. */
static char *
id_of(Exchange *exchange)
{
  g_autofree char *path = g_uri_unescape_string(exchange->path, NULL), *group = id_group(path);
  return g_strdup_printf("%s/providers/%s/%s", group, TYPE, exchange_segment(exchange, "deploymentName"));
}

void
deployment_handle_get(Exchange *exchange)
{
  g_autofree char *id = id_of(exchange);
  const Resource *resource = find_deployment(exchange, id);
  if (g_str_equal(exchange->method, "HEAD")) {
    json_decref(exchange->answer);
    exchange_json(exchange, resource != NULL ? 204 : 404, NULL);
  } else if (resource != NULL) {
    exchange_json(exchange, 200, view_resource(exchange->world, resource));
  }
}

void
deployment_handle_list(Exchange *exchange)
{
  g_autofree char *group = id_group(exchange->path);
  g_autoptr(GPtrArray) all = store_list(exchange->world, group, TYPE);
  json_t *list = json_array();
  for (guint i = 0; i < all->len; i++)
    json_array_append_new(list, view_resource(exchange->world, g_ptr_array_index(all, i)));
  view_page(exchange, list);
}

void
deployment_handle_cancel(Exchange *exchange)
{
  g_autofree char *id = id_of(exchange);
  Resource *resource = find_deployment(exchange, id);
  if (resource == NULL)
    return;
  if (!((Deployment *) resource->extra)->active) {
    exchange_error(exchange, 409, "DeploymentCannotBeCancelled",
                   "The deployment '%s' cannot be cancelled because it is not active.", resource->name);
    return;
  }
  end(exchange->world, resource, "Canceled",
      json_pack("{s:s, s:s}", "code", "DeploymentCanceled", "message", "The deployment was canceled."));
  exchange_json(exchange, 204, NULL);
}

static void
deletion_ended(Double *world, Operation *operation, gpointer data)
{
  Resource *resource = store_find(world, operation->resource_id);
  if (resource != NULL)
    store_remove(world, resource);
}

void
deployment_handle_delete(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autofree char *id = id_of(exchange);
  Resource *resource = store_find(world, id);
  if (resource == NULL) {
    exchange_json(exchange, 204, NULL);
    return;
  }
  if (((Deployment *) resource->extra)->active) {
    exchange_error(exchange, 409, "DeploymentBeingDeleted", "The deployment '%s' is still active: cancel it first.",
                   resource->name);
    return;
  }
  Operation *operation = operation_start(world, resource, NULL, settings_duration(world, "delete", NULL),
                                         exchange->faults, deletion_ended, NULL);
  operation_headers(exchange, operation, FALSE, TRUE);
  exchange_json(exchange, 202, NULL);
}

static json_t *
operation_view(const Resource *resource, const Node *node)
{
  static const char *const states[] = { "Accepted", "Running", "Succeeded", "Failed" };
  g_autofree char *type = id_type(node->id);
  json_t *view = json_pack("{s:s, s:{s:s, s:s, s:s, s:s, s:{s:s, s:s, s:s}}}", "operationId", node->operation_id,
                           "properties", "provisioningOperation", "Create", "provisioningState", states[node->state],
                           "timestamp", node->ended != NULL ? node->ended : node->begun, "statusCode",
                           node->state == NODE_DONE     ? "OK"
                           : node->state == NODE_FAILED ? "Conflict"
                                                        : "Created",
                           "targetResource", "id", node->id, "resourceType", type, "resourceName", id_name(node->id));
  json_object_set_new(view, "id", json_text_f("%s/operations/%s", resource->id, node->operation_id));
  if (node->error != NULL)
    json_put_at(view, "properties.statusMessage", json_pack("{s:s, s:O}", "status", "Failed", "error", node->error));
  return view;
}

void
deployment_handle_operations(Exchange *exchange)
{
  g_autofree char *id = id_of(exchange);
  const Resource *resource = find_deployment(exchange, id);
  const char *wanted = exchange_segment(exchange, "operationId");
  if (resource == NULL)
    return;
  const Plan *plan = ((Deployment *) resource->extra)->plan;
  json_t *list = json_array();
  for (guint i = 0; i < plan->nodes->len; i++) {
    const Node *node = g_ptr_array_index(plan->nodes, i);
    if (node->state != NODE_WAITS && (wanted[0] == '\0' || same_text(wanted, node->operation_id)))
      json_array_append_new(list, operation_view(resource, node));
  }
  if (wanted[0] == '\0') {
    view_page(exchange, list);
    return;
  }
  if (json_array_size(list) == 1)
    exchange_json(exchange, 200, json_incref(json_array_get(list, 0)));
  else
    exchange_error(exchange, 404, "DeploymentOperationNotFound", "The operation '%s' was not found.", wanted);
  json_decref(list);
}
