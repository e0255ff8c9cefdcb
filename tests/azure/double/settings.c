/* Defaults of the double's settings, and reading them. */
#include "settings.h"
#include <string.h>

static const char defaults[]
    = "{"
      "\"latency_ms\": 0, \"page_size\": 500, \"empty_first_page\": false, \"retry_after\": 1, \"poll_retry_after\": "
      "1, \"nic_reserve_s\": 180,"
      "\"duration_ms\": {\"create\": 50, \"create.virtualMachines\": 500, \"delete\": 50, \"delete.virtualMachines\": "
      "300,"
      "  \"delete.resourceGroups\": 300, \"power\": 200, \"runCommand\": 100, \"tags\": 50, \"register\": 200},"
      "\"budget\": {\"reads\": [250, 25], \"writes\": [200, 10], \"deletes\": [200, 10]},"
      "\"strict\": true, \"errors_as_text\": false, \"tags_async\": false, \"async_header\": true, \"power_state\": "
      "true,"
      "\"token_life\": 3600, \"token_retry_after\": 0, \"clients\": [], \"identity\": true, \"identity_header\": \"\","
      "\"subscriptions\": [{\"id\": \"11111111-1111-4111-8111-111111111111\", \"name\": \"Double\", \"state\": "
      "\"Enabled\"}],"
      "\"tenant\": \"22222222-2222-4222-8222-222222222222\","
      "\"extra_regions\": 0, \"unavailable\": [], \"capacity\": [], \"quota\": [], \"quota_limit\": 100,"
      "\"unregistered\": [], \"resource_health\": [], \"maintenance\": {}, \"host_keys\": {}, \"addresses\": {}"
      "}";

json_t *
settings_new(void)
{
  json_error_t problem;
  json_t *settings = json_loads(defaults, 0, &problem);
  if (settings == NULL)
    g_error("default settings: %s", problem.text);
  return settings;
}

gboolean
settings_known(const char *name)
{
  json_t *settings = settings_new();
  gboolean known = json_object_get(settings, name) != NULL;
  json_decref(settings);
  return known;
}

void
settings_merge(json_t *settings, const char *name, json_t *value)
{
  json_t *present = json_object_get(settings, name);
  if (json_is_object(present) && json_is_object(value))
    json_object_update(present, value);
  else
    json_object_set(settings, name, value);
}

gint64
settings_duration(const Double *world, const char *act, const char *type)
{
  json_t *durations = json_object_get(world->settings, "duration_ms");
  const char *slash = type != NULL ? strrchr(type, '/') : NULL;
  g_autofree char *exact = g_strdup_printf("%s.%s", act, slash != NULL ? slash + 1 : "");
  json_t *found = json_object_get(durations, exact);
  if (found == NULL)
    found = json_object_get(durations, act);
  return (gint64) json_number_value(found);
}

guint
settings_latency(Double *world)
{
  json_t *latency = json_object_get(world->settings, "latency_ms");
  if (!json_is_array(latency))
    return (guint) json_number_value(latency);
  double least = json_number_value(json_array_get(latency, 0)), most = json_number_value(json_array_get(latency, 1));
  return (guint) (least + g_rand_double(world->rand) * MAX(0, most - least));
}
