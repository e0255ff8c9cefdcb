/* The history of vantages: adding to it, keeping it small, and the rate that it amounts to. */
#include "vantage-history.h"

#include <string.h>

#define MAX_PAIRS 1000
#define FADE_S (10000 * AZ_VANTAGE_WINDOW_S) /* ten weeks of watching; more than that says little about today */
#define LEAST_WINDOWS 100                    /* fewer say nothing that was not known before */
/* What is known before any history: spells per LEAST_WINDOWS, of a laptop's road and of a data centre's. They fade as
 * windows come in, so that a quiet first day is not taken for a road without fault. */
#define BEFORE_HERE 0.3
#define BEFORE_WITNESS 0.1

typedef struct {
  char *pair;
  gint64 watched_s, healed;
} Item;

typedef struct { /* of one vantage */
  double windows, healed;
} Sum;

static void
item_clear(gpointer data)
{
  g_free(((Item *) data)->pair);
}

static gboolean
read_item(GVariant *value, Item *ret_item)
{
  return g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT)
         && g_variant_lookup(value, "watched_s", "x", &ret_item->watched_s)
         && g_variant_lookup(value, "healed", "x", &ret_item->healed) && ret_item->watched_s >= 0
         && ret_item->watched_s <= FADE_S && ret_item->healed >= 0 && ret_item->healed <= FADE_S;
}

/* What does not read as history is none. */
static GArray *
items_of(GVariant *history)
{
  GVariantIter iter;
  const char *pair;
  GVariant *value;
  GArray *items = g_array_new(FALSE, TRUE, sizeof(Item));
  g_array_set_clear_func(items, item_clear);
  if (history == NULL || !g_variant_is_of_type(history, G_VARIANT_TYPE_VARDICT))
    return items;
  g_variant_iter_init(&iter, history);
  while (g_variant_iter_next(&iter, "{&sv}", &pair, &value)) {
    Item item = { NULL, 0, 0 };
    if (read_item(value, &item)) {
      item.pair = g_strdup(pair);
      g_array_append_val(items, item);
    }
    g_variant_unref(value);
  }
  return items;
}

/* pair, borrowed -> its place in `items` and one more */
static GHashTable *
places_of(GArray *items)
{
  GHashTable *places = g_hash_table_new(g_str_hash, g_str_equal);
  for (guint i = 0; i < items->len; i++)
    g_hash_table_insert(places, g_array_index(items, Item, i).pair, GUINT_TO_POINTER(i + 1));
  return places;
}

static Item *
item_of(GArray *items, GHashTable *places, const char *pair)
{
  guint place = GPOINTER_TO_UINT(g_hash_table_lookup(places, pair));
  if (place > 0)
    return &g_array_index(items, Item, place - 1);
  Item item = { g_strdup(pair), 0, 0 };
  g_array_append_val(items, item);
  g_hash_table_insert(places, item.pair, GUINT_TO_POINTER(items->len));
  return &g_array_index(items, Item, items->len - 1);
}

static int
most_watched_first(gconstpointer left, gconstpointer right)
{
  gint64 a = ((const Item *) left)->watched_s, b = ((const Item *) right)->watched_s;
  return (a < b) - (a > b);
}

static GVariant *
variant_of(const GArray *items)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  for (guint i = 0; i < items->len; i++) {
    const Item *item = &g_array_index(items, Item, i);
    GVariantDict dict;
    g_variant_dict_init(&dict, NULL);
    g_variant_dict_insert(&dict, "watched_s", "x", item->watched_s);
    g_variant_dict_insert(&dict, "healed", "x", item->healed);
    g_variant_builder_add(&builder, "{sv}", item->pair, g_variant_dict_end(&dict));
  }
  return g_variant_builder_end(&builder);
}

GVariant *
az_vantage_history_add(GVariant *history, GVariant *news)
{
  GVariantIter iter;
  const char *pair;
  gint64 watched_s, healed;
  g_autoptr(GArray) items = items_of(history);
  g_autoptr(GHashTable) places = places_of(items);
  g_variant_iter_init(&iter, news);
  while (g_variant_iter_next(&iter, "{&s(xx)}", &pair, &watched_s, &healed)) {
    Item *item = item_of(items, places, pair);
    item->watched_s = CLAMP(item->watched_s + CLAMP(watched_s, 0, FADE_S), 0, 2 * FADE_S);
    item->healed += CLAMP(healed, 0, 1000);
    while (item->watched_s > FADE_S || item->healed > FADE_S) {
      item->watched_s /= 2;
      item->healed = (item->healed + 1) / 2;
    }
  }
  if (items->len > MAX_PAIRS) {
    g_array_sort(items, most_watched_first);
    g_array_set_size(items, MAX_PAIRS);
  }
  return variant_of(items);
}

static double
rate_of(const char *vantage, const Sum *sum)
{
  if (sum->windows < LEAST_WINDOWS)
    return 0;
  double before = g_str_equal(vantage, "here") ? BEFORE_HERE : BEFORE_WITNESS;
  return (sum->healed + before) / (sum->windows + LEAST_WINDOWS);
}

/* vantage -> Sum */
static GHashTable *
sums_of(GVariant *history)
{
  GHashTable *sums = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  g_autoptr(GArray) items = items_of(history);
  for (guint i = 0; i < items->len; i++) {
    const Item *item = &g_array_index(items, Item, i);
    const char *end = strchr(item->pair, '>');
    if (end == NULL)
      continue;
    g_autofree char *vantage = g_strndup(item->pair, (gsize) (end - item->pair));
    Sum *sum = g_hash_table_lookup(sums, vantage);
    if (sum == NULL)
      g_hash_table_insert(sums, g_steal_pointer(&vantage), sum = g_new0(Sum, 1));
    sum->windows += (double) item->watched_s / AZ_VANTAGE_WINDOW_S;
    sum->healed += (double) item->healed;
  }
  return sums;
}

GHashTable *
az_vantage_history_rates(GVariant *history)
{
  GHashTableIter iter;
  gpointer vantage, sum;
  GHashTable *rates = sums_of(history);
  g_hash_table_iter_init(&iter, rates);
  while (g_hash_table_iter_next(&iter, &vantage, &sum)) {
    double rate = rate_of(vantage, sum);
    g_hash_table_iter_replace(&iter, g_memdup2(&rate, sizeof rate));
  }
  return rates;
}
