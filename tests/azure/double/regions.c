/* Table of regions with their pairs and places; the pairs are not always mutual and not every region has one. */
#include "regions.h"

static Region known[] = {
  { "eastus", "East US", "US", "westus", 37.3719, -79.8164 },
  { "eastus2", "East US 2", "US", "centralus", 36.6681, -78.3889 },
  { "westus", "West US", "US", "eastus", 37.783, -122.417 },
  { "westus2", "West US 2", "US", "westcentralus", 47.233, -119.852 },
  { "westus3", "West US 3", "US", "eastus", 33.448376, -112.074036 },
  { "centralus", "Central US", "US", "eastus2", 41.5908, -93.6208 },
  { "northcentralus", "North Central US", "US", "southcentralus", 41.8819, -87.6278 },
  { "southcentralus", "South Central US", "US", "northcentralus", 29.4167, -98.5 },
  { "westcentralus", "West Central US", "US", "westus2", 40.89, -110.234 },
  { "canadacentral", "Canada Central", "Canada", "canadaeast", 43.653, -79.383 },
  { "canadaeast", "Canada East", "Canada", "canadacentral", 46.817, -71.217 },
  { "brazilsouth", "Brazil South", "South America", "southcentralus", -23.55, -46.633 },
  { "northeurope", "North Europe", "Europe", "westeurope", 53.3478, -6.2597 },
  { "westeurope", "West Europe", "Europe", "northeurope", 52.3667, 4.9 },
  { "uksouth", "UK South", "UK", "ukwest", 50.941, -0.799 },
  { "ukwest", "UK West", "UK", "uksouth", 53.427, -3.084 },
  { "francecentral", "France Central", "Europe", "francesouth", 46.3772, 2.373 },
  { "francesouth", "France South", "Europe", "francecentral", 43.8345, 2.1972 },
  { "germanywestcentral", "Germany West Central", "Europe", "germanynorth", 50.110924, 8.682127 },
  { "germanynorth", "Germany North", "Europe", "germanywestcentral", 53.073635, 8.806422 },
  { "switzerlandnorth", "Switzerland North", "Europe", "switzerlandwest", 47.451542, 8.564572 },
  { "switzerlandwest", "Switzerland West", "Europe", "switzerlandnorth", 46.204391, 6.143158 },
  { "norwayeast", "Norway East", "Europe", "norwaywest", 59.913868, 10.752245 },
  { "norwaywest", "Norway West", "Europe", "norwayeast", 58.969975, 5.733107 },
  { "swedencentral", "Sweden Central", "Europe", "swedensouth", 60.67488, 17.14127 },
  { "swedensouth", "Sweden South", "Europe", "swedencentral", 55.6, 13.0 },
  { "polandcentral", "Poland Central", "Europe", "", 52.23334, 21.01666 },
  { "italynorth", "Italy North", "Europe", "", 45.46888, 9.18109 },
  { "spaincentral", "Spain Central", "Europe", "", 40.4259, -3.4209 },
  { "southeastasia", "Southeast Asia", "Asia Pacific", "eastasia", 1.283, 103.833 },
  { "eastasia", "East Asia", "Asia Pacific", "southeastasia", 22.267, 114.188 },
  { "japaneast", "Japan East", "Asia Pacific", "japanwest", 35.68, 139.77 },
  { "japanwest", "Japan West", "Asia Pacific", "japaneast", 34.6939, 135.5022 },
  { "koreacentral", "Korea Central", "Asia Pacific", "koreasouth", 37.5665, 126.978 },
  { "koreasouth", "Korea South", "Asia Pacific", "koreacentral", 35.1796, 129.0756 },
  { "centralindia", "Central India", "Asia Pacific", "southindia", 18.5822, 73.9197 },
  { "southindia", "South India", "Asia Pacific", "centralindia", 12.9822, 80.1636 },
  { "westindia", "West India", "Asia Pacific", "southindia", 19.088, 72.868 },
  { "australiaeast", "Australia East", "Asia Pacific", "australiasoutheast", -33.86, 151.2094 },
  { "australiasoutheast", "Australia Southeast", "Asia Pacific", "australiaeast", -37.8136, 144.9631 },
  { "australiacentral", "Australia Central", "Asia Pacific", "australiacentral", -35.3075, 149.1244 },
  { "newzealandnorth", "New Zealand North", "Asia Pacific", "", -36.84853, 174.76349 },
  { "southafricanorth", "South Africa North", "Africa", "southafricawest", -25.73134, 28.21837 },
  { "southafricawest", "South Africa West", "Africa", "southafricanorth", -34.075691, 18.843266 },
  { "uaenorth", "UAE North", "Middle East", "uaecentral", 25.266666, 55.316666 },
  { "uaecentral", "UAE Central", "Middle East", "uaenorth", 24.466667, 54.366669 },
  { "qatarcentral", "Qatar Central", "Middle East", "", 25.551462, 51.439327 },
  { "israelcentral", "Israel Central", "Middle East", "", 31.2655698, 33.4506633 },
};

/* Invented regions are made once and live as long as the process. */
static Region *
invented(guint number)
{
  static GPtrArray *made; /* of regions that are never changed */
  if (made == NULL)
    made = g_ptr_array_new();
  while (made->len <= number) {
    Region *region = g_new0(Region, 1);
    region->name = g_strdup_printf("region%03u", made->len);
    region->display = g_strdup_printf("Region %03u", made->len);
    region->geography = "Elsewhere";
    region->pair = g_strdup_printf("region%03u", made->len ^ 1u);
    region->latitude = (double) made->len / 10;
    g_ptr_array_add(made, region);
  }
  return g_ptr_array_index(made, number);
}

static char *
plain(const char *name)
{
  g_auto(GStrv) words = g_strsplit(name, " ", -1);
  g_autofree char *joined = g_strjoinv("", words);
  return g_ascii_strdown(joined, -1);
}

gboolean
regions_same(const char *a, const char *b)
{
  g_autofree char *first = plain(a), *second = plain(b);
  return g_str_equal(first, second);
}

GPtrArray *
regions_all(Double *world)
{
  GPtrArray *list = g_ptr_array_new();
  for (guint i = 0; i < G_N_ELEMENTS(known); i++)
    g_ptr_array_add(list, &known[i]);
  guint extra = (guint) json_int_at(world->settings, "extra_regions", 0);
  for (guint i = 0; i < extra; i++)
    g_ptr_array_add(list, invented(i));
  return list;
}

const Region *
regions_find(Double *world, const char *name)
{
  g_autofree char *wanted = plain(name);
  g_autoptr(GPtrArray) list = regions_all(world);
  for (guint i = 0; i < list->len; i++) {
    const Region *region = g_ptr_array_index(list, i);
    if (g_str_equal(region->name, wanted))
      return region;
  }
  return NULL;
}
