/* What a watch tells: events with their time, and lines that stand as long as what they say. */
#include "flow-watch.h"

#define RETELL_US (60 * G_USEC_PER_SEC) /* a text that counts down says nothing new for so long */

typedef struct {
  char *key, *text;
  gint64 told; /* wall time */
} Line;

static void
line_free(gpointer data)
{
  Line *line = data;

  g_free(line->key);
  g_free(line->text);
  g_free(line);
}

static gint64
now(AzWatch *watch)
{
  return az_clock_now(az_engine_clock(watch->engine));
}

char *
az_watch_clock(gint64 wall)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_local(wall / G_USEC_PER_SEC);

  return g_date_time_format(time, "%F %T");
}

static void
add_all(GVariantBuilder *into, GVariant *facts)
{
  GVariantIter iter;
  const char *key;
  GVariant *value;

  if (facts == NULL)
    return;
  g_variant_iter_init(&iter, facts);
  while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
    g_variant_builder_add(into, "{sv}", key, value);
}

void
az_watch_tell(AzWatch *watch, const char *name, GVariant *facts)
{
  g_autoptr(GVariant) sunk = facts != NULL ? g_variant_ref_sink(facts) : NULL;
  g_autofree char *time = az_time_to_string(now(watch));
  GVariantBuilder all;

  g_variant_builder_init(&all, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&all, "{sv}", "time", g_variant_new_string(time));
  add_all(&all, sunk);
  az_job_event(watch->job, name, g_variant_builder_end(&all));
}

/* Whether that says anything new. */
static gboolean
is_news(AzWatch *watch, const Line *old, const char *key, const char *text)
{
  if (old == NULL || text == NULL)
    return old != NULL || text != NULL;
  if (!g_str_equal(old->key, key))
    return TRUE;
  gboolean counts_down = g_str_has_prefix(key, "held:") && now(watch) - old->told < RETELL_US;
  return !counts_down && !g_str_equal(old->text, text);
}

gboolean
az_watch_stand(AzWatch *watch, const char *name, const char *key, const char *level, const char *text, GVariant *facts)
{
  g_autoptr(GVariant) sunk = facts != NULL ? g_variant_ref_sink(facts) : NULL;
  const Line *old = watch->standing != NULL ? g_hash_table_lookup(watch->standing, name) : NULL;
  gboolean other_key = old == NULL || text == NULL || !g_str_equal(old->key, key);
  GVariantBuilder told;

  if (!is_news(watch, old, key, text))
    return FALSE;
  if (watch->standing == NULL)
    watch->standing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, line_free);
  g_variant_builder_init(&told, G_VARIANT_TYPE_VARDICT);
  add_all(&told, sunk);
  if (text != NULL) {
    Line *line = g_new(Line, 1);
    *line = (Line){ g_strdup(key), g_strdup(text), now(watch) };
    g_hash_table_insert(watch->standing, g_strdup(name), line);
    g_variant_builder_add(&told, "{sv}", "level", g_variant_new_string(level));
  } else {
    g_hash_table_remove(watch->standing, name);
  }
  g_variant_builder_add(&told, "{sv}", "line", text != NULL ? g_variant_new_string(text) : az_null());
  az_watch_tell(watch, name, g_variant_builder_end(&told));
  return other_key;
}
