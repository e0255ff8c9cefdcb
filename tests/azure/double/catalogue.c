/* The catalogue: a few sizes of several families, restrictions set by the test, quotas counted from the machines. */
#include "catalogue.h"
#include "regions.h"
#include "views.h"
#include <string.h>

typedef struct {
  const char *name, *family, *memory, *generations, *architecture;
  gint64 cores;
} Size;

static const Size sizes[] = {
  { "Standard_B1s", "standardBSFamily", "1", "V1,V2", "x64", 1 },
  { "Standard_B1ms", "standardBSFamily", "2", "V1,V2", "x64", 1 },
  { "Standard_B2s", "standardBSFamily", "4", "V1,V2", "x64", 2 },
  { "Standard_B2ms", "standardBSFamily", "8", "V1,V2", "x64", 2 },
  { "Standard_B4ms", "standardBSFamily", "16", "V1,V2", "x64", 4 },
  { "Standard_B2ats_v2", "standardBasv2Family", "1", "V1,V2", "x64", 2 },
  { "Standard_B2als_v2", "standardBasv2Family", "4", "V1,V2", "x64", 2 },
  { "Standard_B2ts_v2", "standardBsv2Family", "1", "V1,V2", "x64", 2 },
  { "Standard_B2ls_v2", "standardBsv2Family", "4", "V1,V2", "x64", 2 },
  { "Standard_B2pls_v2", "standardBpsv2Family", "4", "V2", "Arm64", 2 },
  { "Standard_D2s_v3", "standardDSv3Family", "8", "V1,V2", "x64", 2 },
  { "Standard_D4s_v3", "standardDSv3Family", "16", "V1,V2", "x64", 4 },
  { "Standard_D2s_v5", "standardDSv5Family", "8", "V1,V2", "x64", 2 },
  { "Standard_D4s_v5", "standardDSv5Family", "16", "V1,V2", "x64", 4 },
  { "Standard_D8s_v5", "standardDSv5Family", "32", "V1,V2", "x64", 8 },
  { "Standard_D2as_v5", "standardDASv5Family", "8", "V1,V2", "x64", 2 },
  { "Standard_D2ps_v5", "standardDPSv5Family", "8", "V2", "Arm64", 2 },
  { "Standard_E2s_v5", "standardESv5Family", "16", "V1,V2", "x64", 2 },
  { "Standard_E4s_v5", "standardESv5Family", "32", "V1,V2", "x64", 4 },
  { "Standard_F2s_v2", "standardFSv2Family", "4", "V1,V2", "x64", 2 },
  { "Standard_F4s_v2", "standardFSv2Family", "8", "V1,V2", "x64", 4 },
};

static const Size *
size_find(const char *name)
{
  for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
    if (same_text(sizes[i].name, name))
      return &sizes[i];
  }
  return NULL;
}

/* Does an entry of "unavailable" or "capacity" speak of this region, size and zone? What it leaves out fits all. */
static gboolean
entry_fits(json_t *entry, const char *region, const char *size, const char *zone)
{
  const char *its_region = json_text_at(entry, "region", NULL), *its_size = json_text_at(entry, "size", NULL);
  const char *its_zone = json_text_at(entry, "zone", NULL);
  if (its_region != NULL && !regions_same(its_region, region))
    return FALSE;
  if (its_size != NULL && !same_text(its_size, size))
    return FALSE;
  return its_zone == NULL || same_text(its_zone, zone);
}

const char *
catalogue_capacity_problem(Double *world, const char *type, json_t *body)
{
  size_t i;
  json_t *entry;
  if (!same_text(type, "Microsoft.Compute/virtualMachines"))
    return NULL;
  json_array_foreach(json_object_get(world->settings, "capacity"), i, entry)
  {
    if (entry_fits(entry, json_text_at(body, "location", ""),
                   json_text_at(body, "properties.hardwareProfile.vmSize", ""), json_text_at(body, "zones.0", NULL)))
      return json_text_at(entry, "code", "AllocationFailed");
  }
  return NULL;
}

static json_t *
restriction_of(Double *world, const char *region, const char *size, const char *zone)
{
  size_t i;
  json_t *entry;
  json_array_foreach(json_object_get(world->settings, "unavailable"), i, entry)
  {
    if (entry_fits(entry, region, size, zone))
      return entry;
  }
  return NULL;
}

/* ---- quota ---- */

static gint64
quota_limit(Double *world, const char *region, const char *name, gint64 *ret_base)
{
  size_t i;
  json_t *entry;
  *ret_base = 0;
  json_array_foreach(json_object_get(world->settings, "quota"), i, entry)
  {
    const char *its_region = json_text_at(entry, "region", NULL);
    if ((its_region != NULL && !regions_same(its_region, region)) || !same_text(json_text_at(entry, "name", ""), name))
      continue;
    *ret_base = json_int_at(entry, "used", 0);
    return json_int_at(entry, "limit", 100);
  }
  return json_int_at(world->settings, "quota_limit", 100);
}

/* vCPUs of a family (NULL = all) in a region: of machines that exist, running or not. */
static gint64
cores_used(Double *world, const char *region, const char *family, const char *except)
{
  gint64 used = 0;
  g_autoptr(GPtrArray) machines = store_list(world, NULL, "Microsoft.Compute/virtualMachines");
  for (guint i = 0; i < machines->len; i++) {
    const Resource *vm = g_ptr_array_index(machines, i);
    const Size *size = size_find(json_text_at(vm->body, "properties.hardwareProfile.vmSize", ""));
    if (size != NULL && regions_same(resource_location(vm), region) && !same_text(vm->id, except)
        && (family == NULL || g_str_equal(size->family, family)))
      used += size->cores;
  }
  return used;
}

static void
check_quota(Double *world, const char *id, const char *region, const Size *size, const char *name, GHashTable *spare,
            Refusal *refusal)
{
  gint64 base;
  gint64 limit = quota_limit(world, region, name, &base);
  gint64 used = base + cores_used(world, region, g_str_equal(name, "cores") ? NULL : name, id);
  g_autofree char *key = g_strdup_printf("%s/%s", region, name);
  gint64 planned = spare != NULL ? GPOINTER_TO_INT(g_hash_table_lookup(spare, key)) : 0;
  if (spare != NULL)
    g_hash_table_insert(spare, g_strdup(key), GINT_TO_POINTER((int) (planned + size->cores)));
  if (used + planned + size->cores <= limit)
    return;
  refuse(refusal, 409, spare != NULL ? "QuotaExceeded" : "OperationNotAllowed",
         "Operation could not be completed as it results in exceeding approved %s Cores quota. Additional details - "
         "Deployment Model: Resource Manager, Location: %s, Current Limit: %" G_GINT64_FORMAT
         ", Current Usage: %" G_GINT64_FORMAT ", Additional Required: %" G_GINT64_FORMAT
         ", (Minimum) New Limit Required: %" G_GINT64_FORMAT ".",
         g_str_equal(name, "cores") ? "Total Regional" : name, region, limit, used + planned, size->cores,
         used + planned + size->cores);
}

void
catalogue_check_vm(Double *world, const char *id, json_t *body, GHashTable *spare, Refusal *refusal)
{
  const char *region = json_text_at(body, "location", ""), *zone = json_text_at(body, "zones.0", NULL);
  const char *name = json_text_at(body, "properties.hardwareProfile.vmSize", "");
  const Size *size = size_find(name);
  if (size == NULL) {
    refuse(refusal, 400, "InvalidParameter", "The value %s provided for the VM size is not valid.", name);
    return;
  }
  if (restriction_of(world, region, name, zone) != NULL) {
    refuse(
        refusal, 409, "SkuNotAvailable",
        "The requested VM size for resource 'Following SKUs have failed for Capacity Restrictions: %s' is currently "
        "not available in location '%s'. Please try another size or deploy to a different location or different zone.",
        name, region);
    return;
  }
  check_quota(world, id, region, size, "cores", spare, refusal);
  check_quota(world, id, region, size, size->family, spare, refusal);
}

/* ---- lists ---- */

static gboolean
has_zones(const char *region)
{
  static const char *const without[] = { "westus", "northcentralus", "westcentralus", "canadaeast", "ukwest", NULL };
  return !g_strv_contains(without, region);
}

static json_t *
sku_restrictions(Double *world, const char *region, const Size *size)
{
  json_t *list = json_array(), *zones = json_array(), *entry = restriction_of(world, region, size->name, NULL);
  static const char *const names[] = { "1", "2", "3" };
  for (guint i = 0; i < G_N_ELEMENTS(names) && entry == NULL; i++) {
    json_t *zonal = restriction_of(world, region, size->name, names[i]);
    if (zonal != NULL)
      json_array_append_new(zones, json_string(names[i]));
  }
  if (entry != NULL)
    json_array_append_new(list, json_pack("{s:s, s:[s], s:{s:[s]}, s:s}", "type", "Location", "values", region,
                                          "restrictionInfo", "locations", region, "reasonCode",
                                          json_text_at(entry, "reason", "NotAvailableForSubscription")));
  if (json_array_size(zones) > 0)
    json_array_append_new(list, json_pack("{s:s, s:[s], s:{s:[s], s:O}, s:s}", "type", "Zone", "values", region,
                                          "restrictionInfo", "locations", region, "zones", zones, "reasonCode",
                                          "NotAvailableForSubscription"));
  json_decref(zones);
  return list;
}

static json_t *
sku_of(Double *world, const char *region, const Size *size)
{
  g_autofree char *cores = g_strdup_printf("%" G_GINT64_FORMAT, size->cores);
  json_t *sku = json_pack("{s:s, s:s, s:s, s:s, s:s, s:[s], s:o}", "resourceType", "virtualMachines", "name",
                          size->name, "tier", "Standard", "size", size->name + strlen("Standard_"), "family",
                          size->family, "locations", region, "restrictions", sku_restrictions(world, region, size));
  json_object_set_new(sku, "locationInfo",
                      has_zones(region) ? json_pack("[{s:s, s:[s,s,s], s:[]}]", "location", region, "zones", "3", "1",
                                                    "2", "zoneDetails")
                                        : json_pack("[{s:s, s:[], s:[]}]", "location", region, "zones", "zoneDetails"));
  json_object_set_new(sku, "capabilities",
                      json_pack("[{s:s,s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s},{s:s,s:s}]", "name", "vCPUs", "value", cores,
                                "name", "MemoryGB", "value", size->memory, "name", "HyperVGenerations", "value",
                                size->generations, "name", "CpuArchitectureType", "value", size->architecture, "name",
                                "PremiumIO", "value", "True"));
  return sku;
}

void
catalogue_handle_skus(Exchange *exchange)
{
  const char *filter = exchange_query(exchange, "$filter");
  g_autofree char *wanted = NULL;
  if (filter != NULL) {
    g_auto(GStrv) parts = g_strsplit(filter, "'", -1);
    if (!g_str_has_prefix(filter, "location eq '") || g_strv_length(parts) != 3) {
      exchange_error(exchange, 400, "InvalidFilter", "Only the location can be filtered.");
      return;
    }
    wanted = g_strdup(parts[1]);
  }
  json_t *list = json_array();
  g_autoptr(GPtrArray) regions = regions_all(exchange->world);
  for (guint i = 0; i < regions->len; i++) {
    const Region *region = g_ptr_array_index(regions, i);
    if (wanted != NULL && !regions_same(region->name, wanted))
      continue;
    for (guint j = 0; j < G_N_ELEMENTS(sizes); j++)
      json_array_append_new(list, sku_of(exchange->world, region->name, &sizes[j]));
    json_array_append_new(list,
                          json_pack("{s:s, s:s, s:s, s:[s], s:[]}", "resourceType", "disks", "name", "StandardSSD_LRS",
                                    "tier", "Standard", "locations", region->name, "restrictions"));
  }
  view_page(exchange, list);
}

void
catalogue_handle_sizes(Exchange *exchange)
{
  json_t *list = json_array();
  for (guint i = 0; i < G_N_ELEMENTS(sizes); i++)
    json_array_append_new(list, json_pack("{s:s, s:I, s:I}", "name", sizes[i].name, "numberOfCores",
                                          (json_int_t) sizes[i].cores, "memoryInMB",
                                          (json_int_t) g_ascii_strtoull(sizes[i].memory, NULL, 10) * 1024));
  exchange_json(exchange, 200, json_pack("{s:o}", "value", list));
}

static json_t *
usage(const char *name, const char *text, gint64 current, gint64 limit)
{
  return json_pack("{s:s, s:I, s:I, s:{s:s, s:s}}", "unit", "Count", "currentValue", (json_int_t) current, "limit",
                   (json_int_t) limit, "name", "value", name, "localizedValue", text);
}

static void
append_usage(Exchange *exchange, json_t *list, const char *region, const char *name, const char *text, gint64 current)
{
  gint64 base;
  gint64 limit = quota_limit(exchange->world, region, name, &base);
  json_array_append_new(list, usage(name, text, base + current, limit));
}

void
catalogue_handle_compute_usages(Exchange *exchange)
{
  Double *world = exchange->world;
  const char *region = exchange_segment(exchange, "location");
  if (regions_find(world, region) == NULL) {
    exchange_error(exchange, 400, "NoRegisteredProviderFound",
                   "No registered resource provider found for location '%s'.", region);
    return;
  }
  json_t *list = json_array();
  g_autoptr(GPtrArray) machines = store_list(world, NULL, "Microsoft.Compute/virtualMachines");
  append_usage(exchange, list, region, "cores", "Total Regional vCPUs", cores_used(world, region, NULL, NULL));
  append_usage(exchange, list, region, "virtualMachines", "Virtual Machines", machines->len);
  const char *last = "";
  for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
    if (!g_str_equal(last, sizes[i].family))
      append_usage(exchange, list, region, sizes[i].family, sizes[i].family,
                   cores_used(world, region, sizes[i].family, NULL));
    last = sizes[i].family;
  }
  view_page(exchange, list);
}

void
catalogue_handle_network_usages(Exchange *exchange)
{
  const char *region = exchange_segment(exchange, "location");
  gint64 addresses = 0;
  g_autoptr(GPtrArray) all = store_list(exchange->world, NULL, "Microsoft.Network/publicIPAddresses");
  for (guint i = 0; i < all->len; i++)
    addresses += regions_same(resource_location(g_ptr_array_index(all, i)), region);
  json_t *list = json_array();
  append_usage(exchange, list, region, "StandardSkuPublicIpAddresses", "Standard Sku Public IP Addresses", addresses);
  append_usage(exchange, list, region, "PublicIPAddresses", "Public IP Addresses", addresses);
  append_usage(exchange, list, region, "VirtualNetworks", "Virtual Networks", 0);
  view_page(exchange, list);
}

static json_t *
one_image(Exchange *exchange)
{
  return json_pack("{s:s, s:s, s:s, s:{s:{s:s}, s:s}}", "location", exchange_segment(exchange, "location"), "name",
                   exchange_segment(exchange, "version"), "id", exchange->path, "properties", "osDiskImage",
                   "operatingSystem", "Linux", "hyperVGeneration", "V2");
}

void
catalogue_handle_images(Exchange *exchange)
{
  if (g_str_equal(exchange->kind, "VirtualMachineImages_Get")) {
    exchange_json(exchange, 200, one_image(exchange));
    return;
  }
  json_t *list = json_array();
  static const char *const versions[] = { "22.04.202411010", "22.04.202412010" };
  for (guint i = 0; i < G_N_ELEMENTS(versions); i++)
    json_array_append_new(list, json_pack("{s:s, s:s, s:s}", "location", exchange_segment(exchange, "location"), "name",
                                          versions[i], "id", exchange->path));
  exchange_json(exchange, 200, list);
}
