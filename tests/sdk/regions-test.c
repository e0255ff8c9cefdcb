/* Names and paths as people type them, the nearest word, and azlin's home. */
#include "paths.h"
#include "regions.h"
#include "scratch.h"

static AzConfig *
config_of(const char *text)
{
  g_autofree char *folder = scratch_new();
  g_autofree char *path = scratch_write(folder, "azlin.conf", text, 0600);
  g_autoptr(GError) error = NULL;
  AzConfig *config = az_config_load(path, &error);

  g_assert_no_error(error);
  scratch_remove(folder);
  return config;
}

static void
test_resolve(void)
{
  g_autoptr(AzConfig) config = config_of("");

  g_assert_cmpstr(az_region_resolve(config, "eastus", NULL), ==, "eastus");
  g_assert_cmpstr(az_region_resolve(config, "us", NULL), ==, "eastus");
  g_assert_cmpstr(az_region_resolve(config, "eu", NULL), ==, "westeurope");
  g_assert_cmpstr(az_region_resolve(config, "asia", NULL), ==, "southeastasia");
}

static void
test_resolve_bad(void)
{
  static const struct {
    const char *word, *words;
  } cases[] = {
    { "eastsu", "Invalid region 'eastsu'; did you mean 'eastus'?" },
    { "East US 2", "Invalid region 'East US 2'; did you mean 'eastus2'?" },
    { "uss", "did you mean 'us'?" },
    { "mars", "Invalid region 'mars'; allowed are: eastus, eastus2, westus" },
    { "germanywestcentral", "Invalid region 'germanywestcentral'" },
    { "", "region cannot be empty" },
    { "east\nus", "Invalid region 'east?us'" },
    { "\x1b[31mred", "Invalid region '?[31mred'" },
    { "\xff\xfe", "Invalid region '" },
  };
  g_autoptr(AzConfig) config = config_of("");

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(az_region_resolve(config, cases[i].word, &error));
    assert_refused(error, AZLIN_ERROR_USAGE, cases[i].words);
    g_assert_true(g_utf8_validate(error->message, -1, NULL));
  }
}

static void
test_policy(void)
{
  g_autoptr(AzConfig) config = config_of("[policy]\nallowed-regions=mars;venus\n[aliases]\nred=mars\n");
  g_autoptr(GError) error = NULL;

  g_assert_cmpstr(az_region_resolve(config, "red", NULL), ==, "mars");
  g_assert_null(az_region_resolve(config, "us", &error));
  assert_refused(error, AZLIN_ERROR_USAGE, "the alias means eastus, which [policy] allowed-regions does not hold");
}

static void
test_list(void)
{
  g_autoptr(AzConfig) config = config_of("");
  const char *const good[] = { "us", "westeurope", "asia", NULL };
  const char *const none[] = { NULL };
  const char *const twice[] = { "eastus", "westus", "eastus", NULL };
  const char *const alias[] = { "eastus", "us", NULL };
  const char *const bad[] = { "eastus", "nope-nope", NULL };
  const struct {
    const char *const *list;
    const char *words;
  } cases[] = {
    { NULL, "regions list cannot be empty" },    { none, "regions list cannot be empty" },
    { twice, "region 'eastus' is named twice" }, { alias, "region 'eastus' is named twice ('us' is its alias)" },
    { bad, "Invalid region 'nope-nope'" },
  };
  g_auto(GStrv) list = az_region_resolve_list(config, good, NULL);

  g_assert_cmpstr(list[0], ==, "eastus");
  g_assert_cmpstr(list[1], ==, "westeurope");
  g_assert_cmpstr(list[2], ==, "southeastasia");
  g_assert_null(list[3]);
  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(az_region_resolve_list(config, cases[i].list, &error));
    assert_refused(error, AZLIN_ERROR_USAGE, cases[i].words);
  }
}

/* Ten thousand allowed regions resolve in the time of ten thousand hash lookups, not of their square. */
static void
test_many_regions(void)
{
  g_autoptr(GString) text = g_string_new("[policy]\nallowed-regions=");
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  g_autoptr(AzConfig) config = NULL;
  g_auto(GStrv) words = NULL;
  g_auto(GStrv) list = NULL;

  for (guint i = 0; i < 10000; i++) {
    g_autofree char *region = g_strdup_printf("region-%u", i);
    g_strv_builder_add(builder, region);
    g_string_append_printf(text, "%s;", region);
  }
  g_string_append_c(text, '\n');
  config = config_of(text->str);
  words = g_strv_builder_end(builder);
  list = az_region_resolve_list(config, (const char *const *) words, NULL);
  g_assert_cmpuint(g_strv_length(list), ==, 10000);
}

static void
test_vm_name(void)
{
  static const char *const good[] = { "vm-eastus-123", "a", "azlin-eastus-0f3a", "Web_1.prod" };
  static const struct {
    const char *name, *words;
  } bad[] = {
    { NULL, "VM name cannot be empty" },
    { "", "VM name cannot be empty" },
    { "a b", "Invalid VM name 'a b': use letters" },
    { "../x", "Invalid VM name" },
    { "-rf", "begin and end with a letter or digit" },
    { "x-", "begin and end with a letter or digit" },
    { "a;b", "Invalid VM name" },
    { "a\nb", "Invalid VM name 'a?b'" },
    { "vm\xc3\xa9", "Invalid VM name" },
    { "0123456789012345678901234567890123456789012345678901234567890123x", "is too long" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
    g_assert_true(az_vm_name_check(good[i], NULL));
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_false(az_vm_name_check(bad[i].name, &error));
    assert_refused(error, AZLIN_ERROR_USAGE, bad[i].words);
  }
}

static void
test_path(void)
{
  static const char *const good[]
      = { "/home/azureuser", "/home/azureuser/",       "/srv/a b",   "/data/.hidden", "/etc/azlin.d",
          "/srv/..hidden",   "/srv/\xc3\xa9t\xc3\xa9", "/developer", "/systems/x" };
  static const struct {
    const char *path, *words;
  } bad[] = {
    { NULL, "path cannot be empty" },
    { "", "path cannot be empty" },
    { "data", "is relative" },
    { "~/data", "is relative" },
    { "/home/../etc", "holds '..'" },
    { "/..", "holds '..'" },
    { "/home/a\nb", "holds a control character" },
    { "/home/a\x7f", "holds a control character" },
    { "/home/\xff", "is not valid UTF-8" },
    { "/", "is a system folder" },
    { "//", "is a system folder" },
    { "/./etc/", "is a system folder" },
    { "/etc", "is a system folder" },
    { "/boot/", "is a system folder" },
    { "/proc/self", "belongs to the system" },
    { "/sys/class", "belongs to the system" },
    { "/dev/shm/x", "belongs to the system" },
    { "/home//x", "is not canonical; write '/home/x'" },
    { "/home/./x", "is not canonical; write '/home/x'" },
    { "/home/x//", "is not canonical; write '/home/x'" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS(good); i++) {
    g_autoptr(GError) error = NULL;
    az_path_check(good[i], &error);
    g_assert_no_error(error);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_false(az_path_check(bad[i].path, &error));
    assert_refused(error, AZLIN_ERROR_USAGE, bad[i].words);
  }
}

static void
test_path_length(void)
{
  g_autofree char *most = g_strnfill(4096, 'x');
  g_autofree char *more = g_strnfill(4097, 'x');
  g_autoptr(GError) error = NULL;

  most[0] = more[0] = '/';
  g_assert_true(az_path_check(most, NULL));
  g_assert_false(az_path_check(more, &error));
  assert_refused(error, AZLIN_ERROR_USAGE, "is too long; the most is 4096 bytes");
}

static void
test_nearest(void)
{
  static const char *const words[] = { "provider", "deployer", "sync", "sync-strategies", "us", "eastus", "", NULL };
  g_autofree char *endless = g_strnfill(1000, 'e');

  g_assert_cmpstr(az_nearest("providr", words), ==, "provider");
  g_assert_cmpstr(az_nearest("PROVIDER", words), ==, "provider");
  g_assert_cmpstr(az_nearest("depolyer", words), ==, "deployer");
  g_assert_cmpstr(az_nearest("sycn", words), ==, "sync");
  g_assert_cmpstr(az_nearest("synk", words), ==, "sync");
  g_assert_cmpstr(az_nearest("estus", words), ==, "eastus");
  g_assert_cmpstr(az_nearest("prov", words), ==, "provider");
  g_assert_null(az_nearest("xy", words));
  g_assert_null(az_nearest("elephant", words));
  g_assert_null(az_nearest("", words));
  g_assert_null(az_nearest(NULL, words));
  g_assert_null(az_nearest(endless, words));
  g_assert_null(az_nearest("sync", NULL));
}

static void
test_home(void)
{
  g_autofree char *folder = scratch_new();
  g_autofree char *home = g_build_filename(folder, "deep", "home", NULL);
  g_autoptr(AzPaths) paths = az_paths_new(home);
  g_autofree char *file = az_paths_file(paths, "config.json");
  g_autofree char *brick = az_paths_brick_dir(paths, "sync-rsync");
  g_autofree char *expected = g_build_filename(home, "bricks", "sync-rsync", NULL);
  GStatBuf info;

  g_assert_cmpstr(az_paths_home(paths), ==, home);
  g_assert_false(g_file_test(home, G_FILE_TEST_EXISTS));
  g_assert_true(az_paths_ensure(paths, NULL));
  g_assert_cmpint(g_stat(home, &info), ==, 0);
  g_assert_cmpint(info.st_mode & 07777, ==, 0700);
  g_chmod(home, 0755);
  g_assert_true(az_paths_ensure(paths, NULL));
  g_stat(home, &info);
  g_assert_cmpint(info.st_mode & 07777, ==, 0700);
  g_assert_true(g_str_has_suffix(file, "/deep/home/config.json"));
  g_assert_cmpstr(brick, ==, expected);
  g_assert_true(az_paths_make_dir(brick, NULL));
  scratch_remove(folder);
}

static void
test_home_refused(void)
{
  g_autofree char *folder = scratch_new();
  g_autofree char *file = scratch_write(folder, "file", "", 0600);
  g_autoptr(AzPaths) on_file = az_paths_new(file);
  g_autoptr(AzPaths) foreign = az_paths_new(folder);
  g_autoptr(GError) error = NULL;

  g_assert_false(az_paths_ensure(on_file, &error));
  assert_refused(error, AZLIN_ERROR_STORAGE, file);
  g_clear_error(&error);
  if (geteuid() == 0) {
    g_assert_cmpint(chown(folder, 12345, 12345), ==, 0);
    g_assert_false(az_paths_ensure(foreign, &error));
    assert_refused(error, AZLIN_ERROR_STORAGE, "belongs to user 12345");
  }
  scratch_remove(folder);
}

static void
test_home_choice(void)
{
  g_autoptr(AzPaths) relative = az_paths_new("some/home");
  g_autoptr(AzPaths) by_env = NULL, by_default = NULL;

  g_assert_true(g_path_is_absolute(az_paths_home(relative)));
  g_setenv("AZLIN_HOME", "/from/env", TRUE);
  by_env = az_paths_new(NULL);
  g_assert_cmpstr(az_paths_home(by_env), ==, "/from/env");
  g_unsetenv("AZLIN_HOME");
  by_default = az_paths_new(NULL);
  g_assert_true(g_str_has_suffix(az_paths_home(by_default), "/.azlin"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/regions/resolve", test_resolve);
  g_test_add_func("/regions/resolve-bad", test_resolve_bad);
  g_test_add_func("/regions/policy", test_policy);
  g_test_add_func("/regions/list", test_list);
  g_test_add_func("/regions/many", test_many_regions);
  g_test_add_func("/regions/vm-name", test_vm_name);
  g_test_add_func("/regions/path", test_path);
  g_test_add_func("/regions/path-length", test_path_length);
  g_test_add_func("/nearest", test_nearest);
  g_test_add_func("/paths/home", test_home);
  g_test_add_func("/paths/refused", test_home_refused);
  g_test_add_func("/paths/choice", test_home_choice);
  return g_test_run();
}
