/* Which congestion control a connection uses: cubic takes a late packet for a full line, and needs many round trips of
 * a long way to find out that it was none. */
#include "flight.h"
#include "private.h"

#include <sys/socket.h>

#define MUCH_BYTES (512 * 1024) /* the first flights are no slower by whatever the kernel has chosen */

void
congestion_count(AzSshConn *conn, gsize bytes)
{
  static const char name[] = "bbr";
  gsize before = conn->sent;
  conn->sent += bytes;
  if (before >= MUCH_BYTES || conn->sent < MUCH_BYTES)
    return;
  if (conn_rtt_ms(conn) * 1000 >= LONG_WAY_US)
    setsockopt(conn->fd, IPPROTO_TCP, TCP_CONGESTION, name, sizeof name - 1); /* where this machine lets anybody */
}
