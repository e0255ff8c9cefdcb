/* Isolation as rules of a security group: two that deny everything, ahead of all that allow something. */
#include "isolation.h"
#include "arm.h"
#include "deployment.h"

#define FIRST_PRIORITY 100 /* the highest that Azure takes */
#define LAST_PRIORITY 4096

typedef struct {
  const char *name, *direction;
} Wall;

static const Wall WALLS[] = {
  { AZURE_ISOLATE_IN_RULE, "Inbound" },
  { AZURE_ISOLATE_OUT_RULE, "Outbound" },
};

static const json_t *
rules_of(const json_t *group)
{
  return arm_member(group, "properties.securityRules");
}

static gboolean
says(const json_t *rule, const char *member, const char *value)
{
  return g_ascii_strcasecmp(arm_string(rule, member, ""), value) == 0;
}

static gboolean
is_wall(const json_t *rule)
{
  return says(rule, "name", AZURE_ISOLATE_IN_RULE) || says(rule, "name", AZURE_ISOLATE_OUT_RULE);
}

static int
priority_of(const json_t *rule)
{
  const json_t *priority = arm_member(rule, "properties.priority");
  return json_is_integer(priority) ? (int) CLAMP(json_integer_value(priority), 0, G_MAXINT) : 0;
}

static const json_t *
find_named(const json_t *group, const char *name)
{
  for (size_t i = 0; i < json_array_size(rules_of(group)); i++)
    if (says(json_array_get(rules_of(group), i), "name", name))
      return json_array_get(rules_of(group), i);
  return NULL;
}

/* A rule of somebody else's; an unreadable priority counts as the first. */
static const json_t *
find_allow_before(const json_t *group, const char *direction, int priority)
{
  for (size_t i = 0; i < json_array_size(rules_of(group)); i++) {
    const json_t *rule = json_array_get(rules_of(group), i);
    if (!is_wall(rule) && says(rule, "properties.direction", direction) && !says(rule, "properties.access", "Deny")
        && priority_of(rule) < priority)
      return rule;
  }
  return NULL;
}

static gboolean
is_taken(const json_t *group, const char *direction, int priority)
{
  for (size_t i = 0; i < json_array_size(rules_of(group)); i++) {
    const json_t *rule = json_array_get(rules_of(group), i);
    if (!is_wall(rule) && says(rule, "properties.direction", direction) && priority_of(rule) == priority)
      return TRUE;
  }
  return FALSE;
}

int
azure_front_priority(const json_t *group, const char *direction, const char **ret_blocker)
{
  int priority = FIRST_PRIORITY;
  while (priority <= LAST_PRIORITY && is_taken(group, direction, priority))
    priority++;
  const json_t *blocker = find_allow_before(group, direction, priority);
  if (blocker != NULL && ret_blocker != NULL)
    *ret_blocker = arm_string(blocker, "name", "");
  return blocker == NULL && priority <= LAST_PRIORITY ? priority : 0;
}

/* Everything, in this direction, ahead of what allows anything, and no longer on its way. */
static gboolean
stands(const json_t *group, const Wall *wall)
{
  static const char *const ANY[]
      = { "protocol", "sourceAddressPrefix", "sourcePortRange", "destinationAddressPrefix", "destinationPortRange" };
  const json_t *rule = find_named(group, wall->name);
  const json_t *properties = json_object_get(rule, "properties");
  for (gsize i = 0; i < G_N_ELEMENTS(ANY); i++)
    if (!says(properties, ANY[i], "*"))
      return FALSE;
  return says(properties, "direction", wall->direction) && says(properties, "access", "Deny")
         && g_ascii_strcasecmp(arm_string(properties, "provisioningState", "Succeeded"), "Succeeded") == 0
         && priority_of(rule) > 0 && find_allow_before(group, wall->direction, priority_of(rule)) == NULL;
}

static AzureIsolationStep
step_on(const json_t *group, const char **ret_blocker)
{
  gboolean all = TRUE;
  for (gsize i = 0; i < G_N_ELEMENTS(WALLS); i++) {
    all = all && stands(group, &WALLS[i]);
    if (azure_front_priority(group, WALLS[i].direction, ret_blocker) == 0)
      return AZURE_ISOLATION_BLOCKED;
  }
  gboolean settled = says(group, "properties.provisioningState", "Succeeded");
  return all && settled ? AZURE_ISOLATION_DONE : AZURE_ISOLATION_WRITE;
}

AzureIsolationStep
azure_isolation_step(const json_t *group, gboolean on, const char **ret_blocker)
{
  const char *state = arm_string(group, "properties.provisioningState", "");
  if (!azure_state_is_final(state))
    return AZURE_ISOLATION_WAIT;
  if (on)
    return step_on(group, ret_blocker);
  gboolean none = !find_named(group, AZURE_ISOLATE_IN_RULE) && !find_named(group, AZURE_ISOLATE_OUT_RULE);
  return none && says(group, "properties.provisioningState", "Succeeded") ? AZURE_ISOLATION_DONE
                                                                          : AZURE_ISOLATION_WRITE;
}

static json_t *
wall_rule(const json_t *group, const Wall *wall)
{
  return json_pack("{s:s, s:{s:s, s:i, s:s, s:s, s:s, s:s, s:s, s:s, s:s}}", "name", wall->name, "properties",
                   "description", "azlin has cut this machine off", "priority",
                   MAX(azure_front_priority(group, wall->direction, NULL), FIRST_PRIORITY), "direction",
                   wall->direction, "access", "Deny", "protocol", "*", "sourceAddressPrefix", "*", "sourcePortRange",
                   "*", "destinationAddressPrefix", "*", "destinationPortRange", "*");
}

/* What a client may say of a rule, without what only Azure says. */
static json_t *
kept_rule(const json_t *rule)
{
  json_t *properties = json_deep_copy(json_object_get(rule, "properties"));
  json_object_del(properties, "provisioningState");
  return json_pack("{s:s, s:o}", "name", arm_string(rule, "name", ""), "properties", properties);
}

json_t *
azure_isolation_body(const json_t *group, gboolean on, gboolean flush)
{
  json_t *rules = json_array(), *properties = json_object();
  json_t *was_flushed = json_object_get(json_object_get(group, "properties"), "flushConnection");
  for (size_t i = 0; i < json_array_size(rules_of(group)); i++)
    if (!is_wall(json_array_get(rules_of(group), i)))
      json_array_append_new(rules, kept_rule(json_array_get(rules_of(group), i)));
  for (gsize i = 0; on && i < G_N_ELEMENTS(WALLS); i++)
    json_array_append_new(rules, wall_rule(group, &WALLS[i]));
  json_object_set_new(properties, "securityRules", rules);
  if (on && flush)
    json_object_set_new(properties, "flushConnection", json_true());
  else if (json_is_boolean(was_flushed))
    json_object_set(properties, "flushConnection", was_flushed);
  json_t *body = json_pack("{s:s, s:o}", "location", arm_string(group, "location", ""), "properties", properties);
  if (json_is_object(json_object_get(group, "tags")))
    json_object_set(body, "tags", json_object_get(group, "tags"));
  return body;
}
