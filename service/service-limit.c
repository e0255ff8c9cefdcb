/* A bucket of rights that fills up with time. */
#include "service-limit.h"

static double
used_at(const ServiceBucket *bucket, double per_second, gint64 now)
{
  double back = (double) MAX(now - bucket->at, 0) / G_USEC_PER_SEC * per_second;
  return MAX(bucket->used - back, 0);
}

gboolean
service_bucket_take(ServiceBucket *bucket, double cost, double size, double per_second, gint64 now)
{
  double taken = MIN(cost, size);
  bucket->used = used_at(bucket, per_second, now);
  bucket->at = now;
  if (bucket->used + taken > size)
    return FALSE;
  bucket->used += taken;
  return TRUE;
}

gboolean
service_bucket_is_full(const ServiceBucket *bucket, double per_second, gint64 now)
{
  return used_at(bucket, per_second, now) <= 0;
}
