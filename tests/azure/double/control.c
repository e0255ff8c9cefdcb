/* The control endpoint: settings, faults, resources put there by the test, and a fresh world. */
#include "control.h"
#include "budget.h"
#include "faults.h"
#include "lifecycle.h"
#include "operation.h"
#include "settings.h"
#include "state.h"
#include "token.h"

void
control_begin_world(Double *world)
{
  world->settings = settings_new();
  world->resources = store_new();
  world->operations = operations_new();
  world->tokens = tokens_new();
  world->graves = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  world->links = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  world->faults = faults_new();
  world->journal = journal_new();
  world->budget = budget_new();
  world->rand = g_rand_new_with_seed(1);
  world->next_address = 0;
  world->began = g_get_monotonic_time();
}

void
control_end_world(Double *world)
{
  g_hash_table_unref(world->operations);
  g_tree_unref(world->resources);
  g_hash_table_unref(world->tokens);
  g_hash_table_unref(world->graves);
  g_hash_table_unref(world->links);
  faults_free(world->faults);
  journal_free(world->journal);
  budget_free(world->budget);
  g_rand_free(world->rand);
  json_decref(world->settings);
}

static char *
add_faults(Double *world, json_t *list)
{
  size_t i;
  json_t *spec;
  json_array_foreach(list, i, spec)
  {
    char *problem = faults_add(world->faults, spec);
    if (problem != NULL)
      return problem;
  }
  return NULL;
}

/* Resources that no client made: {"id", "power"?, "body"}. */
static char *
add_resources(Double *world, json_t *list)
{
  size_t i;
  json_t *entry;
  json_array_foreach(list, i, entry)
  {
    const char *id = json_text_at(entry, "id", ""), *power = json_text_at(entry, "power", NULL);
    json_t *body = json_object_get(entry, "body");
    g_autofree char *type = id_type(id);
    if (type == NULL || g_str_has_suffix(type, "/deployments"))
      return g_strdup_printf("'%s' is no id of a resource that a test can put there", id);
    Resource *resource = store_add(world, id, body != NULL ? json_deep_copy(body) : json_object());
    resource->foreign = TRUE;
    resource->power = g_strdup(power);
    if (resource_state(resource)[0] == '\0')
      resource_set_state(resource, "Succeeded");
  }
  return NULL;
}

/* {id: {"properties.x": value, "power": "stopped"}}: what the world does to a resource by itself. */
static char *
change_resources(Double *world, json_t *changes)
{
  const char *id, *path;
  json_t *values, *value;
  json_object_foreach(changes, id, values)
  {
    Resource *resource = store_find(world, id);
    if (resource == NULL)
      return g_strdup_printf("there is no resource '%s'", id);
    json_object_foreach(values, path, value)
    {
      if (!g_str_equal(path, "power")) {
        json_put_at(resource->body, path, json_incref(value));
        continue;
      }
      g_free(resource->power);
      resource->power = g_strdup(json_string_value(value));
    }
  }
  return NULL;
}

static char *
remove_resources(Double *world, json_t *list)
{
  size_t i;
  json_t *id;
  json_array_foreach(list, i, id)
  {
    Resource *resource = store_find(world, json_string_value(id));
    if (resource == NULL)
      return g_strdup_printf("there is no resource '%s'", json_string_value(id));
    lifecycle_remove(world, resource);
  }
  return NULL;
}

static char *
apply_one(Double *world, const char *name, json_t *value)
{
  if (g_str_equal(name, "faults")) {
    faults_clear(world->faults);
    return add_faults(world, value);
  }
  if (g_str_equal(name, "add_faults"))
    return add_faults(world, value);
  if (g_str_equal(name, "resources"))
    return add_resources(world, value);
  if (g_str_equal(name, "change"))
    return change_resources(world, value);
  if (g_str_equal(name, "remove"))
    return remove_resources(world, value);
  if (g_str_equal(name, "revoke_tokens")) {
    g_hash_table_remove_all(world->tokens);
  } else if (g_str_equal(name, "forget_waits")) {
    budget_forget_waits(world);
  } else if (g_str_equal(name, "seed")) {
    faults_seed(world->faults, (guint32) json_integer_value(value));
    g_rand_set_seed(world->rand, (guint32) json_integer_value(value));
  } else if (settings_known(name)) {
    settings_merge(world->settings, name, value);
  } else {
    return g_strdup_printf("there is no setting '%s'", name);
  }
  return NULL;
}

char *
control_apply(Double *world, json_t *document)
{
  const char *name;
  json_t *value, *seed = json_object_get(document, "seed");
  if (!json_is_object(document))
    return g_strdup("the document is no JSON object");
  if (seed != NULL)
    apply_one(world, "seed", seed);
  json_object_foreach(document, name, value)
  {
    char *problem = g_str_equal(name, "seed") ? NULL : apply_one(world, name, value);
    if (problem != NULL)
      return problem;
  }
  return NULL;
}

void
control_handle(Exchange *exchange)
{
  g_autofree char *problem = control_apply(exchange->world, exchange->body);
  if (problem != NULL)
    exchange_error(exchange, 400, "Control", "%s", problem);
  else
    exchange_json(exchange, 200, json_pack("{s:o}", "faults", faults_report(exchange->world->faults)));
}

void
control_handle_state(Exchange *exchange)
{
  exchange_json(exchange, 200, state_report(exchange->world));
}

void
control_handle_log(Exchange *exchange)
{
  exchange_json(exchange, 200, json_pack("{s:o}", "requests", journal_requests(exchange->world)));
}

void
control_handle_reset(Exchange *exchange)
{
  control_end_world(exchange->world);
  control_begin_world(exchange->world);
  exchange_json(exchange, 200, json_object());
}
