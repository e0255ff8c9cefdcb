/* How much a line carries: a connection sends a flight of packets in each round trip, and what is narrow between the
 * two spreads a flight out as wide as it lets it through. Pure.
 */
#include "train.h"

#define GAP_US 15000       /* of silence between two flights; shorter ways are not measured */
#define ENOUGH_BYTES 90000 /* in one flight: less is over before anybody has looked at a clock */
#define SHORTEST_US 200

static void
keep_longest(BlobTrain *train)
{
  if (train->bytes < train->longest_bytes)
    return;
  train->longest_bytes = train->bytes;
  train->longest_us = train->last - train->first;
}

void
blob_train_arrived(BlobTrain *train, gsize bytes, gint64 now)
{
  if (train->first == 0 || now - train->last > GAP_US) {
    keep_longest(train);
    train->first = train->last = now;
    train->bytes = 0;
    return;
  }
  train->bytes += now > train->first ? bytes : 0;
  train->last = now;
}

double
blob_train_rate(const BlobTrain *train)
{
  BlobTrain whole = *train;
  keep_longest(&whole);
  if (whole.longest_bytes < ENOUGH_BYTES)
    return 0;
  return (double) whole.longest_bytes / 1.048576 / (double) MAX(whole.longest_us, SHORTEST_US);
}
