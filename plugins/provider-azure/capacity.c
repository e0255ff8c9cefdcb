/* Whether a machine fits into a region by what Azure says of sizes, restrictions and quotas, and what else would. Pure.
 */
#include "capacity.h"
#include <math.h>
#include <string.h>

#define MAX_SIZES 5000
#define MAX_USAGES 2000
#define MAX_NAME 100
#define MAX_ZONE 7

/* ---- reading ---- */

CapacityRegion *
capacity_region_new(const char *name, GStringChunk *names)
{
  CapacityRegion *region = g_new0(CapacityRegion, 1);
  region->name = g_strdup(name);
  region->names = names;
  region->sizes = g_array_new(FALSE, FALSE, sizeof(CapacitySize));
  region->usages = g_array_new(FALSE, FALSE, sizeof(CapacityUsage));
  return region;
}

void
capacity_region_free(CapacityRegion *region)
{
  g_array_unref(region->sizes);
  g_array_unref(region->usages);
  g_free(region->name);
  g_free(region);
}

/* "" for what is missing, no string, or longer than any name is. */
static const char *
text_of(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_string(value) && json_string_length(value) <= MAX_NAME ? json_string_value(value) : "";
}

/* "West Europe" and "westeurope" are the same region. */
static gboolean
same_region(const char *a, const char *b)
{
  for (;; a++, b++) {
    a += strspn(a, " ");
    b += strspn(b, " ");
    if (g_ascii_tolower(*a) != g_ascii_tolower(*b))
      return FALSE;
    if (*a == '\0')
      return TRUE;
  }
}

static gboolean
holds_region(const json_t *list, const char *region)
{
  gsize i;
  json_t *item;
  json_array_foreach(list, i, item)
  {
    if (json_is_string(item) && same_region(json_string_value(item), region))
      return TRUE;
  }
  return FALSE;
}

/* 0 = no zone that can be asked for. */
static guint8
zone_bit(const char *zone)
{
  return strlen(zone) == 1 && *zone >= '1' && *zone <= '0' + MAX_ZONE ? (guint8) (1u << (*zone - '0')) : 0;
}

static guint8
zone_bits(const json_t *list)
{
  guint8 bits = 0;
  gsize i;
  json_t *item;
  json_array_foreach(list, i, item)
  {
    if (json_is_string(item))
      bits |= zone_bit(json_string_value(item));
  }
  return bits;
}

static guint8
offered_zones(const json_t *sku, const char *region)
{
  guint8 bits = 0;
  gsize i;
  json_t *info;
  json_array_foreach(json_object_get(sku, "locationInfo"), i, info)
  {
    if (same_region(text_of(info, "location"), region))
      bits |= zone_bits(json_object_get(info, "zones"));
  }
  return bits;
}

/* A restriction names where it holds in two places; naming nowhere, it holds. */
static gboolean
restricts(const json_t *restriction, const char *region)
{
  const json_t *values = json_object_get(restriction, "values");
  const json_t *inner = json_object_get(json_object_get(restriction, "restrictionInfo"), "locations");
  gboolean named = json_array_size(values) + json_array_size(inner) > 0;
  return !named || holds_region(values, region) || holds_region(inner, region);
}

static void
take_restrictions(CapacitySize *size, const json_t *sku, const char *region)
{
  gsize i;
  json_t *restriction;
  json_array_foreach(json_object_get(sku, "restrictions"), i, restriction)
  {
    const char *type = text_of(restriction, "type");
    const json_t *zones = json_object_get(json_object_get(restriction, "restrictionInfo"), "zones");
    if (g_ascii_strcasecmp(type, "Location") == 0 && restricts(restriction, region))
      size->flags |= CAPACITY_CLOSED;
    else if (g_ascii_strcasecmp(type, "Zone") == 0 && restricts(restriction, region))
      size->closed_zones |= zone_bits(zones);
  }
}

static gboolean
is_true(const char *text)
{
  return g_ascii_strcasecmp(text, "True") == 0;
}

static void
take_capability(CapacitySize *size, const char *name, const char *value)
{
  if (g_str_equal(name, "vCPUs"))
    size->vcpus = (guint16) CLAMP(g_ascii_strtoll(value, NULL, 10), 0, G_MAXUINT16);
  else if (g_str_equal(name, "MemoryGB"))
    size->memory_mb = (guint32) CLAMP(g_ascii_strtod(value, NULL) * 1024, 0, (double) (G_MAXUINT32 / 2));
  else if (g_str_equal(name, "HyperVGenerations"))
    size->flags |= (strstr(value, "V1") ? CAPACITY_GEN1 : 0) | (strstr(value, "V2") ? CAPACITY_GEN2 : 0);
  else if (g_str_equal(name, "CpuArchitectureType"))
    size->flags |= g_ascii_strcasecmp(value, "Arm64") == 0 ? CAPACITY_ARM64 : 0;
  else if (g_str_equal(name, "PremiumIO"))
    size->flags |= is_true(value) ? CAPACITY_PREMIUM : 0;
  else if (g_str_equal(name, "GPUs") || g_str_equal(name, "ConfidentialComputingType"))
    size->flags |= CAPACITY_SPECIAL;
  else if (g_str_equal(name, "RdmaEnabled"))
    size->flags |= is_true(value) ? CAPACITY_SPECIAL : 0;
}

static gboolean
is_machine_of(const json_t *sku, const char *region)
{
  const json_t *locations = json_object_get(sku, "locations");
  return g_ascii_strcasecmp(text_of(sku, "resourceType"), "virtualMachines") == 0 && *text_of(sku, "name") != '\0'
         && (json_array_size(locations) == 0 || holds_region(locations, region));
}

void
capacity_region_add_size(const json_t *sku, gpointer data)
{
  CapacityRegion *region = data;
  gsize i;
  json_t *capability;
  CapacitySize size = { 0 };
  if (region->sizes->len >= MAX_SIZES || !is_machine_of(sku, region->name))
    return;
  size.name = g_string_chunk_insert_const(region->names, text_of(sku, "name"));
  size.family = g_string_chunk_insert_const(region->names, text_of(sku, "family"));
  json_array_foreach(json_object_get(sku, "capabilities"), i, capability)
  {
    take_capability(&size, text_of(capability, "name"), text_of(capability, "value"));
  }
  size.zones = offered_zones(sku, region->name);
  take_restrictions(&size, sku, region->name);
  g_array_append_val(region->sizes, size);
}

void
capacity_region_add_usage(const json_t *item, gpointer data)
{
  CapacityRegion *region = data;
  const char *name = text_of(json_object_get(item, "name"), "value");
  const json_t *used = json_object_get(item, "currentValue"), *limit = json_object_get(item, "limit");
  if (*name == '\0' || !json_is_integer(used) || !json_is_integer(limit) || region->usages->len >= MAX_USAGES)
    return;
  CapacityUsage usage = { .name = g_string_chunk_insert_const(region->names, name),
                          .used = MAX(0, json_integer_value(used)),
                          .limit = json_integer_value(limit) };
  g_array_append_val(region->usages, usage);
}

const CapacitySize *
capacity_region_find(const CapacityRegion *region, const char *vm_size)
{
  for (guint i = 0; i < region->sizes->len; i++) {
    const CapacitySize *size = &g_array_index(region->sizes, CapacitySize, i);
    if (g_ascii_strcasecmp(size->name, vm_size) == 0)
      return size;
  }
  return NULL;
}

/* ---- images ---- */

static gboolean
holds(const char *text, const char *part)
{
  g_autofree char *lower = g_ascii_strdown(text, -1);
  return strstr(lower, part) != NULL;
}

CapacityImage
capacity_image(const char *image)
{
  CapacityImage needs = { 0 };
  if (!image || strchr(image, '/'))
    return needs;
  needs.known_architecture = TRUE;
  needs.arm64 = holds(image, "arm64");
  if (!strchr(image, ':')) {
    needs.generation = CAPACITY_GEN2; /* short names stand for images of generation 2 */
    return needs;
  }
  if (holds(image, "gen2") || holds(image, "-g2"))
    needs.generation = CAPACITY_GEN2;
  else if (holds(image, "gen1"))
    needs.generation = CAPACITY_GEN1;
  return needs;
}

/* ---- fitting ---- */

CapacityLedger *
capacity_ledger_new(void)
{
  return g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
}

static char *
ledger_key(const CapacityRegion *region, const char *usage)
{
  g_autofree char *text = g_strdup_printf("%s/%s", region->name, usage);
  return g_ascii_strdown(text, -1);
}

static gint64
taken(const CapacityRegion *region, CapacityLedger *ledger, const char *usage)
{
  g_autofree char *key = ledger ? ledger_key(region, usage) : NULL;
  return key ? GPOINTER_TO_UINT(g_hash_table_lookup(ledger, key)) : 0;
}

static void
take(const CapacityRegion *region, CapacityLedger *ledger, const char *usage, guint count)
{
  guint now = (guint) taken(region, ledger, usage);
  g_hash_table_replace(ledger, ledger_key(region, usage), GUINT_TO_POINTER(now + count));
}

static CapacityVerdict refuse(const char *code, const char *format, ...) G_GNUC_PRINTF(2, 3);

static CapacityVerdict
refuse(const char *code, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  CapacityVerdict verdict = { .code = code, .message = g_strdup_vprintf(format, args) };
  va_end(args);
  return verdict;
}

static const CapacityUsage *
find_usage(const CapacityRegion *region, const char *name)
{
  for (guint i = 0; i < region->usages->len; i++) {
    const CapacityUsage *usage = &g_array_index(region->usages, CapacityUsage, i);
    if (g_ascii_strcasecmp(usage->name, name) == 0)
      return usage;
  }
  return NULL;
}

/* A quota that Azure does not list, or whose limit is negative, does not bind. */
static CapacityVerdict
check_quota(const CapacityRegion *region, CapacityLedger *ledger, const char *name, const char *what, guint need)
{
  const CapacityUsage *usage = *name ? find_usage(region, name) : NULL;
  gint64 planned = taken(region, ledger, name);
  if (!usage || usage->limit < 0 || need == 0)
    return (CapacityVerdict){ 0 };
  if (usage->used <= usage->limit && usage->limit - usage->used >= planned + need)
    return (CapacityVerdict){ 0 };
  g_autofree char *plan = planned ? g_strdup_printf(", %" G_GINT64_FORMAT " of this plan", planned) : g_strdup("");
  return refuse("QuotaExceeded",
                "the quota of %s in %s is %" G_GINT64_FORMAT ", of which %" G_GINT64_FORMAT " are in use%s; %u more "
                "would be needed",
                what, region->name, usage->limit, usage->used, plan, need);
}

static CapacityVerdict
check_quotas(const CapacityRegion *region, CapacityLedger *ledger, const CapacitySize *size)
{
  g_autofree char *family = g_strdup_printf("%s vCPUs", size->family);
  CapacityVerdict verdict = check_quota(region, ledger, "cores", "regional vCPUs", size->vcpus);
  if (!verdict.code)
    verdict = check_quota(region, ledger, size->family, family, size->vcpus);
  if (!verdict.code)
    verdict = check_quota(region, ledger, "virtualMachines", "machines", 1);
  return verdict;
}

static CapacityVerdict
check_image(const CapacitySize *size, const CapacityImage *image)
{
  gboolean arm64 = (size->flags & CAPACITY_ARM64) != 0;
  guint generations = size->flags & (CAPACITY_GEN1 | CAPACITY_GEN2);
  if (image->known_architecture && arm64 != image->arm64)
    return refuse("ImageNotSupported", "%s has %s processors, and the image is for %s", size->name,
                  arm64 ? "Arm64" : "x64", image->arm64 ? "Arm64" : "x64");
  if (image->generation && generations && !(generations & image->generation))
    return refuse("ImageNotSupported", "%s does not boot images of generation %d", size->name,
                  image->generation == CAPACITY_GEN2 ? 2 : 1);
  return (CapacityVerdict){ 0 };
}

static CapacityVerdict
check_zone(const CapacityRegion *region, const CapacitySize *size, const char *zone)
{
  guint8 bit = zone && *zone ? zone_bit(zone) : 0;
  if (!zone || !*zone)
    return (CapacityVerdict){ 0 };
  if (!bit || !(size->zones & bit))
    return refuse("SkuNotAvailable", "%s is not offered in zone %s of %s", size->name, zone, region->name);
  if (size->closed_zones & bit)
    return refuse("SkuNotAvailable", "%s is restricted in zone %s of %s for this subscription", size->name, zone,
                  region->name);
  return (CapacityVerdict){ 0 };
}

CapacityVerdict
capacity_fits(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish)
{
  const CapacitySize *size = capacity_region_find(region, wish->vm_size);
  if (!size)
    return refuse("SkuNotAvailable", "%s is not offered in %s", wish->vm_size, region->name);
  if (size->flags & CAPACITY_CLOSED)
    return refuse("SkuNotAvailable", "%s is restricted in %s for this subscription", size->name, region->name);
  CapacityVerdict verdict = check_zone(region, size, wish->zone);
  if (!verdict.code)
    verdict = check_image(size, &wish->image);
  return verdict.code ? verdict : check_quotas(region, ledger, size);
}

void
capacity_reserve(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish)
{
  const CapacitySize *size = capacity_region_find(region, wish->vm_size);
  if (!size)
    return;
  take(region, ledger, "cores", size->vcpus);
  take(region, ledger, size->family, size->vcpus);
  take(region, ledger, "virtualMachines", 1);
}

/* ---- what else would fit ---- */

static gboolean
fits(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish)
{
  CapacityVerdict verdict = capacity_fits(region, ledger, wish);
  g_free(verdict.message);
  return verdict.code == NULL;
}

/* Never less than was asked for, and not so much more that the bill is another one. */
static gboolean
may_replace(const CapacitySize *size, const CapacitySize *like)
{
  guint8 kind = CAPACITY_ARM64 | CAPACITY_SPECIAL;
  guint8 generations = CAPACITY_GEN1 | CAPACITY_GEN2;
  guint both = size->flags & like->flags & generations;
  if (!size->vcpus || !size->memory_mb || g_ascii_strcasecmp(size->name, like->name) == 0
      || !g_str_has_prefix(size->name, "Standard_"))
    return FALSE;
  if ((size->flags & kind) != (like->flags & kind) || ((like->flags & generations) && !both)
      || ((like->flags & CAPACITY_PREMIUM) && !(size->flags & CAPACITY_PREMIUM)))
    return FALSE;
  return size->vcpus >= like->vcpus && size->vcpus <= 2 * like->vcpus && size->memory_mb >= like->memory_mb
         && size->memory_mb / 4 <= like->memory_mb;
}

static double
distance(const CapacitySize *size, const CapacitySize *like)
{
  gboolean series = g_ascii_strcasecmp(size->family, like->family) == 0 && size->vcpus == like->vcpus;
  return (series ? 0 : 100) + 2 * log2((double) size->vcpus / like->vcpus)
         + log2((double) size->memory_mb / like->memory_mb);
}

/* Among equals the plainer name (fewer letters for extras), then the newer version. */
static int
compare_sizes(gconstpointer a, gconstpointer b, gpointer data)
{
  const CapacitySize *first = *(const CapacitySize *const *) a, *second = *(const CapacitySize *const *) b;
  double near = distance(first, data), far = distance(second, data);
  gsize short_name = strlen(first->name), long_name = strlen(second->name);
  if (near != far)
    return near < far ? -1 : 1;
  if (short_name != long_name)
    return short_name < long_name ? -1 : 1;
  return strcmp(second->name, first->name);
}

GPtrArray *
capacity_other_sizes(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish,
                     const CapacitySize *like, guint max)
{
  g_autoptr(GPtrArray) near = g_ptr_array_new();
  GPtrArray *found = g_ptr_array_new();
  CapacitySize model = *like;
  if (!like->vcpus || !like->memory_mb)
    return found;
  for (guint i = 0; i < region->sizes->len; i++)
    if (may_replace(&g_array_index(region->sizes, CapacitySize, i), like))
      g_ptr_array_add(near, &g_array_index(region->sizes, CapacitySize, i));
  g_ptr_array_sort_with_data(near, compare_sizes, &model);
  for (guint i = 0; i < near->len && found->len < max; i++) {
    CapacitySize *size = g_ptr_array_index(near, i);
    const CapacityWish other = { .vm_size = size->name, .zone = wish->zone, .image = wish->image };
    if (fits(region, ledger, &other))
      g_ptr_array_add(found, size);
  }
  return found;
}

guint8
capacity_other_zones(const CapacityRegion *region, CapacityLedger *ledger, const CapacityWish *wish)
{
  guint8 found = 0;
  for (int zone = 1; zone <= MAX_ZONE; zone++) {
    const char text[] = { (char) ('0' + zone), '\0' };
    const CapacityWish other = { .vm_size = wish->vm_size, .zone = text, .image = wish->image };
    if (g_strcmp0(wish->zone, text) != 0 && fits(region, ledger, &other))
      found |= (guint8) (1u << zone);
  }
  return found;
}

/* ---- where regions lie ---- */

static void
place_free(gpointer data)
{
  CapacityPlace *place = data;
  g_free(place->name);
  g_free(place->geography);
  g_strfreev(place->pairs);
  g_free(place);
}

static gboolean
degrees(const json_t *metadata, const char *key, double *ret_degrees)
{
  char *end = NULL;
  const char *text = text_of(metadata, key);
  *ret_degrees = g_ascii_strtod(text, &end);
  return end != text && *ret_degrees >= -180 && *ret_degrees <= 180;
}

static CapacityPlace *
place_new(const json_t *location)
{
  gsize i;
  json_t *pair;
  const json_t *metadata = json_object_get(location, "metadata");
  g_autoptr(GStrvBuilder) pairs = g_strv_builder_new();
  CapacityPlace *place = g_new0(CapacityPlace, 1);
  place->name = g_strdup(text_of(location, "name"));
  place->geography = g_strdup(text_of(metadata, "geographyGroup"));
  place->located = degrees(metadata, "latitude", &place->latitude) && degrees(metadata, "longitude", &place->longitude);
  json_array_foreach(json_object_get(metadata, "pairedRegion"), i, pair)
  {
    g_strv_builder_add(pairs, text_of(pair, "name"));
  }
  place->pairs = g_strv_builder_end(pairs);
  return place;
}

GHashTable *
capacity_places(const json_t *locations)
{
  gsize i;
  json_t *location;
  GHashTable *places = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, place_free);
  json_array_foreach(locations, i, location)
  {
    CapacityPlace *place = place_new(location);
    g_hash_table_replace(places, place->name, place);
  }
  return places;
}

/* Half the chord's square: enough to compare distances on a sphere. */
static double
separation(const CapacityPlace *a, const CapacityPlace *b)
{
  double north = (b->latitude - a->latitude) * G_PI / 360, east = (b->longitude - a->longitude) * G_PI / 360;
  return sin(north) * sin(north)
         + cos(a->latitude * G_PI / 180) * cos(b->latitude * G_PI / 180) * sin(east) * sin(east);
}

/* 0 = paired; 1 to 2 = same geography by distance; 3 = any other. */
static double
remoteness(GHashTable *places, const char *from, const char *to)
{
  const CapacityPlace *here = g_hash_table_lookup(places, from), *there = g_hash_table_lookup(places, to);
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
capacity_order(GHashTable *places, const char *from, const char *const *regions)
{
  g_autoptr(GStrvBuilder) copy = g_strv_builder_new();
  for (; *regions; regions++)
    g_strv_builder_add(copy, *regions);
  char **ordered = g_strv_builder_end(copy);
  Origin origin = { .places = places, .from = from };
  g_qsort_with_data(ordered, (int) g_strv_length(ordered), sizeof *ordered, compare_regions, &origin);
  return ordered;
}
