/* The configuration as people see it: every value with its origin, and groups that nobody could own. */
#include "config-private.h"
#include "loader.h"

static const char *
help_of(AzConfig *config, const char *group, const char *name)
{
  for (const AzConfigGroup *core = az_config_core_groups; core->name != NULL; core++)
    for (const AzlinOption *option = core->options; option->name != NULL; option++)
      if (g_str_equal(core->name, group) && g_str_equal(option->name, name))
        return option->help;
  for (guint i = 0; i < config->groups->len; i++) {
    const AzConfigValues *values = g_ptr_array_index(config->groups, i);
    const AzlinOption *option = g_str_equal(values->name, group) ? values->options : NULL;
    for (; option != NULL && option->name != NULL; option++)
      if (g_str_equal(option->name, name))
        return option->help;
  }
  return NULL;
}

static void
show_group(AzConfig *config, const char *group, GVariantBuilder *list)
{
  g_auto(GStrv) keys = g_key_file_get_keys(config->merged, group, NULL, NULL);

  for (char **key = keys; key != NULL && *key != NULL; key++) {
    g_autofree char *raw = g_key_file_get_value(config->merged, group, *key, NULL);
    g_autofree char *value = g_utf8_make_valid(raw, -1);
    const char *origin = az_config_origin(config, group, *key);
    const char *help = help_of(config, group, *key);
    GVariantBuilder entry;
    g_variant_builder_init(&entry, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&entry, "{sv}", "group", g_variant_new_string(group));
    g_variant_builder_add(&entry, "{sv}", "name", g_variant_new_string(*key));
    g_variant_builder_add(&entry, "{sv}", "value", g_variant_new_string(value));
    g_variant_builder_add(&entry, "{sv}", "origin", g_variant_new_string(origin != NULL ? origin : "default"));
    g_variant_builder_add(&entry, "{sv}", "help", g_variant_new_string(help != NULL ? help : ""));
    g_variant_builder_add(list, "a{sv}", &entry);
  }
}

static gboolean
is_core(const char *name)
{
  for (const AzConfigGroup *group = az_config_core_groups; group->name != NULL; group++)
    if (g_str_equal(group->name, name))
      return TRUE;
  return FALSE;
}

GVariant *
az_config_show(AzConfig *config)
{
  g_auto(GStrv) groups = g_key_file_get_groups(config->merged, NULL);
  GVariantBuilder list;

  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (const AzConfigGroup *group = az_config_core_groups; group->name != NULL; group++)
    show_group(config, group->name, &list);
  for (char **group = groups; *group != NULL; group++)
    if (!is_core(*group))
      show_group(config, *group, &list);
  return g_variant_builder_end(&list);
}

const char *
az_config_source(AzConfig *config)
{
  return config->source;
}

/* All that a group may be called: core, declared, and one per plugin file. */
static GPtrArray *
known_groups(AzConfig *config)
{
  GPtrArray *known = g_ptr_array_new_with_free_func(g_free);
  g_auto(GStrv) files = az_loader_list();

  for (const AzConfigGroup *group = az_config_core_groups; group->name != NULL; group++)
    g_ptr_array_add(known, g_strdup(group->name));
  for (guint i = 0; i < config->groups->len; i++) {
    const AzConfigValues *values = g_ptr_array_index(config->groups, i);
    g_ptr_array_add(known, g_strdup(values->name));
  }
  for (char **file = files; *file != NULL; file++) {
    char *group = g_strdup(*file), *dash = strchr(group, '-');
    if (dash != NULL)
      *dash = '.';
    g_ptr_array_add(known, group);
  }
  g_ptr_array_add(known, NULL);
  return known;
}

/* With [azlin] plugins, files of any name may bring any brick: such a group is judged when its brick loads. */
static gboolean
may_belong_to_extra(AzConfig *config, const char *group)
{
  static const char *const kinds[] = { "provider.", "deployer.", "failover.", "sync.", "context.", "coordinator." };
  g_auto(GStrv) extra = az_config_strv(config, "azlin", "plugins");

  for (gsize i = 0; *extra != NULL && i < G_N_ELEMENTS(kinds); i++)
    if (g_str_has_prefix(group, kinds[i]))
      return TRUE;
  return FALSE;
}

static char *
file_of_group(AzConfig *config, const char *group)
{
  g_auto(GStrv) keys = g_key_file_get_keys(config->merged, group, NULL, NULL);
  const char *key = keys != NULL && keys[0] != NULL ? keys[0] : "";

  return g_strdup(az_config_origin(config, group, key));
}

gboolean
az_config_check_groups(AzConfig *config, GError **error)
{
  g_auto(GStrv) groups = g_key_file_get_groups(config->merged, NULL);
  g_autoptr(GPtrArray) known = NULL;

  for (char **group = groups; *group != NULL; group++) {
    g_autofree char *file = NULL;
    const char *near;
    if (is_core(*group) || may_belong_to_extra(config, *group))
      continue;
    if (known == NULL)
      known = known_groups(config);
    if (g_strv_contains((const char *const *) known->pdata, *group))
      continue;
    near = az_nearest(*group, (const char *const *) known->pdata);
    file = file_of_group(config, *group);
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s: unknown group [%s]%s%s%s", file, *group,
                near != NULL ? "; did you mean [" : "", near != NULL ? near : "", near != NULL ? "]?" : "");
    return FALSE;
  }
  return TRUE;
}
