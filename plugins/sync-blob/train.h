/* How much a line carries, by a train: bytes that a machine sends in one go while nothing else is to be sent. Pure. */
#pragma once
#include <glib.h>

typedef struct {      /* zeroed to begin with */
  gint64 first, last; /* of the flight that arrives, in us; 0 = none has */
  guint64 bytes;      /* behind its first ones */
  double best;        /* MiB a second; 0 = no flight was long enough */
} BlobTrain;

/* So many bytes came at `now`, in us of a monotonic clock. */
void blob_train_arrived(BlobTrain *train, gsize bytes, gint64 now);
/* MiB a second; 0 = it was too short to say. */
double blob_train_rate(const BlobTrain *train);
