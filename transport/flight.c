/* How much of what means nothing may be sent at the moment, so that a connection gets warm: pure. */
#include "flight.h"

#define WARM_BYTES (256 * 1024) /* on the way at once: what comes then doubles it in each round trip anyway */
#define MOST_ROUNDS 8u          /* a kernel that does not let more out by then will not */
#define FIRST_PACKETS 10u       /* of a kernel that begins, or begins anew after a rest */

/* One flight as soon as the last one has been acknowledged for the most part, with room beside it for what counts. The
 * kernel takes more than the half of what it allows for a reason to allow more. */
gssize
flight_next(const struct tcp_info *info, guint64 elapsed_us)
{
  guint64 trip = info->tcpi_min_rtt;
  gboolean rested = info->tcpi_last_data_sent > info->tcpi_rto / 1000;
  guint64 packets = rested ? MIN(info->tcpi_snd_cwnd, FIRST_PACKETS) : info->tcpi_snd_cwnd;
  guint64 on_the_way = packets * info->tcpi_snd_mss;
  gboolean queues = info->tcpi_rtt > trip + trip / 2;
  if (trip < LONG_WAY_US || on_the_way >= WARM_BYTES || info->tcpi_retrans > 0 || queues
      || elapsed_us > MOST_ROUNDS * trip)
    return -1;
  return info->tcpi_unacked <= info->tcpi_snd_cwnd / 4 && info->tcpi_notsent_bytes == 0 ? (gssize) (on_the_way * 2 / 3)
                                                                                        : 0;
}
