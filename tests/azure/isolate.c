/* Isolation of a machine against a scripted Azure: the rules as a pure function, then the requests. */
#include "isolation.h"
#include "arm-world.h"
#include <string.h>

#define NSG GROUP "/providers/Microsoft.Network/networkSecurityGroups/m1-nsg"
#define NIC GROUP "/providers/Microsoft.Network/networkInterfaces/m1-nic"
#define RULE(name, priority, direction, access)                                                                        \
  "{\"name\":\"" name "\",\"id\":\"x\",\"etag\":\"y\",\"properties\":{\"provisioningState\":\"Succeeded\","            \
  "\"priority\":" priority ",\"direction\":\"" direction "\",\"access\":\"" access                                     \
  "\",\"protocol\":\"*\",\"sourceAddressPrefix\":\"*\",\"sourcePortRange\":\"*\",\"destinationAddressPrefix\":\"*\","  \
  "\"destinationPortRange\":\"*\"}}"
#define SSH RULE("ssh", "1000", "Inbound", "Allow")
#define WALLS                                                                                                          \
  RULE("azlin-isolate-in", "100", "Inbound", "Deny") "," RULE("azlin-isolate-out", "100", "Outbound", "Deny")
#define IN_STATE(state, tag, rules)                                                                                    \
  "{\"id\":\"" NSG "\",\"location\":\"eastus\",\"etag\":\"z\",\"tags\":{" tag "},\"properties\":{"                     \
  "\"provisioningState\":\"" state "\",\"resourceGuid\":\"g\",\"securityRules\":[" rules "],"                          \
  "\"defaultSecurityRules\":[]}}"
#define OURS "\"azlin:managed\":\"true\",\"own\":\"1\""
#define STANDS(rules) IN_STATE("Succeeded", OURS, rules)
#define ATTACHED                                                                                                       \
  "{\"properties\":{\"networkSecurityGroup\":{\"id\":\"" NSG "\"},\"virtualMachine\":{\"id\":\"" VM "\"}}}"
#define POLL "azure-asyncoperation: " ENDPOINT "/operations/1\nretry-after: 10"

/* ---- pure ---- */

static void
test_step(void)
{
  static const struct {
    const char *group;
    AzureIsolationStep on, off;
  } rows[] = {
    { STANDS(SSH), AZURE_ISOLATION_WRITE, AZURE_ISOLATION_DONE },
    { STANDS(SSH "," WALLS), AZURE_ISOLATION_DONE, AZURE_ISOLATION_WRITE },
    { STANDS(WALLS), AZURE_ISOLATION_DONE, AZURE_ISOLATION_WRITE },
    { IN_STATE("Updating", OURS, SSH "," WALLS), AZURE_ISOLATION_WAIT, AZURE_ISOLATION_WAIT },
    { IN_STATE("Failed", OURS, SSH "," WALLS), AZURE_ISOLATION_WRITE, AZURE_ISOLATION_WRITE },
    { IN_STATE("Failed", OURS, SSH), AZURE_ISOLATION_WRITE, AZURE_ISOLATION_WRITE },
    { STANDS(RULE("azlin-isolate-in", "100", "Inbound", "Deny")), AZURE_ISOLATION_WRITE, AZURE_ISOLATION_WRITE },
    { STANDS(RULE("AZLIN-ISOLATE-OUT", "100", "Outbound", "Deny")), AZURE_ISOLATION_WRITE, AZURE_ISOLATION_WRITE },
    { STANDS(
          RULE("azlin-isolate-in", "100", "Inbound", "Allow") "," RULE("azlin-isolate-out", "100", "Outbound", "Deny")),
      AZURE_ISOLATION_WRITE, AZURE_ISOLATION_WRITE },
    /* a rule that was put in front of it afterwards */
    { STANDS(RULE("in", "100", "Inbound", "Allow") "," RULE("azlin-isolate-in", "101", "Inbound", "Deny")),
      AZURE_ISOLATION_BLOCKED, AZURE_ISOLATION_WRITE },
    { STANDS(RULE("out", "100", "Outbound", "Allow")), AZURE_ISOLATION_BLOCKED, AZURE_ISOLATION_DONE },
    { STANDS(RULE("no", "100", "Inbound", "Deny") "," SSH), AZURE_ISOLATION_WRITE, AZURE_ISOLATION_DONE },
    { "{}", AZURE_ISOLATION_WAIT, AZURE_ISOLATION_WAIT },
    { "{\"properties\":[]}", AZURE_ISOLATION_WAIT, AZURE_ISOLATION_WAIT },
    { "{\"properties\":{\"provisioningState\":\"Succeeded\",\"securityRules\":[null,5,{\"name\":{}}]}}",
      AZURE_ISOLATION_WRITE, AZURE_ISOLATION_DONE },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    json_auto_t *group = json_loads(rows[i].group, 0, NULL);
    g_assert_nonnull(group);
    g_test_message("row %" G_GSIZE_FORMAT, i);
    g_assert_cmpint(azure_isolation_step(group, TRUE, NULL), ==, rows[i].on);
    g_assert_cmpint(azure_isolation_step(group, FALSE, NULL), ==, rows[i].off);
  }
}

static void
test_narrow_rule_is_no_isolation(void)
{
  static const char *const MEMBERS[] = {
    "protocol",         "sourceAddressPrefix", "sourcePortRange", "destinationAddressPrefix", "destinationPortRange",
    "provisioningState"
  };
  for (gsize i = 0; i < G_N_ELEMENTS(MEMBERS); i++) {
    json_auto_t *group = json_loads(STANDS(WALLS), 0, NULL);
    json_t *rule = json_array_get(json_object_get(json_object_get(group, "properties"), "securityRules"), 1);
    g_assert_cmpint(azure_isolation_step(group, TRUE, NULL), ==, AZURE_ISOLATION_DONE);
    json_object_set_new(json_object_get(rule, "properties"), MEMBERS[i], json_string("Tcp"));
    g_assert_cmpint(azure_isolation_step(group, TRUE, NULL), ==, AZURE_ISOLATION_WRITE);
  }
}

static void
test_priority(void)
{
  static const struct {
    const char *rules;
    int priority;
    const char *blocker;
  } rows[] = {
    { SSH, 100, "" },
    { "", 100, "" },
    { RULE("a", "100", "Inbound", "Deny") "," RULE("b", "101", "Inbound", "Deny"), 102, "" },
    { RULE("a", "101", "Inbound", "Allow"), 100, "" },
    { RULE("a", "100", "Outbound", "Allow"), 100, "" },
    { RULE("a", "100", "Inbound", "Allow"), 0, "a" },
    { RULE("a", "100", "Inbound", "Deny") "," RULE("b", "101", "Inbound", "Allow"), 0, "b" },
    { RULE("a", "\"x\"", "Inbound", "Allow"), 0, "a" },
    { RULE("azlin-isolate-in", "100", "Inbound", "Deny"), 100, "" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = g_strdup_printf("{\"properties\":{\"securityRules\":[%s]}}", rows[i].rules);
    json_auto_t *group = json_loads(text, 0, NULL);
    const char *blocker = "";
    g_assert_cmpint(azure_front_priority(group, "Inbound", &blocker), ==, rows[i].priority);
    g_assert_cmpstr(blocker, ==, rows[i].blocker);
  }
}

static char *
names_in(json_t *body)
{
  GString *names = g_string_new(NULL);
  size_t i;
  json_t *rule;
  json_array_foreach(json_object_get(json_object_get(body, "properties"), "securityRules"), i, rule)
  {
    g_string_append_printf(names, "%s ", arm_string(rule, "name", "?"));
    g_assert_null(json_object_get(rule, "etag"));
    g_assert_null(arm_member(rule, "properties.provisioningState"));
  }
  return g_string_free(names, FALSE);
}

/* What Azure or somebody else has put there stays, what only Azure may say is not said. */
static void
test_body(void)
{
  json_auto_t *open = json_loads(STANDS(SSH "," RULE("mine", "200", "Inbound", "Allow")), 0, NULL);
  json_auto_t *on = azure_isolation_body(open, TRUE, TRUE);
  json_object_set_new(json_object_get(on, "properties"), "provisioningState", json_string("Succeeded"));
  g_autofree char *walled = names_in(on);
  g_assert_cmpstr(walled, ==, "ssh mine azlin-isolate-in azlin-isolate-out ");
  g_assert_cmpstr(arm_string(on, "location", ""), ==, "eastus");
  g_assert_cmpstr(json_string_value(json_object_get(json_object_get(on, "tags"), "own")), ==, "1");
  g_assert_true(json_is_true(arm_member(on, "properties.flushConnection")));
  g_assert_null(arm_member(on, "properties.defaultSecurityRules"));
  g_assert_cmpint(azure_isolation_step(on, TRUE, NULL), ==, AZURE_ISOLATION_DONE);
  json_auto_t *again = azure_isolation_body(on, TRUE, FALSE), *off = azure_isolation_body(on, FALSE, TRUE);
  g_autofree char *twice = names_in(again), *lifted = names_in(off);
  g_assert_cmpstr(twice, ==, walled);
  g_assert_cmpstr(lifted, ==, "ssh mine ");
  g_assert_true(json_is_true(arm_member(off, "properties.flushConnection"))); /* it was so before */
  json_auto_t *plain = azure_isolation_body(open, TRUE, FALSE);
  g_assert_null(arm_member(plain, "properties.flushConnection"));
}

/* ---- the requests ---- */

static void
isolate(ArmWorld *world, gboolean on, guint32 timeout_ms)
{
  AzlinVm vm = { .size = sizeof vm, .region = "eastus", .vm_name = "m1", .id = VM };
  azure_vm_isolate(&world->azure, &vm, on, arm_world_op(world, timeout_ms));
  arm_world_wait(world);
}

static guint
count(const ArmWorld *world, const char *word)
{
  g_auto(GStrv) parts = g_strsplit(world->log->str, word, -1);
  return g_strv_length(parts) - 1;
}

/* In force is seen before the operation may be asked about: one write, nothing polled. */
static void
test_on(void)
{
  static const Answer answers[] = {
    { "GET " NSG "?api-version=2024-01-01", 200, NULL, STANDS(SSH) },
    { "GET " NIC "?api-version=2024-01-01", 200, NULL, ATTACHED, .always = TRUE },
    { "PUT " NSG "?api-version=2024-01-01", 200, POLL, IN_STATE("Updating", OURS, SSH "," WALLS) },
    { "GET " NSG, 200, NULL, IN_STATE("Updating", OURS, SSH "," WALLS) },
    { "GET " NSG, 200, NULL, STANDS(SSH "," WALLS) },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  isolate(world, TRUE, 10000);
  g_assert_no_error(world->error);
  g_assert_cmpint(az_clock_monotonic(world->clock), ==, 2 * G_USEC_PER_SEC);
  g_assert_cmpuint(count(world, "PUT"), ==, 1);
  g_assert_cmpuint(count(world, "operations"), ==, 0);
  g_assert_nonnull(strstr(world->bodies->str, "\"flushConnection\":true"));
}

static void
test_done_already(void)
{
  static const Answer on[] = { { "GET " NSG, 200, NULL, STANDS(SSH "," WALLS) }, { "GET " NIC, 200, NULL, ATTACHED } };
  static const Answer off[] = { { "GET " NSG, 200, NULL, STANDS(SSH) }, { "GET " NIC, 200, NULL, ATTACHED } };
  g_autoptr(ArmWorld) first = WORLD(on), second = WORLD(off);
  isolate(first, TRUE, 0);
  g_assert_no_error(first->error);
  g_assert_cmpuint(first->requests, ==, 2);
  isolate(second, FALSE, 0);
  g_assert_no_error(second->error);
  g_assert_cmpuint(second->requests, ==, 2);
}

static void
test_off(void)
{
  static const Answer answers[] = {
    { "GET " NSG, 200, NULL, STANDS(SSH "," WALLS) },
    { "GET " NIC, 200, NULL, ATTACHED, .always = TRUE },
    { "PUT " NSG, 200, NULL, STANDS(SSH) },
    { "GET " NSG, 200, NULL, STANDS(SSH) },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  isolate(world, FALSE, 0);
  g_assert_no_error(world->error);
  g_assert_null(strstr(world->bodies->str, "azlin-isolate"));
}

/* Only its own absence means that a machine is gone: a group that is missing, foreign or not in front of it does not.
 */
static void
test_not_as_made(void)
{
#define GONE 404, NULL, "{\"error\":{\"code\":\"ResourceNotFound\"}}"
#define STILL_THERE                                                                                                    \
  {                                                                                                                    \
    "GET " VM "?", 200, NULL, "{}"                                                                                     \
  }
  static const Answer no_group[] = { { "GET " NSG, GONE }, { "GET " NIC, 200, NULL, ATTACHED }, STILL_THERE };
  static const Answer foreign[] = { { "GET " NSG, 200, NULL, IN_STATE("Succeeded", "\"a\":\"b\"", SSH) },
                                    { "GET " NIC, 200, NULL, ATTACHED },
                                    STILL_THERE };
  static const Answer elsewhere[]
      = { { "GET " NSG, 200, NULL, STANDS(SSH "," WALLS) },
          { "GET " NIC, 200, NULL,
            "{\"properties\":{\"networkSecurityGroup\":{\"id\":\"/other\"},\"virtualMachine\":{\"id\":\"" VM "\"}}}" },
          STILL_THERE };
  static const Answer of_another[]
      = { { "GET " NSG, 200, NULL, STANDS(SSH "," WALLS) },
          { "GET " NIC, 200, NULL, "{\"properties\":{\"networkSecurityGroup\":{\"id\":\"" NSG "\"}}}" },
          STILL_THERE };
  static const Answer gone[] = { { "GET " NSG, GONE }, { "GET " NIC, GONE }, { "GET " VM "?", GONE } };
  static const Answer gone_with_rules[]
      = { { "GET " NSG, 200, NULL, STANDS(SSH) }, { "GET " NIC, GONE }, { "GET " VM "?", GONE } };
  static const Answer gone_off[] = { { "GET " NSG, GONE }, { "GET " NIC, GONE }, { "GET " VM "?", GONE } };
  static const Answer lifted[] = { { "GET " NSG, GONE }, { "GET " NIC, GONE }, STILL_THERE };
  const struct {
    ArmWorld *world;
    gboolean on;
    int code; /* -1 = success */
  } rows[] = {
    { WORLD(no_group), TRUE, AZLIN_ERROR_NOT_SUPPORTED },  { WORLD(foreign), TRUE, AZLIN_ERROR_NOT_SUPPORTED },
    { WORLD(elsewhere), TRUE, AZLIN_ERROR_NOT_SUPPORTED }, { WORLD(of_another), TRUE, AZLIN_ERROR_NOT_SUPPORTED },
    { WORLD(gone), TRUE, AZLIN_ERROR_NOT_FOUND },          { WORLD(gone_with_rules), TRUE, AZLIN_ERROR_NOT_FOUND },
    { WORLD(gone_off), FALSE, AZLIN_ERROR_NOT_FOUND },     { WORLD(lifted), FALSE, -1 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(ArmWorld) world = rows[i].world;
    g_test_message("row %" G_GSIZE_FORMAT, i);
    isolate(world, rows[i].on, 0);
    if (rows[i].code < 0)
      g_assert_no_error(world->error);
    else
      g_assert_error(world->error, AZLIN_ERROR, rows[i].code);
    g_assert_cmpuint(count(world, "PUT"), ==, 0);
  }
}

static void
test_blocked(void)
{
  static const Answer answers[] = { { "GET " NSG, 200, NULL, STANDS(RULE("mine", "100", "Inbound", "Allow")) },
                                    { "GET " NIC, 200, NULL, ATTACHED } };
  g_autoptr(ArmWorld) world = WORLD(answers);
  isolate(world, TRUE, 0);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_nonnull(strstr(world->error->message, "'mine'"));
  g_assert_cmpuint(count(world, "PUT"), ==, 0);
}

/* A subscription whose networks do not judge standing flows anew: new ones are kept out all the same, and it is said.
 */
static void
test_without_flush(void)
{
  static const Answer answers[] = {
    { "GET " NSG, 200, NULL, STANDS(SSH) },
    { "GET " NIC, 200, NULL, ATTACHED, .always = TRUE },
    { "PUT " NSG, 400, NULL, "{\"error\":{\"code\":\"SubscriptionNotRegisteredForFeature\",\"message\":\"no\"}}" },
    { "GET " NSG, 200, NULL, STANDS(SSH) },
    { "PUT " NSG, 200, NULL, STANDS(SSH "," WALLS) },
    { "GET " NSG, 200, NULL, STANDS(SSH "," WALLS) },
  };
  static const Answer refused[] = {
    { "GET " NSG, 200, NULL, STANDS(SSH), .always = TRUE },
    { "GET " NIC, 200, NULL, ATTACHED, .always = TRUE },
    { "PUT " NSG, 400, NULL, "{\"error\":{\"code\":\"InvalidParameter\",\"message\":\"no\"}}", .always = TRUE },
  };
  g_autoptr(ArmWorld) world = WORLD(answers), never = WORLD(refused);
  g_test_expect_message("azlin", G_LOG_LEVEL_WARNING, "*m1 is isolated, but Azure does not cut connections*");
  isolate(world, TRUE, 0);
  g_test_assert_expected_messages();
  g_assert_no_error(world->error);
  g_assert_null(strstr(strchr(world->bodies->str, '\n'), "flushConnection"));
  isolate(never, TRUE, 0);
  g_assert_error(never->error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  g_assert_cmpuint(count(never, "PUT"), ==, 2);
}

/* Something else is in the way: what was to be put is out of date then, and the group is read again before it. */
static void
test_busy(void)
{
  static const Answer answers[] = {
    { "GET " NSG, 200, NULL, STANDS(SSH) },
    { "GET " NIC, 200, NULL, ATTACHED, .always = TRUE },
    { "PUT " NSG, 409, NULL, "{\"error\":{\"code\":\"AnotherOperationInProgress\"}}" },
    { "GET " NSG, 200, NULL, IN_STATE("Updating", OURS, SSH) },
    { "GET " NSG, 200, NULL, STANDS(SSH "," RULE("azlin-machines", "1010", "Inbound", "Allow")), .always = TRUE },
    { "PUT " NSG, 403, NULL, "{\"error\":{\"code\":\"AuthorizationFailed\"}}" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  isolate(world, TRUE, 0);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_PERMISSION);
  g_assert_nonnull(strstr(strchr(world->bodies->str, '\n'), "azlin-machines"));
}

/* Azure has finished, but what it shows is not what was put: put again, and not for ever. */
static void
test_never_shown(void)
{
  static const Answer answers[] = {
    { "GET " NSG, 200, NULL, STANDS(SSH), .always = TRUE },
    { "GET " NIC, 200, NULL, ATTACHED, .always = TRUE },
    { "PUT " NSG, 200, NULL, STANDS(SSH "," WALLS), .always = TRUE },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  isolate(world, TRUE, 0);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_cmpuint(count(world, "PUT"), ==, 3);
}

static void
test_failed_operation(void)
{
  static const Answer answers[] = {
    { "GET " NSG, 200, NULL, STANDS(SSH), .always = TRUE },
    { "GET " NIC, 200, NULL, ATTACHED, .always = TRUE },
    { "PUT " NSG, 200, "azure-asyncoperation: " ENDPOINT "/operations/1\nretry-after: 1",
      IN_STATE("Updating", OURS, SSH) },
    { "GET /operations/1", 200, NULL,
      "{\"status\":\"Failed\",\"error\":{\"code\":\"InternalServerError\",\"message\":\"broken\"}}" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  isolate(world, TRUE, 0);
  g_assert_nonnull(world->error);
  g_assert_nonnull(strstr(world->error->message, "broken"));
}

/* An op may end at any moment of it: nothing is left behind, nothing is touched twice. */
static void
test_cut_at_any_moment(void)
{
  static const Answer answers[] = {
    { "GET " NSG, 200, NULL, IN_STATE("Updating", OURS, SSH) },
    { "GET " NSG, 200, NULL, STANDS(SSH), .always = TRUE },
    { "GET " NIC, 200, NULL, ATTACHED, .always = TRUE },
    { "PUT " NSG, 200, POLL, IN_STATE("Updating", OURS, SSH), .always = TRUE },
    { "GET /operations/1", 200, "retry-after: 10", "{\"status\":\"InProgress\"}", .always = TRUE },
  };
  for (guint32 ms = 1; ms < 15000; ms += 333) {
    g_autoptr(ArmWorld) world = WORLD(answers);
    isolate(world, TRUE, ms);
    g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/isolation/step", test_step);
  g_test_add_func("/isolation/narrow-rule", test_narrow_rule_is_no_isolation);
  g_test_add_func("/isolation/priority", test_priority);
  g_test_add_func("/isolation/body", test_body);
  g_test_add_func("/isolate/on", test_on);
  g_test_add_func("/isolate/done-already", test_done_already);
  g_test_add_func("/isolate/off", test_off);
  g_test_add_func("/isolate/not-as-made", test_not_as_made);
  g_test_add_func("/isolate/blocked", test_blocked);
  g_test_add_func("/isolate/without-flush", test_without_flush);
  g_test_add_func("/isolate/busy", test_busy);
  g_test_add_func("/isolate/never-shown", test_never_shown);
  g_test_add_func("/isolate/failed-operation", test_failed_operation);
  g_test_add_func("/isolate/cut", test_cut_at_any_moment);
  return g_test_run();
}
