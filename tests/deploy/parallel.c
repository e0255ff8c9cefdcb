/* deployer-parallel alone: a scripted provider behind a host table, on a virtual clock. */
#include "azlin-plugin.h"
#include "error.h"
#include "host.h"
#include "op.h"
#include "record.h"
#include <string.h>

extern const AzlinPlugin azlin_plugin_v1;

typedef struct { /* what the scripted provider does for one region */
  const char *region;
  guint32 seconds;
  guint fails; /* the first so many calls fail with `error` */
  int error;   /* an AzlinError; -1 = an error of another domain */
  gboolean hangs;
} Script;

typedef struct {
  AzlinHost host; /* first: bricks get a pointer to it */
  AzClock *clock;
  const Script *scripts;
  guint n, calls[1000], running, most_running;
  GHashTable *ok, *failed; /* region -> message */
  guint started;
  gboolean ended, cancelled;
  const char *cancel_at_start; /* cancels when this region is said to begin */
  gint64 took;
} World;

typedef struct {
  World *world;
  AzlinOp *op;
  guint index;
  const AzlinVmSpec *spec;
} Call;

static guint
script_of(World *world, const char *region)
{
  for (guint i = 0; i < world->n; i++)
    if (g_str_equal(world->scripts[i].region, region))
      return i;
  g_assert_not_reached();
}

static void
call_over(AzlinOp *wait, gpointer data)
{
  g_autofree Call *call = data;
  const Script *script = &call->world->scripts[call->index];
  call->world->running--;
  if (az_op_error(wait)) {
    az_op_fail(call->op, g_error_copy(az_op_error(wait)));
    return;
  }
  if (call->world->calls[call->index] > script->fails) {
    g_autoptr(AzlinVm) vm = az_vm_new(call->spec->region, call->spec->vm_name);
    az_vm_set(&vm->public_ip, "192.0.2.1");
    az_op_finish_vm(call->op, vm);
  } else if (script->error < 0) {
    az_op_fail(call->op, g_error_new(G_IO_ERROR, G_IO_ERROR_BROKEN_PIPE, "pipe broke"));
  } else {
    az_op_fail_new(call->op, (AzlinError) script->error, "SkuNotAvailable or so");
  }
}

static void
fake_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  World *world = self;
  guint index = script_of(world, spec->region);
  world->calls[index]++;
  world->running++;
  world->most_running = MAX(world->most_running, world->running);
  Call *call = g_new0(Call, 1);
  *call = (Call){ .world = world, .op = op, .index = index, .spec = spec };
  AzlinOp *wait = az_op_new(op, "work", 0, call_over, call);
  if (!world->scripts[index].hangs)
    az_host_sleep(world->scripts[index].seconds * 1000, wait);
}

static const AzlinProvider fake_provider = { .size = sizeof fake_provider, .vm_create = fake_create };

static gconstpointer
fake_lookup(AzlinHost *host, AzlinKind kind, const char *name, gpointer *ret_self)
{
  g_assert_cmpint(kind, ==, AZLIN_KIND_PROVIDER);
  *ret_self = host;
  return &fake_provider;
}

static void
fake_sleep(AzlinHost *host, guint32 ms, AzlinOp *op)
{
  az_host_sleep(ms, op);
}

static const AzlinHostApi api = {
  .size = sizeof api,
  .lookup = fake_lookup,
  .op_new = az_op_new,
  .op_cancelled = az_op_cancelled,
  .op_region = az_op_region,
  .op_region_started = az_op_region_started,
  .op_finish = az_op_finish,
  .op_finish_vm = az_op_finish_vm,
  .op_fail = az_op_fail,
  .op_error = az_op_error,
  .op_vm = az_op_vm,
  .sleep = fake_sleep,
  .retry_delay_ms = az_error_retry_delay_ms,
};

static void
on_region(AzlinOp *op, const char *region, const AzlinVm *vm, const GError *error, gpointer data)
{
  World *world = data;
  g_assert_false(g_hash_table_contains(world->ok, region) || g_hash_table_contains(world->failed, region));
  g_assert_true((vm != NULL) != (error != NULL));
  g_hash_table_insert(vm ? world->ok : world->failed, g_strdup(region), g_strdup(vm ? vm->vm_name : error->message));
}

static void
on_region_started(AzlinOp *op, const char *region, const char *text, gpointer data)
{
  World *world = data;
  world->started++;
  if (g_strcmp0(world->cancel_at_start, region) == 0)
    az_op_cancel(op, "interrupted");
}

static void
on_done(AzlinOp *op, gpointer data)
{
  World *world = data;
  world->ended = TRUE;
  world->cancelled = az_op_error(op) != NULL;
  world->took = az_clock_monotonic(world->clock);
}

static void
world_clear(World *world)
{
  g_hash_table_unref(world->ok);
  g_hash_table_unref(world->failed);
  az_clock_free(world->clock);
}

static void
cancel_root(gpointer data)
{
  az_op_cancel(data, "interrupted");
}

/* Runs one deploy of a plan without its specs to its end; `cancel_s` > 0 cancels it then. */
static void
run_plan(World *world, const Script *scripts, guint n, AzlinDeployPlan plan, guint32 cancel_s)
{
  const char *cancel_at_start = world->cancel_at_start;
  const AzlinBrick *brick = azlin_plugin_v1.bricks[0];
  const AzlinDeployer *deployer = brick->iface;
  gpointer self = NULL;
  g_autofree AzlinVmSpec *specs = g_new0(AzlinVmSpec, n);
  g_autofree const AzlinVmSpec **list = g_new0(const AzlinVmSpec *, n + 1);
  *world = (World){ .host = { &api }, .scripts = scripts, .n = n, .cancel_at_start = cancel_at_start };
  plan.specs = list;
  world->clock = az_clock_new_virtual(1000000);
  world->ok = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  world->failed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  for (guint i = 0; i < n; i++) {
    specs[i] = (AzlinVmSpec){ .size = sizeof specs[i], .region = scripts[i].region, .vm_name = "vm" };
    list[i] = &specs[i];
  }
  g_assert_true(brick->init(&world->host, &self, NULL));
  const AzOpSink sink = { .region = on_region, .region_started = on_region_started, .data = world };
  AzlinOp *op = az_op_new_root(world->clock, "deploy", 0, &sink, on_done, world);
  gint64 start = az_clock_monotonic(world->clock);
  if (cancel_s)
    az_clock_after(world->clock, cancel_s * 1000, cancel_root, op);
  deployer->deploy(self, &plan, op);
  while (!world->ended)
    g_main_context_iteration(NULL, TRUE);
  world->took -= start;
  brick->free(self);
}

static void
deploy(World *world, const Script *scripts, guint n, guint32 max_concurrent, guint32 timeout_s, guint32 cancel_s)
{
  const AzlinDeployPlan plan = { .size = sizeof plan, .max_concurrent = max_concurrent, .region_timeout_s = timeout_s };
  world->cancel_at_start = NULL;
  run_plan(world, scripts, n, plan, cancel_s);
}

static const char *
failure(World *world, const char *region)
{
  const char *message = g_hash_table_lookup(world->failed, region);
  g_assert_nonnull(message);
  return message;
}

static void
assert_contains(const char *text, const char *part)
{
  if (!strstr(text, part))
    g_error("'%s' does not hold '%s'", text, part);
}

/* ---- cases ---- */

static void
test_all_at_once(void)
{
  const Script scripts[] = { { "a", 100 }, { "b", 180 }, { "c", 150 } };
  World world;
  deploy(&world, scripts, 3, 10, 600, 0);
  g_assert_cmpuint(g_hash_table_size(world.ok), ==, 3);
  g_assert_cmpint(world.took, ==, 180 * G_USEC_PER_SEC);
  g_assert_cmpuint(world.started, ==, 3);
  world_clear(&world);
}

static void
test_max_concurrent(void)
{
  const Script scripts[] = { { "a", 10 }, { "b", 20 }, { "c", 10 }, { "d", 20 } };
  World world;
  deploy(&world, scripts, 4, 2, 600, 0);
  g_assert_cmpuint(world.most_running, ==, 2);
  g_assert_cmpuint(g_hash_table_size(world.ok), ==, 4);
  g_assert_cmpint(world.took, ==, 40 * G_USEC_PER_SEC);
  world_clear(&world);
}

static void
test_throttled_twice(void)
{
  const Script scripts[] = { { "a", 5, 2, AZLIN_ERROR_THROTTLED } };
  World world;
  deploy(&world, scripts, 1, 10, 600, 0);
  g_assert_cmpuint(world.calls[0], ==, 3);
  g_assert_cmpuint(g_hash_table_size(world.ok), ==, 1);
  g_assert_cmpuint(world.started, ==, 3);
  world_clear(&world);
}

static void
test_retry_counts(void)
{
  const Script scripts[] = { { "throttled", 1, 100, AZLIN_ERROR_THROTTLED },
                             { "capacity", 1, 100, AZLIN_ERROR_CAPACITY },
                             { "permission", 1, 100, AZLIN_ERROR_PERMISSION } };
  World world;
  deploy(&world, scripts, 3, 10, 6000, 0);
  g_assert_cmpuint(world.calls[0], ==, 6);
  g_assert_cmpuint(world.calls[1], ==, 3);
  g_assert_cmpuint(world.calls[2], ==, 1);
  assert_contains(failure(&world, "permission"), "SkuNotAvailable");
  g_assert_cmpuint(g_hash_table_size(world.failed), ==, 3);
  world_clear(&world);
}

static void
test_timeout_of_one(void)
{
  const Script scripts[] = { { "slow", 0, .hangs = TRUE }, { "fast", 30 } };
  World world;
  deploy(&world, scripts, 2, 10, 60, 0);
  assert_contains(failure(&world, "slow"), "timeout");
  g_assert_true(g_hash_table_contains(world.ok, "fast"));
  g_assert_cmpint(world.took, ==, 60 * G_USEC_PER_SEC);
  world_clear(&world);
}

static void
test_deadline_cuts_retries(void)
{
  const Script scripts[] = { { "a", 20, 100, AZLIN_ERROR_THROTTLED } };
  World world;
  deploy(&world, scripts, 1, 10, 50, 0);
  assert_contains(failure(&world, "a"), "timeout");
  g_assert_cmpint(world.took, ==, 50 * G_USEC_PER_SEC);
  world_clear(&world);
}

static void
test_unexpected_error(void)
{
  const Script scripts[] = { { "odd", 1, 100, -1 }, { "good", 1 } };
  World world;
  deploy(&world, scripts, 2, 10, 60, 0);
  assert_contains(failure(&world, "odd"), "Unexpected error: pipe broke");
  g_assert_cmpuint(world.calls[0], ==, 1);
  g_assert_true(g_hash_table_contains(world.ok, "good"));
  world_clear(&world);
}

static void
test_failures_free_places(void)
{
  const Script scripts[] = { { "a", 1, 9, AZLIN_ERROR_PERMISSION }, { "b", 1, 9, AZLIN_ERROR_PERMISSION }, { "c", 1 } };
  World world;
  deploy(&world, scripts, 3, 1, 60, 0);
  g_assert_true(g_hash_table_contains(world.ok, "c"));
  g_assert_cmpuint(world.most_running, ==, 1);
  world_clear(&world);
}

static void
test_no_regions(void)
{
  World world;
  deploy(&world, NULL, 0, 10, 60, 0);
  g_assert_false(world.cancelled);
  world_clear(&world);
}

static void
test_cancel(void)
{
  const Script scripts[] = { { "a", 5 }, { "b", 100 }, { "c", 100 } };
  World world;
  deploy(&world, scripts, 3, 2, 600, 50);
  g_assert_true(world.cancelled);
  g_assert_true(g_hash_table_contains(world.ok, "a"));
  g_assert_cmpuint(g_hash_table_size(world.failed), ==, 0);
  g_assert_cmpuint(world.calls[2], ==, 1);
  g_assert_cmpuint(world.running, ==, 0);
  world_clear(&world);
}

/* Whoever hears that a region begins may end it all there: nothing is made then. */
static void
test_cancel_at_start(void)
{
  const Script scripts[] = { { "a", 5 }, { "b", 5 } };
  const AzlinDeployPlan plan = { .size = sizeof plan, .max_concurrent = 2, .region_timeout_s = 60 };
  World world = { .cancel_at_start = "b" };
  run_plan(&world, scripts, 2, plan, 0);
  g_assert_true(world.cancelled);
  g_assert_cmpuint(world.calls[1], ==, 0);
  world_clear(&world);
}

/* The engine has another place: only missing room ends at once, and an older engine's plan does not know the word. */
static void
test_no_capacity_retry(void)
{
  const Script scripts[] = { { "full", 1, 9, AZLIN_ERROR_CAPACITY }, { "busy", 1, 2, AZLIN_ERROR_THROTTLED } };
  AzlinDeployPlan plan
      = { .size = sizeof plan, .max_concurrent = 2, .region_timeout_s = 600, .no_capacity_retry = TRUE };
  World world = { 0 };
  run_plan(&world, scripts, 2, plan, 0);
  g_assert_cmpuint(world.calls[0], ==, 1);
  g_assert_cmpuint(world.calls[1], ==, 3);
  world_clear(&world);
  plan.size = G_STRUCT_OFFSET(AzlinDeployPlan, no_capacity_retry);
  world.cancel_at_start = NULL;
  run_plan(&world, scripts, 2, plan, 0);
  g_assert_cmpuint(world.calls[0], ==, 3);
  world_clear(&world);
}

static void
test_thousand(void)
{
  g_autofree Script *scripts = g_new0(Script, 1000);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  World world;
  for (guint i = 0; i < 1000; i++) {
    g_ptr_array_add(names, g_strdup_printf("region%u", i));
    scripts[i] = (Script){ .region = g_ptr_array_index(names, i), .seconds = 180 };
  }
  deploy(&world, scripts, 1000, 1000, 600, 0);
  g_assert_cmpuint(g_hash_table_size(world.ok), ==, 1000);
  g_assert_cmpint(world.took, ==, 180 * G_USEC_PER_SEC);
  world_clear(&world);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/parallel/multiple-regions-all-success", test_all_at_once);
  g_test_add_func("/parallel/respects-max-concurrent-limit", test_max_concurrent);
  g_test_add_func("/parallel/rate-limit-retries", test_throttled_twice);
  g_test_add_func("/parallel/retry-counts-by-class", test_retry_counts);
  g_test_add_func("/parallel/timeout-handling-per-region", test_timeout_of_one);
  g_test_add_func("/parallel/deadline-cuts-retries", test_deadline_cuts_retries);
  g_test_add_func("/parallel/handles-unexpected-errors", test_unexpected_error);
  g_test_add_func("/parallel/failures-free-their-place", test_failures_free_places);
  g_test_add_func("/parallel/no-regions", test_no_regions);
  g_test_add_func("/parallel/cancel", test_cancel);
  g_test_add_func("/parallel/cancel-at-start", test_cancel_at_start);
  g_test_add_func("/parallel/no-capacity-retry", test_no_capacity_retry);
  g_test_add_func("/parallel/thousand-regions", test_thousand);
  return g_test_run();
}
