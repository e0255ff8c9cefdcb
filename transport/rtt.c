/* The round trip as the kernel measures it, from the first packet of a connection on. */
#include "private.h"

#include <linux/tcp.h>
#include <stddef.h>
#include <sys/socket.h>

double
conn_rtt_ms(AzSshConn *conn)
{
  struct tcp_info info = { 0 };
  socklen_t length = sizeof info;
  if (conn->fd < 0 || getsockopt(conn->fd, IPPROTO_TCP, TCP_INFO, &info, &length) < 0
      || length < offsetof(struct tcp_info, tcpi_min_rtt) + sizeof info.tcpi_min_rtt)
    return -1;
  return info.tcpi_min_rtt == 0 || info.tcpi_min_rtt == G_MAXUINT32 ? -1 : info.tcpi_min_rtt / 1000.0;
}
