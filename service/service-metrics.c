/* The figures of the service over HTTP. One resource, no body ever read, one answer for each connection: a server's
 * library would bring four megabytes and everything else that HTTP can. */
#include "service-metrics.h"

#include "service-metrics-text.h"
#include "service-private.h"
#include "service-stall.h"

#include <errno.h>
#include <gio/gunixsocketaddress.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>

#define MAX_CLIENTS 8u
#define MAX_HEAD 8192u /* bytes of a request */
#define DEADLINE_S 10  /* of a connection as a whole */
#define TEXT "text/plain; version=0.0.4; charset=utf-8"

struct _ServiceMetrics {
  Service *service;
  GSocketService *listener; /* NULL = nowhere */
  char *where;
  GPtrArray *clients; /* of Client */
};

typedef struct {
  ServiceMetrics *metrics;
  GSocketConnection *connection;
  GCancellable *late;
  GString *head;  /* of the request, so far */
  GBytes *answer; /* head and body */
  gboolean no_body;
  ServiceMetricsText *text;
  guint deadline;
  char chunk[2048];
} Client;

/* ---- the end of a connection ---- */

static void
client_free(gpointer data)
{
  Client *client = data;
  g_clear_handle_id(&client->deadline, g_source_remove);
  g_clear_pointer(&client->text, service_metrics_text_free);
  g_clear_pointer(&client->answer, g_bytes_unref);
  g_string_free(client->head, TRUE);
  g_io_stream_close(G_IO_STREAM(client->connection), NULL, NULL);
  g_object_unref(client->connection);
  g_object_unref(client->late);
  g_free(client);
}

static void
end(Client *client)
{
  if (client->metrics == NULL) /* who served it has gone */
    client_free(client);
  else
    g_ptr_array_remove_fast(client->metrics->clients, client);
}

static gboolean
on_deadline(gpointer data)
{
  Client *client = data;
  client->deadline = 0;
  if (client->text != NULL) /* nothing of it is under way but this */
    end(client);
  else
    g_cancellable_cancel(client->late);
  return G_SOURCE_REMOVE;
}

/* ---- the answer ---- */

static void
on_written(GObject *stream, GAsyncResult *result, gpointer data)
{
  g_output_stream_write_all_finish(G_OUTPUT_STREAM(stream), result, NULL, NULL);
  end(data);
}

static void
answer(Client *client, const char *status, const char *type, const char *body, gsize length)
{
  g_autoptr(GString) text = g_string_new(NULL);
  gsize size = 0;
  g_string_append_printf(text,
                         "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %" G_GSIZE_FORMAT
                         "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n",
                         status, type, length);
  if (!client->no_body)
    g_string_append_len(text, body, (gssize) length);
  client->answer = g_string_free_to_bytes(g_steal_pointer(&text));
  const char *bytes = g_bytes_get_data(client->answer, &size);
  GOutputStream *stream = g_io_stream_get_output_stream(G_IO_STREAM(client->connection));
  g_output_stream_write_all_async(stream, bytes, size, G_PRIORITY_DEFAULT, client->late, on_written, client);
}

static void
refuse(Client *client, const char *status)
{
  g_autofree char *body = g_strconcat(status, "\n", NULL);
  answer(client, status, "text/plain; charset=utf-8", body, strlen(body));
}

static void
on_text(GBytes *text, gpointer data)
{
  Client *client = data;
  gsize length = 0;
  const char *bytes = g_bytes_get_data(text, &length);
  g_clear_pointer(&client->text, service_metrics_text_free);
  answer(client, "200 OK", TEXT, bytes, length);
}

/* ---- the request ---- */

/* A page of a browser reaches loopback under any name that its author chose: only names of this host are answered. */
static gboolean
is_for_this_host(const char *head)
{
  g_autoptr(GRegex) regex = g_regex_new("^host:[ \\t]*([^\\r\\n]*?)(?::[0-9]+)?[ \\t]*\\r?$",
                                        G_REGEX_CASELESS | G_REGEX_MULTILINE, 0, NULL);
  g_autoptr(GMatchInfo) match = NULL;
  if (!g_regex_match(regex, head, 0, &match))
    return TRUE;
  g_autofree char *host = g_match_info_fetch(match, 1);
  return *host == '\0' || !g_ascii_strcasecmp(host, "localhost") || g_str_has_prefix(host, "127.")
         || g_str_equal(host, "[::1]");
}

static void
serve(Client *client)
{
  g_autofree char *line = g_strndup(client->head->str, strcspn(client->head->str, "\r\n"));
  g_auto(GStrv) words = g_strsplit(line, " ", 4);
  gboolean whole = g_strv_length(words) == 3 && g_str_has_prefix(words[2], "HTTP/1.");
  client->no_body = whole && g_str_equal(words[0], "HEAD");
  if (!whole)
    refuse(client, "400 Bad Request");
  else if (!is_for_this_host(client->head->str))
    refuse(client, "403 Forbidden");
  else if (!g_str_equal(words[0], "GET") && !client->no_body)
    refuse(client, "405 Method Not Allowed");
  else if (!g_str_equal(words[1], "/metrics") && !g_str_has_prefix(words[1], "/metrics?"))
    refuse(client, "404 Not Found");
  else
    client->text = service_metrics_text_new(client->metrics->service, on_text, client);
}

static void read_on(Client *client);

static void
on_chunk(GObject *stream, GAsyncResult *result, gpointer data)
{
  Client *client = data;
  gssize n = g_input_stream_read_finish(G_INPUT_STREAM(stream), result, NULL);
  if (n <= 0 || client->metrics == NULL) {
    end(client);
    return;
  }
  g_string_append_len(client->head, client->chunk, n);
  if (memchr(client->head->str, '\0', client->head->len) != NULL)
    refuse(client, "400 Bad Request");
  else if (strstr(client->head->str, "\r\n\r\n") != NULL || strstr(client->head->str, "\n\n") != NULL)
    serve(client);
  else if (client->head->len > MAX_HEAD)
    refuse(client, "431 Request Header Fields Too Large");
  else
    read_on(client);
}

static void
read_on(Client *client)
{
  GInputStream *stream = g_io_stream_get_input_stream(G_IO_STREAM(client->connection));
  g_input_stream_read_async(stream, client->chunk, sizeof client->chunk, G_PRIORITY_DEFAULT, client->late, on_chunk,
                            client);
}

static gboolean
on_incoming(GSocketService *listener, GSocketConnection *connection, GObject *source, gpointer data)
{
  ServiceMetrics *metrics = data;
  if (metrics->clients->len >= MAX_CLIENTS)
    return TRUE; /* closed unanswered */
  Client *client = g_new0(Client, 1);
  client->metrics = metrics;
  client->connection = g_object_ref(connection);
  client->late = g_cancellable_new();
  client->head = g_string_new(NULL);
  client->deadline = g_timeout_add_seconds(DEADLINE_S, on_deadline, client);
  g_ptr_array_add(metrics->clients, client);
  read_on(client);
  return TRUE;
}

/* ---- where ---- */

static GSocketAddress *
address_of(const char *where, GError **error)
{
  g_autoptr(GSocketAddress) address = NULL;
  if (*where == '/')
    return g_unix_socket_address_new(where);
  g_autoptr(GSocketConnectable) named = g_network_address_parse(where, 0, NULL);
  if (named != NULL && g_network_address_get_port(G_NETWORK_ADDRESS(named)) > 0)
    address = g_inet_socket_address_new_from_string(g_network_address_get_hostname(G_NETWORK_ADDRESS(named)),
                                                    g_network_address_get_port(G_NETWORK_ADDRESS(named)));
  if (address != NULL
      && g_inet_address_get_is_loopback(g_inet_socket_address_get_address(G_INET_SOCKET_ADDRESS(address))))
    return g_steal_pointer(&address);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "[metrics] listen is the absolute path of a socket, or a loopback address with a port, as "
              "127.0.0.1:9469, and not '%s'",
              where);
  return NULL;
}

/* What a service that died left behind: nobody answers there. */
static void
remove_stale(const char *path, GSocketAddress *address)
{
  struct stat info;
  if (g_lstat(path, &info) != 0 || !S_ISSOCK(info.st_mode))
    return;
  g_autoptr(GSocket) probe = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  g_autoptr(GError) error = NULL;
  if (probe == NULL)
    return;
  g_socket_set_blocking(probe, FALSE);
  if (!g_socket_connect(probe, address, NULL, &error)
      && g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CONNECTION_REFUSED))
    g_unlink(path);
}

static GSocketService *
listener_new(const char *where, GSocketAddress *address, GError **error)
{
  g_autoptr(GSocketService) listener = g_socket_service_new();
  g_autoptr(GSocket) socket
      = g_socket_new(g_socket_address_get_family(address), G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_DEFAULT, error);
  gboolean local = *where == '/';
  if (socket == NULL)
    return NULL;
  if (local)
    remove_stale(where, address);
  if (!g_socket_bind(socket, address, TRUE, error))
    return NULL;
  /* between the two nobody can connect */
  if (local && g_chmod(where, 0600) != 0) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "%s cannot be kept to this user: %s", where,
                g_strerror(errno));
    return NULL;
  }
  if (!g_socket_listen(socket, error)
      || !g_socket_listener_add_socket(G_SOCKET_LISTENER(listener), socket, NULL, error))
    return NULL;
  return g_steal_pointer(&listener);
}

static void
stop_listening(ServiceMetrics *metrics)
{
  if (metrics->listener == NULL)
    return;
  g_signal_handlers_disconnect_by_data(metrics->listener, metrics);
  g_socket_service_stop(metrics->listener);
  g_socket_listener_close(G_SOCKET_LISTENER(metrics->listener));
  if (*metrics->where == '/')
    g_unlink(metrics->where);
  g_clear_object(&metrics->listener);
  g_clear_pointer(&metrics->where, g_free);
}

gboolean
service_metrics_listen(ServiceMetrics *metrics, const char *where, GError **error)
{
  g_autoptr(GError) why = NULL;
  if (g_strcmp0(where, metrics->where != NULL ? metrics->where : "") == 0)
    return TRUE;
  if (*where == '\0') {
    stop_listening(metrics);
    return TRUE;
  }
  g_autoptr(GSocketAddress) address = address_of(where, error);
  GSocketService *listener = address != NULL ? listener_new(where, address, &why) : NULL;
  if (why != NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "figures cannot be offered at %s: %s", where, why->message);
  if (listener == NULL)
    return FALSE;
  stop_listening(metrics);
  metrics->listener = listener;
  metrics->where = g_strdup(where);
  g_signal_connect(listener, "incoming", G_CALLBACK(on_incoming), metrics);
  service_stall_measure();
  return TRUE;
}

/* ---- its life ---- */

ServiceMetrics *
service_metrics_new(Service *service)
{
  ServiceMetrics *metrics = g_new0(ServiceMetrics, 1);
  metrics->service = service;
  metrics->clients = g_ptr_array_new_with_free_func(client_free);
  return metrics;
}

/* What is read or written at this moment ends by itself, once it hears that it is too late. */
static void
abandon(Client *client)
{
  client->metrics = NULL;
  if (client->text != NULL)
    client_free(client);
  else
    g_cancellable_cancel(client->late);
}

void
service_metrics_free(ServiceMetrics *metrics)
{
  stop_listening(metrics);
  g_ptr_array_set_free_func(metrics->clients, NULL);
  for (guint i = 0; i < metrics->clients->len; i++)
    abandon(g_ptr_array_index(metrics->clients, i));
  g_ptr_array_unref(metrics->clients);
  g_free(metrics);
}
