/* config/azlin.conf says what the option tables say: rendered from them, compared, and (--write) brought up to date. */
#include "config-private.h"
#include "loader.h"
#include "scratch.h"
#include <stdio.h>

static const char *shipped_file;

static const char introduction[]
    = "# azlin.conf: which bricks run, and every option with its default. azlin reads this file and never writes it.\n"
      "#\n"
      "# Looked for in this order: --config FILE, $AZLIN_CONFIG, $XDG_CONFIG_HOME/azlin/azlin.conf, "
      "/etc/azlin/azlin.conf.\n"
      "# Files of conf.d/*.conf beside it are laid on top, in the order of their names. Lists are written a;b;c. "
      "Comments\n"
      "# stand on lines of their own. `azlin config show --origin` prints every value and where it came from.\n"
      "#\n"
      "# A line is put to use by taking its '#' away; for the groups of bricks, also the '#' of the [group] line.\n";

static const char *const kinds[] = {
  [AZLIN_KIND_PROVIDER] = "provider", [AZLIN_KIND_DEPLOYER] = "deployer", [AZLIN_KIND_FAILOVER] = "failover",
  [AZLIN_KIND_SYNC] = "sync",         [AZLIN_KIND_CONTEXT] = "context",   [AZLIN_KIND_COORDINATOR] = "coordinator",
};

static void
render_option(GString *text, const AzlinOption *option)
{
  g_string_append_printf(text, "# %s", option->help != NULL ? option->help : option->name);
  if (option->min != NULL && option->max != NULL)
    g_string_append_printf(text, " (%s to %s)", option->min, option->max);
  else if (option->min != NULL)
    g_string_append_printf(text, " (at least %s)", option->min);
  else if (option->max != NULL)
    g_string_append_printf(text, " (at most %s)", option->max);
  g_string_append_printf(text, "\n#%s=%s\n", option->name, option->def != NULL ? option->def : "");
}

static void
render_group(GString *text, const char *before, const char *name, const char *help, const AzlinOption *options)
{
  g_string_append_printf(text, "\n%s[%s]\n# -- %s --\n", before, name, help);
  for (const AzlinOption *option = options; option->name != NULL; option++)
    render_option(text, option);
}

/* Bricks in the order of their kinds; those without options have no group to show. */
static void
render_bricks(GString *text)
{
  g_auto(GStrv) files = az_loader_list();

  for (guint kind = AZLIN_KIND_PROVIDER; kind <= AZLIN_KIND_COORDINATOR; kind++) {
    for (char **file = files; *file != NULL; file++) {
      g_autofree char *path = az_loader_find(*file, NULL);
      g_autoptr(GError) error = NULL;
      const AzlinPlugin *plugin = az_loader_open(path, &error);
      g_assert_no_error(error);
      for (const AzlinBrick *const *brick = plugin->bricks; *brick != NULL; brick++) {
        g_autofree char *group = g_strdup_printf("%s.%s", kinds[kind], (*brick)->name);
        if ((guint) (*brick)->kind == kind && (*brick)->options != NULL && (*brick)->options->name != NULL)
          render_group(text, "#", group, (*brick)->summary, (*brick)->options);
      }
    }
  }
}

static char *
render(void)
{
  GString *text = g_string_new(introduction);

  for (const AzConfigGroup *group = az_config_core_groups; group->name != NULL; group++)
    render_group(text, "", group->name, group->help, group->options);
  render_bricks(text);
  return g_string_free(text, FALSE);
}

/* ---- the test ---- */

static char *
shipped(void)
{
  g_autoptr(GError) error = NULL;
  char *text = NULL;

  g_file_get_contents(shipped_file, &text, NULL, &error);
  g_assert_no_error(error);
  return text;
}

static void
test_agrees(void)
{
  g_autofree char *expected = render();
  g_autofree char *text = shipped();

  if (!g_str_equal(text, expected))
    g_test_message("config/azlin.conf is not what the option tables say; run: ninja -C BUILD update-config");
  g_assert_cmpstr(text, ==, expected);
}

static void
assert_same(AzConfig *config, AzConfig *builtin)
{
  g_autoptr(GVariant) all = g_variant_ref_sink(az_config_show(config));
  g_autoptr(GVariant) plain = g_variant_ref_sink(az_config_show(builtin));

  g_assert_cmpuint(g_variant_n_children(all), ==, g_variant_n_children(plain));
  for (const AzConfigGroup *group = az_config_core_groups; group->name != NULL; group++)
    for (const AzlinOption *option = group->options; option->name != NULL && !group->free_keys; option++) {
      g_autoptr(GVariant) ours = az_config_get(config, group->name, option->name);
      g_autoptr(GVariant) theirs = az_config_get(builtin, group->name, option->name);
      g_assert_cmpvariant(ours, theirs);
    }
}

static void
declare_bricks(AzConfig *config)
{
  g_auto(GStrv) files = az_loader_list();

  for (char **file = files; *file != NULL; file++) {
    g_autofree char *path = az_loader_find(*file, NULL);
    const AzlinPlugin *plugin = az_loader_open(path, NULL);
    for (const AzlinBrick *const *brick = plugin->bricks; *brick != NULL; brick++) {
      g_autofree char *group = g_strdup_printf("%s.%s", kinds[(*brick)->kind], (*brick)->name);
      g_autoptr(GError) error = NULL;
      az_config_declare(config, group, (*brick)->options, &error);
      g_assert_no_error(error);
    }
  }
}

/* As shipped it changes nothing, and neither does it with every '#' of an option taken away. */
static void
test_is_the_default(void)
{
  g_autofree char *folder = scratch_new();
  g_autofree char *text = shipped();
  g_autoptr(GRegex) mark = g_regex_new("^#(?=\\[|[a-z])", G_REGEX_MULTILINE, 0, NULL);
  g_autofree char *bare = g_regex_replace_literal(mark, text, -1, 0, "", 0, NULL);
  g_autofree char *none = scratch_write(folder, "none.conf", "", 0600);
  g_autofree char *as_is = scratch_write(folder, "as-is.conf", text, 0600);
  g_autofree char *all = scratch_write(folder, "all.conf", bare, 0600);
  g_autoptr(GError) error = NULL;
  g_autoptr(AzConfig) builtin = az_config_load(none, &error);
  g_autoptr(AzConfig) quiet = az_config_load(as_is, &error);
  g_autoptr(AzConfig) loud = az_config_load(all, &error);

  g_assert_no_error(error);
  g_assert_cmpstr(bare, !=, text);
  declare_bricks(builtin);
  declare_bricks(quiet);
  declare_bricks(loud);
  g_assert_true(az_config_check_groups(quiet, NULL));
  g_assert_true(az_config_check_groups(loud, NULL));
  assert_same(quiet, builtin);
  assert_same(loud, builtin);
  scratch_remove(folder);
}

int
main(int argc, char **argv)
{
  if (argc == 3 && g_str_equal(argv[1], "--write")) {
    g_autofree char *text = render();
    g_autoptr(GError) error = NULL;
    if (g_file_set_contents(argv[2], text, -1, &error))
      return 0;
    fprintf(stderr, "%s\n", error->message);
    return 1;
  }
  shipped_file = g_getenv("AZLIN_SHIPPED_CONFIG");
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/config/shipped/agrees", test_agrees);
  g_test_add_func("/config/shipped/is-the-default", test_is_the_default);
  return g_test_run();
}
