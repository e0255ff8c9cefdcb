/* HTTP for bricks and credentials: one session of the HTTP module, loaded on first use. */
#include "http-private.h"

#include "loader.h"

#include <string.h>

AzHttp *
az_http_new(AzClock *clock, AzConfig *config)
{
  AzHttp *http = g_new0(AzHttp, 1);
  *http = (AzHttp){ .clock = clock, .config = config };
  http->governor = az_governor_new(clock);
  http->credentials = az_credentials_new(http, clock);
  return http;
}

gboolean
az_http_load(AzHttp *http, GError **error)
{
  if (http->session != NULL || az_tape_replays(http->tape))
    return TRUE;
  const char *tape = g_getenv("AZLIN_TAPE");
  if (http->tape == NULL && tape != NULL && *tape != '\0')
    http->tape = az_tape_open(tape, error);
  if (http->tape == NULL && tape != NULL && *tape != '\0')
    return FALSE;
  if (az_tape_replays(http->tape))
    return TRUE;
  if (http->module == NULL)
    http->module = az_loader_module(AZ_TRANSPORT_HTTP_MODULE, AZ_TRANSPORT_HTTP_SYMBOL, error);
  if (http->module == NULL)
    return FALSE;
  const char *ca_file = http->config != NULL ? az_config_string(http->config, "http", "ca-file") : NULL;
  http->session = http->module->session_new(ca_file, error);
  return http->session != NULL;
}

static gboolean
is_text(const char *text, gboolean is_name)
{
  for (; *text != '\0'; text++) {
    if ((guint8) *text >= 127 || (*text < ' ' && (is_name || *text != '\t')) || (is_name && *text == ' '))
      return FALSE;
    if (is_name && strchr("\"(),/:;<=>?@[\\]{}", *text) != NULL)
      return FALSE;
  }
  return TRUE;
}

/* What belongs to the engine is not for bricks to say. */
static gboolean
check_headers(const char *const *headers, GError **error)
{
  static const char *const own[] = {
    "authorization",   "host", "content-length", "transfer-encoding", "connection", "proxy-authorization", "cookie",
    "accept-encoding", NULL
  };
  for (; headers != NULL && headers[0] != NULL; headers += 2) {
    g_autofree char *name = g_ascii_strdown(headers[0], -1);
    if (g_strv_contains(own, name) || *name == '\0' || headers[1] == NULL || !is_text(headers[0], TRUE)
        || !is_text(headers[1], FALSE)) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "a request may not have the header '%s'",
                  is_text(name, TRUE) ? name : "?");
      return FALSE;
    }
  }
  return TRUE;
}

static gboolean
check_method(const char *method, GError **error)
{
  gsize length = method != NULL ? strlen(method) : 0;
  if (length > 0 && length <= 16 && strspn(method, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == length)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "a request needs a method");
  return FALSE;
}

void
az_http_send(AzHttp *http, const AzlinHttp *request, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  const char *origin = request->identity != NULL ? request->identity->origin : NULL;
  if (az_op_cancelled(op))
    return;
  if (request->identity != NULL && origin == NULL) {
    az_op_fail_new(op, AZLIN_ERROR_CONFIG, "a token needs to know where it may go");
    return;
  }
  g_autoptr(GUri) uri = az_http_url_check(request->url, origin, &error);
  if (uri == NULL || !check_method(request->method, &error) || !check_headers(request->headers, &error)) {
    az_op_fail(op, g_steal_pointer(&error));
    return;
  }
  az_http_exchange_start(http, request, uri, op);
}

void
az_http_fail(AzlinOp *op, const char *host, const AzHttpEnd *end, gsize max_body)
{
  switch (end->outcome) {
  case AZ_HTTP_UNREACHED:
    az_op_fail_new(op, AZLIN_ERROR_NETWORK, "no connection to %s: %s", host, end->detail);
    return;
  case AZ_HTTP_UNTRUSTED:
    az_op_fail_new(op, AZLIN_ERROR_NETWORK, "%s is not who it says, or something stands in between: %s", host,
                   end->detail);
    return;
  case AZ_HTTP_LOST:
    az_op_fail_new(op, AZLIN_ERROR_NETWORK, "the connection to %s was lost: %s", host, end->detail);
    return;
  default:
    az_op_fail_new(op, AZLIN_ERROR_FAILED, "%s sent an answer that was not read to its end: %s (at most %g MiB)", host,
                   end->detail, (double) max_body / (1024 * 1024));
  }
}

void
az_http_answer(AzlinOp *op, const char *host, const AzHttpEnd *end)
{
  const char *const *headers = (const char *const *) end->headers;
  const char *wrong = az_http_scan(az_http_header(headers, "content-type"), end->body);
  AzlinHttpReply reply = { .status = end->status, .headers = headers, .body = end->body };
  reply.retry_after_ms = az_http_retry_after_ms(headers, az_clock_now(az_op_clock(op)));
  if (wrong == NULL)
    az_op_finish_http(op, &reply);
  else
    az_op_fail_new(op, AZLIN_ERROR_FAILED, "%s sent JSON that %s; it was not read (HTTP status %d)", host, wrong,
                   end->status);
}

/* ---- for credentials: one attempt, no token ---- */

typedef struct {
  AzHttp *http;
  AzlinOp *op;
  AzHttpCall *call;
  char *host;
  GList link; /* in http->plains */
} Plain;

static void
plain_free(Plain *plain)
{
  g_queue_unlink(&plain->http->plains, &plain->link);
  az_clock_release(plain->http->clock);
  g_free(plain->host);
  g_free(plain);
}

static void
plain_finished(const AzHttpEnd *end, gpointer data)
{
  Plain *plain = data;
  if (end->outcome == AZ_HTTP_ANSWERED)
    az_http_answer(plain->op, plain->host, end);
  else
    az_http_fail(plain->op, plain->host, end, AZ_HTTP_MAX_BODY);
  plain_free(plain);
}

static void
plain_cut(gpointer data)
{
  Plain *plain = data;
  plain->http->module->cancel(plain->call);
  plain_free(plain);
}

static void
plain_abort(Plain *plain)
{
  AzHttp *http = plain->http;
  az_op_cancel(plain->op, AZ_HTTP_ENDS);
  if (g_queue_peek_head(&http->plains) == plain) /* its op had ended otherwise */
    plain_cut(plain);
}

/* The one address outside this host that answers plain http: the cloud's metadata service, a link-local hop away. */
static GUri *
check_plain_url(const AzHttpPlain *request, GError **error)
{
  if (request->direct && g_str_has_prefix(request->url, "http://169.254.169.254/"))
    return g_uri_parse(request->url, G_URI_FLAGS_ENCODED, error);
  return az_http_url_check(request->url, NULL, error);
}

static GBytes *
secret_bytes(const AzSecret *secret)
{
  gsize length = 0;
  const char *bytes = secret != NULL ? az_secret_peek(secret, &length) : NULL;
  AzSecret *copy = bytes != NULL ? az_secret_new(bytes, (gssize) length) : NULL;
  return copy == NULL
             ? NULL
             : g_bytes_new_with_free_func(az_secret_peek(copy, NULL), length, (GDestroyNotify) az_secret_unref, copy);
}

void
az_http_send_plain(AzHttp *http, const AzHttpPlain *request, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  if (az_op_cancelled(op))
    return;
  g_autoptr(GUri) uri = check_plain_url(request, &error);
  if (uri == NULL || !check_headers(request->headers, &error) || !az_http_load(http, &error)) {
    az_op_fail(op, g_steal_pointer(&error));
    return;
  }
  if (http->session == NULL) {
    az_op_fail_new(op, AZLIN_ERROR_NETWORK, "there is no network while a tape is played");
    return;
  }
  g_autoptr(GBytes) body = secret_bytes(request->secret_body);
  Plain *plain = g_new0(Plain, 1);
  *plain = (Plain){ .http = http, .op = op, .host = g_strdup(g_uri_get_host(uri)) };
  AzHttpSend send = { .method = request->method,
                      .url = request->url,
                      .headers = request->headers,
                      .content_type = request->content_type,
                      .body = body,
                      .direct = request->direct || az_http_host_is_loopback(g_uri_get_host(uri)),
                      .max_body = AZ_HTTP_MAX_BODY,
                      .connect_ms = request->connect_ms > 0 ? request->connect_ms : AZ_HTTP_CONNECT_MS,
                      .idle_ms = AZ_HTTP_IDLE_MS,
                      .finished = plain_finished,
                      .data = plain };
  plain->link.data = plain;
  g_queue_push_tail_link(&http->plains, &plain->link);
  az_clock_hold(http->clock);
  plain->call = http->module->send(http->session, &send);
  az_op_on_cancel(op, plain_cut, plain);
}

/* ---- the end ---- */

void
az_http_free(AzHttp *http)
{
  if (http == NULL)
    return;
  while (http->exchanges.length > 0)
    az_http_exchange_abort(http->exchanges.head->data);
  az_credentials_free(http->credentials);
  while (http->plains.length > 0)
    plain_abort(http->plains.head->data);
  az_governor_free(http->governor);
  az_tape_close(http->tape);
  if (http->session != NULL)
    http->module->session_free(http->session);
  g_free(http);
}
