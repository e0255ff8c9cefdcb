/* Sizes and quotas of regions as Azure lists them, read once in this process for a while, many regions side by side. */
#pragma once
#include "azure.h"
#include "capacity.h"
#include "places.h"

/* Reads those of `regions` (ends NULL) that are not known or no longer fresh: quotas, and of the machine sizes those in
 * `sizes` (ends NULL; NULL = all, at ten times the work). Both are copied. `errors`: region -> what was in the way
 * (GError *), borrowed; such a region is not kept. `done` runs once, also when `op` ends first; at once when all is
 * known.
 */
typedef void (*CatalogueDone)(Azure *azure, GHashTable *errors, gpointer data);
void catalogue_read(Azure *azure, AzlinOp *op, const char *const *regions, const char *const *sizes, CatalogueDone done,
                    gpointer data);
/* As last read; NULL = never. Borrowed until the next catalogue_read(). */
const CapacityRegion *catalogue_region(Azure *azure, const char *region);

/* Where the regions lie: name -> Place, empty when Azure did not say. `done` as above, without errors. */
typedef void (*CataloguePlaces)(Azure *azure, GHashTable *places, gpointer data);
void catalogue_read_places(Azure *azure, AzlinOp *op, CataloguePlaces done, gpointer data);

void catalogue_free(ArmCache *catalogue); /* NULL is fine */
