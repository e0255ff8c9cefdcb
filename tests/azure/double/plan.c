/* Reads a template, checks it against the official files and orders its resources. */
#include "plan.h"
#include "catalogue.h"
#include "rules.h"
#include <string.h>

static void
node_free(gpointer data)
{
  Node *node = data;
  g_free(node->id);
  g_free(node->operation_id);
  g_free(node->begun);
  g_free(node->ended);
  json_decref(node->body);
  json_decref(node->error);
  g_array_unref(node->needs);
  g_free(node);
}

void
plan_free(Plan *plan)
{
  g_ptr_array_unref(plan->nodes);
  json_decref(plan->request);
  g_free(plan->group_id);
  g_free(plan);
}

static TemplateScope
scope_of(Double *world, const Plan *plan, gboolean references)
{
  return (TemplateScope){ .world = world,
                          .group_id = plan->group_id,
                          .template = json_object_get(plan->request, "template"),
                          .given = json_object_get(plan->request, "parameters"),
                          .references = references };
}

static gboolean
evaluate(Double *world, const Plan *plan, Node *node, gboolean references, char **ret_problem)
{
  static const char *const envelope[] = { "type", "name", "apiVersion", "dependsOn", "comments", "condition", "copy" };
  TemplateScope scope = scope_of(world, plan, references);
  json_t *copy = json_copy(node->source);
  for (guint i = 0; i < G_N_ELEMENTS(envelope); i++)
    json_object_del(copy, envelope[i]);
  json_t *body = template_value(&scope, copy);
  json_decref(copy);
  *ret_problem = scope.problem;
  if (body == NULL)
    return FALSE;
  json_decref(node->body);
  node->body = body;
  return TRUE;
}

gboolean
plan_evaluate(Double *world, const Plan *plan, Node *node, char **ret_problem)
{
  return evaluate(world, plan, node, TRUE, ret_problem);
}

/* An evaluated string of a resource of the template; NULL and `refusal` when there is none. Owned. */
static char *
text_member(Double *world, const Plan *plan, json_t *source, const char *name, Refusal *refusal)
{
  TemplateScope scope = scope_of(world, plan, FALSE);
  json_t *value = json_object_get(source, name);
  json_t *made = value != NULL ? template_value(&scope, value) : NULL;
  char *text = g_strdup(json_string_value(made));
  json_decref(made);
  if (text == NULL)
    refuse(refusal, 400, "InvalidTemplate", "Deployment template validation failed: '%s: %s'.", name,
           scope.problem != NULL ? scope.problem : "a string is missing");
  g_free(scope.problem);
  return text;
}

static void
check_node(Double *world, Node *node, const char *version, const char *url, Refusal *refusal)
{
  g_autoptr(GPtrArray) reasons = g_ptr_array_new_with_free_func(g_free);
  const Rule *rule = rules_for_put(world->rules, node->id);
  if (rule == NULL)
    g_ptr_array_add(reasons, g_strdup_printf("%s is no resource of the official files", node->id));
  else if (!g_str_equal(rule->version, version))
    g_ptr_array_add(
        reasons, g_strdup_printf("api-version %s; the official file of %s has %s", version, rule->id, rule->version));
  else
    rules_check_body(world->rules, rule, node->body, reasons);
  for (guint i = 0; i < reasons->len; i++) {
    g_autofree char *reason
        = g_strdup_printf("template: %s: %s", id_name(node->id), (char *) g_ptr_array_index(reasons, i));
    journal_violation(world, "PUT", url, reason);
    if (json_true_at(world->settings, "strict"))
      refuse(refusal, 400, "InvalidTemplate", "The double refuses: %s", reason);
  }
}

static void
add_node(Double *world, Plan *plan, json_t *source, const char *url, Refusal *refusal)
{
  g_autofree char *type = text_member(world, plan, source, "type", refusal);
  g_autofree char *name = text_member(world, plan, source, "name", refusal);
  g_autofree char *version = text_member(world, plan, source, "apiVersion", refusal);
  g_autofree char *id = refusal->status == 0 ? template_id(plan->group_id, type, name) : NULL;
  g_autofree char *problem = NULL;
  if (id == NULL) {
    refuse(refusal, 400, "InvalidTemplate", "Deployment template validation failed: type and name have other lengths.");
    return;
  }
  Node *node = g_new0(Node, 1);
  node->id = g_steal_pointer(&id);
  node->source = source;
  node->needs = g_array_new(FALSE, FALSE, sizeof(guint));
  g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_MD5, node->id, -1);
  node->operation_id = g_ascii_strup(sum, 16);
  g_ptr_array_add(plan->nodes, node);
  if (evaluate(world, plan, node, FALSE, &problem))
    check_node(world, node, version, url, refusal);
  else
    refuse(refusal, 400, "InvalidTemplate", "Deployment template validation failed: '%s'.", problem);
}

static gboolean
names_node(const Node *node, const char *text)
{
  g_autofree char *type = id_type(node->id);
  g_autofree char *typed = g_strdup_printf("%s/%s", type, id_name(node->id));
  return same_text(node->id, text) || same_text(typed, text) || same_text(id_name(node->id), text);
}

static void
add_needs(Double *world, Plan *plan, Node *node, Refusal *refusal)
{
  TemplateScope scope = scope_of(world, plan, FALSE);
  json_t *given = json_object_get(node->source, "dependsOn");
  json_t *list = given != NULL ? template_value(&scope, given) : NULL, *item;
  size_t i;
  if (scope.problem != NULL)
    refuse(refusal, 400, "InvalidTemplate", "Deployment template validation failed: '%s'.", scope.problem);
  json_array_foreach(list, i, item)
  {
    guint index = 0;
    while (index < plan->nodes->len && !names_node(g_ptr_array_index(plan->nodes, index), json_string_value(item)))
      index++;
    if (index < plan->nodes->len)
      g_array_append_val(node->needs, index);
    else
      refuse(refusal, 400, "InvalidTemplate",
             "Deployment template validation failed: 'The resource '%s' is not defined in the template.'",
             json_string_value(item));
  }
  json_decref(list);
  g_free(scope.problem);
}

static void
check_template(const Plan *plan, Refusal *refusal)
{
  static const char *const needed[] = { "$schema", "contentVersion", "resources" };
  json_t *template = json_object_get(plan->request, "template"), *declared;
  for (guint i = 0; i < G_N_ELEMENTS(needed); i++) {
    if (json_object_get(template, needed[i]) != NULL)
      continue;
    refuse(refusal, 400, "InvalidTemplate", "Deployment template validation failed: 'There is no %s.'", needed[i]);
  }
  const char *name;
  json_t *value;
  declared = json_object_get(template, "parameters");
  json_object_foreach(json_object_get(plan->request, "parameters"), name, value)
  {
    if (json_object_get(declared, name) == NULL)
      refuse(refusal, 400, "InvalidTemplate",
             "Deployment template validation failed: 'The template parameters '%s' in "
             "the parameters file are not valid.'",
             name);
  }
  json_object_foreach(declared, name, value)
  {
    if (json_object_get(value, "defaultValue") == NULL
        && json_object_get(json_object_get(json_object_get(plan->request, "parameters"), name), "value") == NULL)
      refuse(refusal, 400, "InvalidTemplate",
             "Deployment template validation failed: 'The value for the template "
             "parameter '%s' is not provided.'",
             name);
  }
}

Plan *
plan_new(Double *world, const char *group_id, json_t *properties, const char *url, Refusal *refusal)
{
  Plan *plan = g_new0(Plan, 1);
  plan->group_id = g_strdup(group_id);
  plan->request = json_deep_copy(properties);
  plan->nodes = g_ptr_array_new_with_free_func(node_free);
  check_template(plan, refusal);
  size_t i;
  json_t *source;
  json_array_foreach(json_at(plan->request, "template.resources"), i, source)
  {
    if (refusal->status == 0)
      add_node(world, plan, source, url, refusal);
  }
  for (guint j = 0; j < plan->nodes->len && refusal->status == 0; j++)
    add_needs(world, plan, g_ptr_array_index(plan->nodes, j), refusal);
  if (refusal->status == 0)
    return plan;
  if (!g_str_has_prefix(refusal->message, "The double refuses")) /* which is recorded already */
    journal_violation(world, "PUT", url, refusal->message);
  plan_free(plan);
  return NULL;
}

json_t *
plan_preflight(Double *world, const Plan *plan)
{
  json_t *details = json_array();
  g_autoptr(GHashTable) spare = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; i < plan->nodes->len; i++) {
    const Node *node = g_ptr_array_index(plan->nodes, i);
    g_autofree char *type = id_type(node->id);
    Refusal refusal = { 0 };
    if (same_text(type, "Microsoft.Compute/virtualMachines"))
      catalogue_check_vm(world, node->id, node->body, spare, &refusal);
    if (refusal.status != 0)
      json_array_append_new(
          details, json_pack("{s:s, s:s, s:s}", "code", refusal.code, "target", node->id, "message", refusal.message));
    refusal_clear(&refusal);
  }
  if (json_array_size(details) > 0)
    return details;
  json_decref(details);
  return NULL;
}

json_t *
plan_outputs(Double *world, const Plan *plan, char **ret_problem)
{
  TemplateScope scope = scope_of(world, plan, TRUE);
  json_t *declared = json_at(plan->request, "template.outputs");
  json_t *outputs = declared != NULL ? template_value(&scope, declared) : json_object(), *output;
  const char *name;
  *ret_problem = scope.problem;
  json_object_foreach(outputs, name, output)
  {
    const char *type = json_text_at(output, "type", "String");
    if (g_ascii_strcasecmp(type, "string") == 0)
      json_object_set_new(output, "type", json_string("String"));
  }
  return outputs;
}
