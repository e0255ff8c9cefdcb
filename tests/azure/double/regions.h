/* The regions of the double: those of Azure's public cloud, and as many invented ones as a test wants. */
#pragma once
#include "double.h"

typedef struct {
  const char *name, *display, *geography, *pair; /* pair "" = none */
  double latitude, longitude;
} Region;

/* Borrowed; NULL = there is none. "East US" and "eastus" are the same. */
const Region *regions_find(Double *world, const char *name);
gboolean regions_same(const char *a, const char *b);
/* Owned array of borrowed regions. */
GPtrArray *regions_all(Double *world);
