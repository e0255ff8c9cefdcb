/* How much one user may want of the system's service, so that nobody else waits for it; no I/O, no clock. */
#pragma once
#include <glib.h>

#define SERVICE_MAX_CALLS 200u          /* at once, and */
#define SERVICE_CALLS_PER_SECOND 50u    /* for ever */
#define SERVICE_TOLD_PER_CALL 200u      /* entries of a list that are told for the price of one call */
#define SERVICE_MAX_NEW_JOBS 60u        /* at once, and */
#define SERVICE_NEW_JOBS_PER_MINUTE 60u /* for ever */
#define SERVICE_MAX_OPEN_JOBS 8u        /* made and not ended */
#define SERVICE_MAX_WAITING 32u         /* calls whose right is being asked for */
#define SERVICE_MAX_FOLLOWED 64u        /* jobs times connections that hear of them */
#define SERVICE_MAX_INHIBITIONS 8u
#define SERVICE_MAX_BYTES (256u << 10) /* of arguments */

/* Room that fills up again with time; all zero = full. */
typedef struct {
  double used;
  gint64 at; /* microseconds, monotonic */
} ServiceBucket;

/* Takes `cost` of at most `size`, of which `per_second` come back; FALSE: there is not as much. A cost above `size`
 * takes all that there is when it is full. `now`: microseconds, monotonic. */
gboolean service_bucket_take(ServiceBucket *bucket, double cost, double size, double per_second, gint64 now);
gboolean service_bucket_is_full(const ServiceBucket *bucket, double per_second, gint64 now);
