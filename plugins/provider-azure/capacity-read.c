/* What a region offers, read out of Azure's lists of sizes and usages; what is malformed is left out. Pure. */
#include "capacity.h"
#include <string.h>

#define MAX_SIZES 5000
#define MAX_USAGES 2000
#define MAX_NAME 100

/* ---- words ---- */

const char *
capacity_text(const json_t *object, const char *key)
{
  const json_t *value = json_object_get(object, key);
  return json_is_string(value) && json_string_length(value) <= MAX_NAME ? json_string_value(value) : "";
}

guint8
capacity_zone_bit(const char *zone)
{
  return strlen(zone) == 1 && *zone >= '1' && *zone <= '0' + CAPACITY_MAX_ZONE ? (guint8) (1u << (*zone - '0')) : 0;
}

/* ---- a region ---- */

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

static guint8
zone_bits(const json_t *list)
{
  guint8 bits = 0;
  gsize i;
  json_t *item;
  json_array_foreach(list, i, item)
  {
    if (json_is_string(item))
      bits |= capacity_zone_bit(json_string_value(item));
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
    if (same_region(capacity_text(info, "location"), region))
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
    const char *type = capacity_text(restriction, "type");
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
  return g_ascii_strcasecmp(capacity_text(sku, "resourceType"), "virtualMachines") == 0
         && *capacity_text(sku, "name") != '\0' && (json_array_size(locations) == 0 || holds_region(locations, region));
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
  size.name = g_string_chunk_insert_const(region->names, capacity_text(sku, "name"));
  size.family = g_string_chunk_insert_const(region->names, capacity_text(sku, "family"));
  json_array_foreach(json_object_get(sku, "capabilities"), i, capability)
  {
    take_capability(&size, capacity_text(capability, "name"), capacity_text(capability, "value"));
  }
  size.zones = offered_zones(sku, region->name);
  take_restrictions(&size, sku, region->name);
  g_array_append_val(region->sizes, size);
}

void
capacity_region_add_usage(const json_t *item, gpointer data)
{
  CapacityRegion *region = data;
  const char *name = capacity_text(json_object_get(item, "name"), "value");
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
