/* How long the main loop was busy with one turn, while nothing else could run: a histogram. */
#pragma once
#include <glib.h>

#define SERVICE_STALL_BUCKETS 12
extern const double service_stall_bounds[SERVICE_STALL_BUCKETS]; /* seconds, upper; one more bucket holds the rest */

typedef struct {
  guint64 turns[SERVICE_STALL_BUCKETS + 1]; /* each in one bucket alone */
  guint64 all;
  double seconds;
} ServiceStalls;

/* Measures the default main context from now on; again is no harm. It costs two looks at the clock for each turn. */
void service_stall_measure(void);
const ServiceStalls *service_stall_read(void);
