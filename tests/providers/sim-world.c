/* The stored world of provider-sim: what is written is read back, by other processes and after any interruption. */
#include "world.h"
#include <glib/gstdio.h>
#include <string.h>

typedef struct {
  char *dir, *path;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer unused)
{
  fixture->dir = g_dir_make_tmp("azlin-world-XXXXXX", NULL);
  g_assert_nonnull(fixture->dir);
  fixture->path = g_build_filename(fixture->dir, "world.log", NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer unused)
{
  g_unlink(fixture->path);
  g_assert_cmpint(g_rmdir(fixture->dir), ==, 0);
  g_free(fixture->path);
  g_free(fixture->dir);
}

static World *
open_world(Fixture *fixture)
{
  g_autoptr(GError) error = NULL;
  World *world = world_open(fixture->path, &error);
  g_assert_no_error(error);
  return world;
}

static void
put(World *world, const char *name, gint64 now)
{
  g_autoptr(SimVm) vm = g_new0(SimVm, 1);
  vm->name = g_strdup(name);
  vm->region = g_strdup("eastus");
  vm->resource_group = g_strdup("");
  vm->ssh_user = g_strdup("u");
  vm->id = g_strdup("id\nwith a line");
  vm->host_key = g_strdup("k");
  vm->address = g_strdup("198.18.0.1");
  vm->port = 22;
  vm->power = AZLIN_POWER_STOPPED;
  vm->cause = AZLIN_STOP_ENDED;
  vm->silent = TRUE;
  vm->tags = g_variant_ref_sink(g_variant_new_parsed("{'ä\n\t': '\"\\''}"));
  g_assert_true(world_put(world, now, vm, NULL));
}

static void
test_round_trip(Fixture *fixture, gconstpointer unused)
{
  World *world = open_world(fixture);
  put(world, "b", 10);
  put(world, "a", 20);
  g_assert_true(world_use(world, 30, "rule", NULL));
  g_assert_true(world_use(world, 30, "rule", NULL));
  world_close(world);
  world = open_world(fixture);
  g_assert_cmpint(world_elapsed(world), ==, 30);
  g_assert_cmpuint(world_used(world, "rule"), ==, 2);
  g_assert_cmpuint(world_used(world, "other"), ==, 0);
  g_autoptr(GPtrArray) machines = world_machines(world);
  g_assert_cmpuint(machines->len, ==, 2);
  const SimVm *vm = world_find(world, "a");
  g_assert_cmpstr(vm->id, ==, "id\nwith a line");
  g_assert_cmpint(vm->cause, ==, AZLIN_STOP_ENDED);
  g_assert_true(vm->silent);
  const char *value = NULL;
  g_assert_true(g_variant_lookup(vm->tags, "ä\n\t", "&s", &value));
  g_assert_cmpstr(value, ==, "\"'");
  g_assert_true(world_remove(world, 40, "a", NULL));
  g_assert_null(world_find(world, "a"));
  world_close(world);
}

static void
test_two_processes(Fixture *fixture, gconstpointer unused)
{
  World *one = open_world(fixture), *two = open_world(fixture);
  put(one, "a", 1);
  g_assert_null(world_find(two, "a"));
  g_assert_true(world_refresh(two, NULL));
  g_assert_nonnull(world_find(two, "a"));
  put(two, "b", 2);
  put(one, "c", 3);
  g_assert_nonnull(world_find(one, "b"));
  world_close(one);
  world_close(two);
}

static void
append_bytes(Fixture *fixture, const char *text)
{
  FILE *file = fopen(fixture->path, "a");
  g_assert_nonnull(file);
  fputs(text, file);
  fclose(file);
}

/* A world of azlin 0.1, whose machines could not be isolated. */
static void
test_line_of_before(Fixture *fixture, gconstpointer unused)
{
  append_bytes(fixture, "(int64 5, 'vm', <('a', 'eastus', 'rg', 'u', 'id', 'key', '198.18.0.1', uint32 22, int64 1, "
                        "int64 0, uint32 1, uint32 0, false, @a{ss} {})>)\n");
  World *world = open_world(fixture);
  const SimVm *vm = world_find(world, "a");
  g_assert_nonnull(vm);
  g_assert_cmpstr(vm->address, ==, "198.18.0.1");
  g_assert_false(vm->isolated);
  g_autoptr(SimVm) cut = sim_vm_dup(vm);
  cut->isolated = TRUE;
  g_assert_true(world_put(world, 6, cut, NULL));
  world_close(world);
  world = open_world(fixture);
  g_assert_true(world_find(world, "a")->isolated);
  world_close(world);
}

static void
test_torn_line(Fixture *fixture, gconstpointer other_is_open)
{
  World *world = open_world(fixture);
  put(world, "a", 1);
  if (!GPOINTER_TO_INT(other_is_open))
    g_clear_pointer(&world, world_close);
  append_bytes(fixture, "(int64 9, 'gone', <'a");
  World *next = open_world(fixture);
  g_assert_nonnull(world_find(next, "a"));
  put(next, "b", 2);
  world_close(next);
  next = open_world(fixture);
  g_assert_nonnull(world_find(next, "a"));
  g_assert_nonnull(world_find(next, "b"));
  world_close(next);
  world_close(world);
}

static void
test_garbage(Fixture *fixture, gconstpointer unused)
{
  append_bytes(fixture, "(int64 1, 'vm', <'no machine'>)\n\xff\xfe\n((((((((\n(int64 1, 'gone', <uint32 3>)\n");
  append_bytes(fixture, "(int64 1, 'used', <('x', 'y')>)\n(int64 1, 'from the future', <true>)\n\n");
  World *world = open_world(fixture);
  g_autoptr(GPtrArray) machines = world_machines(world);
  g_assert_cmpuint(machines->len, ==, 0);
  put(world, "a", 2);
  g_assert_nonnull(world_find(world, "a"));
  world_close(world);
}

static gsize
file_size(Fixture *fixture)
{
  GStatBuf info;
  g_assert_cmpint(g_stat(fixture->path, &info), ==, 0);
  return (gsize) info.st_size;
}

static void
test_shrinks_when_alone(Fixture *fixture, gconstpointer unused)
{
  World *world = open_world(fixture), *other = open_world(fixture);
  for (guint i = 0; i < 1200; i++)
    put(world, "a", i);
  gsize before = file_size(fixture);
  World *third = open_world(fixture);
  g_assert_cmpuint(file_size(fixture), ==, before);
  put(third, "b", 5000);
  g_assert_true(world_refresh(other, NULL));
  g_assert_nonnull(world_find(other, "b"));
  world_close(third);
  world_close(world);
  world_close(other);
  world = open_world(fixture);
  g_assert_cmpuint(file_size(fixture), <, before / 100);
  g_assert_nonnull(world_find(world, "a"));
  g_assert_nonnull(world_find(world, "b"));
  g_assert_cmpint(world_elapsed(world), ==, 5000);
  world_close(world);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add("/sim-world/round-trip", Fixture, NULL, set_up, test_round_trip, tear_down);
  g_test_add("/sim-world/two-processes", Fixture, NULL, set_up, test_two_processes, tear_down);
  g_test_add("/sim-world/line-of-before", Fixture, NULL, set_up, test_line_of_before, tear_down);
  g_test_add("/sim-world/torn-line", Fixture, GINT_TO_POINTER(FALSE), set_up, test_torn_line, tear_down);
  g_test_add("/sim-world/torn-line-other-open", Fixture, GINT_TO_POINTER(TRUE), set_up, test_torn_line, tear_down);
  g_test_add("/sim-world/garbage", Fixture, NULL, set_up, test_garbage, tear_down);
  g_test_add("/sim-world/shrinks", Fixture, NULL, set_up, test_shrinks_when_alone, tear_down);
  return g_test_run();
}
