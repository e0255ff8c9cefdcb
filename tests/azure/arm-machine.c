/* Machines through the provider's own interface against a scripted Azure: read, many at once, listed, switched, tagged.
 */
#include "arm-world.h"
#include "record.h"
#include <string.h>

#define NIC GROUP "/providers/Microsoft.Network/networkInterfaces/m1-nic"
#define PIP GROUP "/providers/Microsoft.Network/publicIPAddresses/m1-pip"
#define VIEW(power)                                                                                                    \
  "\"instanceView\":{\"statuses\":[{\"code\":\"ProvisioningState/succeeded\"},{\"code\":\"PowerState/" power "\"}]}"
#define BODY_OF(id, view)                                                                                              \
  "{\"id\":\"" id "\",\"location\":\"East US\",\"tags\":{\"azlin:managed\":\"true\",\"azlin:created_at\":"             \
  "\"2025-12-01T10:00:00Z\",\"n\":1},\"properties\":{\"osProfile\":{\"adminUsername\":\"azureuser\"},"                 \
  "\"networkProfile\":{\"networkInterfaces\":[{\"id\":\"" NIC "\"}]}," view "}}"
#define BODY(power) BODY_OF(VM, VIEW(power))
#define POLL "azure-asyncoperation: " ENDPOINT "/operations/1\nretry-after: 10"

static AzlinVm
stored(void)
{
  return (AzlinVm){ .size = sizeof(AzlinVm),
                    .region = "eastus",
                    .vm_name = "m1",
                    .resource_group = "azlin-eastus",
                    .id = VM,
                    .public_ip = "127.0.0.9",
                    .provider = "azure",
                    .status = "ok",
                    .host_key = "k" };
}

static void
get(ArmWorld *world, const AzlinVm *vm)
{
  azure_vm_get(&world->azure, vm, arm_world_op(world, 60000));
  arm_world_wait(world);
}

/* ---- one ---- */

static void
test_get(void)
{
  static const Answer answers[]
      = { { "GET " VM "?$expand=instanceView&api-version=2024-07-01", 200, NULL, BODY("running") } };
  g_autoptr(ArmWorld) world = WORLD(answers);
  AzlinVm vm = stored();
  get(world, &vm);
  g_assert_no_error(world->error);
  g_assert_cmpint(world->vm->power, ==, AZLIN_POWER_RUNNING);
  g_assert_cmpstr(world->vm->public_ip, ==, "127.0.0.9");
  g_assert_cmpstr(world->vm->host_key, ==, "k");
  g_assert_cmpuint(g_variant_n_children(world->vm->tags), ==, 2);
  g_assert_cmpint(world->vm->created_at, ==, G_GINT64_CONSTANT(1764583200000000));
  g_assert_cmpuint(world->requests, ==, 1);
}

static void
test_states(void)
{
  static const struct {
    const char *view;
    AzlinPower power;
    AzlinStopCause cause;
  } rows[] = {
    { VIEW("running"), AZLIN_POWER_RUNNING, AZLIN_STOP_UNKNOWN },
    { VIEW("stopped"), AZLIN_POWER_STOPPED, AZLIN_STOP_UNKNOWN },
    { VIEW("deallocated"), AZLIN_POWER_DEALLOCATED, AZLIN_STOP_REQUESTED },
    { VIEW("stopping"), AZLIN_POWER_UNKNOWN, AZLIN_STOP_UNKNOWN },
    { VIEW("starting"), AZLIN_POWER_UNKNOWN, AZLIN_STOP_UNKNOWN },
    { VIEW("\\u0000"), AZLIN_POWER_UNKNOWN, AZLIN_STOP_UNKNOWN },
    { "\"instanceView\":{\"statuses\":[]}", AZLIN_POWER_UNKNOWN, AZLIN_STOP_UNKNOWN },
    { "\"instanceView\":[]", AZLIN_POWER_UNKNOWN, AZLIN_STOP_UNKNOWN },
    { "\"instanceView\":{\"statuses\":[null,1,{\"code\":5}]}", AZLIN_POWER_UNKNOWN, AZLIN_STOP_UNKNOWN },
    { "\"x\":1", AZLIN_POWER_UNKNOWN, AZLIN_STOP_UNKNOWN },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *body
        = g_strdup_printf("{\"id\":\"" VM "\",\"location\":\"eastus\",\"properties\":{%s}}", rows[i].view);
    json_auto_t *json = json_loads(body, JSON_ALLOW_NUL, NULL);
    g_auto(AzureRecord) record = { 0 };
    g_test_message("%s", rows[i].view);
    g_assert_true(azure_record_read(&record, json, NULL));
    g_assert_cmpint(record.vm.power, ==, rows[i].power);
    g_assert_cmpint(record.vm.stop_cause, ==, rows[i].cause);
  }
}

static void
test_not_a_machine(void)
{
  static const char *const bodies[]
      = { "{}", "[]", "{\"id\":5}", "{\"id\":\"" NIC "\",\"location\":\"eastus\"}", "{\"id\":\"" VM "\"}" };
  for (gsize i = 0; i < G_N_ELEMENTS(bodies); i++) {
    const Answer answers[] = { { "GET", 200, NULL, bodies[i] } };
    g_autoptr(ArmWorld) world = WORLD(answers);
    AzlinVm vm = stored();
    get(world, &vm);
    g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  }
}

/* Every value of a machine's body replaced by one of every type, one after the other. */
static void
spoil(json_t *root, json_t *parent, guint *n)
{
  static const char *const WORDS[] = { "null", "-1", "1e308", "\"\"", "[]", "[[null]]", "{}", "{\"code\":{}}", "true" };
  const char *key;
  json_t *value;
  void *next;
  json_object_foreach_safe(parent, next, key, value)
  {
    json_auto_t *kept = json_incref(value);
    for (gsize i = 0; i < G_N_ELEMENTS(WORDS); i++) {
      g_auto(AzureRecord) record = { 0 };
      json_object_set_new(parent, key, json_loads(WORDS[i], JSON_DECODE_ANY, NULL));
      if (azure_record_read(&record, root, NULL))
        g_assert_true(*record.vm.region != '\0' && *record.vm.vm_name != '\0');
      ++*n;
    }
    json_object_set(parent, key, kept);
    json_t *inner = json_is_array(kept) ? json_array_get(kept, json_array_size(kept) - 1) : kept;
    if (json_is_object(inner))
      spoil(root, inner, n);
  }
}

static void
test_any_type(void)
{
  guint n = 0;
  json_auto_t *body = json_loads(BODY("running"), 0, NULL);
  spoil(body, body, &n);
  g_assert_cmpuint(n, >, 100);
  g_auto(AzureRecord) record = { 0 };
  g_assert_true(azure_record_read(&record, body, NULL));
  g_assert_cmpint(record.vm.power, ==, AZLIN_POWER_RUNNING);
}

static void
test_gone(void)
{
  static const Answer answers[] = { { "GET", 404, NULL, "{\"error\":{\"code\":\"ResourceNotFound\"}}" } };
  g_autoptr(ArmWorld) world = WORLD(answers);
  AzlinVm vm = stored();
  get(world, &vm);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
}

static void
test_address(void)
{
  static const Answer by_name[] = { { "GET " VM, 200, NULL, BODY("running") },
                                    { "GET " PIP, 200, NULL, "{\"properties\":{\"ipAddress\":\"127.7.0.1\"}}" } };
  static const Answer by_nic[] = {
    { "GET " VM, 200, NULL, BODY("running") },
    { "GET " PIP, 404, NULL, "" },
    { "GET " NIC, 200, NULL,
      "{\"properties\":{\"ipConfigurations\":[{\"properties\":{\"publicIPAddress\":{\"id\":\"" GROUP
      "/providers/Microsoft.Network/publicIPAddresses/other\"}}}]}}" },
    { "publicIPAddresses/other", 200, NULL, "{\"properties\":{\"ipAddress\":\"127.7.0.2\"}}" },
  };
  static const Answer junk[] = { { "GET " VM, 200, NULL, BODY("running") },
                                 { "GET " PIP, 200, NULL, "{\"properties\":{\"ipAddress\":\"-oProxyCommand=x\"}}" } };
  g_autoptr(ArmWorld) first = WORLD(by_name), second = WORLD(by_nic), third = WORLD(junk);
  AzlinVm vm = stored();
  vm.public_ip = "";
  get(first, &vm);
  g_assert_cmpstr(first->vm->public_ip, ==, "127.7.0.1");
  get(second, &vm);
  g_assert_cmpstr(second->vm->public_ip, ==, "127.7.0.2");
  get(third, &vm);
  g_assert_cmpstr(third->vm->public_ip, ==, "");
}

static void
use_option(ArmWorld *world, const char *name, GVariant *value)
{
  g_hash_table_replace(world->options, g_strdup(name), g_variant_ref_sink(value));
}

#define HEALTH "Microsoft.ResourceHealth?api-version=2024-07-01"
#define REGISTERED "{\"registrationState\":\"Registered\"}"

static void
again(ArmWorld *world)
{
  g_clear_pointer(&world->vm, world->api.vm_free);
  g_clear_pointer(&world->vms, g_ptr_array_unref);
  world->ended = FALSE;
}

static void
pass(ArmWorld *world, guint32 seconds)
{
  az_host_sleep(seconds * 1000, arm_world_op(world, 0));
  arm_world_wait(world);
  again(world);
}

static void
test_platform(void)
{
  static const Answer answers[] = {
    { "GET " VM "?", 200, NULL, BODY("stopped") },
    { HEALTH, 200, NULL, REGISTERED },
    { "availabilityStatuses/current?api-version=", 200, NULL,
      "{\"properties\":{\"availabilityState\":\"Unavailable\",\"reasonType\":\"Unplanned\",\"summary\":\"Host "
      "died\"}}" },
    { "GET " VM "?", 200, NULL, BODY("stopped") },
    { "GET " VM "?", 200, NULL, BODY("stopped") },
    { "availabilityStatuses/current", 200, NULL,
      "{\"properties\":{\"availabilityState\":\"Unavailable\",\"reasonType\":\"Customer Initiated\"}}" },
  };
  static const Answer unregistered[] = { { "GET " VM "?", 200, NULL, BODY("stopped"), .always = TRUE },
                                         { HEALTH, 200, NULL, "{\"registrationState\":\"NotRegistered\"}" } };
  static const Answer hangs[] = { { "GET " VM "?", 200, NULL, BODY("stopped") }, { HEALTH, 503, NULL, "" } };
  g_autoptr(ArmWorld) world = WORLD(answers), without = WORLD(unregistered), down = WORLD(hangs);
  AzlinVm vm = stored();
  ArmWorld *const worlds[] = { world, without, down };
  for (gsize i = 0; i < G_N_ELEMENTS(worlds); i++)
    use_option(worlds[i], "resource-health", g_variant_new_string("stopped"));
  get(world, &vm);
  g_assert_cmpstr(world->vm->platform, ==, "unavailable");
  g_assert_cmpstr(world->vm->platform_detail, ==, "Host died");
  g_assert_cmpint(world->vm->stop_cause, ==, AZLIN_STOP_ENDED);
  again(world);
  pass(world, 20);
  get(world, &vm); /* what was said half a minute ago at most is good enough */
  g_assert_cmpstr(world->vm->platform_detail, ==, "Host died");
  g_assert_cmpuint(world->requests, ==, 4);
  again(world);
  pass(world, 20);
  get(world, &vm);
  g_assert_null(world->vm->platform);
  g_assert_cmpint(world->vm->stop_cause, ==, AZLIN_STOP_REQUESTED);
  get(without, &vm);
  g_assert_no_error(without->error);
  g_assert_null(without->vm->platform);
  g_assert_cmpint(without->azure.has_health, ==, 0);
  get(down, &vm);
  g_assert_no_error(down->error);
}

/* Whether somebody asked for it, as three members have told over the years; intent goes before everything else. */
static void
test_cause(void)
{
  static const struct {
    const char *properties, *state;
    AzlinStopCause cause;
  } rows[] = {
    { "\"availabilityState\":\"Unavailable\",\"reasonType\":\"Unplanned\"", "unavailable", AZLIN_STOP_ENDED },
    { "\"availabilityState\":\"Unavailable\",\"reasonType\":\"Planned\"", "unavailable", AZLIN_STOP_ENDED },
    { "\"availabilityState\":\"Unavailable\",\"context\":\"Platform Initiated\"", "unavailable", AZLIN_STOP_ENDED },
    { "\"availabilityState\":\"Unavailable\",\"healthEventCause\":\"PlatformInitiated\"", "unavailable",
      AZLIN_STOP_ENDED },
    { "\"availabilityState\":\"Unavailable\",\"reasonType\":\"UserInitiated\"", NULL, AZLIN_STOP_REQUESTED },
    { "\"availabilityState\":\"Unavailable\",\"reasonType\":\"Customer Initiated\"", NULL, AZLIN_STOP_REQUESTED },
    { "\"availabilityState\":\"Unavailable\",\"context\":\"Customer Initiated\"", NULL, AZLIN_STOP_REQUESTED },
    { "\"availabilityState\":\"Unavailable\",\"reasonType\":\"Unplanned\",\"healthEventCause\":\"UserInitiated\"", NULL,
      AZLIN_STOP_REQUESTED },
    { "\"availabilityState\":\"Unavailable\"", "unavailable", AZLIN_STOP_UNKNOWN },
    { "\"availabilityState\":\"Available\",\"reasonType\":\"Unplanned\",\"context\":\"Platform Initiated\"",
      "available", AZLIN_STOP_UNKNOWN },
    { "\"availabilityState\":\"Degraded\"", "available", AZLIN_STOP_UNKNOWN },
    { "\"availabilityState\":\"Unknown\",\"reasonType\":\"Unplanned\"", NULL, AZLIN_STOP_UNKNOWN },
    { "\"availabilityState\":5,\"reasonType\":[]", NULL, AZLIN_STOP_UNKNOWN },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = g_strdup_printf("{\"properties\":{%s}}", rows[i].properties);
    g_autofree char *detail = NULL;
    json_auto_t *body = json_loads(text, 0, NULL);
    AzurePlatform platform = azure_platform_read(body, &detail);
    g_test_message("%s", text);
    g_assert_cmpint(platform.cause, ==, rows[i].cause);
    if (rows[i].cause != AZLIN_STOP_REQUESTED)
      g_assert_cmpstr(platform.state, ==, rows[i].state);
  }
}

/* Announced, under way, over: by its window and by what became of it. */
static void
test_maintenance(void)
{
#define START "\"maintenanceWindowStartTime\":\"2025-12-01T10:00:00Z\""
#define END "\"maintenanceWindowEndTime\":\"2025-12-01T12:00:00Z\""
  const gint64 start = G_GINT64_CONSTANT(1764583200000000), hour = G_GINT64_CONSTANT(3600) * G_USEC_PER_SEC;
  const struct {
    const char *status;
    gint64 now, at;
  } rows[] = {
    { START "," END, start - hour, start },
    { START "," END, start + hour, start },
    { START "," END, start + 3 * hour, 0 },
    { START, start + 3 * hour, start },
    { START "," END ",\"lastOperationResultCode\":\"MaintenanceCompleted\"", start - hour, 0 },
    { START "," END ",\"lastOperationResultCode\":\"RetryLater\"", start - hour, start },
    { END, start - hour, 0 },
    { "\"maintenanceWindowStartTime\":{}", start, 0 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autofree char *text = g_strdup_printf("{\"maintenanceRedeployStatus\":{%s}}", rows[i].status);
    json_auto_t *view = json_loads(text, 0, NULL);
    g_test_message("%s", text);
    g_assert_cmpint(azure_maintenance_at(view, rows[i].now), ==, rows[i].at);
  }
}

/* ---- many ---- */

typedef struct {
  ArmWorld *world;
  guint found, gone, failed, left;
} Fleet;

static void
on_one(AzlinOp *op, gpointer data)
{
  Fleet *fleet = data;
  if (az_op_error(op) == NULL)
    fleet->found += az_op_vm(op)->power == AZLIN_POWER_RUNNING;
  else if (g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    fleet->gone++;
  else
    fleet->failed++;
  fleet->left--;
}

#define ID(n) GROUP "/providers/Microsoft.Compute/virtualMachines/m" n
#define LIST_PATH "/subscriptions/" SUBSCRIPTION "/providers/Microsoft.Compute/virtualMachines"

static void
ask_for(Fleet *fleet, guint n, guint cancelled)
{
  fleet->left = n;
  for (guint i = 0; i < n; i++) {
    g_autofree char *id = g_strdup_printf(GROUP "/providers/Microsoft.Compute/virtualMachines/m%u", i);
    AzlinVm vm = stored();
    vm.id = id;
    AzlinOp *op = az_op_new_root(fleet->world->clock, "get", 60000, NULL, on_one, fleet);
    azure_vm_get(&fleet->world->azure, &vm, op);
    if (i < cancelled)
      az_op_cancel(op, "not wanted any more");
  }
  while (fleet->left > 0)
    g_main_context_iteration(NULL, TRUE);
  while (g_main_context_iteration(NULL, FALSE))
    continue;
}

/* Whether there is a ResourceHealth is asked once, whoever leaves first. */
static void
test_platform_is_found_once(void)
{
  static const Answer answers[]
      = { { "GET " VM "?", 200, NULL, BODY("running"), .always = TRUE },
          { "GET " GROUP "/providers/Microsoft.Compute/virtualMachines/m0?", 200, NULL, BODY("running") },
          { HEALTH, 200, NULL, REGISTERED },
          { "availabilityStatuses/current", 200, NULL, "{}", .always = TRUE },
          { "GET " GROUP, 200, NULL, BODY("running"), .always = TRUE } };
  g_autoptr(ArmWorld) world = WORLD(answers);
  Fleet fleet = { .world = world };
  use_option(world, "resource-health", g_variant_new_string("always"));
  ask_for(&fleet, 4, 1);
  g_assert_cmpuint(fleet.found, ==, 3);
  g_assert_cmpuint(world->requests, ==, 7); /* three machines, one registration, three states */
}

static const Answer lists[] = {
  { "GET " LIST_PATH "?api-version", 200, NULL,
    "{\"value\":[" BODY_OF(ID("0"), "\"x\":1") "," BODY_OF(ID("1"), "\"x\":1") "," BODY_OF(
        ID("2"), "\"x\":1") "," BODY_OF(ID("3"), "\"x\":1") "]}" },
  { "GET " LIST_PATH "?statusOnly=true&api-version", 200, NULL,
    "{\"value\":[" BODY_OF(ID("0"), VIEW("running")) "," BODY_OF(ID("1"), VIEW("running")) "," BODY_OF(
        ID("2"), VIEW("deallocated")) "," BODY_OF(ID("3"), VIEW("running")) "]}" },
  { "GET " ID("4"), 404, NULL, "" },
};

static void
test_many(void)
{
  g_autoptr(ArmWorld) world = WORLD(lists);
  Fleet fleet = { .world = world };
  ask_for(&fleet, 5, 0);
  g_assert_cmpuint(world->requests, ==, 3); /* what no list shows is asked for itself */
  g_assert_cmpuint(fleet.found, ==, 3);
  g_assert_cmpuint(fleet.gone, ==, 1);
  g_assert_cmpuint(fleet.failed, ==, 0);
}

static void
test_many_with_cancelled(void)
{
  g_autoptr(ArmWorld) world = WORLD(lists);
  Fleet fleet = { .world = world };
  ask_for(&fleet, 5, 2);
  g_assert_cmpuint(fleet.found, ==, 1);
  g_assert_cmpuint(fleet.failed, ==, 2);
}

static void
test_few(void)
{
  static const Answer answers[] = { { "GET " GROUP, 404, NULL, "", .always = TRUE } };
  g_autoptr(ArmWorld) world = WORLD(answers);
  Fleet fleet = { .world = world };
  ask_for(&fleet, 4, 0);
  g_assert_cmpuint(world->requests, ==, 4);
  g_assert_cmpuint(fleet.gone, ==, 4);
}

static void
test_many_without_rights(void)
{
  static const Answer answers[] = {
    { "GET " LIST_PATH, 403, NULL, "{\"error\":{\"code\":\"AuthorizationFailed\"}}" },
    { "GET " LIST_PATH, 403, NULL, "{\"error\":{\"code\":\"AuthorizationFailed\"}}" },
    { "GET " GROUP, 200, NULL, BODY("running"), .always = TRUE },
  };
  static const Answer login[] = { { "GET " LIST_PATH, 401, NULL, "", .always = TRUE } };
  g_autoptr(ArmWorld) world = WORLD(answers), nobody = WORLD(login);
  Fleet fleet = { .world = world }, locked_out = { .world = nobody };
  ask_for(&fleet, 6, 0);
  g_assert_cmpuint(fleet.found, ==, 6);
  ask_for(&locked_out, 6, 0);
  g_assert_cmpuint(locked_out.failed, ==, 6);
  g_assert_cmpuint(nobody->requests, ==, 2);
}

static void
test_list(void)
{
  static const Answer answers[] = {
    { "GET " LIST_PATH "?api-version", 200, NULL,
      "{\"value\":[{\"id\":\"/SUBSCRIPTIONS/" SUBSCRIPTION "/RESOURCEGROUPS/AZLIN-EASTUS/providers/Microsoft.Compute/"
      "virtualMachines/"
      "m1\",\"location\":\"eastus\",\"tags\":{\"azlin:managed\":\"true\"},\"properties\":{\"networkProfile\":"
      "{\"networkInterfaces\":[{\"id\":\"" NIC
      "\"}]}}},{\"id\":\"" ID("2") "\",\"location\":\"eastus\",\"tags\":{\"other\":\"x\"}},null,{\"tags\":{\"azlin:"
                                   "managed\":\"true\"}}]}" },
    { "statusOnly=true", 200, NULL, "{\"value\":[" BODY("running") "]}" },
    { "Microsoft.Network/publicIPAddresses?api-version=2024-01-01", 200, NULL,
      "{\"value\":[{\"properties\":{\"ipAddress\":\"127.7.0.1\",\"ipConfiguration\":{\"id\":\"" NIC
      "/ipConfigurations/ipconfig1\"}}},{\"properties\":{}},7]}" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  azure_vm_list(&world->azure, arm_world_op(world, 60000));
  arm_world_wait(world);
  g_assert_no_error(world->error);
  g_assert_cmpuint(world->vms->len, ==, 1);
  const AzlinVm *vm = g_ptr_array_index(world->vms, 0);
  g_assert_cmpstr(vm->vm_name, ==, "m1");
  g_assert_cmpstr(vm->resource_group, ==, "azlin-eastus");
  g_assert_cmpstr(vm->id, ==, VM);
  g_assert_cmpstr(vm->public_ip, ==, "127.7.0.1");
  g_assert_cmpint(vm->power, ==, AZLIN_POWER_RUNNING);
}

/* ---- switching ---- */

static void
power(ArmWorld *world, AzlinPower want, guint32 timeout_ms)
{
  AzlinVm vm = stored();
  azure_vm_power(&world->azure, &vm, want, arm_world_op(world, timeout_ms));
  arm_world_wait(world);
}

/* Off is seen before the operation may be asked about. */
static void
test_stop(void)
{
  static const Answer answers[] = {
    { "POST " VM "/powerOff?api-version", 202, POLL, "" },
    { "GET " VM, 200, NULL, BODY("stopping") },
    { "GET " VM, 200, NULL, BODY("stopped") },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  power(world, AZLIN_POWER_STOPPED, 0);
  g_assert_no_error(world->error);
  g_assert_cmpint(world->vm->power, ==, AZLIN_POWER_STOPPED);
  g_assert_cmpint(az_clock_monotonic(world->clock), ==, 4 * G_USEC_PER_SEC);
}

/* Who fences gives the guest no time, and asks for no less when it was told that a guest may have some. */
static void
test_stop_for_a_failover(void)
{
  static const Answer answers[] = {
    { "POST " VM "/powerOff?skipShutdown=true&api-version", 202, POLL, "" },
    { "GET " VM, 200, NULL, BODY("stopping") },
    { "GET " VM, 200, NULL, "{\"id\":\"" VM "\",\"location\":\"eastus\",\"properties\":{}}" }, /* unknown is on */
    { "GET " VM, 200, NULL, BODY("stopped") },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  AzlinVm vm = stored();
  AzlinOp *op = arm_world_op(world, 20000);
  az_op_set_priority(op, AZ_PRIORITY_FAILOVER);
  azure_vm_power(&world->azure, &vm, AZLIN_POWER_STOPPED, op);
  arm_world_wait(world);
  g_assert_no_error(world->error);
  g_assert_cmpint(world->vm->power, ==, AZLIN_POWER_STOPPED);
  g_assert_cmpuint(world->requests, ==, 4);
}

static void
test_stop_of_a_guest_that_hangs(void)
{
  static const Answer answers[] = {
    { "POST " VM "/powerOff?api-version", 202, POLL, "" },
    { "POST " VM "/powerOff?skipShutdown=true&api-version", 202, POLL, "" },
    { "GET " VM, 200, NULL, BODY("running") },
    { "GET " VM, 200, NULL, BODY("running") },
    { "GET " VM, 200, NULL, BODY("stopped") },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  power(world, AZLIN_POWER_STOPPED, 10000);
  g_assert_no_error(world->error);
  g_assert_nonnull(strstr(world->log->str, "5.0 POST " VM "/powerOff?skipShutdown=true"));
  g_assert_cmpint(az_clock_monotonic(world->clock), ==, 6 * G_USEC_PER_SEC);
}

static void
test_stop_that_is_not_seen(void)
{
  static const Answer answers[] = {
    { "POST", 200, NULL, "", .always = TRUE },
    { "GET " VM, 200, NULL, BODY("running"), .always = TRUE },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  power(world, AZLIN_POWER_STOPPED, 0);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_nonnull(strstr(world->error->message, "still shows machine m1 running"));
}

static void
test_refused(void)
{
  static const Answer off_already[] = {
    { "POST", 409, NULL, "{\"error\":{\"code\":\"OperationNotAllowed\",\"message\":\"not running\"}}", .always = TRUE },
    { "GET " VM, 200, NULL, BODY("deallocated"), .always = TRUE },
  };
  static const Answer no[] = {
    { "POST", 409, NULL, "{\"error\":{\"code\":\"OperationNotAllowed\",\"message\":\"being deleted\"}}",
      .always = TRUE },
    { "GET " VM, 200, NULL, BODY("running"), .always = TRUE },
  };
  g_autoptr(ArmWorld) done = WORLD(off_already), refused = WORLD(no);
  power(done, AZLIN_POWER_DEALLOCATED, 0);
  g_assert_no_error(done->error);
  power(refused, AZLIN_POWER_DEALLOCATED, 0);
  g_assert_error(refused->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_nonnull(strstr(refused->error->message, "being deleted"));
}

static void
test_start(void)
{
  static const Answer answers[] = {
    { "POST " VM "/start?api-version", 202, POLL, "" },
    { "GET /operations/1", 200, NULL, "{\"status\":\"Succeeded\"}" },
    { "GET " VM, 200, NULL, BODY("starting") },
    { "GET " VM, 200, NULL, BODY("running") },
  };
  static const Answer full[] = {
    { "POST", 202, POLL, "" },
    { "GET /operations/1", 200, NULL,
      "{\"status\":\"Failed\",\"error\":{\"code\":\"AllocationFailed\",\"message\":\"x\"}}" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers), no_room = WORLD(full);
  power(world, AZLIN_POWER_RUNNING, 0);
  g_assert_no_error(world->error);
  power(no_room, AZLIN_POWER_RUNNING, 0);
  g_assert_error(no_room->error, AZLIN_ERROR, AZLIN_ERROR_CAPACITY);
}

static void
test_restart(void)
{
  static const Answer answers[]
      = { { "POST " VM "/restart?api-version", 202, NULL, "" }, { "GET " VM, 200, NULL, BODY("running") } };
  g_autoptr(ArmWorld) world = WORLD(answers);
  AzlinVm vm = stored();
  azure_vm_restart(&world->azure, &vm, arm_world_op(world, 0));
  arm_world_wait(world);
  g_assert_no_error(world->error);
}

/* An op may end at any moment of it: nothing is left behind, nothing is touched twice. */
static void
test_cut_at_any_moment(void)
{
  static const Answer answers[] = {
    { "POST", 202, POLL, "", .always = TRUE },
    { "GET /operations/1", 200, "retry-after: 10", "{\"status\":\"InProgress\"}", .always = TRUE },
    { "GET " VM, 200, NULL, BODY("running"), .always = TRUE },
  };
  for (guint32 ms = 1; ms < 26000; ms += 499) {
    g_autoptr(ArmWorld) world = WORLD(answers);
    power(world, AZLIN_POWER_STOPPED, ms);
    g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  }
}

/* ---- tags ---- */

#define TAGS VM "/providers/Microsoft.Resources/tags/default?api-version=2024-07-01"

static void
tag(ArmWorld *world, const char *set, const char *const *unset)
{
  AzlinVm vm = stored();
  g_autoptr(GVariant) tags = set != NULL ? g_variant_ref_sink(g_variant_new_parsed(set)) : NULL;
  azure_vm_tag(&world->azure, &vm, tags, unset, arm_world_op(world, 0));
  arm_world_wait(world);
}

static void
test_tags(void)
{
  static const Answer answers[] = {
    { "PATCH " TAGS, 200, NULL, "{\"properties\":{\"tags\":{\"azlin:primary\":\"true\",\"Old\":\"value\"}}}" },
    { "PATCH " TAGS, 200, NULL, "{}" },
  };
  static const char *const unset[] = { "old", "never-was", NULL };
  g_autoptr(ArmWorld) world = WORLD(answers);
  tag(world, "{'azlin:primary': 'true'}", unset);
  g_assert_no_error(world->error);
  g_assert_cmpstr(world->bodies->str, ==,
                  "{\"operation\":\"Merge\",\"properties\":{\"tags\":{\"azlin:primary\":\"true\"}}}\n"
                  "{\"operation\":\"Delete\",\"properties\":{\"tags\":{\"Old\":\"value\"}}}\n");
}

static void
test_tags_as_operation(void)
{
  static const Answer answers[] = { { "PATCH", 202, "location: " ENDPOINT "/operations/1", "" },
                                    { "GET /operations/1", 200, NULL, "{}" },
                                    { "GET " TAGS, 200, NULL, "{\"properties\":{\"tags\":{}}}" } };
  static const char *const unset[] = { "old", NULL };
  g_autoptr(ArmWorld) world = WORLD(answers), nothing = arm_world_new(NULL, 0), bad = arm_world_new(NULL, 0);
  tag(world, "{'a': 'b'}", unset);
  g_assert_no_error(world->error);
  tag(nothing, NULL, NULL);
  g_assert_no_error(nothing->error);
  tag(bad, "{'a/b': 'c'}", NULL);
  g_assert_error(bad->error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
}

/* ---- the subscription ---- */

#define SUBSCRIPTIONS(a, b)                                                                                            \
  "{\"value\":[{\"subscriptionId\":\"" SUBSCRIPTION "\",\"displayName\":\"one\",\"state\":\"" a                        \
  "\"},{\"subscriptionId\":\"22222222-1111-4111-8111-111111111111\",\"displayName\":\"two\",\"state\":\"" b "\"}]}"

static void
test_subscription(void)
{
  static const struct {
    const char *answer;
    int status;
    AzlinError error; /* AZLIN_N_ERRORS = none */
    const char *word;
  } rows[] = {
    { SUBSCRIPTIONS("Enabled", "Disabled"), 200, AZLIN_N_ERRORS, NULL },
    { SUBSCRIPTIONS("Enabled", "Enabled"), 200, AZLIN_ERROR_CONFIG, "two (22222222-" },
    { SUBSCRIPTIONS("Disabled", "Disabled"), 200, AZLIN_ERROR_CONFIG, "no enabled subscription" },
    { "{\"value\":[]}", 200, AZLIN_ERROR_CONFIG, "no enabled subscription" },
    { "", 401, AZLIN_ERROR_AUTH, "401" },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    const Answer answers[]
        = { { "GET /subscriptions?api-version=2022-12-01", rows[i].status, NULL, rows[i].answer, .always = TRUE },
            { "GET " VM, 200, NULL, BODY("running"), .always = TRUE } };
    g_autoptr(ArmWorld) world = WORLD(answers);
    g_clear_pointer(&world->azure.subscription, g_free);
    Fleet fleet = { .world = world, .left = 3 };
    AzlinVm vm = stored();
    for (guint n = 0; n < 3; n++) /* they share one request, whoever leaves first */
      azure_get_one(&world->azure, &vm, az_op_new_root(world->clock, "get", n == 0 ? 1 : 0, NULL, on_one, &fleet));
    while (fleet.left > 0)
      g_main_context_iteration(NULL, TRUE);
    get(world, &vm);
    if (rows[i].error == AZLIN_N_ERRORS) {
      g_assert_no_error(world->error);
      continue;
    }
    g_assert_error(world->error, AZLIN_ERROR, (int) rows[i].error);
    g_assert_nonnull(strstr(world->error->message, rows[i].word));
  }
}

static void
test_subscription_as_said(void)
{
  static const Answer answers[] = { { "GET " VM, 200, NULL, BODY("running") } };
  g_autoptr(ArmWorld) world = WORLD(answers), wrong = arm_world_new(NULL, 0);
  AzlinVm vm = stored();
  g_clear_pointer(&world->azure.subscription, g_free);
  g_clear_pointer(&wrong->azure.subscription, g_free);
  g_setenv("AZURE_SUBSCRIPTION_ID", "not-an-id", TRUE);
  use_option(world, "subscription", g_variant_new_string(SUBSCRIPTION));
  get(world, &vm);
  g_assert_no_error(world->error);
  get(wrong, &vm);
  g_assert_error(wrong->error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_assert_nonnull(strstr(wrong->error->message, "AZURE_SUBSCRIPTION_ID"));
  g_unsetenv("AZURE_SUBSCRIPTION_ID");
}

int
main(int argc, char **argv)
{
  g_unsetenv("AZURE_SUBSCRIPTION_ID");
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/get/one", test_get);
  g_test_add_func("/get/states", test_states);
  g_test_add_func("/get/not-a-machine", test_not_a_machine);
  g_test_add_func("/get/any-type", test_any_type);
  g_test_add_func("/get/gone", test_gone);
  g_test_add_func("/get/address", test_address);
  g_test_add_func("/get/platform", test_platform);
  g_test_add_func("/get/platform-is-found-once", test_platform_is_found_once);
  g_test_add_func("/get/many", test_many);
  g_test_add_func("/get/many-with-cancelled", test_many_with_cancelled);
  g_test_add_func("/get/few", test_few);
  g_test_add_func("/get/many-without-rights", test_many_without_rights);
  g_test_add_func("/list", test_list);
  g_test_add_func("/power/stop", test_stop);
  g_test_add_func("/power/guest-that-hangs", test_stop_of_a_guest_that_hangs);
  g_test_add_func("/get/cause", test_cause);
  g_test_add_func("/get/maintenance", test_maintenance);
  g_test_add_func("/power/failover", test_stop_for_a_failover);
  g_test_add_func("/power/not-seen", test_stop_that_is_not_seen);
  g_test_add_func("/power/refused", test_refused);
  g_test_add_func("/power/start", test_start);
  g_test_add_func("/power/restart", test_restart);
  g_test_add_func("/power/cut-at-any-moment", test_cut_at_any_moment);
  g_test_add_func("/tags", test_tags);
  g_test_add_func("/tags/as-operation", test_tags_as_operation);
  g_test_add_func("/subscription", test_subscription);
  g_test_add_func("/subscription/as-said", test_subscription_as_said);
  return g_test_run();
}
