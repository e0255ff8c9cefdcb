/* One request of a brick from its turn to its answer: token, attempts, waits. */
#include "http-private.h"

#include "error.h"

#include <string.h>

struct _AzHttpExchange {
  AzHttp *http; /* NULL once that is gone and only the credentials have still to answer */
  AzlinOp *op;  /* NULL once it was cut short and only the credentials have still to answer */
  GList link;   /* in http->exchanges */
  char *method, *url, *host, *content_type;
  char *place; /* the part of `url` that names the host; NULL without a tape */
  char **headers;
  GBytes *body;
  char *origin, *authority, *scope, *subscription; /* of the identity; origin NULL = none */
  gboolean once, single, renewed, asking, direct;
  char *ca_file, *certificate_file, *key_file; /* NULL = none */
  gsize max_body;
  guint attempts;
  AzSecret *token;
  AzHttpCall *call;
  AzTimer *timer;
  AzTurn *turn; /* NULL = unpaced */
};

static void
exchange_free(AzHttpExchange *exchange)
{
  if (exchange->http != NULL)
    g_queue_unlink(&exchange->http->exchanges, &exchange->link);
  az_turn_free(exchange->turn);
  g_free(exchange->method);
  g_free(exchange->url);
  g_free(exchange->place);
  g_free(exchange->host);
  g_free(exchange->content_type);
  g_strfreev(exchange->headers);
  g_clear_pointer(&exchange->body, g_bytes_unref);
  g_free(exchange->origin);
  g_free(exchange->authority);
  g_free(exchange->scope);
  g_free(exchange->subscription);
  g_free(exchange->ca_file);
  g_free(exchange->certificate_file);
  g_free(exchange->key_file);
  g_clear_pointer(&exchange->token, az_secret_unref);
  g_free(exchange);
}

/* Stops whatever is under way. */
static void
halt(AzHttpExchange *exchange)
{
  az_timer_cancel(g_steal_pointer(&exchange->timer));
  if (exchange->call == NULL)
    return;
  exchange->http->module->cancel(g_steal_pointer(&exchange->call));
  az_clock_release(exchange->http->clock);
}

static void
on_cut(gpointer data)
{
  AzHttpExchange *exchange = data;
  halt(exchange);
  g_clear_pointer(&exchange->turn, az_turn_free);
  exchange->op = NULL;
  if (!exchange->asking) /* else the credentials still hold it */
    exchange_free(exchange);
}

void
az_http_exchange_abort(AzHttpExchange *exchange)
{
  AzHttp *http = exchange->http;
  if (exchange->op != NULL)
    az_op_cancel(exchange->op, AZ_HTTP_ENDS);
  if (g_queue_peek_head(&http->exchanges) != exchange)
    return;
  if (exchange->op != NULL) /* which had ended otherwise */
    on_cut(exchange);
  if (g_queue_peek_head(&http->exchanges) != exchange)
    return;
  g_queue_unlink(&http->exchanges, &exchange->link);
  exchange->http = NULL;
}

static void
fail(AzHttpExchange *exchange, GError *error)
{
  az_op_fail(exchange->op, error);
  exchange_free(exchange);
}

/* ---- the end of an attempt ---- */

static void
fail_hopeless(AzHttpExchange *exchange, gint64 wait_ms)
{
  GError *error
      = g_error_new(AZLIN_ERROR, AZLIN_ERROR_THROTTLED,
                    "throttled: %s wants no further request for %" G_GINT64_FORMAT " s, longer than this may take",
                    exchange->host, (wait_ms + 999) / 1000);
  az_error_set_final(error);
  fail(exchange, error);
}

static void
deliver(AzHttpExchange *exchange, const AzHttpEnd *end)
{
  if (end->outcome == AZ_HTTP_ANSWERED)
    az_http_answer(exchange->op, exchange->host, end);
  else
    az_http_fail(exchange->op, exchange->host, end, exchange->max_body);
  exchange_free(exchange);
}

static void ask_token(AzHttpExchange *exchange, const AzSecret *rejected);
static void send_attempt(AzHttpExchange *exchange);
static void attempt(gpointer data);

static gint64
remaining_ms(AzHttpExchange *exchange)
{
  gint64 deadline = az_op_deadline(exchange->op);
  return deadline == 0 ? G_MAXINT64 : (deadline - az_clock_monotonic(exchange->http->clock)) / 1000;
}

/* Whether a 429 is about this resource and not about everybody's budget. */
static gboolean
concerns_one_resource(const AzHttpEnd *end)
{
  static const char code[] = "AnotherOperation";
  gsize length = 0;
  const char *bytes = end->body != NULL ? g_bytes_get_data(end->body, &length) : NULL;
  return az_http_header((const char *const *) end->headers, "x-ms-ratelimit-remaining-resource") != NULL
         || (length > 0 && memmem(bytes, MIN(length, 4096), code, strlen(code)) != NULL);
}

/* What the answer means to the others that share the account. May end other exchanges. */
static void
teach_governor(AzHttpExchange *exchange, const AzHttpEnd *end, gint64 delay_ms)
{
  const char *const *headers = (const char *const *) end->headers;
  if (exchange->turn == NULL)
    return;
  az_turn_end(exchange->turn, headers);
  if (headers == NULL)
    return;
  gint64 ordered_ms = az_http_retry_after_ms(headers, az_clock_now(exchange->http->clock));
  if (end->status == 429)
    az_turn_hold(exchange->turn, MAX(ordered_ms, delay_ms), concerns_one_resource(end));
  else if (end->status >= 500 && ordered_ms > 0)
    az_turn_hold(exchange->turn, MAX(ordered_ms, delay_ms), TRUE);
}

static gboolean
is_played(AzHttpExchange *exchange)
{
  return az_tape_replays(exchange->http->tape);
}

static void
renew(AzHttpExchange *exchange)
{
  exchange->renewed = TRUE;
  exchange->attempts--;
  if (is_played(exchange))
    send_attempt(exchange);
  else
    ask_token(exchange, exchange->token);
}

static AzTapeRequest
tape_request(AzHttpExchange *exchange)
{
  return (AzTapeRequest){
    .method = exchange->method, .url = exchange->url, .origin = exchange->place, .body = exchange->body
  };
}

static void
record(AzHttpExchange *exchange, const AzHttpEnd *end)
{
  AzTapeRequest request = tape_request(exchange);
  if (exchange->http->tape != NULL && !is_played(exchange))
    az_tape_record(exchange->http->tape, &request, end);
}

/* Of a refusal that broke off the headers are enough: the wait that they ask for holds. */
static gboolean
was_refused(const AzHttpEnd *end)
{
  return end->outcome == AZ_HTTP_LOST && end->headers != NULL && (end->status == 429 || end->status >= 500);
}

static void
on_finished(const AzHttpEnd *end, gpointer data)
{
  AzHttpExchange *exchange = data;
  AzHttp *http = exchange->http;
  gint64 delay_ms = 0;

  exchange->call = NULL;
  az_clock_release(http->clock);
  AzHttpAttempt judged = { .outcome = was_refused(end) ? AZ_HTTP_ANSWERED : end->outcome,
                           .status = end->status,
                           .headers = (const char *const *) end->headers,
                           .once = exchange->once,
                           .single = exchange->single,
                           .may_renew = exchange->origin != NULL && !exchange->renewed,
                           .attempts = ++exchange->attempts,
                           .now = az_clock_now(http->clock),
                           .remaining_ms = remaining_ms(exchange),
                           .random = g_random_double() };
  AzHttpVerdict verdict = az_http_judge(&judged, &delay_ms);
  record(exchange, end);
  teach_governor(exchange, end, delay_ms);
  switch (verdict) {
  case AZ_HTTP_RENEW:
    renew(exchange);
    return;
  case AZ_HTTP_AGAIN:
    exchange->timer = az_clock_after(http->clock, is_played(exchange) ? 0 : (guint32) delay_ms, attempt, exchange);
    return;
  case AZ_HTTP_HOPELESS:
    fail_hopeless(exchange, delay_ms);
    return;
  default:
    deliver(exchange, end);
  }
}

/* ---- an attempt ---- */

static gboolean
has_header(char **headers, const char *name)
{
  for (; headers != NULL && headers[0] != NULL; headers += 2)
    if (g_ascii_strcasecmp(headers[0], name) == 0)
      return TRUE;
  return FALSE;
}

static void
add_header(GPtrArray *headers, const char *name, const char *value)
{
  g_ptr_array_add(headers, (gpointer) (guintptr) name);
  g_ptr_array_add(headers, (gpointer) (guintptr) value);
}

static void
play(gpointer data)
{
  AzHttpExchange *exchange = data;
  AzTapeRequest request = tape_request(exchange);
  AzHttpEnd *end = az_tape_play(exchange->http->tape, &request);
  exchange->timer = NULL;
  if (end == NULL) {
    fail(exchange, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "the tape has no answer to %s %s", exchange->method,
                               exchange->url + strlen(exchange->place)));
    return;
  }
  az_clock_hold(exchange->http->clock);
  on_finished(end, exchange);
  az_tape_end_free(end);
}

static void
send_attempt(AzHttpExchange *exchange)
{
  AzHttp *http = exchange->http;
  if (is_played(exchange)) {
    exchange->timer = az_clock_after(http->clock, 0, play, exchange);
    return;
  }
  g_autoptr(GPtrArray) headers = g_ptr_array_sized_new(24);
  g_autofree char *guid = NULL;
  g_autofree char *bearer = NULL;

  if (exchange->token != NULL) {
    bearer = g_strconcat("Bearer ", az_secret_peek(exchange->token, NULL), NULL);
    guid = g_uuid_string_random();
    add_header(headers, "Authorization", bearer);
    add_header(headers, "x-ms-client-request-id", guid);
  }
  add_header(headers, "User-Agent", "azlin/" AZLIN_VERSION);
  if (!has_header(exchange->headers, "Accept"))
    add_header(headers, "Accept", "application/json");
  for (char **header = exchange->headers; header != NULL && *header != NULL; header++)
    g_ptr_array_add(headers, *header);
  g_ptr_array_add(headers, NULL);
  AzHttpSend request = { .method = exchange->method,
                         .url = exchange->url,
                         .headers = (const char *const *) headers->pdata,
                         .content_type = exchange->content_type,
                         .body = exchange->body,
                         .direct = exchange->direct,
                         .once = exchange->once || exchange->single,
                         .ca_file = exchange->ca_file,
                         .certificate_file = exchange->certificate_file,
                         .key_file = exchange->key_file,
                         .max_body = exchange->max_body,
                         .connect_ms = AZ_HTTP_CONNECT_MS,
                         .idle_ms = AZ_HTTP_IDLE_MS,
                         .finished = on_finished,
                         .data = exchange };
  az_clock_hold(http->clock);
  exchange->call = http->module->send(http->session, &request);
  if (bearer != NULL)
    az_secret_wipe(bearer, strlen(bearer));
}

static void attempt_again(AzHttpExchange *exchange);

static void
on_token(const AzSecret *token, const GError *error, gpointer data)
{
  AzHttpExchange *exchange = data;
  exchange->asking = FALSE;
  if (exchange->op == NULL) {
    exchange_free(exchange);
    return;
  }
  if (token == NULL) {
    fail(exchange, g_error_copy(error));
    return;
  }
  g_clear_pointer(&exchange->token, az_secret_unref);
  exchange->token = az_secret_ref((AzSecret *) (guintptr) token);
  /* a token takes its time: what the cloud forbade meanwhile holds, and with a renewed one it is another attempt */
  if (exchange->turn != NULL && !az_turn_stands(exchange->turn))
    attempt_again(exchange);
  else
    send_attempt(exchange);
}

static void
ask_token(AzHttpExchange *exchange, const AzSecret *rejected)
{
  AzlinIdentity identity = { .size = sizeof identity,
                             .origin = exchange->origin,
                             .authority = exchange->authority,
                             .scope = exchange->scope,
                             .subscription = exchange->subscription };
  exchange->asking = TRUE;
  az_credentials_get(exchange->http->credentials, &identity, rejected, exchange->op, on_token, exchange);
}

static void
on_turn(gint64 wait_ms, gpointer data)
{
  AzHttpExchange *exchange = data;
  if (wait_ms > 0)
    fail_hopeless(exchange, wait_ms);
  else if (exchange->origin != NULL && !is_played(exchange))
    ask_token(exchange, NULL);
  else
    send_attempt(exchange);
}

static void
attempt(gpointer data)
{
  AzHttpExchange *exchange = data;
  exchange->timer = NULL;
  if (exchange->turn != NULL)
    az_turn_ask(exchange->turn);
  else
    on_turn(0, exchange);
}

static void
attempt_again(AzHttpExchange *exchange)
{
  az_turn_end(exchange->turn, NULL);
  az_turn_ask(exchange->turn);
}

static void
take_account(AzHttpExchange *exchange, const char *account, GUri *uri)
{
  AzTurnRequest request = { .account = account,
                            .method = exchange->method,
                            .path = g_uri_get_path(uri),
                            .priority = az_op_priority(exchange->op),
                            .deadline = az_op_deadline(exchange->op),
                            .go = on_turn,
                            .data = exchange };
  exchange->turn = az_turn_new(exchange->http->governor, &request);
}

static void
take_identity(AzHttpExchange *exchange, const AzlinIdentity *identity)
{
  if (identity == NULL)
    return;
  exchange->origin = g_strdup(identity->origin);
  exchange->authority = g_strdup(identity->authority);
  exchange->scope = g_strdup(identity->scope);
  exchange->subscription = g_strdup(identity->subscription);
}

static void
take_tls(AzHttpExchange *exchange, const AzlinTls *tls)
{
  if (tls == NULL)
    return;
  exchange->ca_file = g_strdup(tls->ca_file);
  exchange->certificate_file = g_strdup(tls->certificate_file);
  exchange->key_file = g_strdup(tls->key_file);
}

void
az_http_exchange_start(AzHttp *http, const AzlinHttp *request, GUri *uri, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  if (!az_http_load(http, &error)) {
    az_op_fail(op, g_steal_pointer(&error));
    return;
  }
  AzHttpExchange *exchange = g_new0(AzHttpExchange, 1);
  exchange->http = http;
  exchange->op = op;
  exchange->method = g_strdup(request->method);
  exchange->url = g_strdup(request->url);
  exchange->host = g_strdup(g_uri_get_host(uri));
  exchange->headers = g_strdupv((char **) (guintptr) request->headers);
  exchange->body = request->body != NULL ? g_bytes_ref(request->body) : NULL;
  exchange->content_type = g_strdup(request->content_type != NULL ? request->content_type : "application/json");
  exchange->once = request->once;
  /* a brick built before 1.4, or before 1.5, has a shorter struct */
  exchange->single = request->size > G_STRUCT_OFFSET(AzlinHttp, single) && request->single;
  take_tls(exchange, request->size > G_STRUCT_OFFSET(AzlinHttp, tls) ? request->tls : NULL);
  exchange->direct = az_http_host_is_loopback(exchange->host);
  exchange->max_body = request->max_body > 0 ? request->max_body : AZ_HTTP_MAX_BODY;
  take_identity(exchange, request->identity);
  if (http->tape != NULL)
    exchange->place
        = g_strndup(request->url, strcspn(strstr(request->url, "://") + 3, "/?") + 3 + strcspn(request->url, ":"));
  if (request->account != NULL && !is_played(exchange))
    take_account(exchange, request->account, uri);
  exchange->link.data = exchange;
  g_queue_push_tail_link(&http->exchanges, &exchange->link);
  az_op_on_cancel(op, on_cut, exchange);
  attempt(exchange);
}
