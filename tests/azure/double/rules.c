/* Loads arm-rules.json, finds the operation of a request and checks path, api-version, query and body against it. */
#include "rules.h"
#include <string.h>

struct _Rules {
  json_t *file;
  GPtrArray *rules;
  GHashTable *patterns;
};

static void
rule_free(gpointer data)
{
  Rule *rule = data;
  g_free(rule->id);
  g_free(rule->method);
  g_free(rule->version);
  g_strfreev(rule->parts);
  g_free(rule);
}

static Rule *
rule_new(json_t *operation)
{
  Rule *rule = g_new0(Rule, 1);
  rule->id = g_strdup(json_text_at(operation, "id", ""));
  rule->method = g_strdup(json_text_at(operation, "method", ""));
  rule->version = g_strdup(json_text_at(operation, "version", ""));
  rule->parts = g_strsplit(json_text_at(operation, "path", "/") + 1, "/", -1);
  rule->count = g_strv_length(rule->parts);
  rule->scoped = g_str_equal(rule->parts[0], "{scope}");
  for (guint i = 0; i < rule->count; i++)
    rule->literals += rule->parts[i][0] != '{';
  rule->segments = json_object_get(operation, "segments");
  rule->query = json_object_get(operation, "query");
  rule->body = json_object_get(operation, "body");
  return rule;
}

Rules *
rules_load(const char *file, GError **error)
{
  json_error_t problem;
  json_t *document = json_load_file(file, JSON_REJECT_DUPLICATES, &problem);
  if (document == NULL) {
    g_set_error(error, G_IO_ERROR, G_IO_ERROR_INVALID_DATA, "%s:%d: %s", file, problem.line, problem.text);
    return NULL;
  }
  Rules *rules = g_new0(Rules, 1);
  rules->file = document;
  rules->rules = g_ptr_array_new_with_free_func(rule_free);
  rules->patterns = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_regex_unref);
  size_t i;
  json_t *operation;
  json_array_foreach(json_object_get(document, "operations"), i, operation)
      g_ptr_array_add(rules->rules, rule_new(operation));
  return rules;
}

void
rules_free(Rules *rules)
{
  g_ptr_array_unref(rules->rules);
  g_hash_table_unref(rules->patterns);
  json_decref(rules->file);
  g_free(rules);
}

/* A scope at the beginning of a template stands for any number of parts. */
static gboolean
parts_match(const Rule *rule, char **parts, guint count)
{
  guint length = rule->count, skip = 0;
  if (rule->scoped) {
    if (count < length)
      return FALSE;
    skip = count - length;
  } else if (count != length) {
    return FALSE;
  }
  for (guint i = skip > 0 ? 1 : 0; i < length; i++) {
    const char *part = parts[i + skip];
    if (rule->parts[i][0] == '{' ? part[0] == '\0' : !same_text(rule->parts[i], part))
      return FALSE;
  }
  return TRUE;
}

static GHashTable *
read_segments(const Rule *rule, char **parts, guint count)
{
  GHashTable *segments = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  guint skip = rule->scoped ? count - rule->count : 0;
  for (guint i = 0; rule->parts[i] != NULL; i++) {
    const char *part = rule->parts[i];
    if (part[0] != '{' || (i == 0 && rule->scoped))
      continue;
    char *value = g_uri_unescape_string(parts[i + skip], NULL);
    g_hash_table_insert(segments, g_strndup(part + 1, strlen(part) - 2), value != NULL ? value : g_strdup(""));
  }
  if (skip > 0) {
    g_autofree char *rest = g_strjoinv("/", parts);
    g_auto(GStrv) scope = g_strsplit(rest, "/", (int) skip + 2);
    g_clear_pointer(&scope[skip + 1], g_free);
    g_autofree char *joined = g_strjoinv("/", scope);
    g_hash_table_insert(segments, g_strdup("scope"), g_strconcat("/", joined, NULL));
  }
  return segments;
}

const Rule *
rules_match(Rules *rules, const char *method, const char *path, GHashTable **ret_segments)
{
  g_auto(GStrv) parts = g_strsplit(path[0] == '/' ? path + 1 : path, "/", -1);
  guint count = g_strv_length(parts);
  const Rule *best = NULL;
  for (guint i = 0; i < rules->rules->len; i++) {
    const Rule *rule = g_ptr_array_index(rules->rules, i);
    if ((method == NULL || g_str_equal(rule->method, method)) && parts_match(rule, parts, count)
        && (best == NULL || rule->literals > best->literals))
      best = rule;
  }
  if (best != NULL && ret_segments != NULL)
    *ret_segments = read_segments(best, parts, count);
  return best;
}

gboolean
rules_know_path(Rules *rules, const char *path)
{
  return rules_match(rules, NULL, path, NULL) != NULL;
}

const Rule *
rules_for_put(Rules *rules, const char *id)
{
  return rules_match(rules, "PUT", id, NULL);
}

static void
check_segments(Rules *rules, const Rule *rule, GHashTable *segments, GPtrArray *reasons)
{
  SchemaCheck check = { json_object_get(rules->file, "schemas"), rules->patterns, reasons };
  GHashTableIter iter;
  gpointer name, value;
  g_hash_table_iter_init(&iter, segments);
  while (g_hash_table_iter_next(&iter, &name, &value)) {
    json_t *schema = json_object_get(rule->segments, name);
    json_t *text = json_string(value);
    g_autofree char *where = g_strdup_printf("path {%s}", (char *) name);
    if (schema != NULL)
      schema_check(&check, schema, text, where);
    json_decref(text);
  }
}

static void
check_query_value(Rules *rules, json_t *schema, const char *name, const char *value, GPtrArray *reasons)
{
  SchemaCheck check = { json_object_get(rules->file, "schemas"), rules->patterns, reasons };
  const char *type = json_text_at(schema, "type", "string");
  g_autofree char *where = g_strdup_printf("query %s", name);
  json_t *typed = NULL;
  if (g_str_equal(type, "boolean"))
    typed = g_str_equal(value, "true") ? json_true() : g_str_equal(value, "false") ? json_false() : json_string(value);
  else if (g_str_equal(type, "integer"))
    typed = json_loads(value, JSON_DECODE_ANY, NULL);
  if (typed == NULL)
    typed = json_string(value);
  schema_check(&check, schema, typed, where);
  json_decref(typed);
}

static void
check_query(Rules *rules, const Rule *rule, GHashTable *query, GPtrArray *reasons)
{
  const char *version = g_hash_table_lookup(query, "api-version");
  if (g_strcmp0(version, rule->version) != 0)
    g_ptr_array_add(reasons, g_strdup_printf("api-version %s; the official file of %s has %s",
                                             version != NULL ? version : "is missing", rule->id, rule->version));
  GHashTableIter iter;
  gpointer name, value;
  g_hash_table_iter_init(&iter, query);
  while (g_hash_table_iter_next(&iter, &name, &value)) {
    json_t *schema = json_object_get(rule->query, name);
    if (schema != NULL)
      check_query_value(rules, schema, name, value, reasons);
    else if (!g_str_equal(name, "api-version"))
      g_ptr_array_add(reasons, g_strdup_printf("query %s is unknown to %s", (char *) name, rule->id));
  }
  const char *key;
  json_t *schema;
  json_object_foreach(rule->query, key, schema)
  {
    if (json_true_at(schema, "required") && !g_hash_table_contains(query, key))
      g_ptr_array_add(reasons, g_strdup_printf("query %s is missing", key));
  }
}

void
rules_check_body(Rules *rules, const Rule *rule, json_t *body, GPtrArray *reasons)
{
  SchemaCheck check = { json_object_get(rules->file, "schemas"), rules->patterns, reasons };
  if (rule->body != NULL && body != NULL)
    schema_check(&check, json_object_get(rule->body, "schema"), body, "body");
  else if (body != NULL)
    g_ptr_array_add(reasons, g_strdup("a body where none belongs"));
  else if (rule->body != NULL && json_true_at(rule->body, "required"))
    g_ptr_array_add(reasons, g_strdup("the body is missing"));
}

void
rules_check(Rules *rules, const Rule *rule, GHashTable *segments, GHashTable *query, json_t *body, GPtrArray *reasons)
{
  check_segments(rules, rule, segments, reasons);
  check_query(rules, rule, query, reasons);
  rules_check_body(rules, rule, body, reasons);
}
