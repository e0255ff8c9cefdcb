/* How much a line carries: a connection sends a flight of packets in each round trip, and what is narrow between the
 * two spreads a flight out as wide as it lets it through. Pure.
 */
#include "train.h"

#define GAP_US 15000        /* of silence between two flights; shorter ways are not measured */
#define ENOUGH_BYTES 180000 /* of one flight: less is over before anybody has looked at a clock */
#define SHORTEST_US 200

/* A processor that is busy elsewhere sends late, or reads late all that has come until then: the best stretch counts,
 * always from the flight's beginning, since what has piled up is read faster than any line. */
void
blob_train_arrived(BlobTrain *train, gsize bytes, gint64 now)
{
  if (train->first == 0 || now - train->last > GAP_US) {
    train->first = train->last = now;
    train->bytes = 0;
    return;
  }
  train->bytes += now > train->first ? bytes : 0;
  train->last = now;
  double rate = (double) train->bytes / 1.048576 / (double) MAX(now - train->first, SHORTEST_US);
  if (train->bytes >= ENOUGH_BYTES)
    train->best = MAX(train->best, rate);
}

double
blob_train_rate(const BlobTrain *train)
{
  return train->best;
}
