/* Before anything is made: whether all machines of a plan fit their regions, and where else one would. */
#include "arm.h"
#include "catalogue.h"
#include <string.h>

#define OTHER_SIZES 2
#define OTHER_ZONES 1
#define OTHER_REGIONS 3 /* are looked for; so many are read at a time */

typedef struct { /* one machine, copied from its spec */
  char *region, *vm_size, *zone;
  CapacityWish wish; /* borrows them */
} Machine;

typedef struct {
  Azure *azure;
  AzlinOp *op;
  GPtrArray *machines; /* of Machine */
} Preflight;

static void
machine_free(gpointer data)
{
  Machine *machine = data;
  g_free(machine->region);
  g_free(machine->vm_size);
  g_free(machine->zone);
  g_free(machine);
}

static Machine *
machine_new(const AzlinVmSpec *spec)
{
  Machine *machine = g_new0(Machine, 1);
  machine->region = g_strdup(spec->region);
  machine->vm_size = g_strdup(spec->vm_size ? spec->vm_size : "");
  machine->zone = g_strdup(spec->zone ? spec->zone : "");
  machine->wish = (CapacityWish){ machine->vm_size, machine->zone, capacity_image(spec->image) };
  return machine;
}

/* ---- preflight ---- */

static void
preflight_free(Preflight *preflight)
{
  g_ptr_array_unref(preflight->machines);
  g_free(preflight);
}

/* A region that cannot be looked up may have room: only the creation will tell. The message of an error carries its
 * next steps behind a control character; a note has room for the sentence alone. */
static GVariant *
unknown(const char *region, const GError *error)
{
  GVariantDict verdict;
  const char *why = error ? error->message : "the look-up was cut short";
  gsize length = 0;
  while ((guchar) why[length] >= ' ')
    length++;
  g_autofree char *sentence = g_strndup(why, length);
  g_variant_dict_init(&verdict, NULL);
  g_variant_dict_insert(&verdict, "ok", "b", TRUE);
  g_variant_dict_insert_value(&verdict, "note",
                              g_variant_new_printf("Room and quota of %s were not checked: %s", region, sentence));
  return g_variant_dict_end(&verdict);
}

/* Floating. The empty one: what else could be said is no help where a quota is full. */
static GVariant *
quota_steps(const char *region)
{
  g_autofree char *see = g_strdup_printf("See the limits: az vm list-usage --location %s --output table", region);
  const char *steps[] = { "Ask for a higher limit: https://aka.ms/ProdportalCRP", see, "", NULL };
  return g_variant_new_strv(steps, -1);
}

static GVariant *
verdict_of(Azure *azure, GHashTable *errors, CapacityLedger *ledger, const Machine *machine)
{
  const GError *error = g_hash_table_lookup(errors, machine->region);
  const CapacityRegion *region = catalogue_region(azure, machine->region);
  GVariantDict verdict;
  if (error || !region)
    return unknown(machine->region, error);
  CapacityVerdict found = capacity_fits(region, ledger, &machine->wish);
  if (!found.code)
    capacity_reserve(region, ledger, &machine->wish);
  g_variant_dict_init(&verdict, NULL);
  g_variant_dict_insert(&verdict, "ok", "b", found.code == NULL);
  if (found.code) {
    g_variant_dict_insert(&verdict, "code", "s", found.code);
    g_variant_dict_insert_value(&verdict, "message", g_variant_new_take_string(found.message));
    if (g_str_equal(found.code, "QuotaExceeded"))
      g_variant_dict_insert_value(&verdict, "steps", quota_steps(machine->region));
  }
  return g_variant_dict_end(&verdict);
}

/* Without a login or with a wrong subscription no creation will do better. */
static const GError *
hopeless(GHashTable *errors)
{
  GHashTableIter iter;
  gpointer error;
  g_hash_table_iter_init(&iter, errors);
  while (g_hash_table_iter_next(&iter, NULL, &error))
    if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_AUTH)
        || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG))
      return error;
  return NULL;
}

static void
on_read(Azure *azure, GHashTable *errors, gpointer data)
{
  Preflight *preflight = data;
  AzlinOp *op = preflight->op;
  GVariantBuilder verdicts;
  g_autoptr(GHashTable) ledger = capacity_ledger_new();
  if (hopeless(errors)) {
    preflight_free(preflight);
    azure->api->op_fail(op, g_error_copy(hopeless(errors)));
    return;
  }
  g_variant_builder_init(&verdicts, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; i < preflight->machines->len; i++)
    g_variant_builder_add_value(&verdicts,
                                verdict_of(azure, errors, ledger, g_ptr_array_index(preflight->machines, i)));
  preflight_free(preflight);
  azure->api->op_finish_variant(op, g_variant_builder_end(&verdicts));
}

static void
on_ready(Azure *azure, const GError *error, gpointer data)
{
  Preflight *preflight = data;
  AzlinOp *op = preflight->op;
  if (error) {
    preflight_free(preflight);
    azure->api->op_fail(op, g_error_copy(error));
    return;
  }
  g_autoptr(GPtrArray) regions = g_ptr_array_new(), sizes = g_ptr_array_new();
  for (guint i = 0; i < preflight->machines->len; i++) {
    const Machine *machine = g_ptr_array_index(preflight->machines, i);
    g_ptr_array_add(regions, machine->region);
    if (!g_ptr_array_find_with_equal_func(sizes, machine->vm_size, g_str_equal, NULL))
      g_ptr_array_add(sizes, machine->vm_size);
  }
  g_ptr_array_add(regions, NULL);
  g_ptr_array_add(sizes, NULL);
  catalogue_read(azure, op, (const char *const *) regions->pdata, (const char *const *) sizes->pdata, on_read,
                 preflight);
}

void
azure_preflight(gpointer self, const AzlinVmSpec *const *specs, AzlinOp *op)
{
  Preflight *preflight = g_new0(Preflight, 1);
  *preflight = (Preflight){ .azure = self, .op = op };
  preflight->machines = g_ptr_array_new_with_free_func(machine_free);
  for (; *specs; specs++)
    g_ptr_array_add(preflight->machines, machine_new(*specs));
  azure_ready(self, op, on_ready, preflight);
}

/* ---- alternatives ---- */

typedef struct {
  Azure *azure;
  AzlinOp *op;
  Machine *machine;
  char **regions;           /* those that may be offered; in order of preference once that is known */
  guint next, found, added; /* regions read, regions with room, places altogether */
  GVariantBuilder places;
} Search;

static void read_more(Search *search);

static void
search_end(Search *search, const GError *error)
{
  const AzlinHostApi *api = search->azure->api;
  AzlinOp *op = search->op;
  g_autoptr(GVariant) places = g_variant_ref_sink(g_variant_builder_end(&search->places));
  machine_free(search->machine);
  g_strfreev(search->regions);
  g_free(search);
  if (error)
    api->op_fail(op, g_error_copy(error));
  else
    api->op_finish_variant(op, places);
}

static void
add_place(Search *search, const char *region, const char *vm_size, const char *zone, const char *reason)
{
  GVariantDict place;
  g_variant_dict_init(&place, NULL);
  g_variant_dict_insert(&place, "region", "s", region);
  g_variant_dict_insert(&place, "vm_size", "s", vm_size);
  g_variant_dict_insert(&place, "zone", "s", zone);
  g_variant_dict_insert(&place, "reason", "s", reason);
  g_variant_builder_add_value(&search->places, g_variant_dict_end(&place));
  search->added++;
}

static void
add_sizes(Search *search, const CapacityRegion *region, const CapacitySize *like, const char *zone, guint max)
{
  const CapacityWish wish = { .vm_size = like->name, .zone = zone, .image = search->machine->wish.image };
  g_autoptr(GPtrArray) sizes = capacity_other_sizes(region, NULL, &wish, like, max);
  for (guint i = 0; i < sizes->len; i++) {
    const CapacitySize *size = g_ptr_array_index(sizes, i);
    g_autofree char *reason
        = g_strdup_printf("%u vCPUs, %g GiB, %s", size->vcpus, size->memory_mb / 1024.0, size->family);
    add_place(search, region->name, size->name, zone, reason);
  }
}

static void
add_zones(Search *search, const CapacityRegion *region)
{
  guint8 zones = capacity_other_zones(region, NULL, &search->machine->wish);
  guint added = 0;
  for (int zone = 1; zone < 8 && added < OTHER_ZONES; zone++) {
    const char text[] = { (char) ('0' + zone), '\0' };
    if (!(zones & (1u << zone)))
      continue;
    add_place(search, region->name, search->machine->vm_size, text, "another zone of the same region");
    added++;
  }
}

/* How big the wanted size is: where its own region does not offer it, another one tells. */
static const CapacitySize *
wanted_size(const Search *search)
{
  const CapacityRegion *home = catalogue_region(search->azure, search->machine->region);
  const CapacitySize *size = home ? capacity_region_find(home, search->machine->vm_size) : NULL;
  for (guint i = 0; !size && i < search->next; i++) {
    const CapacityRegion *region = catalogue_region(search->azure, search->regions[i]);
    size = region ? capacity_region_find(region, search->machine->vm_size) : NULL;
  }
  return size;
}

static void
add_region(Search *search, const char *name)
{
  const CapacityRegion *region = catalogue_region(search->azure, name);
  const CapacityWish wish = { .vm_size = search->machine->vm_size, .image = search->machine->wish.image };
  const CapacitySize *like = wanted_size(search);
  guint before = search->added;
  if (!region)
    return;
  CapacityVerdict verdict = capacity_fits(region, NULL, &wish);
  g_free(verdict.message);
  if (!verdict.code)
    add_place(search, name, wish.vm_size, "", "the same size in another region");
  else if (like)
    add_sizes(search, region, like, "", 1);
  search->found += search->added > before;
}

static void
on_regions_read(Azure *azure, GHashTable *errors, gpointer data)
{
  Search *search = data;
  guint first = search->next;
  for (guint i = 0; i < OTHER_REGIONS && search->regions[search->next]; i++)
    search->next++;
  for (guint i = first; i < search->next; i++)
    if (!g_hash_table_contains(errors, search->regions[i]))
      add_region(search, search->regions[i]);
  if (azure->api->op_cancelled(search->op))
    search_end(search, NULL);
  else
    read_more(search);
}

static void
read_more(Search *search)
{
  const char *some[OTHER_REGIONS + 1] = { NULL };
  for (guint i = 0; i < OTHER_REGIONS && search->regions[search->next + i]; i++)
    some[i] = search->regions[search->next + i];
  if (!some[0] || search->found >= OTHER_REGIONS)
    search_end(search, NULL);
  else
    catalogue_read(search->azure, search->op, some, NULL, on_regions_read, search);
}

static void
on_places(Azure *azure, GHashTable *places, gpointer data)
{
  Search *search = data;
  char **ordered = places_order(places, search->machine->region, (const char *const *) search->regions);
  g_strfreev(search->regions);
  search->regions = ordered;
  if (azure->api->op_cancelled(search->op))
    search_end(search, NULL);
  else
    read_more(search);
}

static void
on_home_read(Azure *azure, GHashTable *errors, gpointer data)
{
  Search *search = data;
  const CapacityRegion *home = catalogue_region(azure, search->machine->region);
  const CapacitySize *like = wanted_size(search);
  if (home && like && !g_hash_table_contains(errors, search->machine->region)) {
    add_sizes(search, home, like, search->machine->zone, OTHER_SIZES);
    add_zones(search, home);
  }
  if (!search->regions[0] || azure->api->op_cancelled(search->op))
    search_end(search, NULL);
  else
    catalogue_read_places(azure, search->op, on_places, search);
}

static void
on_search_ready(Azure *azure, const GError *error, gpointer data)
{
  Search *search = data;
  const char *home[] = { search->machine->region, NULL };
  if (error)
    search_end(search, error);
  else
    catalogue_read(azure, search->op, home, NULL, on_home_read, search);
}

void
azure_alternatives(gpointer self, const AzlinVmSpec *spec, const char *const *regions, AzlinOp *op)
{
  Search *search = g_new0(Search, 1);
  g_autoptr(GStrvBuilder) copy = g_strv_builder_new();
  *search = (Search){ .azure = self, .op = op, .machine = machine_new(spec) };
  for (; *regions; regions++)
    g_strv_builder_add(copy, *regions);
  search->regions = g_strv_builder_end(copy);
  g_variant_builder_init(&search->places, G_VARIANT_TYPE("aa{sv}"));
  azure_ready(self, op, on_search_ready, search);
}
