/* deploy and regions on provider-sim: the engine's five calls on a virtual clock, faults by script. */
#include "engine.h"
#include <glib/gstdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
  char *root, *home, *config;
  AzEngine *engine;
  GMainLoop *loop;
  guint messages, in_progress, most_in_progress;
  GString *said;
  const char *cancel_after;  /* cancels once this region has come to ... */
  const char *cancel_status; /* NULL = "success" */
} World;

/* ---- one engine and its watcher ---- */

static void
on_message(AzJob *job, const char *level, const char *region, const char *text, gpointer data)
{
  World *world = data;
  world->messages++;
  g_string_append_printf(world->said, "%s %s %s\n", level, region ? region : "-", text);
}

static void
on_region(AzJob *job, const char *region, GVariant *facts, gpointer data)
{
  World *world = data;
  const char *status = "";
  g_variant_lookup(facts, "status", "&s", &status);
  if (g_str_equal(status, "in_progress"))
    world->in_progress++;
  else
    world->in_progress--;
  world->most_in_progress = MAX(world->most_in_progress, world->in_progress);
  const char *at = world->cancel_status ? world->cancel_status : "success";
  if (world->cancel_after && g_str_equal(world->cancel_after, region) && g_str_equal(status, at))
    az_engine_cancel(world->engine, job);
}

static void
on_finished(AzJob *job, gpointer data)
{
  g_main_loop_quit(((World *) data)->loop);
}

static void
world_reopen(World *world)
{
  g_autoptr(GError) error = NULL;
  g_clear_pointer(&world->engine, az_engine_free);
  world->engine = az_engine_new(world->config, world->home, &error);
  g_assert_no_error(error);
}

/* `extra`: further groups of azlin.conf; `events`: rules of the simulated cloud. */
static World *
world_new(const char *extra, const char *events)
{
  World *world = g_new0(World, 1);
  g_autoptr(GError) error = NULL;
  const char *scratch = g_getenv("AZLIN_TEST_DIR");
  g_mkdir_with_parents(scratch, 0700);
  world->root = g_build_filename(scratch, "flows-XXXXXX", NULL);
  g_assert_nonnull(g_mkdtemp_full(world->root, 0700));
  world->home = g_build_filename(world->root, "home", NULL);
  world->config = g_build_filename(world->root, "azlin.conf", NULL);
  g_autofree char *text = g_strdup_printf("[bricks]\nprovider=sim\n%s\n[provider.sim]\nevents=%s\n", extra, events);
  g_file_set_contents(world->config, text, -1, &error);
  g_assert_no_error(error);
  g_chmod(world->config, 0600);
  world->loop = g_main_loop_new(NULL, FALSE);
  world->said = g_string_new(NULL);
  world_reopen(world);
  return world;
}

static void
remove_tree(const char *path)
{
  GDir *dir = g_file_test(path, G_FILE_TEST_IS_SYMLINK) ? NULL : g_dir_open(path, 0, NULL);
  const char *name;
  while (dir && (name = g_dir_read_name(dir))) {
    g_autofree char *child = g_build_filename(path, name, NULL);
    remove_tree(child);
  }
  if (dir)
    g_dir_close(dir);
  g_remove(path);
}

static void
world_free(World *world)
{
  az_engine_free(world->engine);
  remove_tree(world->home);
  remove_tree(world->root);
  g_main_loop_unref(world->loop);
  g_string_free(world->said, TRUE);
  g_free(world->root);
  g_free(world->home);
  g_free(world->config);
  g_free(world);
}

G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)

/* Runs one job to its end; `args` is the text of an a{sv}. */
static GVariant *
run(World *world, const char *kind, const char *args, int exit_code)
{
  g_autoptr(GError) error = NULL;
  const AzJobWatch watch
      = { .message = on_message, .region_changed = on_region, .finished = on_finished, .data = world };
  GVariant *value = g_variant_parse(G_VARIANT_TYPE_VARDICT, args, NULL, NULL, &error);
  g_assert_no_error(error);
  AzJob *job = az_engine_submit(world->engine, kind, value, &watch, &error);
  g_variant_unref(value);
  g_assert_no_error(error);
  world->in_progress = world->most_in_progress = 0;
  az_engine_start(world->engine, job);
  g_main_loop_run(world->loop);
  if (az_job_exit_code(job) != exit_code)
    g_test_message("%s %s ended with %d after:\n%s", kind, args, az_job_exit_code(job), world->said->str);
  g_assert_cmpint(az_job_exit_code(job), ==, exit_code);
  return az_job_result(job);
}

static void
refused(World *world, const char *kind, const char *args, const char *part)
{
  g_autoptr(GError) error = NULL;
  GVariant *value = g_variant_parse(G_VARIANT_TYPE_VARDICT, args, NULL, NULL, NULL);
  g_assert_null(az_engine_submit(world->engine, kind, value, NULL, &error));
  g_variant_unref(value);
  g_assert_nonnull(error);
  if (!strstr(error->message, part))
    g_error("'%s' does not hold '%s'", error->message, part);
}

/* ---- looking into results ---- */

static guint
count(GVariant *result, const char *key)
{
  g_autoptr(GVariant) list = g_variant_lookup_value(result, key, G_VARIANT_TYPE("av"));
  g_assert_nonnull(list);
  return (guint) g_variant_n_children(list);
}

static GVariant *
item(GVariant *result, const char *key, guint i)
{
  g_autoptr(GVariant) list = g_variant_lookup_value(result, key, G_VARIANT_TYPE("av"));
  GVariant *value = NULL;
  g_variant_get_child(list, i, "v", &value);
  return value;
}

static double
number(GVariant *result, const char *key)
{
  double value = -1;
  g_assert_true(g_variant_lookup(result, key, "d", &value));
  return value;
}

static const char *
text(GVariant *result, const char *key)
{
  const char *value = NULL;
  g_variant_lookup(result, key, "&s", &value);
  return value;
}

/* error_type of the only failed region; the attempts it took. */
static const char *
only_failure(GVariant *result, const char *region, guint attempts, const char *part)
{
  g_assert_cmpuint(count(result, "failed"), ==, 1);
  g_autoptr(GVariant) failed = item(result, "failed", 0);
  g_autoptr(GVariant) error = g_variant_lookup_value(failed, "error", G_VARIANT_TYPE_VARDICT);
  g_assert_cmpstr(text(failed, "region"), ==, region);
  g_assert_cmpstr(text(failed, "status"), ==, "failed");
  g_assert_cmpuint(count(failed, "attempts"), ==, attempts);
  if (!strstr(text(error, "error_message"), part))
    g_error("'%s' does not hold '%s'", text(error, "error_message"), part);
  return g_intern_string(text(error, "error_type"));
}

/* ---- deploy ---- */

static void
test_all_success(void)
{
  g_autoptr(World) world
      = world_new("", "create eastus seconds 100;create westus2 seconds 180;create westeurope seconds 150");
  GVariant *result = run(world, "deploy", "{'regions': <['eastus', 'westus2', 'westeurope']>}", 0);
  g_assert_cmpuint(count(result, "successful"), ==, 3);
  g_assert_cmpfloat(number(result, "success_rate"), ==, 1.0);
  g_assert_cmpfloat(number(result, "total_duration_seconds"), >=, 180.0);
  g_assert_cmpfloat(number(result, "total_duration_seconds"), <=, 180.0 * 1.02);
  g_assert_cmpstr(text(result, "primary"), ==, "eastus");
  g_autoptr(GVariant) first = item(result, "successful", 0);
  g_assert_cmpstr(text(first, "status"), ==, "success");
  g_assert_nonnull(text(first, "public_ip"));
  result = run(world, "regions-list", "{}", 0);
  g_assert_cmpuint(count(result, "regions"), ==, 3);
  first = (g_variant_unref(first), item(result, "regions", 0));
  g_assert_cmpstr(text(first, "region"), ==, "eastus");
  g_assert_cmpstr(text(first, "status"), ==, "ok");
}

static void
test_partial_failure(void)
{
  g_autoptr(World) world = world_new("", "create westeurope fail capacity");
  GVariant *result = run(world, "deploy", "{'regions': <['eastus', 'westus2', 'westeurope']>}", 1);
  g_assert_cmpuint(count(result, "successful"), ==, 2);
  g_assert_cmpfloat_with_epsilon(number(result, "success_rate"), 2.0 / 3, 0.001);
  g_assert_cmpstr(only_failure(result, "westeurope", 3, "SkuNotAvailable"), ==, "CapacityUnavailable");
  g_assert_nonnull(strstr(world->said->str, "fail westeurope Failed:"));
  g_assert_nonnull(strstr(world->said->str, "Success: 2/3 regions (66.7%)"));
  result = run(world, "regions-list", "{}", 0);
  g_assert_cmpuint(count(result, "regions"), ==, 2);
}

static void
test_all_failed(void)
{
  g_autoptr(World) world = world_new("", "create * fail permission");
  GVariant *result = run(world, "deploy", "{'regions': <['eastus', 'westus2']>}", 2);
  g_assert_cmpuint(count(result, "failed"), ==, 2);
  g_assert_cmpfloat(number(result, "success_rate"), ==, 0.0);
  g_assert_nonnull(strstr(world->said->str, "All regions failed"));
  g_assert_null(text(result, "primary"));
}

static void
test_permission_is_not_retried(void)
{
  g_autoptr(World) world = world_new("", "create eastus fail permission");
  GVariant *result = run(world, "deploy", "{'regions': <['eastus', 'westus2']>}", 1);
  g_assert_cmpstr(only_failure(result, "eastus", 1, "AuthorizationFailed"), ==, "PermissionDenied");
  g_assert_cmpstr(text(result, "primary"), ==, "westus2");
}

static void
test_throttling_is_retried(void)
{
  g_autoptr(World) world = world_new("", "create eastus fail throttled x2");
  GVariant *result = run(world, "deploy", "{'regions': <['eastus']>}", 0);
  g_autoptr(GVariant) one = item(result, "successful", 0);
  g_assert_cmpuint(count(one, "attempts"), ==, 3);
  g_autoptr(GVariant) first = item(one, "attempts", 0);
  g_assert_nonnull(strstr(text(first, "error"), "429"));
}

static void
test_timeout_per_region(void)
{
  g_autoptr(World) world = world_new("", "create eastus hang");
  GVariant *result = run(world, "deploy", "{'regions': <['eastus', 'westus2']>, 'timeout': <uint32 300>}", 1);
  g_assert_cmpstr(only_failure(result, "eastus", 1, "timeout"), ==, "Timeout");
  g_assert_cmpfloat(number(result, "total_duration_seconds"), <=, 300.0 * 1.02);
}

static void
test_unexpected_error(void)
{
  g_autoptr(World) world = world_new("", "create eastus fail failed");
  GVariant *result = run(world, "deploy", "{'regions': <['eastus', 'westus2']>}", 1);
  only_failure(result, "eastus", 1, "Unexpected error");
}

static void
test_max_concurrent(void)
{
  g_autoptr(World) world = world_new("", "create * seconds 60");
  GVariant *result
      = run(world, "deploy",
            "{'regions': <['eastus', 'westus2', 'westeurope', 'eastasia']>, 'max-concurrent': <uint32 2>}", 0);
  g_assert_cmpfloat(number(result, "total_duration_seconds"), >=, 120.0);
  g_assert_cmpfloat(number(result, "total_duration_seconds"), <=, 122.4);
}

static void
test_rerun_adopts(void)
{
  g_autoptr(World) world = world_new("", "create westus2 fail permission x1");
  run(world, "deploy", "{'regions': <['eastus', 'westus2']>}", 1);
  world_reopen(world);
  GVariant *result = run(world, "deploy", "{'regions': <['eastus', 'westus2']>}", 0);
  g_assert_cmpuint(count(result, "successful"), ==, 2);
  result = run(world, "regions-refresh", "{'rebuild': <true>}", 0);
  result = run(world, "regions-list", "{}", 0);
  g_assert_cmpuint(count(result, "regions"), ==, 2);
}

static void
test_primary_falls_to_the_next(void)
{
  g_autoptr(World) world = world_new("", "create eastus fail permission");
  GVariant *result
      = run(world, "deploy", "{'regions': <['westus2', 'eastus', 'westeurope']>, 'primary': <'eastus'>}", 1);
  g_assert_cmpstr(text(result, "primary"), ==, "westus2");
  result = run(world, "deploy", "{'regions': <['westeurope']>, 'primary': <'westeurope'>}", 0);
  g_assert_cmpstr(text(result, "primary"), ==, "westeurope");
  result = run(world, "deploy", "{'regions': <['westus2']>}", 0);
  g_assert_cmpstr(text(result, "primary"), ==, "westeurope");
}

static void
test_cancel_and_resume(void)
{
  g_autoptr(World) world
      = world_new("", "create eastus seconds 10;create westus2 seconds 100;create westeurope seconds 100");
  world->cancel_after = "eastus";
  GVariant *result = run(world, "deploy", "{'regions': <['eastus', 'westus2', 'westeurope']>}", 130);
  world->cancel_after = NULL;
  result = run(world, "regions-list", "{}", 0);
  g_assert_cmpuint(count(result, "regions"), ==, 1);
  g_assert_cmpstr(text(result, "primary"), ==, "eastus");
  world_reopen(world);
  result = run(world, "deploy", "{'resume': <true>}", 0);
  g_assert_cmpuint(count(result, "successful"), ==, 3);
  result = run(world, "deploy", "{'resume': <true>}", 0);
  g_assert_cmpuint(count(result, "successful"), ==, 0);
  g_assert_cmpfloat(number(result, "success_rate"), ==, 0.0);
}

static void
test_cancel_and_recover(void)
{
  g_autoptr(World) world = world_new("", "create eastus seconds 10;create westus2 seconds 100");
  world->cancel_after = "eastus";
  run(world, "deploy", "{'regions': <['eastus', 'westus2']>}", 130);
  world->cancel_after = NULL;
  world_reopen(world);
  run(world, "recover", "{}", 2); /* nobody said yes */
  run(world, "recover", "{'yes': <true>}", 0);
  GVariant *result = run(world, "recover", "{'yes': <true>}", 0);
  g_assert_cmpuint(count(result, "recovered"), ==, 0);
  result = run(world, "regions-list", "{}", 0);
  g_assert_cmpuint(count(result, "regions"), >=, 1);
}

/* What had moved is looked for where it went, not where it was asked for. */
static void
test_cancel_moved_and_resume(void)
{
  g_autofree char *journal = NULL;
  g_autoptr(World) world
      = world_new("[policy]\nallowed-fallback=westeurope,northeurope", "create westeurope fail capacity");
  world->cancel_after = "northeurope";
  world->cancel_status = "in_progress";
  run(world, "deploy", "{'regions': <['westeurope']>, 'allow-fallback': <true>}", 130);
  world->cancel_after = NULL;
  g_autofree char *path = g_build_filename(world->home, "journal.log", NULL);
  g_assert_true(g_file_get_contents(path, &journal, NULL, NULL));
  g_assert_nonnull(strstr(journal, "azlin-northeurope-"));
  world_reopen(world);
  GVariant *result = run(world, "deploy", "{'resume': <true>}", 0);
  g_autoptr(GVariant) one = item(result, "successful", 0);
  g_assert_cmpstr(text(one, "region"), ==, "northeurope");
  g_assert_cmpstr(text(one, "moved_from"), ==, "westeurope");
  g_assert_cmpuint(count(one, "attempts"), ==, 1);
  g_assert_cmpstr(text(result, "primary"), ==, "northeurope");
}

/* Thousands of durable writes: in memory, where there is such a place, since the disk is not what is looked at. */
static void
use_memory(World *world)
{
  g_autofree char *home = g_strdup("/dev/shm/azlin-flows-XXXXXX");
  if (!g_mkdtemp_full(home, 0700))
    return;
  g_free(world->home);
  world->home = g_steal_pointer(&home);
  world_reopen(world);
}

static void
test_thousand_regions(void)
{
  g_autoptr(GString) names = g_string_new(NULL), quoted = g_string_new(NULL);
  for (guint i = 0; i < 1000; i++) {
    g_string_append_printf(names, "%sregion%03u", i ? ";" : "", i);
    g_string_append_printf(quoted, "%s'region%03u'", i ? ", " : "", i);
  }
  g_autofree char *policy = g_strdup_printf("[policy]\nallowed-regions=%s\n", names->str);
  g_autofree char *args = g_strdup_printf("{'regions': <[%s]>, 'max-concurrent': <uint32 1000>}", quoted->str);
  g_autoptr(World) world = world_new(policy, "create * seconds 180");
  use_memory(world);
  GVariant *result = run(world, "deploy", args, 0);
  g_test_message("1000 regions of 180 s: %.3f virtual seconds", number(result, "total_duration_seconds"));
  g_assert_cmpuint(count(result, "successful"), ==, 1000);
  g_assert_cmpfloat(number(result, "total_duration_seconds"), >=, 180.0);
  g_assert_cmpfloat(number(result, "total_duration_seconds"), <=, 180.0 * 1.02);
  g_assert_cmpuint(world->most_in_progress, ==, 1000);
}

/* ---- validation ---- */

static void
test_bad_arguments(void)
{
  g_autoptr(World) world = world_new("", "");
  refused(world, "deploy", "{}", "regions list cannot be empty");
  refused(world, "deploy", "{'regions': <@as []>}", "regions list cannot be empty");
  refused(world, "deploy", "{'regions': <['eatsus']>}", "eastus");
  refused(world, "deploy", "{'regions': <['us', 'eastus']>}", "eastus");
  refused(world, "deploy", "{'regions': <['us']>, 'max-concurrent': <uint32 0>}", "max_concurrent must be positive");
  refused(world, "deploy", "{'regions': <['us']>, 'timeout': <uint32 0>}", "timeout must be positive");
  refused(world, "deploy", "{'regions': <['us']>, 'primary': <'eu'>}", "among the regions");
  refused(world, "deploy", "{'regions': <['us']>, 'resume': <true>}", "--resume");
  refused(world, "deploy", "{'regions': <['us']>, 'ssh-key': <'/nonexistent'>}", "/nonexistent");
  refused(world, "regions-set-primary", "{}", "region");
  g_assert_false(g_file_test(world->home, G_FILE_TEST_EXISTS));
}

static void
test_unknown_region_is_usage(void)
{
  g_autoptr(World) world = world_new("", "");
  run(world, "deploy", "{'regions': <['eastus', 'westus2']>}", 0);
  GVariant *result = run(world, "regions-set-primary", "{'region': <'westus3'>}", 64);
  g_autoptr(GVariant) error = g_variant_lookup_value(result, "error", G_VARIANT_TYPE_VARDICT);
  g_assert_nonnull(strstr(text(error, "error_message"), "does not exist"));
  g_assert_nonnull(strstr(text(error, "error_message"), "westus2"));
  run(world, "vm-stop", "{'region': <'nowhere'>, 'yes': <true>}", 64);
}

/* ---- health ---- */

static void
test_health_of_all(void)
{
  g_autoptr(World) world = world_new("", "at 500 machine westeurope kill");
  run(world, "deploy", "{'regions': <['eastus', 'westus2', 'westeurope']>}", 0);
  run(world, "vm-stop", "{'region': <'westus2'>, 'yes': <true>}", 0);
  GVariant *result = run(world, "regions-health", "{}", 1);
  g_assert_cmpuint(count(result, "regions"), ==, 3);
  result = run(world, "regions-list", "{}", 0);
  g_autoptr(GVariant) stopped = item(result, "regions", 2);
  g_assert_cmpstr(text(stopped, "region"), ==, "westus2");
  g_assert_cmpstr(text(stopped, "status"), ==, "stopped");
  g_assert_nonnull(text(stopped, "last_health_check"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/deploy/multiple-regions-all-success", test_all_success);
  g_test_add_func("/deploy/partial-failure-continues-others", test_partial_failure);
  g_test_add_func("/deploy/all-regions-fail", test_all_failed);
  g_test_add_func("/deploy/permission-denied-no-retry", test_permission_is_not_retried);
  g_test_add_func("/deploy/rate-limit-retries", test_throttling_is_retried);
  g_test_add_func("/deploy/timeout-handling-per-region", test_timeout_per_region);
  g_test_add_func("/deploy/handles-unexpected-errors", test_unexpected_error);
  g_test_add_func("/deploy/respects-max-concurrent", test_max_concurrent);
  g_test_add_func("/deploy/rerun-adopts", test_rerun_adopts);
  g_test_add_func("/deploy/primary-falls-to-the-next", test_primary_falls_to_the_next);
  g_test_add_func("/deploy/cancel-and-resume", test_cancel_and_resume);
  g_test_add_func("/deploy/cancel-and-recover", test_cancel_and_recover);
  g_test_add_func("/deploy/cancel-moved-and-resume", test_cancel_moved_and_resume);
  g_test_add_func("/deploy/thousand-regions", test_thousand_regions);
  g_test_add_func("/deploy/bad-arguments", test_bad_arguments);
  g_test_add_func("/regions/unknown-region-is-usage", test_unknown_region_is_usage);
  g_test_add_func("/regions/health-of-all", test_health_of_all);
  return g_test_run();
}
