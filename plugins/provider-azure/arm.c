/* One call: the request built, the answer parsed and classified, and asked again while something else is in the way. */
#include "arm.h"
#include <string.h>

#define FRESH_SECONDS 120
#define BROKEN_TRIES 3u /* of a GET whose answer is no JSON: cut off on its way */
#define LAST_PAUSE_MS 30000u

typedef struct {
  Azure *azure;
  AzlinOp *op;
  char *method, *url, *name;
  char **headers;
  GBytes *body;
  gboolean once, fresh, fleeting, raw;
  ArmDone done;
  gpointer data;
  guint tries;
  gint64 began; /* monotonic */
} Call;

static void send_call(Call *call);

static void
call_free(Call *call)
{
  g_free(call->method);
  g_free(call->url);
  g_free(call->name);
  g_strfreev(call->headers);
  g_clear_pointer(&call->body, g_bytes_unref);
  g_free(call);
}

static void
deliver(Call *call, const ArmReply *reply)
{
  call->done(reply, call->data);
  call_free(call);
}

static void
on_waited(AzlinOp *child, gpointer data)
{
  Call *call = data;
  const GError *error = call->azure->api->op_error(child);
  if (error == NULL) {
    send_call(call);
    return;
  }
  ArmReply reply = { .error = error, .code = "" };
  deliver(call, &reply);
}

/* 2, 4, 8, ... up to 30 s, somewhere in the upper half so that many do not come back together; never before the time
 * that the answer names. */
static guint32
pause_ms(Call *call, const AzlinHttpReply *http, guint first_ms)
{
  guint ceiling = MIN(first_ms << MIN(call->tries - 1, 6u), LAST_PAUSE_MS);
  gint64 asked = http != NULL ? http->retry_after_ms : -1;
  guint pause = (guint) g_random_int_range((gint32) ceiling / 2, (gint32) ceiling + 1);
  return (guint32) MAX((gint64) pause, MIN(asked + ARM_MARGIN_MS, G_MAXINT32));
}

static void
again(Call *call, const AzlinHttpReply *http, guint first_ms)
{
  AzlinOp *child = call->azure->api->op_new(call->op, "wait for Azure", 0, on_waited, call);
  call->azure->api->sleep(call->azure->host, pause_ms(call, http, first_ms), child);
}

static gboolean
lasts_less_than(Call *call, int seconds)
{
  const AzlinHostApi *api = call->azure->api;
  return api->monotonic(call->azure->host) - call->began < seconds * G_USEC_PER_SEC;
}

/* How long to pause at first before the same is asked again; 0 = this answer is the answer. */
static guint
first_pause(Call *call, const ArmReply *reply)
{
  if (reply->status < 300 && reply->error != NULL)
    return g_str_equal(call->method, "GET") && call->tries < BROKEN_TRIES ? 1000 : 0;
  if (reply->status == 404 && call->fresh && lasts_less_than(call, FRESH_SECONDS))
    return 1000;
  return !call->fleeting && lasts_less_than(call, arm_busy_seconds(reply->status, reply->code)) ? 2000 : 0;
}

static json_t *
parse(Call *call, const AzlinHttpReply *http, GError **error)
{
  json_error_t problem;
  gsize length = 0;
  if (call->raw && http->status < 300)
    return NULL;
  const char *bytes = http->body != NULL ? g_bytes_get_data(http->body, &length) : NULL;
  json_t *body = length > 0 ? json_loadb(bytes, length, 0, &problem) : NULL;
  if (length == 0 || body != NULL || http->status == 202 || http->status >= 300)
    return body;
  g_autofree char *text = arm_clean(problem.text);
  *error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure's answer to %s is no JSON: %s", call->name, text);
  return NULL;
}

static void
on_reply(AzlinOp *child, gpointer data)
{
  Call *call = data;
  const AzlinHostApi *api = call->azure->api;
  const AzlinHttpReply *http = api->op_http(child);
  ArmReply reply = { .http = http, .error = api->op_error(child), .code = "" };
  g_autoptr(GError) error = NULL;
  g_autofree char *code = NULL;
  if (http == NULL || reply.error != NULL) {
    deliver(call, &reply);
    return;
  }
  json_auto_t *body = parse(call, http, &error);
  reply.status = http->status;
  reply.body = body;
  if (http->status >= 300)
    error = arm_error_of_reply(call->azure, http->status, body, http, &code);
  reply.error = error;
  reply.code = code != NULL ? code : "";
  guint pause = first_pause(call, &reply);
  if (pause > 0)
    again(call, http, pause);
  else
    deliver(call, &reply);
}

static void
send_call(Call *call)
{
  const AzlinHostApi *api = call->azure->api;
  AzlinHttp request = { .size = sizeof request,
                        .method = call->method,
                        .url = call->url,
                        .identity = &call->azure->identity,
                        .headers = (const char *const *) call->headers,
                        .body = call->body,
                        .account = call->azure->subscription != NULL ? call->azure->subscription : "azure",
                        .once = call->once };
  call->tries++;
  api->http(call->azure->host, &request, api->op_new(call->op, call->name, 0, on_reply, call));
}

static void
on_refused(AzlinOp *child, gpointer data)
{
  Call *call = data;
  ArmReply reply = { .error = call->azure->api->op_error(child), .code = "" };
  deliver(call, &reply);
}

static void
refuse(Call *call)
{
  const AzlinHostApi *api = call->azure->api;
  AzlinOp *child = api->op_new(call->op, call->name, 0, on_refused, call);
  GError *error = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                                      "Azure's answer names an address to go on at that is not its own, or is over "
                                      "8 KiB long; nothing was sent there");
  api->error_add_step(error, "Find out what stands between azlin and %s: it may change what Azure answers",
                      call->azure->endpoint);
  api->error_add_step(error, "%s", "");
  api->op_fail(child, error);
}

static GBytes *
dump(json_t *body)
{
  char *text = json_dumps(body, JSON_COMPACT);
  return text != NULL ? g_bytes_new_with_free_func(text, strlen(text), free, text) : NULL;
}

void
arm_call(Azure *azure, AzlinOp *op, const ArmCall *wanted, ArmDone done, gpointer data)
{
  Call *call = g_new0(Call, 1);
  json_auto_t *body = wanted->body;
  *call = (Call){ .azure = azure, .op = op, .once = wanted->once, .fresh = wanted->fresh, .done = done, .data = data };
  call->raw = wanted->raw;
  call->fleeting = wanted->fleeting;
  call->method = g_strdup(wanted->method);
  call->name = arm_call_name(wanted->method, wanted->path);
  call->headers = g_strdupv((char **) (guintptr) wanted->headers);
  call->body = body != NULL ? dump(body) : NULL;
  call->url = arm_url(azure->endpoint, wanted->path, wanted->version);
  call->began = azure->api->monotonic(azure->host);
  if (call->url == NULL)
    refuse(call);
  else
    send_call(call);
}
