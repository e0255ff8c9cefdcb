/* GVariant to JSON and back: the only place of the core that sees jansson; bytes are capped before the parser runs. */
#include "record.h"
#include <jansson.h>
#include <math.h>

#define MAX_BYTES (8u << 20)
#define MAX_DEPTH 64u
#define MAX_INDENT 31

GVariant *
az_null(void)
{
  return g_variant_new_tuple(NULL, 0);
}

GVariant *
az_variant_str(const char *text)
{
  if (text == NULL || *text == '\0')
    return az_null();
  return g_variant_new_take_string(g_utf8_make_valid(text, -1));
}

GVariant *
az_variant_element(GVariant *container, gsize i)
{
  g_autoptr(GVariant) element = g_variant_get_child_value(container, i);
  return g_variant_is_of_type(element, G_VARIANT_TYPE_VARIANT) ? g_variant_get_variant(element)
                                                               : g_steal_pointer(&element);
}

/* ---- to JSON ---- */

static json_t *json_of(GVariant *value);

static json_t *
json_of_string(const char *text)
{
  if (g_utf8_validate(text, -1, NULL))
    return json_string_nocheck(text);
  g_autofree char *valid = g_utf8_make_valid(text, -1);
  return json_string_nocheck(valid);
}

static json_t *
json_of_double(double number)
{
  return isfinite(number) ? json_real(number) : json_null();
}

static json_t *
json_of_uint64(guint64 number)
{
  return number <= G_MAXINT64 ? json_integer((json_int_t) number) : json_real((double) number);
}

static json_t *
json_of_children(GVariant *value)
{
  json_t *array = json_array();
  gsize n = g_variant_n_children(value);
  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) child = g_variant_get_child_value(value, i);
    json_array_append_new(array, json_of(child));
  }
  return array;
}

static char *
key_of(GVariant *key)
{
  if (g_variant_classify(key) == G_VARIANT_CLASS_STRING)
    return g_utf8_make_valid(g_variant_get_string(key, NULL), -1);
  return g_variant_print(key, FALSE);
}

static json_t *
json_of_dictionary(GVariant *value)
{
  json_t *object = json_object();
  gsize n = g_variant_n_children(value);
  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) entry = g_variant_get_child_value(value, i);
    g_autoptr(GVariant) key = g_variant_get_child_value(entry, 0);
    g_autoptr(GVariant) member = g_variant_get_child_value(entry, 1);
    g_autofree char *name = key_of(key);
    json_object_set_new_nocheck(object, name, json_of(member));
  }
  return object;
}

static json_t *
json_of_boxed(GVariant *value)
{
  if (g_variant_n_children(value) == 0)
    return json_null();
  g_autoptr(GVariant) child = g_variant_get_child_value(value, 0);
  return json_of(child);
}

static json_t *
json_of_container(GVariant *value)
{
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_DICTIONARY))
    return json_of_dictionary(value);
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_UNIT))
    return json_null();
  return json_of_children(value);
}

static json_t *
json_of(GVariant *value)
{
  switch (g_variant_classify(value)) {
  case G_VARIANT_CLASS_BOOLEAN:
    return json_boolean(g_variant_get_boolean(value));
  case G_VARIANT_CLASS_BYTE:
    return json_integer(g_variant_get_byte(value));
  case G_VARIANT_CLASS_INT16:
    return json_integer(g_variant_get_int16(value));
  case G_VARIANT_CLASS_UINT16:
    return json_integer(g_variant_get_uint16(value));
  case G_VARIANT_CLASS_INT32:
    return json_integer(g_variant_get_int32(value));
  case G_VARIANT_CLASS_UINT32:
    return json_integer(g_variant_get_uint32(value));
  case G_VARIANT_CLASS_INT64:
    return json_integer(g_variant_get_int64(value));
  case G_VARIANT_CLASS_UINT64:
    return json_of_uint64(g_variant_get_uint64(value));
  case G_VARIANT_CLASS_HANDLE:
    return json_integer(g_variant_get_handle(value));
  case G_VARIANT_CLASS_DOUBLE:
    return json_of_double(g_variant_get_double(value));
  case G_VARIANT_CLASS_STRING:
  case G_VARIANT_CLASS_OBJECT_PATH:
  case G_VARIANT_CLASS_SIGNATURE:
    return json_of_string(g_variant_get_string(value, NULL));
  case G_VARIANT_CLASS_VARIANT:
  case G_VARIANT_CLASS_MAYBE:
    return json_of_boxed(value);
  case G_VARIANT_CLASS_ARRAY:
  case G_VARIANT_CLASS_TUPLE:
  case G_VARIANT_CLASS_DICT_ENTRY:
  default:
    return json_of_container(value);
  }
}

char *
az_json_from_variant(GVariant *value, int indent)
{
  if (value == NULL)
    return g_strdup("null");
  g_autoptr(GVariant) held = g_variant_ref_sink(value);
  json_auto_t *root = json_of(held);
  /* ASCII only: what terminals obey (escapes, C1 and direction controls) leaves as \u sequences, never raw. */
  gsize flags = JSON_ENCODE_ANY | JSON_ENSURE_ASCII | JSON_REAL_PRECISION(15);
  flags |= indent > 0 ? JSON_INDENT(MIN(indent, MAX_INDENT)) : JSON_COMPACT;
  char *text = json_dumps(root, flags);
  char *copy = g_strdup(text);
  free(text);
  return copy;
}

/* ---- from JSON ---- */

static GVariant *variant_of(json_t *value);

static GVariant *
variant_of_object(json_t *object)
{
  GVariantBuilder builder;
  const char *key;
  json_t *member;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  json_object_foreach(object, key, member) g_variant_builder_add(&builder, "{sv}", key, variant_of(member));
  return g_variant_builder_end(&builder);
}

static GVariant *
variant_of_array(json_t *array)
{
  GVariantBuilder builder;
  gsize i;
  json_t *member;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("av"));
  json_array_foreach(array, i, member) g_variant_builder_add(&builder, "v", variant_of(member));
  return g_variant_builder_end(&builder);
}

static GVariant *
variant_of(json_t *value)
{
  switch (json_typeof(value)) {
  case JSON_OBJECT:
    return variant_of_object(value);
  case JSON_ARRAY:
    return variant_of_array(value);
  case JSON_STRING:
    return g_variant_new_string(json_string_value(value));
  case JSON_INTEGER:
    return g_variant_new_int64(json_integer_value(value));
  case JSON_REAL:
    return g_variant_new_double(json_real_value(value));
  case JSON_TRUE:
  case JSON_FALSE:
    return g_variant_new_boolean(json_is_true(value));
  case JSON_NULL:
  default:
    return az_null();
  }
}

static gboolean
depth_is_fine(const char *text, gsize length)
{
  guint depth = 0;
  gboolean in_string = FALSE;
  for (gsize i = 0; i < length; i++) {
    char c = text[i];
    if (in_string && c == '\\')
      i++;
    else if (c == '"')
      in_string = !in_string;
    else if (!in_string && (c == '{' || c == '[') && ++depth > MAX_DEPTH)
      return FALSE;
    else if (!in_string && (c == '}' || c == ']') && depth > 0)
      depth--;
  }
  return TRUE;
}

GVariant *
az_json_parse(const char *text, gsize length, GError **error)
{
  json_error_t problem;
  if (length > MAX_BYTES) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "JSON of %" G_GSIZE_FORMAT " bytes is more than 8 MiB", length);
    return NULL;
  }
  if (!depth_is_fine(text, length)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "JSON is nested deeper than %u levels", MAX_DEPTH);
    return NULL;
  }
  json_auto_t *root = json_loadb(text, length, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &problem);
  if (root == NULL) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "not JSON: line %d, column %d: %s", problem.line,
                problem.column, problem.text);
    return NULL;
  }
  return g_variant_ref_sink(variant_of(root));
}
