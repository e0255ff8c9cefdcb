/* Sizes and quotas of regions as Azure lists them, read once in this process for a while, many regions side by side. */
#include "catalogue.h"
#include "arm.h"
#include "elements.h"

#define FRESH_S 120    /* quotas change with each machine, also of others */
#define SIDE_BY_SIDE 8 /* a list of sizes may have megabytes: so many are held at once */
#define MAX_PAGES 100

struct _ArmCache {
  GStringChunk *names;
  GHashTable *regions; /* name -> Entry */
  GHashTable *places;  /* as places_read() makes it; NULL = not read */
};

typedef struct {
  CapacityRegion *region;
  char **sizes; /* those that were looked for; NULL = all */
  gint64 read_at;
} Entry;

typedef struct { /* one catalogue_read() */
  Azure *azure;
  AzlinOp *op;
  GPtrArray *todo; /* of char* */
  char **sizes;    /* NULL = all */
  GHashTable *errors;
  guint next, running;
  CatalogueDone done;
  gpointer data;
} Batch;

typedef struct { /* one region of it: two lists, each page by page */
  Batch *batch;
  CapacityRegion *region;
  GError *error;
  guint lists;
  gboolean any_size; /* the list held sizes, wanted or not */
} Reading;

typedef struct {
  Reading *reading;
  ElementsWant want; /* NULL = all */
  ElementsTake take;
  guint pages;
} List;

static void
entry_free(gpointer data)
{
  Entry *entry = data;
  capacity_region_free(entry->region);
  g_strfreev(entry->sizes);
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
holds_all(const Entry *entry, char **sizes)
{
  if (!entry->sizes)
    return TRUE;
  for (; sizes && *sizes; sizes++)
    if (!g_strv_contains((const char *const *) entry->sizes, *sizes))
      return FALSE;
  return sizes != NULL;
}

static gboolean
is_fresh(Azure *azure, const char *region, char **sizes)
{
  const Entry *entry = g_hash_table_lookup(catalogue_of(azure)->regions, region);
  gint64 now = azure->api->monotonic(azure->host);
  return entry && holds_all(entry, sizes) && now - entry->read_at < (gint64) FRESH_S * G_USEC_PER_SEC;
}

/* ---- one region ---- */

static void start_next(Batch *batch);

static void
batch_free(Batch *batch)
{
  g_ptr_array_unref(batch->todo);
  g_hash_table_unref(batch->errors);
  g_strfreev(batch->sizes);
  g_free(batch);
}

static void
keep(Reading *reading)
{
  Azure *azure = reading->batch->azure;
  if (!reading->error && !reading->any_size)
    reading->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure lists no machine sizes for it");
  if (reading->error) {
    g_hash_table_replace(reading->batch->errors, g_strdup(reading->region->name), g_error_copy(reading->error));
    return;
  }
  Entry *entry = g_new0(Entry, 1);
  entry->region = g_steal_pointer(&reading->region);
  entry->sizes = g_strdupv(reading->batch->sizes);
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
  g_clear_error(&reading->error);
  g_free(reading);
  batch->running--;
  start_next(batch);
}

static void
fail_list(List *list, const GError *error, const char *why)
{
  Reading *reading = list->reading;
  if (!reading->error)
    reading->error = error ? g_error_copy(error) : g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_FAILED, why);
  list_ended(list);
}

/* Only the sizes that are asked for are worth parsing among a thousand. */
static gboolean
wants_size(const char *text, gsize length, gpointer data)
{
  Reading *reading = ((List *) data)->reading;
  char **sizes = reading->batch->sizes;
  if (!reading->any_size)
    reading->any_size = elements_holds(text, length, "virtualMachines");
  while (sizes && *sizes && !elements_holds(text, length, *sizes))
    sizes++;
  return !sizes || *sizes;
}

static void
take_element(const json_t *element, gpointer data)
{
  List *list = data;
  list->take(element, list->reading->region);
}

static gboolean
take_page(List *list, const AzlinHttpReply *http, char **ret_more)
{
  gsize length = 0;
  const char *text = http->body ? g_bytes_get_data(http->body, &length) : NULL;
  *ret_more = NULL;
  return text && elements_each(text, length, list->want, take_element, list, ret_more);
}

static void
on_page(const ArmReply *reply, gpointer data)
{
  List *list = data;
  Reading *reading = list->reading;
  Batch *batch = reading->batch;
  g_autofree char *more = NULL;
  if (reply->error || !take_page(list, reply->http, &more)) {
    fail_list(list, reply->error, "Azure's answer is no list");
    return;
  }
  if (!more || reading->error || batch->azure->api->op_cancelled(batch->op)) {
    list_ended(list);
    return;
  }
  if (++list->pages == MAX_PAGES) {
    fail_list(list, NULL, "Azure's list does not end");
    return;
  }
  const ArmCall call = { .method = "GET", .path = more, .raw = TRUE };
  arm_call(batch->azure, batch->op, &call, on_page, list);
}

static void
read_list(Reading *reading, const char *path, const char *version, ElementsWant want, ElementsTake take)
{
  List *list = g_new0(List, 1);
  const ArmCall call = { .method = "GET", .path = path, .version = version, .raw = TRUE };
  *list = (List){ .reading = reading, .want = want, .take = take };
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
  read_list(reading, sizes, ARM_SKUS, wants_size, capacity_region_add_size);
  read_list(reading, usages, ARM_COMPUTE, NULL, capacity_region_add_usage);
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

static char **
copy_of(const char *const *words)
{
  g_autoptr(GStrvBuilder) copy = g_strv_builder_new();
  for (; *words; words++)
    g_strv_builder_add(copy, *words);
  return g_strv_builder_end(copy);
}

void
catalogue_read(Azure *azure, AzlinOp *op, const char *const *regions, const char *const *sizes, CatalogueDone done,
               gpointer data)
{
  Batch *batch = g_new0(Batch, 1);
  *batch = (Batch){ .azure = azure, .op = op, .done = done, .data = data };
  batch->sizes = sizes ? copy_of(sizes) : NULL;
  batch->todo = g_ptr_array_new_with_free_func(g_free);
  batch->errors = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_error_free);
  for (; *regions; regions++)
    if (!is_fresh(azure, *regions, batch->sizes)
        && !g_ptr_array_find_with_equal_func(batch->todo, *regions, g_str_equal, NULL))
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
  g_autoptr(GHashTable) found = places_read(json_object_get(reply->body, "value"));
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
