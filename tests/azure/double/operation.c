/* Operations of the world and their polling URLs, which are long, opaque and signed as Azure's are. */
#include "operation.h"
#include "budget.h"
#include "faults.h"
#include "settings.h"
#include <string.h>

static void
operation_free(gpointer data)
{
  Operation *operation = data;
  if (operation->timer != 0)
    g_source_remove(operation->timer);
  g_free(operation->guid);
  g_free(operation->resource_id);
  g_free(operation->provider);
  g_free(operation->location);
  g_free(operation->started);
  g_free(operation->ended);
  g_free(operation->async_target);
  g_free(operation->location_target);
  g_free(operation->watcher);
  json_decref(operation->error);
  json_decref(operation->result);
  g_free(operation);
}

GHashTable *
operations_new(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, NULL, operation_free);
}

gboolean
operation_runs(const Operation *operation)
{
  return operation->ended == NULL;
}

static void
finish(Operation *operation)
{
  Double *world = operation->world;
  Resource *resource = store_find(world, operation->resource_id);
  if (resource != NULL && resource->operation == operation)
    resource->operation = NULL;
  operation->ended = double_timestamp();
  if (operation->done != NULL)
    operation->done(world, operation, operation->data);
  if (operation->watch != NULL)
    operation->watch(world, operation, NULL);
}

static gboolean
time_is_over(gpointer data)
{
  Operation *operation = data;
  operation->timer = 0;
  finish(operation);
  return G_SOURCE_REMOVE;
}

void
operation_end(Operation *operation, json_t *error)
{
  if (!operation_runs(operation)) {
    json_decref(error);
    return;
  }
  g_clear_handle_id(&operation->timer, g_source_remove);
  json_decref(operation->error);
  operation->error = error;
  finish(operation);
}

void
operation_abort(Operation *operation, const char *code, const char *message)
{
  operation_end(operation, json_pack("{s:s, s:s}", "code", code, "message", message));
}

static char *
provider_of(const char *id)
{
  const char *found = NULL;
  for (const char *next = id; (next = strstr(next, "/providers/")) != NULL; next += strlen("/providers/"))
    found = next + strlen("/providers/");
  return found != NULL ? g_strndup(found, strcspn(found, "/")) : g_strdup("Microsoft.Resources");
}

Operation *
operation_start(Double *world, Resource *resource, const char *id, gint64 ms, const GPtrArray *faults,
                OperationDone done, gpointer data)
{
  Operation *operation = g_new0(Operation, 1);
  operation->world = world;
  operation->guid = g_uuid_string_random();
  operation->resource_id = g_strdup(resource != NULL ? resource->id : id);
  operation->provider = provider_of(operation->resource_id);
  operation->location = g_strdup(resource != NULL ? resource_location(resource) : "global");
  operation->started = double_timestamp();
  operation->done = done;
  operation->data = data;
  json_t *fail = faults_find(faults, "fail", NULL), *slow = faults_find(faults, "duration", NULL);
  if (fail != NULL && ms >= 0) {
    const char *code = json_text_at(fail, "code", "AllocationFailed");
    operation->error = json_pack("{s:s, s:s}", "code", code, "message",
                                 json_text_at(fail, "message",
                                              "Allocation failed. We do not have sufficient capacity "
                                              "for the requested VM size in this region."));
  }
  if (slow != NULL && ms >= 0)
    ms = json_int_at(slow, "ms", ms);
  g_hash_table_insert(world->operations, operation->guid, operation);
  if (resource != NULL)
    resource->operation = operation;
  if (ms >= 0 && faults_find(faults, "never", NULL) == NULL)
    operation->timer = g_timeout_add((guint) ms, time_is_over, operation);
  return operation;
}

/* Stands for the token and the signatures of Azure's own URLs, which are over 1 kB together. */
static char *
signature(const char *guid, guint length)
{
  GString *text = g_string_new(NULL);
  g_autofree char *sum = g_strdup(guid);
  while (text->len < length) {
    g_autofree char *next = g_compute_checksum_for_string(G_CHECKSUM_SHA256, sum, -1);
    g_string_append(text, next);
    g_free(sum);
    sum = g_steal_pointer(&next);
  }
  return g_string_free(g_string_truncate(text, length), FALSE);
}

static char *
make_target(const Operation *operation, const char *subscription, const char *word)
{
  g_autofree char *certificate = signature(operation->guid, 980), *sign = signature(operation->guid + 1, 342);
  g_autofree char *hash = signature(operation->guid + 2, 43);
  gboolean compute = g_str_equal(operation->provider, "Microsoft.Compute");
  g_autofree char *head
      = g_str_equal(operation->provider, "Microsoft.Resources")
            ? g_strdup_printf("/subscriptions/%s/%s/%s", subscription,
                              g_str_equal(word, "operations") ? "operationStatuses" : "operationresults",
                              operation->guid)
            : g_strdup_printf("/subscriptions/%s/providers/%s/locations/%s/%s/%s", subscription, operation->provider,
                              operation->location, word, operation->guid);
  return g_strdup_printf("%s?%s%s%sapi-version=%s&t=638680%.12s&c=MII%s&s=%s&h=%s", head, compute ? "p=" : "",
                         compute ? operation->guid : "", compute ? "&" : "", compute ? "2024-07-01" : "2024-01-01",
                         operation->guid + 24, certificate, sign, hash);
}

void
operation_headers(Exchange *exchange, Operation *operation, gboolean async, gboolean location)
{
  g_autofree char *subscription = id_subscription(operation->resource_id);
  guint seconds = (guint) json_int_at(exchange->world->settings, "poll_retry_after", 1);
  if (async && operation->async_target == NULL)
    operation->async_target = make_target(operation, subscription, "operations");
  if (location && operation->location_target == NULL)
    operation->location_target = make_target(operation, subscription, "operationResults");
  if (async) {
    g_autofree char *url = g_strconcat(exchange->base, operation->async_target, NULL);
    budget_wait(exchange->world, "GET", operation->async_target, seconds, FALSE);
    exchange_header(exchange, "Azure-AsyncOperation", url);
  }
  if (location) {
    g_autofree char *url = g_strconcat(exchange->base, operation->location_target, NULL);
    budget_wait(exchange->world, "GET", operation->location_target, seconds, FALSE);
    exchange_header(exchange, "Location", url);
  }
  exchange_retry_after(exchange, seconds);
}

gboolean
operation_is_poll(const char *path)
{
  g_auto(GStrv) parts = g_strsplit(path, "/", -1);
  guint count = g_strv_length(parts);
  if (count < 5 || !same_text(parts[1], "subscriptions"))
    return FALSE;
  const char *word = parts[count - 2];
  return same_text(word, "operations") || same_text(word, "operationResults") || same_text(word, "operationStatuses");
}

static json_t *
poll_body(const Operation *operation)
{
  gboolean network = g_str_equal(operation->provider, "Microsoft.Network");
  const char *status = operation_runs(operation)  ? "InProgress"
                       : operation->canceled      ? "Canceled"
                       : operation->error != NULL ? "Failed"
                                                  : "Succeeded";
  if (g_str_equal(operation->provider, "Microsoft.Resources") && operation_runs(operation))
    status = "Running";
  json_t *body = json_pack("{s:s}", "status", status);
  if (!network) {
    json_object_set_new(body, "name", json_string(operation->guid));
    json_object_set_new(body, "startTime", json_string(operation->started));
    if (operation->ended != NULL)
      json_object_set_new(body, "endTime", json_string(operation->ended));
  }
  if (!operation_runs(operation) && operation->error != NULL)
    json_object_set(body, "error", operation->error);
  if (!operation_runs(operation) && operation->result != NULL)
    json_object_set_new(body, "properties", json_pack("{s:O}", "output", operation->result));
  return body;
}

static void
poll_location(Exchange *exchange, Operation *operation)
{
  if (operation_runs(operation)) {
    operation_headers(exchange, operation, FALSE, TRUE);
    exchange_json(exchange, 202, NULL);
  } else if (operation->error != NULL) {
    exchange_json(exchange, 409, json_pack("{s:O}", "error", operation->error));
  } else {
    exchange_json(exchange, operation->result != NULL ? 200 : 204, json_incref(operation->result));
  }
}

void
operation_poll(Exchange *exchange)
{
  Operation *operation = g_hash_table_lookup(exchange->world->operations, id_name(exchange->path));
  if (operation == NULL) {
    exchange_error(exchange, 404, "NotFound", "The operation was not found.");
    return;
  }
  gboolean async = g_strcmp0(exchange->target, operation->async_target) == 0;
  gboolean location = g_strcmp0(exchange->target, operation->location_target) == 0;
  if (!async && !location) {
    exchange_blame(exchange, "the polling URL is not the one that was handed out");
    if (!exchange->answered)
      exchange_error(exchange, 404, "NotFound", "The operation was not found.");
    return;
  }
  if (location) {
    poll_location(exchange, operation);
    return;
  }
  guint seconds = (guint) json_int_at(exchange->world->settings, "poll_retry_after", 1);
  if (operation_runs(operation)) {
    budget_wait(exchange->world, "GET", exchange->target, seconds, FALSE);
    exchange_retry_after(exchange, seconds);
  }
  exchange_json(exchange, 200, poll_body(operation));
}
