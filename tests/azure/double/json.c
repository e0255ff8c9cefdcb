/* Reaching into JSON by a dotted path, and the small helpers that every file of the double wants. */
#include "double.h"

static json_t *
step(json_t *node, const char *name)
{
  if (json_is_array(node))
    return json_array_get(node, (size_t) g_ascii_strtoull(name, NULL, 10));
  return json_object_get(node, name);
}

json_t *
json_at(json_t *object, const char *path)
{
  g_auto(GStrv) names = g_strsplit(path, ".", -1);
  json_t *node = NULL;
  for (guint i = 0; names[i] != NULL; i++) {
    node = step(i == 0 ? object : node, names[i]);
    if (node == NULL)
      return NULL;
  }
  return node;
}

const char *
json_text_at(json_t *object, const char *path, const char *fallback)
{
  const char *text = json_string_value(json_at(object, path));
  return text != NULL ? text : fallback;
}

gint64
json_int_at(json_t *object, const char *path, gint64 fallback)
{
  json_t *node = json_at(object, path);
  return json_is_number(node) ? (gint64) json_number_value(node) : fallback;
}

gboolean
json_true_at(json_t *object, const char *path)
{
  return json_is_true(json_at(object, path));
}

void
json_put_at(json_t *object, const char *path, json_t *value)
{
  g_auto(GStrv) names = g_strsplit(path, ".", -1);
  guint last = g_strv_length(names) - 1;
  for (guint i = 0; i < last; i++) {
    json_t *next = json_object_get(object, names[i]);
    if (!json_is_object(next)) {
      next = json_object();
      json_object_set_new(object, names[i], next);
    }
    object = next;
  }
  json_object_set_new(object, names[last], value);
}

json_t *
json_text_f(const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  return json_string(text);
}

gboolean
same_text(const char *a, const char *b)
{
  if (a == NULL || b == NULL)
    return a == b;
  return g_ascii_strcasecmp(a, b) == 0;
}

double
double_now(const Double *world)
{
  return (double) (g_get_monotonic_time() - world->began) / 1000.0;
}

char *
double_timestamp(void)
{
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();
  g_autofree char *text = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S");
  return g_strdup_printf("%s.%07dZ", text, g_date_time_get_microsecond(now) * 10);
}
