/* A small evaluator of ARM template expressions: the functions that templates for machines use. */
#include "template.h"
#include "store.h"
#include <string.h>

enum { MOST_DEPTH = 32 };

typedef struct {
  TemplateScope *scope;
  const char *at;
} Parser;

static json_t *parse_expression(Parser *parser);

G_GNUC_PRINTF(2, 3)
static json_t *
fail(TemplateScope *scope, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  if (scope->problem == NULL)
    scope->problem = g_strdup_vprintf(format, args);
  va_end(args);
  return NULL;
}

char *
template_id(const char *group_id, const char *type, const char *name)
{
  g_auto(GStrv) types = g_strsplit(type, "/", -1), names = g_strsplit(name, "/", -1);
  guint count = g_strv_length(names);
  if (g_strv_length(types) != count + 1)
    return NULL;
  GString *id = g_string_new(group_id);
  g_string_append_printf(id, "/providers/%s", types[0]);
  for (guint i = 0; i < count; i++)
    g_string_append_printf(id, "/%s/%s", types[i + 1], names[i]);
  return g_string_free(id, FALSE);
}

/* ---- functions ---- */

static const char *
text_of(json_t *args, size_t index)
{
  const char *text = json_string_value(json_array_get(args, index));
  return text != NULL ? text : "";
}

static json_t *
f_parameters(TemplateScope *scope, json_t *args)
{
  const char *name = text_of(args, 0);
  json_t *declared = json_object_get(json_object_get(scope->template, "parameters"), name);
  json_t *given = json_object_get(json_object_get(scope->given, name), "value");
  if (declared == NULL)
    return fail(scope, "The template parameter '%s' is not found.", name);
  if (given != NULL)
    return json_deep_copy(given);
  json_t *fallback = json_object_get(declared, "defaultValue");
  if (fallback == NULL)
    return fail(scope, "The value for the template parameter '%s' is not provided.", name);
  return template_value(scope, fallback);
}

static json_t *
f_variables(TemplateScope *scope, json_t *args)
{
  json_t *value = json_object_get(json_object_get(scope->template, "variables"), text_of(args, 0));
  return value != NULL ? template_value(scope, value)
                       : fail(scope, "The variable '%s' is not found.", text_of(args, 0));
}

static json_t *
f_concat(TemplateScope *scope, json_t *args)
{
  GString *text = g_string_new(NULL);
  size_t i;
  json_t *arg;
  json_array_foreach(args, i, arg)
  {
    if (json_is_integer(arg))
      g_string_append_printf(text, "%" JSON_INTEGER_FORMAT, json_integer_value(arg));
    else
      g_string_append(text, text_of(args, i));
  }
  g_autofree char *whole = g_string_free(text, FALSE);
  return json_string(whole);
}

static json_t *
f_resource_id(TemplateScope *scope, json_t *args)
{
  size_t count = json_array_size(args), first = 0;
  while (first < count && strchr(text_of(args, first), '/') == NULL)
    first++;
  GString *names = g_string_new(NULL);
  for (size_t i = first + 1; i < count; i++)
    g_string_append_printf(names, "%s%s", i > first + 1 ? "/" : "", text_of(args, i));
  g_autofree char *name = g_string_free(names, FALSE);
  if (first > 0)
    return fail(scope, "The double's resourceId() knows the deployment's own group only.");
  g_autofree char *id = template_id(scope->group_id, text_of(args, 0), name);
  return id != NULL ? json_string(id)
                    : fail(scope, "resourceId('%s') has too many or too few names.", text_of(args, 0));
}

static json_t *
f_reference(TemplateScope *scope, json_t *args)
{
  const char *id = text_of(args, 0);
  const Resource *resource = store_find(scope->world, id);
  g_autoptr(GPtrArray) all = resource == NULL ? store_list(scope->world, scope->group_id, NULL) : NULL;
  for (guint i = 0; all != NULL && i < all->len && resource == NULL; i++) {
    const Resource *other = g_ptr_array_index(all, i);
    resource = same_text(other->name, id) ? other : NULL;
  }
  if (resource == NULL)
    return fail(scope, "The resource referenced by '%s' is not found.", id);
  if (g_str_equal(text_of(args, 2), "Full"))
    return json_deep_copy(resource->body);
  return json_deep_copy(json_object_get(resource->body, "properties"));
}

static json_t *
f_resource_group(TemplateScope *scope, json_t *args)
{
  const Resource *group = store_find(scope->world, scope->group_id);
  return group != NULL ? json_deep_copy(group->body) : fail(scope, "The resource group is not found.");
}

static json_t *
f_subscription(TemplateScope *scope, json_t *args)
{
  g_autofree char *id = id_subscription(scope->group_id);
  return json_pack("{s:s, s:s+}", "subscriptionId", id, "id", "/subscriptions/", id);
}

static json_t *
f_format(TemplateScope *scope, json_t *args)
{
  char *text = g_strdup(text_of(args, 0));
  for (size_t i = 1; i < json_array_size(args); i++) {
    g_autofree char *mark = g_strdup_printf("{%" G_GSIZE_FORMAT "}", i - 1);
    g_auto(GStrv) parts = g_strsplit(text, mark, -1);
    g_free(text);
    text = g_strjoinv(text_of(args, i), parts);
  }
  json_t *value = json_string(text);
  g_free(text);
  return value;
}

static json_t *
f_to_lower(TemplateScope *scope, json_t *args)
{
  g_autofree char *lower = g_ascii_strdown(text_of(args, 0), -1);
  return json_string(lower);
}

static json_t *
f_create_array(TemplateScope *scope, json_t *args)
{
  return json_deep_copy(args);
}

static const struct {
  const char *name;
  json_t *(*call)(TemplateScope *scope, json_t *args);
} functions[] = {
  { "parameters", f_parameters },     { "variables", f_variables }, { "concat", f_concat },
  { "resourceId", f_resource_id },    { "reference", f_reference }, { "resourceGroup", f_resource_group },
  { "subscription", f_subscription }, { "format", f_format },       { "toLower", f_to_lower },
  { "createArray", f_create_array },
};

/* ---- grammar ---- */

static void
skip_space(Parser *parser)
{
  while (g_ascii_isspace(*parser->at))
    parser->at++;
}

static gboolean
take(Parser *parser, char wanted)
{
  skip_space(parser);
  if (*parser->at != wanted)
    return FALSE;
  parser->at++;
  return TRUE;
}

static json_t *
parse_text(Parser *parser)
{
  GString *text = g_string_new(NULL);
  for (; *parser->at != '\0'; parser->at++) {
    if (*parser->at == '\'' && parser->at[1] != '\'')
      break;
    if (*parser->at == '\'')
      parser->at++;
    g_string_append_c(text, *parser->at);
  }
  g_autofree char *whole = g_string_free(text, FALSE);
  return take(parser, '\'') ? json_string(whole) : fail(parser->scope, "A string of an expression does not end.");
}

static char *
parse_name(Parser *parser)
{
  skip_space(parser);
  const char *start = parser->at;
  while (g_ascii_isalnum(*parser->at) || *parser->at == '_')
    parser->at++;
  return g_strndup(start, (gsize) (parser->at - start));
}

static json_t *
parse_call(Parser *parser)
{
  g_autofree char *name = parse_name(parser);
  if (!take(parser, '('))
    return fail(parser->scope, "The expression has no function at '%s'.", parser->at);
  json_t *args = json_array();
  while (!take(parser, ')')) {
    json_t *arg = parse_expression(parser);
    if (arg == NULL) {
      json_decref(args);
      return NULL;
    }
    json_array_append_new(args, arg);
    take(parser, ',');
  }
  for (guint i = 0; i < G_N_ELEMENTS(functions); i++) {
    if (!same_text(functions[i].name, name))
      continue;
    json_t *value = functions[i].call(parser->scope, args);
    json_decref(args);
    return value;
  }
  json_decref(args);
  return fail(parser->scope, "The template function '%s' is not valid.", name);
}

static json_t *
parse_primary(Parser *parser)
{
  skip_space(parser);
  if (take(parser, '\''))
    return parse_text(parser);
  if (g_ascii_isdigit(*parser->at)) {
    char *end = NULL;
    gint64 number = g_ascii_strtoll(parser->at, &end, 10);
    parser->at = end;
    return json_integer(number);
  }
  return parse_call(parser);
}

static json_t *
member(Parser *parser, json_t *value, json_t *child, const char *name)
{
  json_incref(child);
  json_decref(value);
  return child != NULL ? child : fail(parser->scope, "The language expression property '%s' does not exist.", name);
}

static json_t *
parse_expression(Parser *parser)
{
  json_t *value = parse_primary(parser);
  while (value != NULL) {
    if (take(parser, '.')) {
      g_autofree char *name = parse_name(parser);
      value = member(parser, value, json_object_get(value, name), name);
    } else if (take(parser, '[')) {
      json_t *index = parse_expression(parser);
      json_t *child = json_is_string(index) ? json_object_get(value, json_string_value(index))
                                            : json_array_get(value, (size_t) json_integer_value(index));
      value = member(parser, value, child, "[]");
      json_decref(index);
      take(parser, ']');
    } else {
      break;
    }
  }
  return value;
}

static json_t *
evaluate(TemplateScope *scope, const char *text)
{
  g_autofree char *inner = g_strndup(text + 1, strlen(text) - 2);
  if (!scope->references && strstr(inner, "reference(") != NULL)
    return json_string(text);
  Parser parser = { scope, inner };
  json_t *value = parse_expression(&parser);
  skip_space(&parser);
  if (value == NULL || *parser.at == '\0')
    return value;
  json_decref(value);
  return fail(scope, "The expression '%s' goes on after its end.", text);
}

static json_t *
text_value(TemplateScope *scope, json_t *value)
{
  const char *text = json_string_value(value);
  if (g_str_has_prefix(text, "[["))
    return json_string(text + 1);
  if (text[0] != '[' || !g_str_has_suffix(text, "]"))
    return json_deep_copy(value);
  return evaluate(scope, text);
}

static json_t *
array_value(TemplateScope *scope, json_t *value)
{
  json_t *list = json_array(), *item;
  size_t i;
  json_array_foreach(value, i, item)
  {
    json_t *made = template_value(scope, item);
    if (made != NULL)
      json_array_append_new(list, made);
  }
  return list;
}

json_t *
template_value(TemplateScope *scope, json_t *value)
{
  json_t *made = NULL, *child;
  const char *key;
  if (++scope->depth > MOST_DEPTH)
    made = fail(scope, "The template is nested too deeply.");
  else if (json_is_string(value))
    made = text_value(scope, value);
  else if (json_is_array(value))
    made = array_value(scope, value);
  else if (!json_is_object(value))
    made = json_deep_copy(value);
  else
    made = json_object();
  json_object_foreach(value, key, child)
  {
    json_t *inner = template_value(scope, child);
    if (inner != NULL)
      json_object_set_new(made, key, inner);
  }
  scope->depth--;
  if (scope->problem == NULL)
    return made;
  json_decref(made);
  return NULL;
}
