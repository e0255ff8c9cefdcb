/* Warming up: a connection that will soon carry much is filled with packets that the server ignores, so that the kernel
 * has found out how much it may have on the way before the first byte that counts. */
#include "flight.h"
#include "private.h"

#include <string.h>
#include <sys/socket.h>

#define STEP_MS 5u
#define PIECE 32000u /* SSH's packets need not be larger */

struct _Warm {
  GSource *source;
  gint64 began;
};

void
warm_stop(AzSshConn *conn)
{
  struct _Warm *warm = g_steal_pointer(&conn->warm);
  if (warm == NULL)
    return;
  g_source_destroy(warm->source);
  g_source_unref(warm->source);
  g_free(warm);
}

static void
send_ignored(AzSshConn *conn, gsize bytes)
{
  char piece[PIECE + 1];
  memset(piece, '.', PIECE);
  for (gsize left = bytes; left > 0; left -= MIN(left, PIECE)) {
    piece[MIN(left, PIECE)] = '\0';
    ssh_send_ignore(conn->session, piece);
  }
  conn_kick(conn);
}

static gboolean
on_step(gpointer data)
{
  AzSshConn *conn = data;
  struct tcp_info info = { 0 };
  socklen_t length = sizeof info;
  gssize bytes = -1;
  if (conn->state == CONN_READY && getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &length) == 0)
    bytes = flight_next(&info, (guint64) (g_get_monotonic_time() - conn->warm->began));
  if (bytes < 0) {
    warm_stop(conn);
    return G_SOURCE_REMOVE;
  }
  if (bytes > 0)
    send_ignored(conn, (gsize) bytes);
  return G_SOURCE_CONTINUE;
}

void
warm_start(AzSshConn *conn)
{
  if (conn->state != CONN_READY || conn->warm != NULL)
    return;
  conn->warm = g_new0(struct _Warm, 1);
  conn->warm->began = g_get_monotonic_time();
  conn->warm->source = g_timeout_source_new(STEP_MS);
  g_source_set_callback(conn->warm->source, on_step, conn, NULL);
  g_source_attach(conn->warm->source, g_main_context_get_thread_default());
}
