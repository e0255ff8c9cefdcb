/* What a watch tells: events with their time, and lines that stand as long as what they say. */
#include "flow-watch.h"

typedef struct {
  char *key, *text;
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

void
az_watch_tell(AzWatch *watch, const char *name, GVariant *facts)
{
  g_autoptr(GVariant) sunk = facts != NULL ? g_variant_ref_sink(facts) : NULL;
  g_autofree char *time = az_time_to_string(now(watch));
  GVariantBuilder all;
  GVariantIter iter;
  const char *key;
  GVariant *value;

  g_variant_builder_init(&all, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&all, "{sv}", "time", g_variant_new_string(time));
  if (sunk != NULL) {
    g_variant_iter_init(&iter, sunk);
    while (g_variant_iter_loop(&iter, "{&sv}", &key, &value))
      g_variant_builder_add(&all, "{sv}", key, value);
  }
  az_job_event(watch->job, name, g_variant_builder_end(&all));
}

gboolean
az_watch_stand(AzWatch *watch, const char *name, const char *key, const char *level, const char *text, GVariant *facts)
{
  g_autoptr(GVariant) sunk = facts != NULL ? g_variant_ref_sink(facts) : NULL;
  const Line *old = watch->standing != NULL ? g_hash_table_lookup(watch->standing, name) : NULL;
  gboolean other_key = g_strcmp0(old != NULL ? old->key : NULL, text != NULL ? key : NULL) != 0;

  if (g_strcmp0(old != NULL ? old->text : NULL, text) == 0 && !other_key)
    return FALSE;
  if (watch->standing == NULL)
    watch->standing = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, line_free);
  GVariantDict told;
  g_variant_dict_init(&told, sunk);
  if (text == NULL) {
    g_variant_dict_insert_value(&told, "line", az_null());
    g_hash_table_remove(watch->standing, name);
  } else {
    Line *line = g_new(Line, 1);
    *line = (Line){ g_strdup(key), g_strdup(text) };
    g_variant_dict_insert(&told, "level", "s", level);
    g_variant_dict_insert(&told, "line", "s", text);
    g_hash_table_insert(watch->standing, g_strdup(name), line);
  }
  az_watch_tell(watch, name, g_variant_dict_end(&told));
  return other_key;
}
