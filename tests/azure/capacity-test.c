/* What fits where, from the lists that Azure gives: restrictions, zones, images, quotas, reservations, alternatives. */
#include "capacity.h"
#include "elements.h"
#include "places.h"
#include <string.h>

#define SIZE(name, family, cpus, memory, more)                                                                         \
  "{\"resourceType\":\"virtualMachines\",\"name\":\"" name "\",\"family\":\"" family                                   \
  "\",\"locations\":[\"westeurope\"],\"locationInfo\":[{\"location\":\"westeurope\",\"zones\":[\"1\",\"3\"]}],"        \
  "\"capabilities\":[{\"name\":\"vCPUs\",\"value\":\"" cpus "\"},{\"name\":\"MemoryGB\",\"value\":\"" memory           \
  "\"}" more "}"
#define GEN12 ",{\"name\":\"HyperVGenerations\",\"value\":\"V1,V2\"}"
#define GEN1 ",{\"name\":\"HyperVGenerations\",\"value\":\"V1\"}"
#define GEN2 ",{\"name\":\"HyperVGenerations\",\"value\":\"V2\"}"
#define X64 ",{\"name\":\"CpuArchitectureType\",\"value\":\"x64\"}"
#define ARM ",{\"name\":\"CpuArchitectureType\",\"value\":\"Arm64\"}"
#define PREMIUM ",{\"name\":\"PremiumIO\",\"value\":\"True\"}"
#define GPU ",{\"name\":\"GPUs\",\"value\":\"1\"}"
#define OPEN "],\"restrictions\":[]"
#define RESTRICTED(type, info)                                                                                         \
  "],\"restrictions\":[{\"type\":\"" type "\",\"values\":[\"westeurope\"],\"restrictionInfo\":{" info                  \
  "},\"reasonCode\":\"NotAvailableForSubscription\"}]"

static const char SIZES[]
    = "[" SIZE("Standard_B2s", "standardBSFamily", "2", "4", GEN12 X64 PREMIUM OPEN) "," /* clang-format off */
      SIZE("Standard_B2ms", "standardBSFamily", "2", "8", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_B1s", "standardBSFamily", "1", "1", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_B4ms", "standardBSFamily", "4", "16", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_F2s_v2", "standardFSv2Family", "2", "4", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_D2s_v5", "standardDSv5Family", "2", "8", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_D2s_v3", "standardDSv3Family", "2", "8", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_D2ds_v5", "standardDDSv5Family", "2", "8", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_D2_v5", "standardDv5Family", "2", "8", GEN12 X64 OPEN) ","
      SIZE("Standard_D2ps_v5", "standardDPSv5Family", "2", "8", GEN2 ARM PREMIUM OPEN) ","
      SIZE("Standard_D4ps_v5", "standardDPSv5Family", "4", "16", GEN2 ARM PREMIUM OPEN) ","
      SIZE("Standard_A2_v2", "standardAv2Family", "2", "4", GEN1 X64 OPEN) ","
      SIZE("Standard_NC2", "standardNCFamily", "2", "4", GEN12 X64 PREMIUM GPU OPEN) ","
      SIZE("Standard_E2s_v5", "standardESv5Family", "2", "16", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_D8s_v5", "standardDSv5Family", "8", "32", GEN12 X64 PREMIUM OPEN) ","
      SIZE("Standard_L8s", "standardLSFamily", "8", "64", GEN12 X64 PREMIUM
           RESTRICTED("Location", "\"locations\":[\"westeurope\"]")) ","
      SIZE("Standard_Z1", "standardZFamily", "1", "2", GEN12 X64 PREMIUM
           RESTRICTED("Zone", "\"locations\":[\"westeurope\"],\"zones\":[\"1\"]")) ","
      SIZE("Standard_Elsewhere", "standardZFamily", "1", "2", GEN12 X64
           "],\"restrictions\":[{\"type\":\"Location\",\"values\":[\"uksouth\"],"
           "\"restrictionInfo\":{\"locations\":[\"uksouth\"]}}]") ","
      SIZE("Standard_Bare", "standardZFamily", "1", "2", OPEN) ","
      "{\"resourceType\":\"disks\",\"name\":\"Standard_LRS\",\"locations\":[\"westeurope\"]},"
      "{\"resourceType\":\"virtualMachines\",\"name\":\"Standard_Foreign\",\"locations\":[\"uksouth\"]},"
      "{\"resourceType\":\"virtualMachines\",\"name\":\"Standard_Spaced\",\"locations\":[\"West Europe\"]},"
      "{\"resourceType\":\"virtualMachines\"},null,7,\"text\",[],"
      "{\"resourceType\":\"virtualMachines\",\"name\":\"Standard_Odd\",\"locations\":7,\"locationInfo\":\"x\","
      "\"capabilities\":{},\"restrictions\":[3,{\"type\":9}],\"family\":[]}]"; /* clang-format on */

#define USAGE(name, used, limit)                                                                                       \
  "{\"unit\":\"Count\",\"name\":{\"value\":\"" name "\"},\"currentValue\":" used ",\"limit\":" limit "}"
static const char PLENTY[] = "[" USAGE("cores", "0", "100") "]";

typedef struct {
  GStringChunk *names;
  CapacityRegion *region;
} Fixture;

static json_t *
parsed(const char *text)
{
  json_error_t error;
  json_t *json = json_loads(text, 0, &error);
  if (!json)
    g_error("%s at %d", error.text, error.position);
  return json;
}

/* As a page of Azure's list, the way the catalogue reads it. */
static void
add_all(CapacityRegion *region, const char *elements, ElementsTake take)
{
  g_autofree char *next = NULL;
  g_autofree char *page = g_strdup_printf("{\"nextLink\": null, \"value\" : %s}", elements);
  g_assert_true(elements_each(page, strlen(page), NULL, take, region, &next));
  g_assert_null(next);
}

static void
fixture_open(Fixture *fixture, const char *sizes, const char *usages)
{
  fixture->names = g_string_chunk_new(256);
  fixture->region = capacity_region_new("westeurope", fixture->names);
  add_all(fixture->region, sizes, capacity_region_add_size);
  add_all(fixture->region, usages, capacity_region_add_usage);
}

static void
fixture_close(Fixture *fixture)
{
  capacity_region_free(fixture->region);
  g_string_chunk_free(fixture->names);
}

/* ---- one machine ---- */

typedef struct {
  const char *vm_size, *zone, *image, *usages;
  const char *code, *words; /* NULL = it fits */
} FitCase;

static const char GEN1_URN[] = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen1:latest";
static const char GEN2_URN[] = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-gen2:latest";
static const char ARM_URN[] = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts-arm64:latest";
static const char PLAIN_URN[] = "Canonical:0001-com-ubuntu-server-jammy:22_04-lts:latest";
static const char IMAGE_ID[] = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Compute/images/i";

static const FitCase FIT_CASES[] = {
  /* offered, restricted */
  { "Standard_B2s", NULL, "Ubuntu2204", NULL, NULL, NULL },
  { "standard_b2S", NULL, "Ubuntu2204", NULL, NULL, NULL },
  { "Standard_B2s", "", "Ubuntu2204", NULL, NULL, NULL },
  { "Standard_Nope", NULL, "Ubuntu2204", NULL, "SkuNotAvailable", "Standard_Nope is not offered in westeurope" },
  { "Standard_Foreign", NULL, "Ubuntu2204", NULL, "SkuNotAvailable", "not offered" },
  { "Standard_Spaced", NULL, "Ubuntu2204", NULL, NULL, NULL },
  { "Standard_LRS", NULL, "Ubuntu2204", NULL, "SkuNotAvailable", "not offered" },
  { "Standard_L8s", NULL, "Ubuntu2204", NULL, "SkuNotAvailable", "restricted in westeurope for this subscription" },
  { "Standard_Elsewhere", NULL, "Ubuntu2204", NULL, NULL, NULL },
  { "Standard_Odd", NULL, "Ubuntu2204", NULL, NULL, NULL },
  { "", NULL, "Ubuntu2204", NULL, "SkuNotAvailable", "not offered" },
  /* zones */
  { "Standard_B2s", "1", "Ubuntu2204", NULL, NULL, NULL },
  { "Standard_B2s", "3", "Ubuntu2204", NULL, NULL, NULL },
  { "Standard_B2s", "2", "Ubuntu2204", NULL, "SkuNotAvailable", "not offered in zone 2 of westeurope" },
  { "Standard_B2s", "9", "Ubuntu2204", NULL, "SkuNotAvailable", "zone 9" },
  { "Standard_B2s", "one", "Ubuntu2204", NULL, "SkuNotAvailable", "zone one" },
  { "Standard_Z1", NULL, "Ubuntu2204", NULL, NULL, NULL },
  { "Standard_Z1", "1", "Ubuntu2204", NULL, "SkuNotAvailable", "restricted in zone 1 of westeurope" },
  { "Standard_Z1", "3", "Ubuntu2204", NULL, NULL, NULL },
  { "Standard_Spaced", "1", "Ubuntu2204", NULL, "SkuNotAvailable", "zone 1" },
  /* images */
  { "Standard_A2_v2", NULL, "Ubuntu2204", NULL, "ImageNotSupported", "does not boot images of generation 2" },
  { "Standard_A2_v2", NULL, GEN2_URN, NULL, "ImageNotSupported", "generation 2" },
  { "Standard_A2_v2", NULL, GEN1_URN, NULL, NULL, NULL },
  { "Standard_A2_v2", NULL, PLAIN_URN, NULL, NULL, NULL },
  { "Standard_D2ps_v5", NULL, GEN1_URN, NULL, "ImageNotSupported", "Arm64 processors, and the image is for x64" },
  { "Standard_D2ps_v5", NULL, ARM_URN, NULL, NULL, NULL },
  { "Standard_B2s", NULL, ARM_URN, NULL, "ImageNotSupported", "x64 processors, and the image is for Arm64" },
  { "Standard_D2ps_v5", NULL, IMAGE_ID, NULL, NULL, NULL },
  { "Standard_A2_v2", NULL, IMAGE_ID, NULL, NULL, NULL },
  { "Standard_A2_v2", NULL, NULL, NULL, NULL, NULL },
  { "Standard_Bare", NULL, "Ubuntu2204", NULL, NULL, NULL },
  /* quotas */
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("cores", "8", "10") "]", NULL, NULL },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("cores", "9", "10") "]", "QuotaExceeded",
    "the quota of regional vCPUs in westeurope is 10, of which 9 are in use; 2 more would be needed" },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("cores", "12", "10") "]", "QuotaExceeded", "of which 12" },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("cores", "0", "0") "]", "QuotaExceeded", "is 0" },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("cores", "5", "-1") "]", NULL, NULL },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("cores", "0", "9223372036854775807") "]", NULL, NULL },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("cores", "-9223372036854775807", "10") "]", NULL, NULL },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("cores", "0", "100") "," USAGE("standardBSFamily", "3", "4") "]",
    "QuotaExceeded", "standardBSFamily vCPUs" },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("STANDARDBSFAMILY", "4", "4") "]", "QuotaExceeded",
    "standardBSFamily" },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("standardDSv5Family", "4", "4") "]", NULL, NULL },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("virtualMachines", "25", "25") "]", "QuotaExceeded", "machines" },
  { "Standard_B2s", NULL, "Ubuntu2204", "[" USAGE("virtualMachines", "24", "25") "]", NULL, NULL },
  { "Standard_B2s", NULL, "Ubuntu2204", "[]", NULL, NULL },
  { "Standard_B2s", NULL, "Ubuntu2204",
    "[null,7,{\"name\":\"cores\"},{\"name\":{\"value\":\"cores\"},\"limit\":\"1\"}]", NULL, NULL },
  { "Standard_L8s", NULL, "Ubuntu2204", "[" USAGE("cores", "9", "10") "]", "SkuNotAvailable", "restricted" },
};

static void
test_fits(void)
{
  for (gsize i = 0; i < G_N_ELEMENTS(FIT_CASES); i++) {
    const FitCase *row = &FIT_CASES[i];
    Fixture fixture;
    fixture_open(&fixture, SIZES, row->usages ? row->usages : PLENTY);
    const CapacityWish wish = { row->vm_size, row->zone, capacity_image(row->image) };
    CapacityVerdict verdict = capacity_fits(fixture.region, NULL, &wish);
    if (g_strcmp0(verdict.code, row->code) != 0 || (row->words && !strstr(verdict.message, row->words)))
      g_error("row %zu, %s: %s, %s", i, row->vm_size, verdict.code, verdict.message);
    g_free(verdict.message);
    fixture_close(&fixture);
  }
  g_assert_cmpuint(G_N_ELEMENTS(FIT_CASES), >=, 40);
}

/* ---- a whole plan ---- */

static const char *
reserved_code(const CapacityRegion *region, CapacityLedger *ledger, const char *vm_size)
{
  const CapacityWish wish = { .vm_size = vm_size, .image = capacity_image("Ubuntu2204") };
  CapacityVerdict verdict = capacity_fits(region, ledger, &wish);
  if (!verdict.code)
    capacity_reserve(region, ledger, &wish);
  if (verdict.message)
    g_assert_nonnull(strstr(verdict.message, "of this plan"));
  g_free(verdict.message);
  return verdict.code;
}

static void
test_reserves_across_the_plan(void)
{
  static const struct {
    const char *usages, *sizes[5];
    guint fit;
  } rows[] = {
    { "[" USAGE("cores", "0", "4") "]", { "Standard_B2s", "Standard_D2s_v5", "Standard_B2s" }, 2 },
    { "[" USAGE("cores", "0", "100") "," USAGE("standardBSFamily", "0", "4") "]",
      { "Standard_B2s", "Standard_B2ms", "Standard_B2s", "Standard_D2s_v5" },
      3 },
    { "[" USAGE("virtualMachines", "0", "2") "]", { "Standard_B2s", "Standard_B2s", "Standard_B2s" }, 2 },
    { "[" USAGE("cores", "0", "5") "]", { "Standard_B4ms", "Standard_B2s", "Standard_Bare" }, 2 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    Fixture fixture;
    guint fit = 0;
    fixture_open(&fixture, SIZES, rows[i].usages);
    CapacityLedger *ledger = capacity_ledger_new();
    for (guint j = 0; rows[i].sizes[j]; j++)
      fit += reserved_code(fixture.region, ledger, rows[i].sizes[j]) == NULL;
    g_assert_cmpuint(fit, ==, rows[i].fit);
    g_hash_table_unref(ledger);
    fixture_close(&fixture);
  }
}

/* ---- what else fits ---- */

static void
test_other_sizes(void)
{
  static const struct {
    const char *like, *zone, *image, *usages, *best[5];
  } rows[] = {
    { "Standard_B2s",
      "",
      "Ubuntu2204",
      PLENTY,
      { "Standard_B2ms", "Standard_F2s_v2", "Standard_D2s_v5", "Standard_D2s_v3" } },
    { "Standard_B2s", "3", "Ubuntu2204", PLENTY, { "Standard_B2ms", "Standard_F2s_v2" } },
    { "Standard_B2s", "2", "Ubuntu2204", PLENTY, { NULL } },
    { "Standard_B2s",
      "",
      "Ubuntu2204",
      "[" USAGE("standardBSFamily", "4", "4") "]",
      { "Standard_F2s_v2", "Standard_D2s_v5" } },
    { "Standard_B2s", "", "Ubuntu2204", "[" USAGE("cores", "9", "10") "]", { NULL } },
    { "Standard_D2ps_v5", "", ARM_URN, PLENTY, { "Standard_D4ps_v5" } },
    { "Standard_D8s_v5", "", "Ubuntu2204", PLENTY, { NULL } },
    { "Standard_A2_v2", "", GEN1_URN, PLENTY, { "Standard_B2s", "Standard_F2s_v2" } },
    { "Standard_Odd", "", "Ubuntu2204", PLENTY, { NULL } },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    Fixture fixture;
    fixture_open(&fixture, SIZES, rows[i].usages);
    const CapacityWish wish = { rows[i].like, rows[i].zone, capacity_image(rows[i].image) };
    g_autoptr(GPtrArray) found
        = capacity_other_sizes(fixture.region, NULL, &wish, capacity_region_find(fixture.region, rows[i].like), 4);
    for (guint j = 0; rows[i].best[j]; j++) {
      g_assert_cmpuint(j, <, found->len);
      g_assert_cmpstr(((const CapacitySize *) g_ptr_array_index(found, j))->name, ==, rows[i].best[j]);
    }
    if (!rows[i].best[0])
      g_assert_cmpuint(found->len, ==, 0);
    for (guint j = 0; j < found->len; j++) { /* each was checked, and none gives less */
      const CapacitySize *size = g_ptr_array_index(found, j),
                         *like = capacity_region_find(fixture.region, rows[i].like);
      g_assert_cmpuint(size->vcpus, >=, like->vcpus);
      g_assert_cmpuint(size->memory_mb, >=, like->memory_mb);
      const CapacityWish other = { size->name, rows[i].zone, wish.image };
      g_assert_null(capacity_fits(fixture.region, NULL, &other).code);
    }
    fixture_close(&fixture);
  }
}

static void
test_other_zones(void)
{
  static const struct {
    const char *vm_size, *zone, *usages;
    guint8 zones;
  } rows[] = {
    { "Standard_B2s", "", PLENTY, 1u << 1 | 1u << 3 },
    { "Standard_B2s", "1", PLENTY, 1u << 3 },
    { "Standard_Z1", "", PLENTY, 1u << 3 },
    { "Standard_L8s", "", PLENTY, 0 },
    { "Standard_Spaced", "", PLENTY, 0 },
    { "Standard_B2s", "", "[" USAGE("cores", "9", "10") "]", 0 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    Fixture fixture;
    fixture_open(&fixture, SIZES, rows[i].usages);
    const CapacityWish wish = { rows[i].vm_size, rows[i].zone, capacity_image("Ubuntu2204") };
    g_assert_cmpuint(capacity_other_zones(fixture.region, NULL, &wish), ==, rows[i].zones);
    fixture_close(&fixture);
  }
}

/* ---- regions ---- */

#define PLACE(name, group, latitude, longitude, pair)                                                                  \
  "{\"name\":\"" name "\",\"metadata\":{\"geographyGroup\":\"" group "\",\"latitude\":\"" latitude                     \
  "\",\"longitude\":\"" longitude "\",\"pairedRegion\":[" pair "]}}"

static void
test_order_of_regions(void)
{
  json_t *list = parsed("[" PLACE("westeurope", "Europe", "52.3667", "4.9", "{\"name\":\"northeurope\"}") "," PLACE(
      "northeurope", "Europe", "53.3478", "-6.2597",
      "{\"name\":\"westeurope\"}") "," PLACE("uksouth", "Europe", "50.941", "-0.799",
                                             "") "," PLACE("polandcentral", "Europe", "52.23334", "21.01666",
                                                           "") "," PLACE("eastus", "US", "37.3719", "-79.8164",
                                                                         "") "," PLACE("westus3", "US", "33.448376",
                                                                                       "-112.074036",
                                                                                       "{\"name\":\"eastus\"}") ",{"
                                                                                                                "\"name"
                                                                                                                "\":"
                                                                                                                "\"myst"
                                                                                                                "ery\"}"
                                                                                                                ",null,"
                                                                                                                "{\"nam"
                                                                                                                "e\":"
                                                                                                                "\"odd"
                                                                                                                "\","
                                                                                                                "\"meta"
                                                                                                                "data\""
                                                                                                                ":{"
                                                                                                                "\"geog"
                                                                                                                "raphyG"
                                                                                                                "roup\""
                                                                                                                ":\"Eur"
                                                                                                                "ope\","
                                                                                                                "\"lati"
                                                                                                                "tude\""
                                                                                                                ":\"x\""
                                                                                                                "}}]");
  GHashTable *places = places_read(list);
  static const struct {
    const char *from, *given[6], *order;
  } rows[] = {
    { "westeurope",
      { "eastus", "polandcentral", "uksouth", "northeurope" },
      "northeurope uksouth polandcentral eastus" },
    { "uksouth",
      { "polandcentral", "eastus", "westeurope", "northeurope" },
      "westeurope northeurope polandcentral eastus" },
    { "westus3", { "northeurope", "uksouth", "eastus" }, "eastus northeurope uksouth" },
    { "mystery", { "uksouth", "eastus", "northeurope" }, "uksouth eastus northeurope" },
    { "nowhere", { "uksouth", "eastus" }, "uksouth eastus" },
    { "westeurope", { "eastus", "odd", "polandcentral" }, "polandcentral odd eastus" },
    { "westeurope", { NULL }, "" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_auto(GStrv) order = places_order(places, rows[i].from, rows[i].given);
    g_autofree char *text = g_strjoinv(" ", order);
    g_assert_cmpstr(text, ==, rows[i].order);
  }
  g_hash_table_unref(places);
  json_decref(list);
}

/* ---- lists, one element at a time ---- */

static void
count_numbers(const json_t *element, gpointer data)
{
  *(guint *) data += json_is_integer(element) ? (guint) json_integer_value(element) : 100;
}

static void
test_elements(void)
{
  static const struct {
    const char *text, *next;
    gboolean good;
    guint sum;
  } rows[] = {
    { "{\"value\":[1,2,3]}", NULL, TRUE, 6 },
    { " { \"value\" : [ 1 , 2 ] , \"nextLink\" : \"https://a/b\" } ", "https://a/b", TRUE, 3 },
    { "{\"nextLink\":\"x\\u0041\\\"y\",\"value\":[]}", "xA\"y", TRUE, 0 },
    { "{\"value\":[],\"nextLink\":\"\"}", NULL, TRUE, 0 },
    { "{\"value\":[],\"nextLink\":7}", NULL, TRUE, 0 },
    { "{\"other\":{\"value\":[9,{\"a\":\"]}\\\"\"}]},\"value\":[{\"a\":\"]\\\\\"},[1],\"t\",null,5]}", NULL, TRUE,
      405 },
    { "{\"value\":[1],\"value\":[2]}", NULL, TRUE, 1 },
    { "{\"nothing\":[1]}", NULL, FALSE, 0 },
    { "{\"value\":{}}", NULL, FALSE, 0 },
    { "[1]", NULL, FALSE, 0 },
    { "{", NULL, FALSE, 0 },
    { "", NULL, FALSE, 0 },
    { "{}", NULL, FALSE, 0 },
    { "{\"value\":[1,2", NULL, FALSE, 1 },
    { "{\"value\":[1,2]", NULL, FALSE, 3 },
    { "{\"value\":[1,,2]}", NULL, FALSE, 1 },
    { "{\"value\":[1 2]}", NULL, FALSE, 0 },
    { "{\"value\":[1}", NULL, FALSE, 1 },
    { "{\"value\":[{\"a\":1]}", NULL, FALSE, 0 },
    { "{\"value\":[\"\\", NULL, FALSE, 0 },
    { "{\"val", NULL, FALSE, 0 },
    { "{\"value\"", NULL, FALSE, 0 },
    { "{value:[1]}", NULL, FALSE, 0 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    guint sum = 0;
    g_autofree char *next = NULL;
    g_autofree char *copy = g_memdup2(rows[i].text, strlen(rows[i].text)); /* so that a step too far is seen */
    gboolean good = elements_each(copy, strlen(rows[i].text), NULL, count_numbers, &sum, &next);
    if (good != rows[i].good || sum != rows[i].sum || (good && g_strcmp0(next, rows[i].next) != 0))
      g_error("row %zu, %s: %d, %u, %s", i, rows[i].text, good, sum, next);
  }
}

static gboolean
wants_b2s(const char *text, gsize length, gpointer data)
{
  return elements_holds(text, length, "standard_B2S");
}

static void
test_wanted_elements(void)
{
  Fixture fixture;
  g_autofree char *next = NULL, *page = g_strdup_printf("{\"value\":%s}", SIZES);
  fixture_open(&fixture, "[]", "[]");
  g_assert_true(elements_each(page, strlen(page), wants_b2s, capacity_region_add_size, fixture.region, &next));
  g_assert_cmpuint(fixture.region->sizes->len, ==, 1);
  g_assert_nonnull(capacity_region_find(fixture.region, "Standard_B2s"));
  g_assert_true(elements_holds("\"a\"", 3, "A"));
  g_assert_false(elements_holds("\"ab\"", 4, "a") || elements_holds("\"a", 2, "a") || elements_holds("", 0, "a"));
  fixture_close(&fixture);
}

/* Bytes of a page changed, and pages cut anywhere: taken or refused, never more. */
static void
test_broken_pages(void)
{
  g_autofree char *page = g_strdup_printf("{\"value\":%s,\"nextLink\":\"https://a/b\"}", SIZES);
  gsize length = strlen(page);
  guint refused = 0;
  for (guint i = 0; i < 3000; i++) {
    Fixture fixture;
    g_autofree char *next = NULL;
    gsize cut = i % 2 ? length : (gsize) g_test_rand_int_range(0, (gint32) length);
    g_autofree char *copy = g_memdup2(page, cut + 1);
    for (guint j = 0; i % 2 && j < 3; j++)
      copy[g_test_rand_int_range(0, (gint32) cut)] = "\"\\{}[],:0\x01"[g_test_rand_int_range(0, 10)];
    fixture_open(&fixture, "[]", "[]");
    refused += !elements_each(copy, cut, NULL, capacity_region_add_size, fixture.region, &next);
    fixture_close(&fixture);
  }
  g_assert_cmpuint(refused, >, 1500);
}

/* A thousand sizes in each of 200 regions, as Azure really has them. */
static void
test_memory_of_many_regions(void)
{
  g_autoptr(GStringChunk) names = g_string_chunk_new(16384);
  g_autoptr(GPtrArray) regions = g_ptr_array_new_with_free_func((GDestroyNotify) capacity_region_free);
  for (guint i = 0; i < 200; i++) {
    CapacityRegion *region = capacity_region_new("westeurope", names);
    for (guint j = 0; j < 1000; j++) {
      g_autofree char *text = g_strdup_printf("[{\"resourceType\":\"virtualMachines\",\"name\":\"Standard_X%u\"}]", j);
      if (i == 0)
        add_all(region, text, capacity_region_add_size);
      else
        g_array_append_val(region->sizes,
                           g_array_index(((CapacityRegion *) regions->pdata[0])->sizes, CapacitySize, j));
    }
    g_ptr_array_add(regions, region);
    g_assert_cmpuint(region->sizes->len, ==, 1000);
  }
  g_assert_cmpuint(sizeof(CapacitySize) * 1000 * 200, <=, 8u << 20);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/capacity/fits", test_fits);
  g_test_add_func("/capacity/reserves-across-the-plan", test_reserves_across_the_plan);
  g_test_add_func("/capacity/other-sizes", test_other_sizes);
  g_test_add_func("/capacity/other-zones", test_other_zones);
  g_test_add_func("/capacity/order-of-regions", test_order_of_regions);
  g_test_add_func("/capacity/elements", test_elements);
  g_test_add_func("/capacity/wanted-elements", test_wanted_elements);
  g_test_add_func("/capacity/broken-pages", test_broken_pages);
  g_test_add_func("/capacity/memory-of-many-regions", test_memory_of_many_regions);
  return g_test_run();
}
