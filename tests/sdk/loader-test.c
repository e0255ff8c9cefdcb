/* The loader against files and plugins that mean no good: each is refused with a sentence of its own. */
#include "loader.h"
#include "scratch.h"
#include <fcntl.h>

static char *
hostile_file(const char *name)
{
  return g_strdup_printf("%s/%s.so", HOSTILE_DIR, name);
}

static void
assert_open_fails(const char *file, const char *words)
{
  g_autoptr(GError) error = NULL;

  g_assert_null(az_loader_open(file, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, words);
  assert_refused(error, AZLIN_ERROR_CONFIG, file);
}

static void
test_good(void)
{
  g_autofree char *file = hostile_file("coordinator-good");
  g_autoptr(GError) error = NULL;
  const AzlinPlugin *plugin = az_loader_open(file, &error);
  const AzlinCoordinator *coordinator;

  g_assert_no_error(error);
  g_assert_cmpstr(plugin->id, ==, "test.good");
  g_assert_cmpstr(plugin->bricks[0]->name, ==, "good");
  g_assert_null(plugin->bricks[1]);
  coordinator = az_loader_iface(plugin->bricks[0]);
  g_assert_nonnull(coordinator->renew);
  g_assert_true(az_loader_open(file, NULL) == plugin);
}

static void
test_descriptors(void)
{
  static const struct {
    const char *file, *words;
  } cases[] = {
    { "coordinator-no-symbol", "is no azlin plugin: it has no symbol azlin_plugin_v1" },
    { "coordinator-other-major", "was built for ABI 2; this azlin speaks ABI 1" },
    { "coordinator-lying-major", "was built for ABI 7.3; this azlin speaks ABI 1" },
    { "coordinator-newer-minor", "was built for the newer ABI 1." },
    { "coordinator-short-plugin", "has a short descriptor" },
    { "coordinator-short-brick", "has a short brick descriptor" },
    { "coordinator-short-iface", "end before the required slot release" },
    { "coordinator-missing-slot", "brings coordinator-missing-slot without the required slot renew" },
    { "coordinator-no-brick", "brings no brick" },
    { "coordinator-bad-name", "brings a coordinator whose name is not made of a-z, 0-9 and '-'" },
    { "coordinator-bad-option", "declares option shape of bad-option with an unknown type" },
    { "coordinator-unknown-kind", "brings a brick of an unknown kind (99)" },
    { "coordinator-undefined", "cannot be loaded: undefined symbol: az_no_such_function" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *file = hostile_file(cases[i].file);
    assert_open_fails(file, cases[i].words);
    assert_open_fails(file, cases[i].words); /* and again: what was refused once is not taken from a cache */
  }
}

/* An SDK of an older minor: shorter structs are whole, and what they lack reads NULL, not what lies behind them. */
static void
test_older_minor(void)
{
  g_autofree char *file = hostile_file("provider-older-minor");
  g_autoptr(GError) error = NULL;
  const AzlinPlugin *plugin = az_loader_open(file, &error);
  const AzlinProvider *provider;

  g_assert_no_error(error);
  provider = az_loader_iface(plugin->bricks[0]);
  g_assert_nonnull(provider->vm_get);
  g_assert_nonnull(provider->vm_list);
  g_assert_null(provider->vm_create);
  g_assert_null(provider->vm_exec);
  g_assert_null(provider->vm_probe);
  g_assert_false(provider->virtual_time);
  g_assert_cmpuint(provider->size, ==, sizeof(AzlinProvider));
}

/* ---- files ---- */

typedef struct {
  char *folder, *file;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
  g_autofree char *good = hostile_file("coordinator-good");
  g_autofree char *bytes = NULL;
  gsize length = 0;

  fixture->folder = scratch_new();
  fixture->file = g_build_filename(fixture->folder, "plugins", "coordinator-copy.so", NULL);
  g_autofree char *plugins = g_path_get_dirname(fixture->file);
  g_assert_true(g_file_get_contents(good, &bytes, &length, NULL));
  g_assert_cmpint(g_mkdir(plugins, 0700), ==, 0);
  g_assert_true(g_file_set_contents(fixture->file, bytes, (gssize) length, NULL));
  g_assert_cmpint(g_chmod(fixture->file, 0644), ==, 0);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
  scratch_remove(fixture->folder);
  g_free(fixture->folder);
  g_free(fixture->file);
}

static void
test_symlink(Fixture *fixture, gconstpointer data)
{
  g_autofree char *link = g_build_filename(fixture->folder, "link.so", NULL);

  g_assert_cmpint(symlink(fixture->file, link), ==, 0);
  assert_open_fails(link, "link.so is a symbolic link");
}

static void
test_writable_file(Fixture *fixture, gconstpointer data)
{
  g_chmod(fixture->file, 0646);
  assert_open_fails(fixture->file, "coordinator-copy.so can be written by others (mode 0646)");
}

static void
test_writable_folder(Fixture *fixture, gconstpointer data)
{
  g_autofree char *plugins = g_path_get_dirname(fixture->file);

  g_chmod(plugins, 0777);
  assert_open_fails(fixture->file, "plugins can be written by others (mode 0777)");
  g_chmod(plugins, 0700);
  g_chmod(fixture->folder, 01777);
  assert_open_fails(fixture->file, "can be written by others (mode 1777)");
}

/* The folder is good by its own name, but the way to it leads through one that others may change. */
static void
test_folder_by_link(Fixture *fixture, gconstpointer data)
{
  g_autofree char *plugins = g_path_get_dirname(fixture->file);
  g_autofree char *open_folder = g_build_filename(fixture->folder, "open", NULL);
  g_autofree char *link = g_build_filename(open_folder, "plugins", NULL);
  g_autofree char *through = g_build_filename(link, "coordinator-copy.so", NULL);
  g_autoptr(GError) error = NULL;

  g_mkdir(open_folder, 0700);
  g_assert_cmpint(symlink(plugins, link), ==, 0);
  g_chmod(open_folder, 0733);
  assert_open_fails(through, "open can be written by others");
  g_chmod(open_folder, 0700);
  az_loader_open(through, &error);
  g_assert_no_error(error);
}

static void
test_group_writable(Fixture *fixture, gconstpointer data)
{
  if (geteuid() != 0) {
    g_test_skip("only root can hand a file to another group");
    return;
  }
  g_assert_cmpint(chown(fixture->file, 0, 12345), ==, 0);
  g_chmod(fixture->file, 0664);
  assert_open_fails(fixture->file, "can be written by others (mode 0664)");
}

static void
test_foreign_owner(Fixture *fixture, gconstpointer data)
{
  g_autofree char *plugins = g_path_get_dirname(fixture->file);

  if (geteuid() != 0) {
    g_test_skip("only root can give a file away");
    return;
  }
  g_assert_cmpint(chown(fixture->file, 12345, 0), ==, 0);
  assert_open_fails(fixture->file, "coordinator-copy.so belongs to user 12345");
  g_assert_cmpint(chown(fixture->file, 0, 0), ==, 0);
  g_assert_cmpint(chown(plugins, 12345, 0), ==, 0);
  assert_open_fails(fixture->file, "plugins belongs to user 12345");
}

static void
test_not_an_object(Fixture *fixture, gconstpointer data)
{
  g_autofree char *text = scratch_write(fixture->folder, "text.so", "#!/bin/sh\necho no\n", 0755);
  g_autofree char *empty = scratch_write(fixture->folder, "empty.so", "", 0644);
  g_autofree char *fifo = g_build_filename(fixture->folder, "fifo.so", NULL);
  g_autofree char *missing = g_build_filename(fixture->folder, "missing.so", NULL);
  g_autofree char *nowhere = g_build_filename(fixture->folder, "no", "where.so", NULL);

  assert_open_fails(text, "text.so cannot be loaded: ");
  assert_open_fails(empty, "empty.so cannot be loaded: ");
  g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
  assert_open_fails(fifo, "fifo.so is not a regular file");
  assert_open_fails(fixture->folder, "is not a regular file");
  assert_open_fails(missing, "missing.so cannot be opened: No such file or directory");
  assert_open_fails(nowhere, "No such file or directory");
  assert_open_fails("relative.so", "is not an absolute path");
}

/* glibc takes two libraries for one when their names are equal; both are opened through /proc/self/fd. */
static void
test_two_files_stay_two(Fixture *fixture, gconstpointer data)
{
  g_autofree char *first = hostile_file("coordinator-good");
  g_autofree char *second = hostile_file("coordinator-double-callback");
  g_autofree char *bad = hostile_file("coordinator-no-symbol");

  g_assert_null(az_loader_open(bad, NULL));
  g_assert_cmpstr(az_loader_open(first, NULL)->id, ==, "test.good");
  g_assert_cmpstr(az_loader_open(second, NULL)->id, ==, "test.double-callback");
}

/* ---- names ---- */

static void
test_find(Fixture *fixture, gconstpointer data)
{
  g_autofree char *plugins = g_path_get_dirname(fixture->file);
  g_autofree char *path = g_strdup_printf("relative:%s:%s", plugins, HOSTILE_DIR);
  g_autofree char *before = g_strdup(g_getenv("AZLIN_PLUGIN_PATH"));
  g_autofree char *copy = NULL, *good = NULL;
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) all = NULL;

  g_setenv("AZLIN_PLUGIN_PATH", path, TRUE);
  copy = az_loader_find("coordinator-copy", &error);
  good = az_loader_find("coordinator-good", &error);
  all = az_loader_list();
  g_assert_no_error(error);
  g_assert_cmpstr(copy, ==, fixture->file);
  g_assert_true(g_str_has_prefix(good, HOSTILE_DIR));
  g_assert_true(g_strv_contains((const char *const *) all, "coordinator-copy"));
  g_assert_true(g_strv_contains((const char *const *) all, "provider-older-minor"));
  g_assert_null(az_loader_find("coordinator-godo", &error));
  assert_refused(error, AZLIN_ERROR_CONFIG,
                 "no brick 'coordinator-godo' is installed; did you mean 'coordinator-good'?");
  g_clear_error(&error);
  g_assert_null(az_loader_find("../plugins/coordinator-copy", &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "no brick '../plugins/coordinator-copy' is installed");
  g_setenv("AZLIN_PLUGIN_PATH", before, TRUE);
}

static void
test_module(void)
{
  g_autoptr(GError) error = NULL;
  g_auto(GStrv) all = az_loader_list();

  g_assert_null(az_loader_module("azlin-transport-ssh", "no_such_symbol", &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "azlin-transport-ssh.so has no symbol no_such_symbol");
  g_assert_false(g_strv_contains((const char *const *) all, "azlin-transport-ssh"));
  g_clear_error(&error);
  g_assert_null(az_loader_module("azlin-transport-telnet", "x", &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "azlin-transport-telnet");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/loader/good", test_good);
  g_test_add_func("/loader/descriptors", test_descriptors);
  g_test_add_func("/loader/older-minor", test_older_minor);
  g_test_add("/loader/symlink", Fixture, NULL, set_up, test_symlink, tear_down);
  g_test_add("/loader/writable-file", Fixture, NULL, set_up, test_writable_file, tear_down);
  g_test_add("/loader/writable-folder", Fixture, NULL, set_up, test_writable_folder, tear_down);
  g_test_add("/loader/folder-by-link", Fixture, NULL, set_up, test_folder_by_link, tear_down);
  g_test_add("/loader/group-writable", Fixture, NULL, set_up, test_group_writable, tear_down);
  g_test_add("/loader/foreign-owner", Fixture, NULL, set_up, test_foreign_owner, tear_down);
  g_test_add("/loader/not-an-object", Fixture, NULL, set_up, test_not_an_object, tear_down);
  g_test_add("/loader/two-files-stay-two", Fixture, NULL, set_up, test_two_files_stay_two, tear_down);
  g_test_add("/loader/find", Fixture, NULL, set_up, test_find, tear_down);
  g_test_add_func("/loader/module", test_module);
  return g_test_run();
}
