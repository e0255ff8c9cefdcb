/* Values of results as people read them: on one line, and lists of records as tables. */
#include "render.h"

#include <string.h>

#include "text.h"

static GVariant *
unwrap(GVariant *value) /* takes it */
{
  while (g_variant_is_of_type(value, G_VARIANT_TYPE_VARIANT)) {
    g_autoptr(GVariant) outer = value;
    value = g_variant_get_variant(outer);
  }
  return value;
}

static char *
number_text(GVariant *value)
{
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE))
    return g_strdup_printf("%.4g", g_variant_get_double(value));
  return g_variant_print(value, FALSE);
}

char *
render_plain(GVariant *value)
{
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
    return g_variant_dup_string(value, NULL);
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN))
    return g_strdup(g_variant_get_boolean(value) ? "yes" : "no");
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UNIT))
    return g_strdup("-");
  if (!g_variant_is_container(value))
    return number_text(value);

  g_autoptr(GString) joined = g_string_new(NULL);
  gboolean entry = g_variant_is_of_type(value, G_VARIANT_TYPE_DICT_ENTRY);
  for (gsize i = 0; i < g_variant_n_children(value); i++) {
    g_autoptr(GVariant) child = unwrap(g_variant_get_child_value(value, i));
    g_autofree char *text = render_plain(child);
    if (i)
      g_string_append(joined, entry ? "=" : ", ");
    g_string_append(joined, text);
  }
  return g_string_free(g_steal_pointer(&joined), FALSE);
}

GVariant *
render_child(GVariant *list, gsize index)
{
  GVariant *child = unwrap(g_variant_get_child_value(list, index));
  if (g_variant_is_of_type(child, G_VARIANT_TYPE_VARDICT))
    return child;
  g_variant_unref(child);
  return NULL;
}

static char *
field(GVariant *dict, const char *key)
{
  GVariant *value = g_variant_lookup_value(dict, key, NULL);
  if (!value)
    return g_strdup("");
  g_autoptr(GVariant) inner = unwrap(value);
  return render_plain(inner);
}

void
render_records(Terminal *t, GVariant *result, const char *list, const char *const *headers, const char *const *keys)
{
  g_autoptr(GVariant) records = g_variant_lookup_value(result, list, NULL);
  g_autoptr(Table) table = table_new(headers);
  for (gsize i = 0; records && i < g_variant_n_children(records); i++) {
    g_autoptr(GVariant) dict = render_child(records, i);
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    for (guint k = 0; dict && keys[k]; k++)
      g_ptr_array_add(cells, field(dict, keys[k]));
    if (dict)
      table_add(table, INK_PLAIN, (const char *const *) cells->pdata);
  }
  table_print(table, t);
}

const char *
render_word(GVariant *record, const char *key)
{
  const char *text = "";
  if (record)
    g_variant_lookup(record, key, "&s", &text);
  return text;
}

char *
render_ago(const char *time, gint64 now)
{
  g_autoptr(GDateTime) when = *time ? g_date_time_new_from_iso8601(time, NULL) : NULL;
  return text_ago(when ? g_date_time_to_unix(when) * G_USEC_PER_SEC : 0, now);
}
