/* How long the main loop was busy with one turn. GLib's poll function takes no data, so that what it measures is the
 * one variable of this process. */
#include "service-stall.h"

const double service_stall_bounds[SERVICE_STALL_BUCKETS]
    = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10 };

static struct {
  GPollFunc poll;
  gint64 woke; /* monotonic, when the last poll came back; 0 = never yet */
  ServiceStalls stalls;
} measured;

static void
note(double seconds)
{
  guint i = 0;
  while (i < SERVICE_STALL_BUCKETS && seconds > service_stall_bounds[i])
    i++;
  measured.stalls.turns[i]++;
  measured.stalls.all++;
  measured.stalls.seconds += seconds;
}

static int
poll_and_measure(GPollFD *descriptors, guint n, int timeout)
{
  if (measured.woke > 0)
    note((double) (g_get_monotonic_time() - measured.woke) / G_USEC_PER_SEC);
  int found = measured.poll(descriptors, n, timeout);
  measured.woke = g_get_monotonic_time();
  return found;
}

void
service_stall_measure(void)
{
  if (measured.poll != NULL)
    return;
  measured.poll = g_main_context_get_poll_func(NULL);
  g_main_context_set_poll_func(NULL, poll_and_measure);
}

const ServiceStalls *
service_stall_read(void)
{
  return &measured.stalls;
}
