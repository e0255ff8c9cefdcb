/* Connections get warm in growing flights, and nothing is sent for nothing. */
#include "flight.h"

static struct tcp_info
long_way(guint packets)
{
  return (struct tcp_info){
    .tcpi_min_rtt = 80000, .tcpi_rtt = 81000, .tcpi_rto = 280000, .tcpi_snd_mss = 1448, .tcpi_snd_cwnd = packets
  };
}

static void
test_flights_grow_until_it_is_warm(void)
{
  gsize sent = 0;
  guint packets = 10, flights = 0;
  for (;;) {
    struct tcp_info info = long_way(packets);
    gssize bytes = flight_next(&info, flights * 80000u);
    if (bytes < 0)
      break;
    /* more than the half of what is allowed, and room for what counts */
    g_assert_cmpint(bytes, >, packets * 1448 / 2);
    g_assert_cmpint(bytes, <=, packets * 1448 * 3 / 4);
    sent += (gsize) bytes;
    packets *= 2;
    flights++;
  }
  g_assert_cmpuint(flights, ==, 5);
  g_assert_cmpuint(sent, <, 400000);
}

static void
test_one_flight_at_a_time(void)
{
  struct tcp_info info = long_way(40);
  info.tcpi_unacked = 20;
  g_assert_cmpint(flight_next(&info, 0), ==, 0);
  info.tcpi_unacked = 10;
  g_assert_cmpint(flight_next(&info, 0), >, 0);
  info.tcpi_notsent_bytes = 1;
  g_assert_cmpint(flight_next(&info, 0), ==, 0);
}

static void
test_a_rest_begins_anew(void)
{
  struct tcp_info info = long_way(2000);
  g_assert_cmpint(flight_next(&info, 0), <, 0);
  info.tcpi_last_data_sent = 5000;
  g_assert_cmpint(flight_next(&info, 0), ==, 10 * 1448 * 2 / 3);
}

static void
test_what_helps_nobody_is_not_sent(void)
{
  struct tcp_info near = long_way(10), narrow = long_way(20), lossy = long_way(20), slow = long_way(20);
  near.tcpi_min_rtt = 900;
  g_assert_cmpint(flight_next(&near, 0), <, 0);
  narrow.tcpi_rtt = 160000; /* it queues already */
  g_assert_cmpint(flight_next(&narrow, 0), <, 0);
  lossy.tcpi_retrans = 1;
  g_assert_cmpint(flight_next(&lossy, 0), <, 0);
  g_assert_cmpint(flight_next(&slow, 700000), <, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/flight/flights-grow-until-it-is-warm", test_flights_grow_until_it_is_warm);
  g_test_add_func("/flight/one-at-a-time", test_one_flight_at_a_time);
  g_test_add_func("/flight/a-rest-begins-anew", test_a_rest_begins_anew);
  g_test_add_func("/flight/what-helps-nobody-is-not-sent", test_what_helps_nobody_is_not_sent);
  return g_test_run();
}
