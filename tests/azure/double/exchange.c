/* The life of a request: record, latency, faults, checks, the handler, and the answer with its headers. */
#include "exchange.h"
#include "budget.h"
#include "faults.h"
#include "hostile.h"
#include "operation.h"
#include "routes.h"
#include "settings.h"
#include "token.h"
#include <string.h>

static void
exchange_free(Exchange *exchange)
{
  if (exchange->message != NULL) {
    g_signal_handlers_disconnect_by_data(exchange->message, exchange);
    g_object_unref(exchange->message);
  }
  g_free(exchange->path);
  g_free(exchange->target);
  g_free(exchange->base);
  g_clear_pointer(&exchange->query, g_hash_table_unref);
  g_clear_pointer(&exchange->segments, g_hash_table_unref);
  g_clear_pointer(&exchange->faults, g_ptr_array_unref);
  g_clear_pointer(&exchange->record, request_unref);
  json_decref(exchange->body);
  json_decref(exchange->answer);
  g_free(exchange);
}

/* ---- what handlers say ---- */

void
exchange_header(Exchange *exchange, const char *name, const char *value)
{
  if (exchange->message != NULL)
    soup_message_headers_replace(soup_server_message_get_response_headers(exchange->message), name, value);
}

void
exchange_retry_after(Exchange *exchange, guint seconds)
{
  g_autofree char *text = g_strdup_printf("%u", seconds);
  exchange_header(exchange, "Retry-After", text);
}

const char *
exchange_segment(const Exchange *exchange, const char *name)
{
  const char *value = exchange->segments != NULL ? g_hash_table_lookup(exchange->segments, name) : NULL;
  return value != NULL ? value : "";
}

const char *
exchange_query(const Exchange *exchange, const char *name)
{
  return g_hash_table_lookup(exchange->query, name);
}

void
exchange_json(Exchange *exchange, guint status, json_t *body)
{
  exchange->status = status;
  exchange->answer = body;
  exchange->answered = TRUE;
}

json_t *
error_body(const char *code, const char *message)
{
  return json_pack("{s:{s:s, s:s}}", "error", "code", code, "message", message);
}

void
exchange_error(Exchange *exchange, guint status, const char *code, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *message = g_strdup_vprintf(format, args);
  va_end(args);
  exchange_json(exchange, status, error_body(code, message));
}

void
exchange_text(Exchange *exchange, guint status, const char *type, const char *text, gssize length)
{
  exchange->status = status;
  exchange->answered = TRUE;
  if (exchange->message == NULL)
    return;
  soup_server_message_set_response(exchange->message, type, SOUP_MEMORY_COPY, text,
                                   length < 0 ? strlen(text) : (gsize) length);
}

gboolean
exchange_blame(Exchange *exchange, const char *reason)
{
  journal_violation(exchange->world, exchange->method, exchange->target, reason);
  if (!json_true_at(exchange->world->settings, "strict"))
    return FALSE;
  if (!exchange->answered)
    exchange_error(exchange, 400, "InvalidRequestContent", "The double refuses: %s", reason);
  return TRUE;
}

/* ---- the answer ---- */

static void
common_headers(Exchange *exchange)
{
  g_autofree char *id = g_uuid_string_random();
  exchange_header(exchange, "x-ms-request-id", id);
  exchange_header(exchange, "x-ms-correlation-request-id", id);
  exchange_header(exchange, "Cache-Control", "no-cache");
  if (strstr(exchange->path, "/Microsoft.Compute/") != NULL)
    exchange_header(exchange, "x-ms-ratelimit-remaining-resource",
                    "Microsoft.Compute/PutVM3Min;239,Microsoft.Compute/HighCostGet30Min;699");
  exchange_header(exchange, "Strict-Transport-Security", "max-age=31536000; includeSubDomains");
}

static void
forge(Exchange *exchange, json_t *fault)
{
  const char *header = json_text_at(fault, "header", NULL), *to = json_text_at(fault, "to", "{foreign}{path}");
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(exchange->message);
  if (header != NULL) {
    const char *original = soup_message_headers_get_one(headers, header);
    g_autofree char *url = hostile_url(exchange, to, original);
    if (original != NULL)
      exchange_header(exchange, header, url);
  } else if (json_object_get(exchange->answer, "nextLink") != NULL) {
    g_autofree char *url = hostile_url(exchange, to, json_text_at(exchange->answer, "nextLink", NULL));
    json_object_set_new(exchange->answer, "nextLink", json_string(url));
  }
}

/* An answer grows fields over time; clients must not mind. */
static void
add_unknown_fields(Exchange *exchange)
{
  if (json_is_object(exchange->answer) && json_object_get(exchange->answer, "id") != NULL) {
    json_object_set_new(exchange->answer, "xDoubleFutureField", json_pack("{s:[i,n]}", "nested", 1));
    json_t *properties = json_object_get(exchange->answer, "properties");
    if (json_is_object(properties))
      json_object_set_new(properties, "xDoubleFutureField", json_true());
  }
}

static void
write_body(Exchange *exchange)
{
  if (exchange->answer == NULL)
    return;
  g_autofree char *text = json_dumps(exchange->answer, JSON_COMPACT);
  json_t *truncate = faults_find(exchange->faults, "truncate", NULL);
  gsize length = strlen(text);
  if (truncate != NULL)
    length = MIN(length, (gsize) json_int_at(truncate, "bytes", (gint64) length / 2));
  exchange_text(exchange, exchange->status, "application/json; charset=utf-8", text, (gssize) length);
}

static void
record_answer(Exchange *exchange)
{
  SoupMessageHeaders *headers = soup_server_message_get_response_headers(exchange->message);
  const char *wait = soup_message_headers_get_one(headers, "Retry-After");
  exchange->record->status = exchange->status;
  exchange->record->answered = double_now(exchange->world);
  if (wait != NULL && (exchange->status == 429 || exchange->status >= 500))
    budget_wait(exchange->world, exchange->method, exchange->target, (guint) g_ascii_strtoull(wait, NULL, 10), TRUE);
}

static gboolean
break_connection(Exchange *exchange)
{
  if (faults_find(exchange->faults, "reset", "after") != NULL) {
    hostile_reset(exchange->message);
    budget_unwait(exchange->world, exchange->method, exchange->target);
    exchange->status = 0;
    soup_server_message_set_status(exchange->message, 500, NULL);
    return TRUE;
  }
  if (faults_find(exchange->faults, "cut", NULL) == NULL || exchange->answer == NULL)
    return FALSE;
  g_autofree char *text = json_dumps(exchange->answer, JSON_COMPACT);
  hostile_cut(exchange->message, exchange->status, text);
  return TRUE;
}

static void
let_hang(Exchange *exchange)
{
  if (!exchange->paused)
    soup_server_message_pause(exchange->message);
  exchange_free(exchange); /* the message stays paused until the client leaves */
}

static void
finish(Exchange *exchange)
{
  SoupServerMessage *message = exchange->message;
  if (message == NULL) {
    exchange_free(exchange);
    return;
  }
  if (faults_find(exchange->faults, "hang", "after") != NULL) {
    let_hang(exchange);
    return;
  }
  gboolean paused = exchange->paused;
  common_headers(exchange);
  json_t *forged = faults_find(exchange->faults, "forge", NULL);
  json_t *hostile = faults_find(exchange->faults, "body", "after");
  if (forged != NULL)
    forge(exchange, forged);
  if (hostile != NULL)
    hostile_body(exchange, hostile);
  add_unknown_fields(exchange);
  if (!break_connection(exchange)) {
    /* A connection that was reset has no status; libsoup wants one for the answer that never leaves. */
    soup_server_message_set_status(message, exchange->status != 0 ? exchange->status : 500, NULL);
    write_body(exchange);
  }
  record_answer(exchange);
  g_object_ref(message);
  exchange_free(exchange);
  if (paused)
    soup_server_message_unpause(message);
  g_object_unref(message);
}

/* ---- faults that strike before anything happens ---- */

static void
fault_status(Exchange *exchange, json_t *fault, guint status, const char *code)
{
  const char *body = json_text_at(fault, "body", "json");
  const char *message = json_text_at(fault, "message", "The double was told to refuse.");
  status = (guint) json_int_at(fault, "status", status);
  code = json_text_at(fault, "code", code);
  if (json_object_get(fault, "retry_after") != NULL)
    exchange_retry_after(exchange, (guint) json_int_at(fault, "retry_after", 0));
  if (g_str_equal(body, "none"))
    exchange_json(exchange, status, NULL);
  else if (g_str_equal(body, "html"))
    exchange_text(exchange, status, "text/html",
                  "<html><head><title>502 Bad Gateway</title></head><body>Bad Gateway</body></html>", -1);
  else if (g_str_equal(body, "bare"))
    exchange_json(exchange, status, json_pack("{s:s, s:s}", "code", code, "message", message));
  else
    exchange_json(exchange, status, error_body(code, message));
}

static gboolean
strike_status(Exchange *exchange)
{
  static const struct {
    const char *act, *code;
    guint status;
  } table[] = {
    { "status", "InternalServerError", 500 },
    { "throttle", "TooManyRequests", 429 },
    { "conflict", "AnotherOperationInProgress", 409 },
    { "expire", "ExpiredAuthenticationToken", 401 },
  };
  for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
    json_t *fault = faults_find(exchange->faults, table[i].act, "before");
    if (fault == NULL)
      continue;
    if (table[i].status == 429 && json_object_get(fault, "retry_after") == NULL)
      exchange_retry_after(exchange, (guint) json_int_at(exchange->world->settings, "retry_after", 1));
    fault_status(exchange, fault, table[i].status, table[i].code);
    return TRUE;
  }
  json_t *html = faults_find(exchange->faults, "html", "before");
  if (html == NULL)
    return FALSE;
  fault_status(exchange, html, 502, "BadGateway");
  exchange_text(exchange, exchange->status, "text/html", "<html><body><h1>502 Bad Gateway</h1></body></html>", -1);
  json_decref(exchange->answer);
  exchange->answer = NULL;
  return TRUE;
}

/* TRUE: the fault has answered, or nobody ever will. */
static gboolean
strike_before(Exchange *exchange)
{
  if (strike_status(exchange))
    return TRUE;
  json_t *fault = faults_find(exchange->faults, "redirect", NULL);
  if (fault != NULL) {
    g_autofree char *url = hostile_url(exchange, json_text_at(fault, "to", "{foreign}{path}"), NULL);
    exchange_header(exchange, "Location", url);
    exchange_json(exchange, (guint) json_int_at(fault, "status", 307), NULL);
    return TRUE;
  }
  fault = faults_find(exchange->faults, "body", "before");
  if (fault != NULL && !g_str_equal(json_text_at(fault, "kind", ""), "wrong-types")) {
    hostile_body(exchange, fault);
    return TRUE;
  }
  if (faults_find(exchange->faults, "reset", "before") == NULL)
    return FALSE;
  hostile_reset(exchange->message);
  exchange_json(exchange, 0, NULL);
  return TRUE;
}

/* ---- checks ---- */

static void
check_official(Exchange *exchange)
{
  Double *world = exchange->world;
  g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);
  if (exchange->rule == NULL)
    g_ptr_array_add(reasons, g_strdup_printf("no operation of the official files: %s%s",
                                             rules_know_path(world->rules, exchange->path) ? "method " : "path of ",
                                             exchange->method));
  else if (exchange->has_body && exchange->body == NULL)
    g_ptr_array_add(reasons, g_strdup("the body is no JSON"));
  else
    rules_check(world->rules, exchange->rule, exchange->segments, exchange->query, exchange->body, reasons);
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(exchange->message);
  if (exchange->has_body && !same_text(soup_message_headers_get_content_type(headers, NULL), "application/json"))
    g_ptr_array_add(reasons, g_strdup("Content-Type is not application/json"));
  for (guint i = 0; i < reasons->len; i++)
    exchange_blame(exchange, g_ptr_array_index(reasons, i));
}

static gboolean
check_subscription(Exchange *exchange)
{
  size_t i;
  json_t *subscription;
  if (exchange->subscription == NULL)
    return TRUE;
  json_array_foreach(json_object_get(exchange->world->settings, "subscriptions"), i, subscription)
  {
    if (same_text(json_text_at(subscription, "id", NULL), exchange->subscription))
      return TRUE;
  }
  exchange_error(exchange, 404, "SubscriptionNotFound", "The subscription '%s' could not be found.",
                 exchange->subscription);
  return FALSE;
}

static gboolean
check_budget(Exchange *exchange)
{
  if (exchange->subscription == NULL)
    return TRUE;
  guint left;
  BudgetKind kind = budget_kind(exchange->method);
  guint seconds = budget_take(exchange->world, exchange->subscription, kind, &left);
  g_autofree char *header = g_strdup_printf("x-ms-ratelimit-remaining-subscription-%s", budget_name(kind));
  g_autofree char *text = g_strdup_printf("%u", left);
  exchange_header(exchange, header, text);
  if (seconds == 0)
    return TRUE;
  exchange_retry_after(exchange, seconds);
  exchange_error(exchange, 429, "SubscriptionRequestsThrottled",
                 "Number of '%s' requests for subscription exceeded the limit. Please try again after '%u' seconds.",
                 budget_name(kind), seconds);
  return FALSE;
}

static gboolean
is_open(const Exchange *exchange)
{
  static const char *const open[] = { "Token", "Imds", "AppService", "SerialLog", NULL };
  return g_strv_contains(open, exchange->kind);
}

static void
run(Exchange *exchange)
{
  if (exchange->foreign) {
    token_forbid(exchange, "another origin");
    exchange_error(exchange, 418, "Foreign", "This is not Azure.");
    return;
  }
  gboolean next_page = g_hash_table_contains(exchange->world->links, exchange->target);
  if (g_str_equal(exchange->kind, "unknown") || (exchange->rule != NULL && !next_page))
    check_official(exchange);
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(exchange->message);
  if (!is_open(exchange) && soup_message_headers_get_one(headers, "x-ms-client-request-id") == NULL)
    journal_without_id(exchange->world);
  guint early = budget_arrive(exchange->world, exchange->method, exchange->target, exchange->subscription);
  if (early > 0) {
    json_decref(g_steal_pointer(&exchange->answer));
    exchange_retry_after(exchange, early);
    exchange_error(exchange, 429, "TooManyRequests", "This request came before its Retry-After was over.");
    return;
  }
  if (strike_before(exchange) || exchange->answered)
    return;
  if (!is_open(exchange) && (!token_check(exchange) || !check_subscription(exchange) || !check_budget(exchange)))
    return;
  routes_dispatch(exchange);
  if (!exchange->answered)
    exchange_error(exchange, 501, "NotImplemented", "The double does not play %s", exchange->kind);
}

/* ---- arrival ---- */

static const char *
region_of(Exchange *exchange)
{
  Double *world = exchange->world;
  const char *location = json_text_at(exchange->body, "location", NULL);
  if (location != NULL)
    return location;
  if (operation_is_poll(exchange->path)) {
    const Operation *operation = g_hash_table_lookup(world->operations, id_name(exchange->path));
    return operation != NULL ? operation->location : NULL;
  }
  g_autofree char *group = id_group(exchange->path);
  const Resource *resource = group != NULL ? store_find(world, group) : NULL;
  return resource != NULL ? resource_location(resource) : NULL;
}

static void
message_is_over(SoupServerMessage *message, Exchange *exchange)
{
  g_signal_handlers_disconnect_by_data(message, exchange);
  g_clear_object(&exchange->message);
}

static gboolean
latency_is_over(gpointer data)
{
  Exchange *exchange = data;
  if (exchange->message != NULL)
    run(exchange);
  finish(exchange);
  return G_SOURCE_REMOVE;
}

static void
read_query(Exchange *exchange, const char *query)
{
  GUriParamsIter iter;
  char *name, *value;
  exchange->query = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_uri_params_iter_init(&iter, query != NULL ? query : "", -1, "&", G_URI_PARAMS_NONE);
  while (g_uri_params_iter_next(&iter, &name, &value, NULL)) {
    if (g_hash_table_contains(exchange->query, name))
      journal_violation(exchange->world, exchange->method, exchange->target, "a query parameter comes twice");
    g_hash_table_insert(exchange->query, name, value);
  }
}

static void
read_body(Exchange *exchange)
{
  g_autoptr(GBytes) bytes = soup_message_body_flatten(soup_server_message_get_request_body(exchange->message));
  gsize length = g_bytes_get_size(bytes);
  exchange->has_body = length > 0;
  if (length > 0)
    exchange->body = json_loadb(g_bytes_get_data(bytes, NULL), length, JSON_REJECT_DUPLICATES, NULL);
}

static Exchange *
exchange_new(Double *world, SoupServerMessage *message, gboolean foreign)
{
  Exchange *exchange = g_new0(Exchange, 1);
  GUri *uri = soup_server_message_get_uri(message);
  SoupMessageHeaders *headers = soup_server_message_get_request_headers(message);
  const char *query = g_uri_get_query(uri), *host = soup_message_headers_get_one(headers, "Host");
  const char *front = soup_message_headers_get_one(headers, "X-Forwarded-Proto"); /* TLS may end before the double */
  const char *scheme = front != NULL ? front : g_uri_get_scheme(uri);
  exchange->world = world;
  exchange->foreign = foreign;
  exchange->message = g_object_ref(message);
  g_signal_connect(message, "finished", G_CALLBACK(message_is_over), exchange);
  exchange->method = soup_server_message_get_method(message);
  exchange->path = g_strdup(g_uri_get_path(uri));
  exchange->target = query != NULL ? g_strconcat(exchange->path, "?", query, NULL) : g_strdup(exchange->path);
  exchange->base = host != NULL ? g_strdup_printf("%s://%s", scheme, host)
                                : g_strdup_printf("%s://%s:%d", scheme, g_uri_get_host(uri), g_uri_get_port(uri));
  read_query(exchange, query);
  read_body(exchange);
  return exchange;
}

static void
classify(Exchange *exchange)
{
  Double *world = exchange->world;
  exchange->kind = exchange->foreign ? "Foreign" : routes_kind(exchange->method, exchange->path);
  if (exchange->kind == NULL) {
    exchange->rule = rules_match(world->rules, exchange->method, exchange->path, &exchange->segments);
    exchange->kind = exchange->rule != NULL ? exchange->rule->id : "unknown";
  }
  exchange->record->kind = g_strdup(exchange->kind);
  if (g_str_has_prefix(exchange->path, "/subscriptions/")) {
    g_autofree char *subscription = id_subscription(exchange->path);
    exchange->subscription = g_intern_string(subscription);
  }
  FaultTarget target = { exchange->kind, exchange->method, exchange->path, region_of(exchange) };
  exchange->faults = faults_pick(world->faults, &target);
}

void
exchange_receive(SoupServer *server, SoupServerMessage *message, const char *path, GHashTable *query, gpointer data)
{
  Double *world = data;
  Exchange *exchange = exchange_new(world, message, server == world->foreign);
  if (!exchange->foreign && routes_control(exchange)) {
    soup_server_message_set_status(message, exchange->status, NULL);
    write_body(exchange);
    exchange_free(exchange);
    return;
  }
  g_autofree char *url = g_strconcat(exchange->foreign ? exchange->base : "", exchange->target, NULL);
  exchange->record = request_ref(journal_request(world, exchange->method, url));
  if (strstr(url, TOKEN_BEGINNING) != NULL)
    journal_leak(world, "a URL", exchange->target);
  classify(exchange);
  if (faults_find(exchange->faults, "hang", "before") != NULL) {
    let_hang(exchange);
    return;
  }
  json_t *slow = faults_find(exchange->faults, "latency", NULL);
  guint ms = slow != NULL ? (guint) json_int_at(slow, "ms", 0) : settings_latency(world);
  if (ms == 0) {
    run(exchange);
    finish(exchange);
    return;
  }
  exchange->paused = TRUE;
  soup_server_message_pause(message);
  g_timeout_add(ms, latency_is_over, exchange);
}
