/* A long way to a port of this host: what comes in leaves after a delay, in either direction. */
#include "fixture.h"

#include <errno.h>
#include <glib-unix.h>
#include <sys/socket.h>

#define PIECE 65536

typedef struct {
  gint64 due;
  GBytes *bytes; /* NULL: the end */
  gsize at;
} Parcel;

typedef struct {
  Relay *relay;
  gboolean forth;
  GSocket *from, *to;
  GSource *in, *out; /* out: its timer, or until `to` takes more */
  GQueue parcels;
} Direction;

static void
stop_source(GSource **source)
{
  if (*source == NULL)
    return;
  g_source_destroy(*source);
  g_clear_pointer(source, g_source_unref);
}

static void
parcel_free(gpointer data)
{
  Parcel *parcel = data;
  g_clear_pointer(&parcel->bytes, g_bytes_unref);
  g_free(parcel);
}

static void
direction_free(gpointer data)
{
  Direction *direction = data;
  stop_source(&direction->in);
  stop_source(&direction->out);
  g_queue_clear_full(&direction->parcels, parcel_free);
  g_object_unref(direction->from);
  g_object_unref(direction->to);
  g_free(direction);
}

static gboolean on_due(gpointer data);

static gboolean
on_room(int fd, GIOCondition condition, gpointer data)
{
  return on_due(data);
}

static void
arm(Direction *direction, GSource *source, GSourceFunc func)
{
  stop_source(&direction->out);
  direction->out = source;
  g_source_set_callback(source, func, direction, NULL);
  g_source_attach(source, NULL);
}

/* FALSE: it takes no more for now. */
static gboolean
send_parcel(Direction *direction, Parcel *parcel)
{
  if (parcel->bytes == NULL) {
    g_socket_shutdown(direction->to, FALSE, TRUE, NULL);
    return TRUE;
  }
  gsize size;
  const char *bytes = g_bytes_get_data(parcel->bytes, &size);
  gssize n = send(g_socket_get_fd(direction->to), bytes + parcel->at, size - parcel->at, MSG_NOSIGNAL);
  if (n < 0 && errno != EAGAIN)
    return TRUE; /* nobody listens any more */
  parcel->at += n > 0 ? (gsize) n : 0;
  return parcel->at == size;
}

static gboolean
on_due(gpointer data)
{
  Direction *direction = data;
  Parcel *parcel;
  while ((parcel = g_queue_peek_head(&direction->parcels)) != NULL) {
    gint64 left = parcel->due - g_get_monotonic_time();
    if (left > 0) {
      arm(direction, g_timeout_source_new((guint) (left / 1000) + 1), on_due);
      return G_SOURCE_REMOVE;
    }
    if (!send_parcel(direction, parcel)) {
      arm(direction, g_unix_fd_source_new(g_socket_get_fd(direction->to), G_IO_OUT), G_SOURCE_FUNC(on_room));
      return G_SOURCE_REMOVE;
    }
    parcel_free(g_queue_pop_head(&direction->parcels));
  }
  stop_source(&direction->out);
  return G_SOURCE_REMOVE;
}

static gboolean
on_bytes(int fd, GIOCondition condition, gpointer data)
{
  Direction *direction = data;
  char buffer[PIECE];
  gssize n = recv(fd, buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN)
    return G_SOURCE_CONTINUE;
  direction->relay->forth += direction->forth && n > 0 ? (guint64) n : 0;
  Parcel *parcel = g_new0(Parcel, 1);
  parcel->due = g_get_monotonic_time() + (gint64) direction->relay->delay_ms * 1000;
  parcel->bytes = n > 0 ? g_bytes_new(buffer, (gsize) n) : NULL;
  g_queue_push_tail(&direction->parcels, parcel);
  if (direction->out == NULL)
    on_due(direction);
  if (n <= 0)
    stop_source(&direction->in);
  return n > 0;
}

static void
add_direction(Relay *relay, gboolean forth, GSocket *from, GSocket *to)
{
  Direction *direction = g_new0(Direction, 1);
  direction->relay = relay;
  direction->forth = forth;
  direction->from = g_object_ref(from);
  direction->to = g_object_ref(to);
  g_socket_set_blocking(from, FALSE);
  direction->in = g_unix_fd_source_new(g_socket_get_fd(from), G_IO_IN);
  g_source_set_callback(direction->in, G_SOURCE_FUNC(on_bytes), direction, NULL);
  g_source_attach(direction->in, NULL);
  g_ptr_array_add(relay->directions, direction);
}

static gboolean
on_incoming(GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  Relay *relay = data;
  g_autoptr(GSocketClient) client = g_socket_client_new();
  g_autoptr(GSocketConnection) far
      = g_socket_client_connect_to_host(client, "127.0.0.1", (guint16) relay->far_port, NULL, NULL);
  g_assert_nonnull(far);
  GSocket *near_end = g_socket_connection_get_socket(connection), *far_end = g_socket_connection_get_socket(far);
  add_direction(relay, TRUE, near_end, far_end);
  add_direction(relay, FALSE, far_end, near_end);
  return TRUE;
}

Relay *
fixture_relay(guint far_port, guint delay_ms)
{
  Relay *relay = g_new0(Relay, 1);
  relay->far_port = far_port;
  relay->delay_ms = delay_ms;
  relay->directions = g_ptr_array_new_with_free_func(direction_free);
  relay->service = g_socket_service_new();
  relay->port = g_socket_listener_add_any_inet_port(G_SOCKET_LISTENER(relay->service), NULL, NULL);
  g_assert_cmpuint(relay->port, !=, 0);
  g_signal_connect(relay->service, "incoming", G_CALLBACK(on_incoming), relay);
  g_socket_service_start(relay->service);
  return relay;
}

void
fixture_relay_cut(Relay *relay)
{
  for (guint i = 0; i < relay->directions->len; i++)
    g_socket_close(((Direction *) g_ptr_array_index(relay->directions, i))->from, NULL);
  g_ptr_array_set_size(relay->directions, 0);
}

void
fixture_relay_stop(Relay *relay)
{
  g_socket_service_stop(relay->service);
  g_socket_listener_close(G_SOCKET_LISTENER(relay->service));
  g_object_unref(relay->service);
  g_ptr_array_unref(relay->directions);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_free(relay);
}
