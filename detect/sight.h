/* One vantage's view of one region: rows of dark probes, counted from what each probe came back with. Pure. */
#pragma once
#include "azlin-plugin.h"

typedef enum {
  AZ_SIGHT_NOTHING, /* no evidence: the question itself failed, or nothing vouches for the vantage's own network */
  AZ_SIGHT_ALIVE,
  AZ_SIGHT_DARK,
  AZ_SIGHT_REFUSED /* answered by a reset: dark for users, but no pause and no lost packet */
} AzSightOutcome;

typedef struct {
  AzlinVantage seen;
  gint64 first_dark; /* monotonic start of the first dark probe of the present row, microseconds */
  gint64 last_alive; /* start of the last probe that saw life; 0 = none */
  guint alive;       /* probes in a row that saw life */
  guint missed;      /* questions in a row that it did not answer */
} AzSight;

/* Adds one probe that ran from `start` to `end` (monotonic, microseconds). NOTHING: no answer is no evidence, and two
 * in a row end what was seen before. A probe that began before the last one that saw life is out of date. */
void az_sight_note(AzSight *sight, AzSightOutcome outcome, gint64 start, gint64 end);

/* What a health check, or one evidence record (a{sv}) of a witness, amounts to. */
AzSightOutcome az_sight_of_health(const AzlinHealth *health);
AzSightOutcome az_sight_of_evidence(GVariant *evidence);
