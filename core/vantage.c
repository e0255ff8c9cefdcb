/* The last verdict of each vantage about each region, and its history, kept in vantages.json: without an UP there a
 * vantage does not count. */
#include "files.h"
#include "health.h"
#include "vantage-history.h"

#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define MAX_BYTES (4 * 1024 * 1024)
#define MAX_PAIRS 30000   /* of ten thousand regions with their witnesses; at that many the file is half of MAX_BYTES */
#define HISTORY "history" /* no pair's name: those have a '>' */

static GVariant *
load(AzEngine *engine)
{
  g_autofree char *path = az_paths_file(az_engine_paths(engine), "vantages.json");
  g_autofree char *text = NULL;
  gsize length;
  if (!g_file_get_contents(path, &text, &length, NULL) || length > MAX_BYTES)
    return NULL;
  GVariant *value = az_json_parse(text, length, NULL);
  if (value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT))
    return g_variant_take_ref(value);
  if (value != NULL)
    g_variant_unref(g_variant_take_ref(value));
  return NULL;
}

GVariant *
az_vantage_all(AzEngine *engine)
{
  return load(engine);
}

gboolean
az_vantage_was_up(AzEngine *engine, const char *vantage, const char *region)
{
  gboolean up = FALSE;
  g_autofree char *pair = g_strdup_printf("%s>%s", vantage, region);
  g_autoptr(GVariant) all = load(engine);
  return all != NULL && g_variant_lookup(all, pair, "b", &up) && up;
}

/* "Not up" says no more than that nothing is known: where there are too many pairs, those go first. */
static GVariant *
without_surplus(GVariant *all)
{
  GVariantIter iter;
  GVariantDict dict;
  const char *pair;
  GVariant *value;
  gsize surplus = g_variant_n_children(all) > MAX_PAIRS ? g_variant_n_children(all) - MAX_PAIRS : 0;
  g_variant_dict_init(&dict, all);
  for (guint pass = 0; pass < 2 && surplus > 0; pass++) {
    g_variant_iter_init(&iter, all);
    while (surplus > 0 && g_variant_iter_next(&iter, "{&sv}", &pair, &value)) {
      gboolean is_up = g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN) && g_variant_get_boolean(value);
      g_variant_unref(value);
      if (!g_str_equal(pair, HISTORY) && is_up == (pass == 1))
        surplus -= g_variant_dict_remove(&dict, pair);
    }
  }
  return g_variant_ref_sink(g_variant_dict_end(&dict));
}

static GVariant *
merge(GVariant *old, GVariant *news, GVariant *history)
{
  GVariantDict dict;
  GVariantIter iter;
  const char *pair;
  gboolean up;
  g_variant_dict_init(&dict, old);
  if (history != NULL && g_variant_n_children(history) > 0) {
    g_autoptr(GVariant) before = g_variant_dict_lookup_value(&dict, HISTORY, NULL);
    g_variant_dict_insert_value(&dict, HISTORY, az_vantage_history_add(before, history));
  }
  g_variant_iter_init(&iter, news);
  while (g_variant_iter_next(&iter, "{&sb}", &pair, &up))
    g_variant_dict_insert(&dict, pair, "b", up);
  g_autoptr(GVariant) all = g_variant_ref_sink(g_variant_dict_end(&dict));
  return without_surplus(all);
}

/* Another azlin that stores at this moment must not stop us: without the lock the later of two writers wins. */
static int
try_lock(AzEngine *engine)
{
  g_autofree char *path = az_paths_file(az_engine_paths(engine), "vantages.lock");
  int fd = open(path, O_CREAT | O_RDWR | O_CLOEXEC | O_NOFOLLOW, 0600);
  for (int i = 0; fd >= 0 && i < 20 && flock(fd, LOCK_EX | LOCK_NB) != 0; i++)
    g_usleep(500);
  return fd;
}

void
az_vantage_store(AzEngine *engine, GVariant *verdicts)
{
  az_vantage_store_history(engine, verdicts, NULL);
}

GHashTable *
az_vantage_healed_rates(GVariant *all)
{
  g_autoptr(GVariant) history = all != NULL ? g_variant_lookup_value(all, HISTORY, G_VARIANT_TYPE_VARDICT) : NULL;
  return az_vantage_history_rates(history);
}

void
az_vantage_store_history(AzEngine *engine, GVariant *verdicts, GVariant *watched)
{
  g_autoptr(GVariant) news = g_variant_ref_sink(verdicts);
  g_autoptr(GVariant) history = watched != NULL ? g_variant_ref_sink(watched) : NULL;
  g_autofree char *path = az_paths_file(az_engine_paths(engine), "vantages.json");
  g_autoptr(GError) error = NULL;
  if (g_variant_n_children(news) == 0 && (history == NULL || g_variant_n_children(history) == 0))
    return;
  if (!az_paths_ensure(az_engine_paths(engine), &error)) {
    g_message("what was seen is not stored: %s", error->message);
    return;
  }
  int lock = try_lock(engine);
  g_autoptr(GVariant) old = load(engine);
  g_autoptr(GVariant) all = merge(old, news, history);
  g_autofree char *text = az_json_from_variant(all, 2);
  if (!az_files_write(path, text, AZ_FILES_SYNCED, &error))
    g_message("what was seen is not stored: %s", error->message);
  if (lock >= 0)
    close(lock);
}
