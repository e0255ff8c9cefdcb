/* azlin.conf: defaults, layers, types, ranges, unknown words with the nearest, and files that are not to be trusted. */
#include "config.h"
#include "scratch.h"

static const AzlinOption rsync_options[] = {
  { "max-bytes", "t", "100000000", "1", NULL, "largest job" },
  { "ratio", "d", "0.5", "0", "1", "share" },
  { "jobs", "u", "4", "1", "64", "how many" },
  { "compress", "b", "true", NULL, NULL, "compress" },
  { "exclude", "as", "a;b", NULL, NULL, "patterns" },
  { "label", "s", NULL, NULL, NULL, "a word" },
  { 0 },
};

typedef struct {
  char *folder;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
  fixture->folder = scratch_new();
  g_unsetenv("AZLIN_CONFIG");
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
  scratch_remove(fixture->folder);
  g_free(fixture->folder);
}

static AzConfig *
load(Fixture *fixture, const char *text, GError **error)
{
  g_autofree char *path = scratch_write(fixture->folder, "azlin.conf", text, 0600);

  return az_config_load(path, error);
}

static AzConfig *
load_ok(Fixture *fixture, const char *text)
{
  g_autoptr(GError) error = NULL;
  AzConfig *config = load(fixture, text, &error);

  g_assert_no_error(error);
  return config;
}

static void
assert_load_fails(Fixture *fixture, const char *text, const char *words)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AzConfig) config = load(fixture, text, &error);

  g_assert_null(config);
  assert_refused(error, AZLIN_ERROR_CONFIG, words);
}

static void
test_defaults(Fixture *fixture, gconstpointer data)
{
  g_autoptr(AzConfig) config = load_ok(fixture, "");
  g_auto(GStrv) regions = az_config_strv(config, "policy", "allowed-regions");
  g_auto(GStrv) contexts = az_config_strv(config, "bricks", "context");

  g_assert_cmpstr(az_config_string(config, "bricks", "provider"), ==, "local");
  g_assert_cmpstr(az_config_string(config, "bricks", "sync"), ==, "auto");
  g_assert_cmpstr(contexts[0], ==, "file");
  g_assert_null(contexts[1]);
  g_assert_cmpuint(g_strv_length(regions), ==, 13);
  g_assert_cmpstr(az_config_string(config, "ssh", "user"), ==, "azureuser");
  g_assert_false(az_config_bool(config, "ssh", "accept-new"));
  g_assert_cmpfloat(az_config_double(config, "health", "tcp-timeout"), ==, 5);
  g_assert_cmpfloat(az_config_double(config, "health", "power-timeout"), ==, 10);
  g_assert_cmpstr(az_config_string(config, "defaults", "resource-group"), ==, "azlin-vms");
  g_assert_cmpstr(az_config_alias(config, "us"), ==, "eastus");
  g_assert_cmpstr(az_config_alias(config, "asia"), ==, "southeastasia");
  g_assert_cmpstr(az_config_alias(config, "nowhere"), ==, "nowhere");
}

static void
test_declared_types(Fixture *fixture, gconstpointer data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AzConfig) config
      = load_ok(fixture, "[sync.rsync]\nmax-bytes = 18446744073709551615\nratio=1\ncompress=false\nexclude= x ;y;\n");
  g_autoptr(GVariant) bytes = NULL;
  g_auto(GStrv) exclude = NULL;

  g_assert_true(az_config_declare(config, "sync.rsync", rsync_options, &error));
  g_assert_no_error(error);
  bytes = az_config_get(config, "sync.rsync", "max-bytes");
  exclude = az_config_strv(config, "sync.rsync", "exclude");
  g_assert_cmpuint(g_variant_get_uint64(bytes), ==, G_MAXUINT64);
  g_assert_cmpfloat(az_config_double(config, "sync.rsync", "ratio"), ==, 1);
  g_assert_false(az_config_bool(config, "sync.rsync", "compress"));
  g_assert_cmpuint(az_config_uint(config, "sync.rsync", "jobs"), ==, 4);
  g_assert_cmpstr(exclude[0], ==, "x");
  g_assert_cmpstr(exclude[1], ==, "y");
  g_assert_null(exclude[2]);
  g_assert_cmpstr(az_config_string(config, "sync.rsync", "label"), ==, "");
  g_assert_null(az_config_get(config, "sync.rsync", "absent"));
  g_assert_null(az_config_get(config, "sync.absent", "ratio"));
  g_assert_true(az_config_declare(config, "sync.rsync", rsync_options, &error)); /* again: the same answer */
}

static void
test_bad_values(Fixture *fixture, gconstpointer data)
{
  static const struct {
    const char *line, *words;
  } cases[] = {
    { "jobs=0", "jobs in [sync.rsync]: '0' is too small; the least is 1" },
    { "jobs=65", "is too large; the most is 64" },
    { "jobs=4294967297", "is too large; the most is 64" },
    { "jobs=-1", "'-1' is not a whole number" },
    { "jobs=4 # four", "comments stand on lines of their own" },
    { "max-bytes=99999999999999999999", "is not a whole number" },
    { "ratio=1.01", "is too large; the most is 1" },
    { "ratio=nan", "is not a number" },
    { "ratio=0x", "is not a number" },
    { "compress=maybe", "'maybe' is neither true nor false" },
    { "compres=true", "unknown key 'compres' in [sync.rsync]; did you mean 'compress'?" },
    { "label[de]=x", "unknown key 'label[de]'" },
    { "label=\\q", "label in [sync.rsync]" },
  };

  for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *text = g_strdup_printf("[sync.rsync]\n%s\n", cases[i].line);
    g_autoptr(AzConfig) config = load_ok(fixture, text);
    g_autoptr(GError) error = NULL;
    g_assert_false(az_config_declare(config, "sync.rsync", rsync_options, &error));
    assert_refused(error, AZLIN_ERROR_CONFIG, cases[i].words);
    assert_refused(error, AZLIN_ERROR_CONFIG, "/azlin.conf: ");
  }
}

static void
test_bad_core(Fixture *fixture, gconstpointer data)
{
  assert_load_fails(fixture, "[bricks]\nprovidr=local\n",
                    "unknown key 'providr' in [bricks]; did you mean 'provider'?");
  assert_load_fails(fixture, "[bricks]\nprovider=../evil\n", "'../evil' is no name");
  assert_load_fails(fixture, "[bricks]\nprovider=local   # real machines\n", "comments stand on lines of their own");
  assert_load_fails(fixture, "[bricks]\ncontext=file;Tags\n", "'Tags' is no name");
  assert_load_fails(fixture, "[policy]\nallowed-regions=eastus,westus\n", "'eastus,westus' is no name");
  assert_load_fails(fixture, "[policy]\nallowed-fallback=eastus,mars\n", "'mars' is not among the allowed-regions");
  assert_load_fails(fixture, "[policy]\nallowed-fallback=eastus,,westus\n", "'' is no name");
  assert_load_fails(fixture, "[aliases]\nus=East US\n", "'East US' is no name");
  assert_load_fails(fixture, "[aliases]\nU S=eastus\n", "'U S' is no name");
  assert_load_fails(fixture, "[health]\ntcp-timeout=0\n", "is too small; the least is 0.1");
  assert_load_fails(fixture, "[ssh]\naccept-new=perhaps\n", "neither true nor false");
  assert_load_fails(fixture, "provider=local\n", "azlin.conf: ");
  assert_load_fails(fixture, "[bricks\nprovider=local\n", "azlin.conf: ");
  assert_load_fails(fixture, "[ssh]\nuser=\xff\xfe\n", "user in [ssh]");
}

static void
test_groups(Fixture *fixture, gconstpointer data)
{
  g_autoptr(AzConfig) good = load_ok(fixture, "[sync.rsync]\n[failover.hybrid]\n[bricks]\n");
  g_autoptr(AzConfig) near = load_ok(fixture, "[failover.hybird]\nmode=auto\n");
  g_autoptr(AzConfig) core = load_ok(fixture, "[brick]\n");
  g_autoptr(AzConfig) far = load_ok(fixture, "[complete-nonsense]\n");
  g_autoptr(AzConfig) extra = load_ok(fixture, "[azlin]\nplugins=acme\n[provider.acme]\nkey=1\n");
  g_autoptr(GError) error = NULL;

  g_assert_true(az_config_check_groups(good, NULL));
  g_assert_true(az_config_check_groups(extra, NULL));
  g_assert_false(az_config_check_groups(near, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "unknown group [failover.hybird]; did you mean [failover.hybrid]?");
  g_clear_error(&error);
  g_assert_false(az_config_check_groups(core, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "azlin.conf: unknown group [brick]; did you mean [bricks]?");
  g_clear_error(&error);
  g_assert_false(az_config_check_groups(far, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "unknown group [complete-nonsense]");
  g_clear_error(&error);
}

static void
test_aliases(Fixture *fixture, gconstpointer data)
{
  g_autoptr(AzConfig) config = load_ok(fixture, "[aliases]\nus=westus2\nasia=\nhome=ukwest\n");
  g_autofree char **names = az_config_alias_names(config);

  g_assert_cmpstr(az_config_alias(config, "us"), ==, "westus2");
  g_assert_cmpstr(az_config_alias(config, "eu"), ==, "westeurope");
  g_assert_cmpstr(az_config_alias(config, "asia"), ==, "asia");
  g_assert_cmpstr(az_config_alias(config, "home"), ==, "ukwest");
  g_assert_cmpstr(names[0], ==, "eu");
  g_assert_cmpstr(names[1], ==, "home");
  g_assert_cmpstr(names[2], ==, "us");
  g_assert_null(names[3]);
}

static const char *
shown(GVariant *all, const char *group, const char *name, const char *what)
{
  GVariantIter iter;
  GVariant *entry;
  const char *found = NULL;

  g_variant_iter_init(&iter, all);
  while (g_variant_iter_loop(&iter, "@a{sv}", &entry)) {
    const char *its_group = NULL, *its_name = NULL, *value = NULL;
    g_assert_true(g_variant_lookup(entry, "group", "&s", &its_group));
    g_assert_true(g_variant_lookup(entry, "name", "&s", &its_name));
    g_assert_true(g_variant_lookup(entry, what, "&s", &value));
    if (g_str_equal(its_group, group) && g_str_equal(its_name, name))
      found = g_intern_string(value);
  }
  return found;
}

static void
test_layers_and_origin(Fixture *fixture, gconstpointer data)
{
  g_autofree char *late = scratch_write(fixture->folder, "conf.d/90-local.conf", "[ssh]\nuser=late\n", 0600);
  g_autofree char *early
      = scratch_write(fixture->folder, "conf.d/10-site.conf", "[ssh]\nuser=early\nkey-file=/k\n", 0600);
  g_autofree char *other = scratch_write(fixture->folder, "conf.d/99-note.txt", "[ssh]\nuser=never\n", 0600);
  g_autofree char *hidden = scratch_write(fixture->folder, "conf.d/.99.conf", "[ssh]\nuser=never\n", 0600);
  g_autoptr(AzConfig) config = load_ok(fixture, "[ssh]\nuser=main\naccept-new=true\n[sync.rsync]\njobs=9\n");
  g_autoptr(GVariant) all = g_variant_ref_sink(az_config_show(config));

  g_assert_true(g_str_has_suffix(az_config_source(config), "/azlin.conf"));
  g_assert_cmpstr(az_config_string(config, "ssh", "user"), ==, "late");
  g_assert_cmpstr(az_config_string(config, "ssh", "key-file"), ==, "/k");
  g_assert_true(az_config_bool(config, "ssh", "accept-new"));
  g_assert_cmpstr(shown(all, "ssh", "user", "value"), ==, "late");
  g_assert_cmpstr(shown(all, "ssh", "user", "origin"), ==, late);
  g_assert_cmpstr(shown(all, "ssh", "key-file", "origin"), ==, early);
  g_assert_cmpstr(shown(all, "ssh", "accept-new", "origin"), ==, az_config_source(config));
  g_assert_cmpstr(shown(all, "bricks", "provider", "origin"), ==, "default");
  g_assert_cmpstr(shown(all, "bricks", "provider", "value"), ==, "local");
  g_assert_cmpstr(shown(all, "sync.rsync", "jobs", "value"), ==, "9");
  g_assert_cmpstr(shown(all, "aliases", "eu", "value"), ==, "westeurope");
}

static void
test_search_order(Fixture *fixture, gconstpointer data)
{
  g_autofree char *named = scratch_write(fixture->folder, "named.conf", "[ssh]\nuser=named\n", 0600);
  g_autofree char *by_env = scratch_write(fixture->folder, "env.conf", "[ssh]\nuser=env\n", 0600);
  g_autoptr(AzConfig) first = NULL, second = NULL, third = NULL;
  g_autoptr(GError) error = NULL;

  g_setenv("AZLIN_CONFIG", by_env, TRUE);
  first = az_config_load(named, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(az_config_string(first, "ssh", "user"), ==, "named");
  second = az_config_load(NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(az_config_string(second, "ssh", "user"), ==, "env");
  g_setenv("AZLIN_CONFIG", "/nonexistent/azlin.conf", TRUE);
  third = az_config_load(NULL, &error);
  g_assert_null(third);
  assert_refused(error, AZLIN_ERROR_CONFIG, "/nonexistent");
  g_unsetenv("AZLIN_CONFIG");
}

/* In a process of its own: GLib reads XDG_CONFIG_HOME once. */
static void
test_xdg(Fixture *fixture, gconstpointer data)
{
  if (g_test_subprocess()) {
    g_autoptr(AzConfig) config = az_config_load(NULL, NULL);
    g_print("user=%s\n", az_config_string(config, "ssh", "user"));
    return;
  }
  g_autofree char *file = scratch_write(fixture->folder, "azlin/azlin.conf", "[ssh]\nuser=xdg\n", 0600);
  g_setenv("XDG_CONFIG_HOME", fixture->folder, TRUE);
  g_test_trap_subprocess("/config/xdg", 0, 0);
  g_unsetenv("XDG_CONFIG_HOME");
  g_test_trap_assert_passed();
  g_test_trap_assert_stdout("*user=xdg*");
}

static void
test_untrusted(Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = scratch_write(fixture->folder, "in/azlin.conf", "", 0666);
  g_autofree char *inner = g_path_get_dirname(path);
  g_autofree char *link = g_build_filename(fixture->folder, "link.conf", NULL);
  g_autofree char *drop = NULL;
  g_autoptr(GError) error = NULL;
  g_autoptr(AzConfig) through = NULL;

  g_assert_null(az_config_load(path, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "can be written by others");
  g_clear_error(&error);
  g_chmod(path, 0600);
  g_assert_cmpint(symlink(path, link), ==, 0);
  through = az_config_load(link, &error); /* dotfile managers link: the target counts */
  g_assert_no_error(error);
  drop = scratch_write(fixture->folder, "in/conf.d/50.conf", "", 0622);
  g_assert_null(az_config_load(path, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "50.conf can be written by others");
  g_clear_error(&error);
  g_remove(drop);
  g_chmod(inner, 01777); /* the sticky bit does not help: anybody may add a conf.d */
  g_assert_null(az_config_load(path, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "folder");
  g_clear_error(&error);
  g_assert_null(az_config_load(link, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "can be written by others");
  g_clear_error(&error);
}

static void
test_foreign_owner(Fixture *fixture, gconstpointer data)
{
  g_autofree char *path = scratch_write(fixture->folder, "azlin.conf", "", 0600);
  g_autoptr(GError) error = NULL;

  if (geteuid() != 0) {
    g_test_skip("only root can give a file away");
    return;
  }
  g_assert_cmpint(chown(path, 12345, 12345), ==, 0);
  g_assert_null(az_config_load(path, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "belongs to user 12345");
}

static void
test_not_a_file(Fixture *fixture, gconstpointer data)
{
  g_autofree char *fifo = g_build_filename(fixture->folder, "fifo.conf", NULL);
  g_autofree char *huge = g_build_filename(fixture->folder, "huge.conf", NULL);
  g_autoptr(GError) error = NULL;
  FILE *file = fopen(huge, "w");

  g_assert_cmpint(mkfifo(fifo, 0600), ==, 0);
  g_assert_null(az_config_load(fifo, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "is not a regular file");
  g_clear_error(&error);
  g_assert_null(az_config_load(fixture->folder, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "is not a regular file");
  g_clear_error(&error);
  g_assert_cmpint(ftruncate(fileno(file), 100 * 1024 * 1024), ==, 0);
  fclose(file);
  g_chmod(huge, 0600);
  g_assert_null(az_config_load(huge, &error));
  assert_refused(error, AZLIN_ERROR_CONFIG, "is too large");
  g_clear_error(&error);
}

#define TEST(name, function) g_test_add("/config/" name, Fixture, NULL, set_up, function, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("defaults", test_defaults);
  TEST("declared-types", test_declared_types);
  TEST("bad-values", test_bad_values);
  TEST("bad-core", test_bad_core);
  TEST("groups", test_groups);
  TEST("aliases", test_aliases);
  TEST("layers-and-origin", test_layers_and_origin);
  TEST("search-order", test_search_order);
  TEST("xdg", test_xdg);
  TEST("untrusted", test_untrusted);
  TEST("foreign-owner", test_foreign_owner);
  TEST("not-a-file", test_not_a_file);
  return g_test_run();
}
