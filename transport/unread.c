/* How much may wait at a server for the command that is to read it: pure. OpenSSH keeps that in one piece of memory,
 * which it makes anew, and copies, for each packet by which it grows: what waits without need costs the server more
 * than the encryption. */
#include "unread.h"

#define NEAR_BYTES (256.0 * 1024) /* OpenSSH tells of what was read when that is 96 KiB, or the half of its window */
#define BYTES_PER_US 125.0        /* 1 Gbit/s */
/* TCP may end at a tunnel next door; but beginning a command takes a slow server 10 ms on the shortest way, too */
#define BYTES_PER_START_US 32.0

gsize
unread_most(double rtt_us, gint64 start_us)
{
  return (gsize) (NEAR_BYTES + MAX(rtt_us, 0) * BYTES_PER_US + (double) MAX(start_us, 0) * BYTES_PER_START_US);
}
