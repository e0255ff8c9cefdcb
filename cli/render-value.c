/* Any result as people read it: "Key: value" lines, and a table for a list of records. */
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
title(const char *key)
{
  char *text = g_strdup(key);
  g_strdelimit(text, "_-", ' ');
  text[0] = g_ascii_toupper(text[0]);
  return text;
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

static GVariant *
child_dict(GVariant *list, gsize index)
{
  GVariant *child = unwrap(g_variant_get_child_value(list, index));
  if (g_variant_is_of_type(child, G_VARIANT_TYPE_VARDICT))
    return child;
  g_variant_unref(child);
  return NULL;
}

static gboolean
is_list_of_dicts(GVariant *value)
{
  if (!g_variant_is_of_type(value, G_VARIANT_TYPE_ARRAY) || g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT)
      || !g_variant_n_children(value))
    return FALSE;
  g_autoptr(GVariant) first = child_dict(value, 0);
  return first != NULL;
}

static void put_dict(Terminal *t, int indent, GVariant *dict);

static void
put_value(Terminal *t, int indent, const char *key, GVariant *value)
{
  g_autofree char *name = title(key);
  if (is_list_of_dicts(value) || (g_variant_is_of_type(value, G_VARIANT_TYPE_VARDICT) && g_variant_n_children(value))) {
    terminal_line(t, INK_BOLD, "%*s%s:", indent, "", name);
    gsize n = is_list_of_dicts(value) ? g_variant_n_children(value) : 0;
    for (gsize i = 0; i < n; i++) {
      g_autoptr(GVariant) dict = child_dict(value, i);
      if (i)
        fputc('\n', t->out);
      if (dict)
        put_dict(t, indent + 2, dict);
    }
    if (!n)
      put_dict(t, indent + 2, value);
    return;
  }
  g_autofree char *text = render_plain(value);
  g_autofree char *line = text_clean_line(text);
  terminal_line(t, INK_PLAIN, "%*s%s: %s", indent, "", name, line);
}

static void
put_dict(Terminal *t, int indent, GVariant *dict)
{
  GVariantIter iter;
  const char *key;
  GVariant *item;
  g_variant_iter_init(&iter, dict);
  while (g_variant_iter_next(&iter, "{&sv}", &key, &item)) {
    g_autoptr(GVariant) value = unwrap(item);
    put_value(t, indent, key, value);
  }
}

void
render_value(const Invocation *invocation, Client *client, GVariant *result)
{
  put_dict(invocation->terminal, 0, result);
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
    g_autoptr(GVariant) dict = child_dict(records, i);
    g_autoptr(GPtrArray) cells = g_ptr_array_new_with_free_func(g_free);
    for (guint k = 0; dict && keys[k]; k++)
      g_ptr_array_add(cells, field(dict, keys[k]));
    if (dict)
      table_add(table, INK_PLAIN, (const char *const *) cells->pdata);
  }
  table_print(table, t);
}
