/* One JSON value against one schema of arm-rules.json: types, required and read-only properties, enums, patterns. */
#include "rules.h"

G_GNUC_PRINTF(3, 4)
static void
blame(SchemaCheck *check, const char *where, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  g_autofree char *what = g_strdup_vprintf(format, args);
  va_end(args);
  g_ptr_array_add(check->reasons, g_strdup_printf("%s: %s", where, what));
}

gboolean
schema_matches(GHashTable *patterns, const char *pattern, const char *text)
{
  GRegex *regex = g_hash_table_lookup(patterns, pattern);
  if (regex == NULL) {
    g_autoptr(GError) error = NULL;
    regex = g_regex_new(pattern, G_REGEX_OPTIMIZE, 0, &error);
    if (regex == NULL)
      g_error("pattern %s of the rules: %s", pattern, error->message);
    g_hash_table_insert(patterns, g_strdup(pattern), regex);
  }
  return g_regex_match(regex, text, 0, NULL);
}

static gboolean
listed(json_t *list, json_t *value)
{
  size_t i;
  json_t *item;
  json_array_foreach(list, i, item)
  {
    if (json_equal(item, value))
      return TRUE;
  }
  return FALSE;
}

static void
check_string(SchemaCheck *check, json_t *schema, json_t *value, const char *where)
{
  const char *text = json_string_value(value);
  if (text == NULL) {
    blame(check, where, "not a string");
    return;
  }
  gint64 length = g_utf8_strlen(text, -1);
  if (length < json_int_at(schema, "minLength", 0) || length > json_int_at(schema, "maxLength", G_MAXINT64))
    blame(check, where, "%" G_GINT64_FORMAT " characters are too few or too many", length);
  const char *pattern = json_text_at(schema, "pattern", NULL);
  if (pattern != NULL && !schema_matches(check->patterns, pattern, text))
    blame(check, where, "does not match %s", pattern);
  json_t *values = json_object_get(schema, "enum");
  if (values != NULL && !listed(values, value))
    blame(check, where, "\"%s\" is none of the values that the official files name", text);
}

static void
check_number(SchemaCheck *check, json_t *schema, json_t *value, const char *where, gboolean integer)
{
  if (integer ? !json_is_integer(value) : !json_is_number(value)) {
    blame(check, where, integer ? "not an integer" : "not a number");
    return;
  }
  json_t *least = json_object_get(schema, "minimum"), *most = json_object_get(schema, "maximum");
  double number = json_number_value(value);
  if ((least != NULL && number < json_number_value(least)) || (most != NULL && number > json_number_value(most)))
    blame(check, where, "%g is out of range", number);
}

static void
check_array(SchemaCheck *check, json_t *schema, json_t *value, const char *where)
{
  if (!json_is_array(value)) {
    blame(check, where, "not an array");
    return;
  }
  gint64 length = (gint64) json_array_size(value);
  if (length < json_int_at(schema, "minItems", 0) || length > json_int_at(schema, "maxItems", G_MAXINT64))
    blame(check, where, "%" G_GINT64_FORMAT " elements are too few or too many", length);
  json_t *items = json_object_get(schema, "items");
  for (gint64 i = 0; items != NULL && i < length; i++) {
    g_autofree char *inner = g_strdup_printf("%s[%" G_GINT64_FORMAT "]", where, i);
    schema_check(check, items, json_array_get(value, (size_t) i), inner);
  }
}

static void
check_object(SchemaCheck *check, json_t *schema, json_t *value, const char *where)
{
  if (!json_is_object(value)) {
    blame(check, where, "not an object");
    return;
  }
  json_t *properties = json_object_get(schema, "properties");
  json_t *others = json_object_get(schema, "additionalProperties");
  size_t i;
  json_t *name, *child;
  json_array_foreach(json_object_get(schema, "required"), i, name)
  {
    if (json_object_get(value, json_string_value(name)) == NULL)
      blame(check, where, "the required property %s is missing", json_string_value(name));
  }
  const char *key;
  json_object_foreach(value, key, child)
  {
    g_autofree char *inner = g_strdup_printf("%s.%s", where, key);
    json_t *known = json_object_get(properties, key);
    if (known != NULL || others != NULL)
      schema_check(check, known != NULL ? known : others, child, inner);
    else if (properties != NULL)
      blame(check, inner, "unknown property");
  }
}

void
schema_check(SchemaCheck *check, json_t *schema, json_t *value, const char *where)
{
  const char *name = json_text_at(schema, "$ref", NULL);
  if (name != NULL)
    schema = json_object_get(check->schemas, name);
  if (json_true_at(schema, "readOnly")) {
    blame(check, where, "read-only property");
    return;
  }
  if (json_is_null(value)) {
    blame(check, where, "null");
    return;
  }
  const char *type = json_text_at(schema, "type", "");
  if (g_str_equal(type, "object"))
    check_object(check, schema, value, where);
  else if (g_str_equal(type, "array"))
    check_array(check, schema, value, where);
  else if (g_str_equal(type, "string"))
    check_string(check, schema, value, where);
  else if (g_str_equal(type, "integer") || g_str_equal(type, "number"))
    check_number(check, schema, value, where, g_str_equal(type, "integer"));
  else if (g_str_equal(type, "boolean") && !json_is_boolean(value))
    blame(check, where, "not a boolean");
}
