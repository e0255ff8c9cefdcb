/* Whether a machine fits into a region by sizes, restrictions, zones, images and quotas, and what else would. Pure. */
#include "capacity.h"
#include <math.h>
#include <string.h>

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
  guint8 bit = zone && *zone ? capacity_zone_bit(zone) : 0;
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
  for (int zone = 1; zone <= CAPACITY_MAX_ZONE; zone++) {
    const char text[] = { (char) ('0' + zone), '\0' };
    const CapacityWish other = { .vm_size = wish->vm_size, .zone = text, .image = wish->image };
    if (g_strcmp0(wish->zone, text) != 0 && fits(region, ledger, &other))
      found |= (guint8) (1u << zone);
  }
  return found;
}
