/* Where the regions of Azure lie, and which is near to which. Pure. */
#pragma once
#include <glib.h>
#include <jansson.h>

typedef struct {
  char *name, *geography; /* geography: "Europe", "" = unknown */
  char **pairs;
  gboolean located;
  double latitude, longitude; /* degrees */
} Place;
/* name -> Place, of the elements of GET /locations. */
GHashTable *places_read(const json_t *locations);
/* `regions` with those paired to `from` first, then those of its geography by distance, then the others as given.
 * Owned. */
char **places_order(GHashTable *places, const char *from, const char *const *regions);
