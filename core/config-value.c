/* Typed values out of the text of a configuration file: strings, lists, booleans and numbers within their range. */
#include "config-private.h"
#include <errno.h>
#include <math.h>

#define MAX_LIST 100000

static GVariant *
refuse(GError **error, const char *text, const char *why, const char *bound)
{
  g_autofree char *start = g_strndup(text, 80);
  g_autofree char *shown = g_utf8_make_valid(start, -1);
  const char *hint = strstr(text, " #") != NULL ? " (comments stand on lines of their own)" : "";

  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "'%s' %s%s%s", shown, why, bound, hint);
  return NULL;
}

/* GKeyFile may give a text and an error at once (a bad escape). */
static GVariant *
unreadable(const GError *cause, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s", cause != NULL ? cause->message : "no value");
  return NULL;
}

static GVariant *
parse_list(GKeyFile *file, const char *group, const char *key, GError **error)
{
  gsize length = 0;
  g_autoptr(GError) local = NULL;
  g_auto(GStrv) items = g_key_file_get_string_list(file, group, key, &length, &local);
  GVariantBuilder builder;

  if (items == NULL || local != NULL)
    return unreadable(local, error);
  if (length > MAX_LIST)
    return refuse(error, items[0], "... is too long a list", "");
  g_variant_builder_init(&builder, G_VARIANT_TYPE_STRING_ARRAY);
  for (char **item = items; *item != NULL; item++)
    if (*g_strstrip(*item) != '\0')
      g_variant_builder_add(&builder, "s", *item);
  return g_variant_builder_end(&builder);
}

static GVariant *
parse_bool(const char *text, GError **error)
{
  if (g_str_equal(text, "true") || g_str_equal(text, "1"))
    return g_variant_new_boolean(TRUE);
  if (g_str_equal(text, "false") || g_str_equal(text, "0") || *text == '\0')
    return g_variant_new_boolean(FALSE);
  return refuse(error, text, "is neither true nor false", "");
}

static GVariant *
parse_integer(const AzlinOption *option, const char *text, GError **error)
{
  gboolean wide = g_str_equal(option->type, "t");
  guint64 top = wide ? G_MAXUINT64 : G_MAXUINT32, value = 0;
  guint64 min = option->min != NULL ? g_ascii_strtoull(option->min, NULL, 10) : 0;
  guint64 max = option->max != NULL ? MIN(top, g_ascii_strtoull(option->max, NULL, 10)) : top;
  g_autofree char *max_text = g_strdup_printf("%" G_GUINT64_FORMAT, max);
  g_autoptr(GError) local = NULL;

  if (*text != '\0' && !g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, &value, &local))
    return refuse(error, text, "is not a whole number", "");
  if (value < min)
    return refuse(error, text, "is too small; the least is ", option->min);
  if (value > max)
    return refuse(error, text, "is too large; the most is ", max_text);
  return wide ? g_variant_new_uint64(value) : g_variant_new_uint32((guint32) value);
}

static GVariant *
parse_double(const AzlinOption *option, const char *text, GError **error)
{
  char *end = NULL;
  double value;

  errno = 0;
  value = g_ascii_strtod(text, &end);
  if (*end != '\0' || errno != 0 || !isfinite(value) || g_ascii_isspace(*text))
    return refuse(error, text, "is not a number", "");
  if (option->min != NULL && value < g_ascii_strtod(option->min, NULL))
    return refuse(error, text, "is too small; the least is ", option->min);
  if (option->max != NULL && value > g_ascii_strtod(option->max, NULL))
    return refuse(error, text, "is too large; the most is ", option->max);
  return g_variant_new_double(value);
}

GVariant *
az_config_value_parse(GKeyFile *file, const char *group, const AzlinOption *option, GError **error)
{
  g_autofree char *text = NULL;
  g_autoptr(GError) local = NULL;

  if (g_str_equal(option->type, "as"))
    return parse_list(file, group, option->name, error);
  text = g_key_file_get_string(file, group, option->name, &local);
  if (text == NULL || local != NULL)
    return unreadable(local, error);
  g_strstrip(text);
  if (g_str_equal(option->type, "s"))
    return g_variant_new_string(text);
  if (g_str_equal(option->type, "b"))
    return parse_bool(text, error);
  if (g_str_equal(option->type, "d"))
    return parse_double(option, text, error);
  if (g_str_equal(option->type, "u") || g_str_equal(option->type, "t"))
    return parse_integer(option, text, error);
  return refuse(error, option->type, "is no type of an option", "");
}
