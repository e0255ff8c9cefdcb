/* Sizes and quotas of regions as Azure lists them, read once in this process for a while, many regions side by side. */
#include "catalogue.h"
#include "arm.h"

#define FRESH_S 120    /* quotas change with each machine, also of others */
#define SIDE_BY_SIDE 8 /* a list of sizes may have megabytes: so many are held at once */
#define MAX_PAGES 100

struct _ArmCache {
  GStringChunk *names;
  GHashTable *regions; /* name -> Entry */
  GHashTable *places;  /* as capacity_places() makes it; NULL = not read */
};

typedef struct {
  CapacityRegion *region;
  gint64 read_at;
} Entry;

typedef struct { /* one catalogue_read() */
  Azure *azure;
  AzlinOp *op;
  GPtrArray *todo; /* of char* */
  GHashTable *errors;
  guint next, running;
  CatalogueDone done;
  gpointer data;
} Batch;

typedef struct { /* one region of it: two lists, each page by page */
  Batch *batch;
  CapacityRegion *region;
  char *error;
  guint lists;
} Reading;

typedef void (*TakePage)(CapacityRegion *region, const json_t *elements);
typedef struct {
  Reading *reading;
  TakePage take;
  guint pages;
} List;

static void
entry_free(gpointer data)
{
  Entry *entry = data;
  capacity_region_free(entry->region);
  g_free(entry);
}

static ArmCache *
catalogue_of(Azure *azure)
{
  if (azure->catalogue)
    return azure->catalogue;
  azure->catalogue = g_new0(ArmCache, 1);
  azure->catalogue->names = g_string_chunk_new(16384);
  azure->catalogue->regions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
  return azure->catalogue;
}

void
catalogue_free(ArmCache *catalogue)
{
  if (!catalogue)
    return;
  g_hash_table_unref(catalogue->regions);
  g_clear_pointer(&catalogue->places, g_hash_table_unref);
  g_string_chunk_free(catalogue->names);
  g_free(catalogue);
}

const CapacityRegion *
catalogue_region(Azure *azure, const char *region)
{
  const Entry *entry = g_hash_table_lookup(catalogue_of(azure)->regions, region);
  return entry ? entry->region : NULL;
}

static gboolean
is_fresh(Azure *azure, const char *region)
{
  const Entry *entry = g_hash_table_lookup(catalogue_of(azure)->regions, region);
  gint64 now = azure->api->monotonic(azure->host);
  return entry && now - entry->read_at < (gint64) FRESH_S * G_USEC_PER_SEC;
}

/* ---- one region ---- */

static void start_next(Batch *batch);

static void
batch_free(Batch *batch)
{
  g_ptr_array_unref(batch->todo);
  g_hash_table_unref(batch->errors);
  g_free(batch);
}

static void
keep(Reading *reading)
{
  Azure *azure = reading->batch->azure;
  if (!reading->error && reading->region->sizes->len == 0)
    reading->error = g_strdup("Azure lists no machine sizes for it");
  if (reading->error) {
    g_hash_table_replace(reading->batch->errors, g_strdup(reading->region->name), g_strdup(reading->error));
    return;
  }
  Entry *entry = g_new0(Entry, 1);
  entry->region = g_steal_pointer(&reading->region);
  entry->read_at = azure->api->monotonic(azure->host);
  g_hash_table_replace(catalogue_of(azure)->regions, g_strdup(entry->region->name), entry);
}

static void
list_ended(List *list)
{
  Reading *reading = list->reading;
  Batch *batch = reading->batch;
  g_free(list);
  if (--reading->lists > 0)
    return;
  keep(reading);
  g_clear_pointer(&reading->region, capacity_region_free);
  g_free(reading->error);
  g_free(reading);
  batch->running--;
  start_next(batch);
}

static void
fail_list(List *list, const char *why)
{
  Reading *reading = list->reading;
  if (!reading->error)
    reading->error = g_strdup(why);
  list_ended(list);
}

static void
on_page(const ArmReply *reply, gpointer data)
{
  List *list = data;
  Reading *reading = list->reading;
  Batch *batch = reading->batch;
  const json_t *elements = json_object_get(reply->body, "value");
  const char *more = json_string_value(json_object_get(reply->body, "nextLink"));
  if (reply->error || !json_is_array(elements)) {
    fail_list(list, reply->error ? reply->error->message : "Azure's answer is no list");
    return;
  }
  list->take(reading->region, elements);
  if (!more || !*more || reading->error || batch->azure->api->op_cancelled(batch->op)) {
    list_ended(list);
    return;
  }
  if (++list->pages == MAX_PAGES) {
    fail_list(list, "Azure's list does not end");
    return;
  }
  const ArmCall call = { .method = "GET", .path = more };
  arm_call(batch->azure, batch->op, &call, on_page, list);
}

static void
read_list(Reading *reading, const char *path, const char *version, TakePage take)
{
  List *list = g_new0(List, 1);
  const ArmCall call = { .method = "GET", .path = path, .version = version };
  *list = (List){ .reading = reading, .take = take };
  arm_call(reading->batch->azure, reading->batch->op, &call, on_page, list);
}

static void
read_region(Batch *batch, const char *name)
{
  Azure *azure = batch->azure;
  Reading *reading = g_new0(Reading, 1);
  g_autofree char *escaped = g_uri_escape_string(name, NULL, FALSE);
  g_autofree char *sizes
      = g_strdup_printf("/subscriptions/%s/providers/Microsoft.Compute/skus?$filter=location%%20eq%%20%%27%s%%27",
                        azure->subscription, escaped);
  g_autofree char *usages = g_strdup_printf("/subscriptions/%s/providers/Microsoft.Compute/locations/%s/usages",
                                            azure->subscription, escaped);
  *reading = (Reading){ .batch = batch, .region = capacity_region_new(name, catalogue_of(azure)->names), .lists = 2 };
  batch->running++;
  read_list(reading, sizes, ARM_SKUS, capacity_region_add_sizes);
  read_list(reading, usages, ARM_COMPUTE, capacity_region_add_usages);
}

/* ---- many ---- */

static void
start_next(Batch *batch)
{
  const AzlinHostApi *api = batch->azure->api;
  while (batch->next < batch->todo->len && batch->running < SIDE_BY_SIDE && !api->op_cancelled(batch->op))
    read_region(batch, g_ptr_array_index(batch->todo, batch->next++));
  if (batch->running > 0)
    return;
  batch->done(batch->azure, batch->errors, batch->data);
  batch_free(batch);
}

void
catalogue_read(Azure *azure, AzlinOp *op, const char *const *regions, CatalogueDone done, gpointer data)
{
  Batch *batch = g_new0(Batch, 1);
  *batch = (Batch){ .azure = azure, .op = op, .done = done, .data = data };
  batch->todo = g_ptr_array_new_with_free_func(g_free);
  batch->errors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  for (; *regions; regions++)
    if (!is_fresh(azure, *regions) && !g_ptr_array_find_with_equal_func(batch->todo, *regions, g_str_equal, NULL))
      g_ptr_array_add(batch->todo, g_strdup(*regions));
  start_next(batch);
}

/* ---- places ---- */

typedef struct {
  Azure *azure;
  CataloguePlaces done;
  gpointer data;
} Places;

static void
on_places(const ArmReply *reply, gpointer data)
{
  g_autofree Places *places = data;
  ArmCache *catalogue = catalogue_of(places->azure);
  g_autoptr(GHashTable) found = capacity_places(json_object_get(reply->body, "value"));
  if (!reply->error && g_hash_table_size(found) > 0 && !catalogue->places)
    catalogue->places = g_hash_table_ref(found);
  places->done(places->azure, found, places->data);
}

void
catalogue_read_places(Azure *azure, AzlinOp *op, CataloguePlaces done, gpointer data)
{
  ArmCache *catalogue = catalogue_of(azure);
  if (catalogue->places) {
    done(azure, catalogue->places, data);
    return;
  }
  Places *places = g_new0(Places, 1);
  g_autofree char *path = g_strdup_printf("/subscriptions/%s/locations", azure->subscription);
  const ArmCall call = { .method = "GET", .path = path, .version = ARM_SUBSCRIPTIONS };
  *places = (Places){ .azure = azure, .done = done, .data = data };
  arm_call(azure, op, &call, on_places, places);
}
