/* One exchange: sent once, not redirected, its answer read as it comes and cut at its cap. */
#include "http-private.h"

#include <string.h>

#define LEAST_ROOM 128 /* of one byte, libsoup makes an error without words where the last chunk is behind it */

static void
detach(AzHttpCall *call)
{
  if (call->host == NULL)
    return;
  AzHttpSession *session = call->host->session;
  g_queue_unlink(&session->calls, &call->in_session);
  http_host_leave(g_steal_pointer(&call->host), call);
}

static void
stop_reading(AzHttpCall *call)
{
  if (call->readable == NULL)
    return;
  g_source_destroy(call->readable);
  g_clear_pointer(&call->readable, g_source_unref);
}

/* libsoup keeps header values as they are and frees them unwiped. */
static void
wipe_token(SoupMessage *message)
{
  const char *value = soup_message_headers_get_one(soup_message_get_request_headers(message), "Authorization");
  if (value != NULL)
    explicit_bzero((char *) (guintptr) value, strlen(value));
}

static void
call_free(AzHttpCall *call)
{
  detach(call);
  stop_reading(call);
  wipe_token(call->message);
  g_clear_object(&call->stream);
  g_object_unref(call->message);
  g_object_unref(call->cancellable);
  g_free(call->buffer);
  g_free(call);
}

static void
tell(AzHttpCall *call, const AzHttpEnd *end)
{
  void (*finished)(const AzHttpEnd *, gpointer) = g_steal_pointer(&call->finished);
  gpointer data = call->data;
  call_free(call);
  if (finished != NULL)
    finished(end, data);
}

/* Those that waited for this one to find out what the host speaks share its failure: one after the other they would
 * only spend the same deadline again. Each callback may cancel any call, so the queue is looked at anew each time. */
static void
tell_followers(AzHttpCall *call, const AzHttpEnd *end)
{
  HttpHost *host = call->host;
  guint64 last = host != NULL && host->scout == call ? host->session->last_serial : 0;
  call->ending = TRUE;
  while (last > 0 && call->host != NULL && call->host->waiting.length > 0) {
    AzHttpCall *next = call->host->waiting.head->data;
    if (next->serial > last)
      return;
    tell(next, end);
  }
}

static void
add_header(const char *name, const char *value, gpointer data)
{
  g_ptr_array_add(data, g_ascii_strdown(name, -1));
  g_ptr_array_add(data, g_strdup(value));
}

static GPtrArray *
headers_of(AzHttpCall *call)
{
  GPtrArray *headers = g_ptr_array_new_full(32, g_free);
  soup_message_headers_foreach(soup_message_get_response_headers(call->message), add_header, headers);
  g_ptr_array_add(headers, NULL);
  return headers;
}

static void
end_call(AzHttpCall *call, AzHttpOutcome outcome, const char *detail)
{
  gboolean was_read = outcome == AZ_HTTP_LOST && call->stage == CALL_READING;
  g_autoptr(GPtrArray) headers = was_read ? headers_of(call) : NULL;
  AzHttpEnd end = { .outcome = outcome,
                    .detail = detail,
                    .status = (int) soup_message_get_status(call->message),
                    .headers = was_read ? (char **) headers->pdata : NULL };
  tell_followers(call, &end);
  tell(call, &end);
}

static gboolean
is_trust_error(const AzHttpCall *call, const GError *error)
{
  return call->untrusted || (error->domain == G_TLS_ERROR && error->code != G_TLS_ERROR_EOF);
}

static void
end_with_error(AzHttpCall *call, const GError *error)
{
  if (call->cut != NULL)
    end_call(call, call->cut_outcome, call->cut);
  else if (is_trust_error(call, error))
    end_call(call, AZ_HTTP_UNTRUSTED, error->message);
  else
    end_call(call, call->stage == CALL_CONNECTING ? AZ_HTTP_UNREACHED : AZ_HTTP_LOST, error->message);
}

/* ---- the answer ---- */

static void
measure_header(const char *name, const char *value, gpointer data)
{
  *(gsize *) data += strlen(name) + strlen(value);
}

static void
end_answered(AzHttpCall *call)
{
  g_autoptr(GPtrArray) headers = headers_of(call);
  g_autoptr(GBytes) body = g_bytes_new_take(g_steal_pointer(&call->buffer), call->length);
  AzHttpEnd end = { .outcome = AZ_HTTP_ANSWERED,
                    .status = (int) soup_message_get_status(call->message),
                    .headers = (char **) headers->pdata,
                    .body = body };
  tell(call, &end);
}

/* Room beyond the cap, so that reaching it shows. */
static void
make_room(AzHttpCall *call)
{
  if (call->allocated - call->length >= LEAST_ROOM)
    return;
  goffset announced = soup_message_headers_get_content_length(soup_message_get_response_headers(call->message));
  gsize wanted = call->allocated * 2;
  if (call->allocated == 0)
    wanted = announced > 0 && announced < 65536 ? (gsize) announced + LEAST_ROOM : 4096;
  call->allocated = MIN(wanted, call->max_body + LEAST_ROOM);
  call->buffer = g_realloc(call->buffer, call->allocated);
}

static gboolean on_readable(GObject *stream, gpointer data);

static void
wait_readable(AzHttpCall *call)
{
  call->readable = g_pollable_input_stream_create_source(G_POLLABLE_INPUT_STREAM(call->stream), call->cancellable);
  g_source_set_callback(call->readable, G_SOURCE_FUNC(on_readable), call, NULL);
  g_source_attach(call->readable, g_main_context_get_thread_default());
}

static void
read_answer(AzHttpCall *call)
{
  g_autoptr(GError) error = NULL;
  for (guint rounds = 0; rounds < 64; rounds++) { /* then the loop gets its turn */
    make_room(call);
    gssize n
        = g_pollable_input_stream_read_nonblocking(G_POLLABLE_INPUT_STREAM(call->stream), call->buffer + call->length,
                                                   call->allocated - call->length, call->cancellable, &error);
    if (n == 0) {
      end_answered(call);
      return;
    }
    if (n < 0 && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_WOULD_BLOCK))
      break;
    if (n < 0) {
      end_with_error(call, error);
      return;
    }
    call->length += (gsize) n;
    call->last_sign = g_get_monotonic_time();
    if (call->length > call->max_body) {
      end_call(call, AZ_HTTP_TOO_BIG, "its body is too big");
      return;
    }
  }
  wait_readable(call);
}

static gboolean
on_readable(GObject *stream, gpointer data)
{
  AzHttpCall *call = data;
  stop_reading(call);
  read_answer(call);
  return G_SOURCE_REMOVE;
}

static void
on_headers(GObject *source, GAsyncResult *result, gpointer data)
{
  AzHttpCall *call = data;
  g_autoptr(GError) error = NULL;
  gsize size = 0;

  call->stream = soup_session_send_finish(SOUP_SESSION(source), result, &error);
  if (call->finished == NULL) {
    call_free(call);
    return;
  }
  if (call->stream == NULL) {
    end_with_error(call, error);
    return;
  }
  if (call->host != NULL && call->host->secure)
    http_host_learn(call->host, soup_message_get_http_version(call->message) == SOUP_HTTP_2_0);
  soup_message_headers_foreach(soup_message_get_response_headers(call->message), measure_header, &size);
  if (size > HTTP_HEADERS_MAX) {
    end_call(call, AZ_HTTP_TOO_BIG, "its headers are too big");
    return;
  }
  call->stage = CALL_READING;
  call->last_sign = g_get_monotonic_time();
  read_answer(call);
}

/* ---- the request ---- */

static void
on_network_event(SoupMessage *message, GSocketClientEvent event, GIOStream *connection, gpointer data)
{
  AzHttpCall *call = data;
  if (event != G_SOCKET_CLIENT_TLS_HANDSHAKED || !G_IS_TLS_CONNECTION(connection))
    return;
  GTlsConnection *tls = G_TLS_CONNECTION(connection);
  GTlsProtocolVersion version = g_tls_connection_get_protocol_version(tls);
  if (version < G_TLS_PROTOCOL_VERSION_TLS_1_2) {
    call->untrusted = TRUE;
    http_call_cut(call, AZ_HTTP_UNTRUSTED, "it speaks no TLS 1.2");
    return;
  }
  if (call->host != NULL)
    http_host_learn(call->host, g_strcmp0(g_tls_connection_get_negotiated_protocol(tls), "h2") == 0);
}

static void
on_starting(SoupMessage *message, gpointer data)
{
  AzHttpCall *call = data;
  call->stage = CALL_SENT;
  call->last_sign = g_get_monotonic_time();
}

#define BODY "azlin-body"

/* libsoup sends a request again when a kept connection turns out to be closed; what it knows nothing of is whether the
 * server had begun to act. The stream of the body was read by then: without a new one the body would be empty. */
static void
on_restarted(SoupMessage *message, gpointer data)
{
  AzHttpCall *call = data;
  GBytes *body = g_object_get_data(G_OBJECT(message), BODY);
  g_autofree char *type
      = g_strdup(soup_message_headers_get_content_type(soup_message_get_request_headers(message), NULL));
  if (call->once)
    http_call_cut(call, AZ_HTTP_LOST, "the connection was closed");
  else if (body != NULL)
    soup_message_set_request_body_from_bytes(message, type, body);
}

static SoupMessage *
make_message(AzHttpCall *call, const AzHttpSend *request, GUri *uri)
{
  SoupMessage *message = soup_message_new_from_uri(request->method, uri);
  SoupMessageHeaders *headers = soup_message_get_request_headers(message);
  /* IDEMPOTENT only means here that a kept connection may be used for POST too */
  soup_message_set_flags(message, SOUP_MESSAGE_NO_REDIRECT | SOUP_MESSAGE_IDEMPOTENT);
  for (const char *const *header = request->headers; header != NULL && header[0] != NULL; header += 2)
    soup_message_headers_append(headers, header[0], header[1]);
  if (request->body != NULL) {
    soup_message_set_request_body_from_bytes(message, request->content_type, request->body);
    g_object_set_data_full(G_OBJECT(message), BODY, g_bytes_ref(request->body), (GDestroyNotify) g_bytes_unref);
  } else if (g_str_equal(request->method, "POST") || g_str_equal(request->method, "PUT"))
    soup_message_headers_set_content_length(headers, 0);
  if (call->host->secure)
    g_signal_connect(message, "network-event", G_CALLBACK(on_network_event), call);
  g_signal_connect(message, "starting", G_CALLBACK(on_starting), call);
  g_signal_connect(message, "restarted", G_CALLBACK(on_restarted), call);
  return message;
}

/* Read with each call: whoever renews certificates puts others in their place. FALSE and why, a static text. */
static gboolean
take_certificates(AzHttpCall *call, const AzHttpSend *request, const char **ret_why)
{
  HttpHost *host = call->host;
  if (!host->secure)
    return TRUE;
  *ret_why = "the file of certificates to trust cannot be used";
  if (request->ca_file != NULL && host->trusted == NULL) {
    g_autofree char *absolute = g_canonicalize_filename(request->ca_file, NULL);
    host->trusted = g_tls_file_database_new(absolute, NULL);
    if (host->trusted == NULL)
      return FALSE;
  }
  *ret_why = "our own certificate and its key cannot be used";
  if (request->certificate_file == NULL)
    return TRUE;
  g_autoptr(GTlsCertificate) own = g_tls_certificate_new_from_files(request->certificate_file, request->key_file, NULL);
  if (own != NULL)
    soup_message_set_tls_client_certificate(call->message, own);
  return own != NULL;
}

AzHttpCall *
http_call_send(AzHttpSession *session, const AzHttpSend *request)
{
  g_autoptr(GUri) uri = g_uri_parse(request->url, SOUP_HTTP_URI_FLAGS, NULL);
  const char *why = NULL;
  AzHttpCall *call = g_new0(AzHttpCall, 1);
  call->serial = ++session->last_serial;
  call->in_session.data = call->in_queue.data = call;
  call->finished = request->finished;
  call->data = request->data;
  call->once = request->once;
  call->max_body = request->max_body;
  call->connect_ms = request->connect_ms;
  call->idle_ms = request->idle_ms;
  call->cancellable = g_cancellable_new();
  call->host = http_session_host(session, uri, request);
  call->message = make_message(call, request, uri);
  if (!take_certificates(call, request, &why))
    http_call_cut(call, AZ_HTTP_UNTRUSTED, why); /* libsoup gives it back unsent */
  g_queue_push_tail_link(&session->calls, &call->in_session);
  http_session_watch(session);
  http_host_admit(call->host, call);
  return call;
}

/* A kept connection that breaks while the request is written is reported by an idle callback, and libsoup 3.2 frees a
 * request that its queue sent again before that callback ran. Above the queue's priority the callback comes first. */
#define REPORT_PRIORITY (G_PRIORITY_DEFAULT - 1)

void
http_call_start(AzHttpCall *call)
{
  call->stage = CALL_CONNECTING;
  call->last_sign = g_get_monotonic_time();
  soup_session_send_async(http_session_pool(call->host), call->message, REPORT_PRIORITY, call->cancellable, on_headers,
                          call);
}

void
http_call_cut(AzHttpCall *call, AzHttpOutcome outcome, const char *why)
{
  if (call->cut != NULL)
    return;
  call->cut = why;
  call->cut_outcome = outcome;
  g_cancellable_cancel(call->cancellable); /* whoever waits on the stream or for the headers wakes up */
}

/* Libsoup gives the call back when it has noticed the cancel; until then the call only waits to be freed. */
void
http_call_abandon(AzHttpCall *call)
{
  call->finished = NULL;
  if (call->ending) {
    detach(call);
    return;
  }
  gboolean with_soup = call->stage == CALL_CONNECTING || call->stage == CALL_SENT;
  detach(call);
  if (!with_soup) {
    call_free(call);
    return;
  }
  g_signal_handlers_disconnect_by_data(call->message, call);
  g_cancellable_cancel(call->cancellable);
}

void
http_call_cancel(AzHttpCall *call)
{
  http_call_abandon(call);
}
