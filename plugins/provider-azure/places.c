/* Where the regions of Azure lie, and which is near to which: paired ones first, then by distance. Pure. */
#include "places.h"
#include "capacity.h"
#include <math.h>

static void
place_free(gpointer data)
{
  Place *place = data;
  g_free(place->name);
  g_free(place->geography);
  g_strfreev(place->pairs);
  g_free(place);
}

static gboolean
degrees(const json_t *metadata, const char *key, double *ret_degrees)
{
  char *end = NULL;
  const char *text = capacity_text(metadata, key);
  *ret_degrees = g_ascii_strtod(text, &end);
  return end != text && *ret_degrees >= -180 && *ret_degrees <= 180;
}

static Place *
place_new(const json_t *location)
{
  gsize i;
  json_t *pair;
  const json_t *metadata = json_object_get(location, "metadata");
  g_autoptr(GStrvBuilder) pairs = g_strv_builder_new();
  Place *place = g_new0(Place, 1);
  place->name = g_strdup(capacity_text(location, "name"));
  place->geography = g_strdup(capacity_text(metadata, "geographyGroup"));
  place->located = degrees(metadata, "latitude", &place->latitude) && degrees(metadata, "longitude", &place->longitude);
  json_array_foreach(json_object_get(metadata, "pairedRegion"), i, pair)
  {
    g_strv_builder_add(pairs, capacity_text(pair, "name"));
  }
  place->pairs = g_strv_builder_end(pairs);
  return place;
}

GHashTable *
places_read(const json_t *locations)
{
  gsize i;
  json_t *location;
  GHashTable *places = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, place_free);
  json_array_foreach(locations, i, location)
  {
    Place *place = place_new(location);
    g_hash_table_replace(places, place->name, place);
  }
  return places;
}

/* Half the chord's square: enough to compare distances on a sphere. */
static double
separation(const Place *a, const Place *b)
{
  double north = (b->latitude - a->latitude) * G_PI / 360, east = (b->longitude - a->longitude) * G_PI / 360;
  return sin(north) * sin(north)
         + cos(a->latitude * G_PI / 180) * cos(b->latitude * G_PI / 180) * sin(east) * sin(east);
}

/* 0 = paired; 1 to 2 = same geography by distance; 3 = any other. */
static double
remoteness(GHashTable *places, const char *from, const char *to)
{
  const Place *here = g_hash_table_lookup(places, from), *there = g_hash_table_lookup(places, to);
  if (here && g_strv_contains((const char *const *) here->pairs, to))
    return 0;
  if (!here || !there || !*here->geography || g_ascii_strcasecmp(here->geography, there->geography) != 0)
    return 3;
  return here->located && there->located ? 1 + separation(here, there) : 2.5;
}

typedef struct {
  GHashTable *places;
  const char *from;
} Origin;

static int
compare_regions(gconstpointer a, gconstpointer b, gpointer data)
{
  const Origin *origin = data;
  double near = remoteness(origin->places, origin->from, *(const char *const *) a);
  double far = remoteness(origin->places, origin->from, *(const char *const *) b);
  return near < far ? -1 : near > far ? 1 : 0;
}

char **
places_order(GHashTable *places, const char *from, const char *const *regions)
{
  g_autoptr(GStrvBuilder) copy = g_strv_builder_new();
  for (; *regions; regions++)
    g_strv_builder_add(copy, *regions);
  char **ordered = g_strv_builder_end(copy);
  Origin origin = { .places = places, .from = from };
  g_qsort_with_data(ordered, (int) g_strv_length(ordered), sizeof *ordered, compare_regions, &origin);
  return ordered;
}
