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

static Item *
item_of(GArray *items, const char *pair)
{
  for (guint i = 0; i < items->len; i++)
    if (g_str_equal(g_array_index(items, Item, i).pair, pair))
      return &g_array_index(items, Item, i);
  Item item = { g_strdup(pair), 0, 0 };
  g_array_append_val(items, item);
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
  g_variant_iter_init(&iter, news);
  while (g_variant_iter_next(&iter, "{&s(xx)}", &pair, &watched_s, &healed)) {
    Item *item = item_of(items, pair);
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

double
az_vantage_history_rate(GVariant *history, const char *vantage)
{
  gsize length = strlen(vantage);
  double windows = 0, healed = 0;
  g_autoptr(GArray) items = items_of(history);
  for (guint i = 0; i < items->len; i++) {
    const Item *item = &g_array_index(items, Item, i);
    if (strncmp(item->pair, vantage, length) != 0 || item->pair[length] != '>')
      continue;
    windows += (double) item->watched_s / AZ_VANTAGE_WINDOW_S;
    healed += (double) item->healed;
  }
  if (windows < LEAST_WINDOWS)
    return 0;
  double before = g_str_equal(vantage, "here") ? BEFORE_HERE : BEFORE_WITNESS;
  return (healed + before) / (windows + LEAST_WINDOWS);
}
