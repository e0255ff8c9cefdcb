/* azlin.conf: layers of files merged into one table of typed options, each with the place it came from. */
#include "config.h"
#include "config-private.h"
#include "loader.h"

static void
group_free(gpointer data)
{
  AzConfigValues *group = data;

  g_hash_table_unref(group->values);
  g_free(group);
}

static AzConfig *
config_new(void)
{
  AzConfig *config = g_new0(AzConfig, 1);

  config->merged = g_key_file_new();
  config->origins = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  config->groups = g_ptr_array_new_with_free_func(group_free);
  config->allowed = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  config->aliases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  config->fallback = g_ptr_array_new_with_free_func((GDestroyNotify) g_strfreev);
  return config;
}

void
az_config_free(AzConfig *config)
{
  if (config == NULL)
    return;
  g_key_file_free(config->merged);
  g_hash_table_unref(config->origins);
  g_hash_table_unref(config->allowed);
  g_ptr_array_unref(config->groups);
  g_hash_table_unref(config->aliases);
  g_ptr_array_unref(config->fallback);
  g_free(config->source);
  g_free(config);
}

static AzConfigValues *
find_group(AzConfig *config, const char *name)
{
  for (guint i = 0; i < config->groups->len; i++) {
    AzConfigValues *group = g_ptr_array_index(config->groups, i);
    if (g_str_equal(group->name, name))
      return group;
  }
  return NULL;
}

const char *
az_config_origin(AzConfig *config, const char *group, const char *key)
{
  g_autofree char *place = g_strdup_printf("%s\n%s", group, key);

  return g_hash_table_lookup(config->origins, place);
}

static gboolean
check_keys(AzConfig *config, const char *group, const AzlinOption *options, GError **error)
{
  g_auto(GStrv) keys = g_key_file_get_keys(config->merged, group, NULL, NULL);
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  g_auto(GStrv) known = NULL;

  for (const AzlinOption *option = options; option != NULL && option->name != NULL; option++)
    g_strv_builder_add(builder, option->name);
  known = g_strv_builder_end(builder);
  for (char **key = keys; key != NULL && *key != NULL; key++) {
    const char *near;
    if (g_strv_contains((const char *const *) known, *key))
      continue;
    near = az_nearest(*key, (const char *const *) known);
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s: unknown key '%s' in [%s]%s%s%s",
                az_config_origin(config, group, *key), *key, group, near != NULL ? "; did you mean '" : "",
                near != NULL ? near : "", near != NULL ? "'?" : "");
    return FALSE;
  }
  return TRUE;
}

static GVariant *
take_value(AzConfig *config, const char *group, const AzlinOption *option, GError **error)
{
  const char *origin;
  g_autoptr(GError) local = NULL;
  GVariant *value;

  az_config_derive(config, group, option->name);
  origin = az_config_origin(config, group, option->name);
  if (!g_key_file_has_key(config->merged, group, option->name, NULL))
    g_key_file_set_value(config->merged, group, option->name, option->def != NULL ? option->def : "");
  value = az_config_value_parse(config->merged, group, option, &local);
  if (value == NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s: %s in [%s]: %s",
                origin != NULL ? origin : "built-in default", option->name, group, local->message);
  return value != NULL ? g_variant_ref_sink(value) : NULL;
}

gboolean
az_config_declare(AzConfig *config, const char *group, const AzlinOption *options, GError **error)
{
  g_autoptr(GHashTable) values
      = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_variant_unref);
  AzConfigValues *declared = find_group(config, group);

  if (declared != NULL && declared->options == options)
    return TRUE;
  if (declared != NULL) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "two bricks claim the group [%s]", group);
    return FALSE;
  }
  if (!check_keys(config, group, options, error))
    return FALSE;
  for (const AzlinOption *option = options; option != NULL && option->name != NULL; option++) {
    GVariant *value = take_value(config, group, option, error);
    if (value == NULL)
      return FALSE;
    g_hash_table_replace(values, g_strdup(option->name), value);
  }
  declared = g_new0(AzConfigValues, 1);
  declared->name = g_intern_string(group);
  declared->options = options;
  declared->values = g_steal_pointer(&values);
  g_ptr_array_add(config->groups, declared);
  return TRUE;
}

/* ---- loading ---- */

static gboolean
declare_core(AzConfig *config, GError **error)
{
  for (const AzConfigGroup *group = az_config_core_groups; group->name != NULL; group++)
    if (!group->free_keys && !az_config_declare(config, group->name, group->options, error))
      return FALSE;
  return TRUE;
}

/* Names of bricks, regions and aliases: what can stand in a file name and in a GKeyFile group. */
static gboolean
is_name(const char *text)
{
  return *text != '\0' && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text) && strlen(text) <= 64;
}

static gboolean
bad_name(AzConfig *config, const char *group, const char *key, const char *value, GError **error)
{
  const char *origin = az_config_origin(config, group, key);
  g_autofree char *start = g_strndup(value, 80);
  g_autofree char *shown = g_utf8_make_valid(start, -1);

  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "%s: %s in [%s]: '%s' is no name (small letters, digits and '-')%s", origin != NULL ? origin : "built-in",
              key, group, shown, strstr(value, " #") != NULL ? "; comments stand on lines of their own" : "");
  return FALSE;
}

static gboolean
check_names(AzConfig *config, const char *group, const char *key, GError **error)
{
  g_autoptr(GVariant) value = az_config_get(config, group, key);
  g_auto(GStrv) names = NULL;

  if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)) {
    const char *name = g_variant_get_string(value, NULL);
    return is_name(name) || bad_name(config, group, key, name, error);
  }
  names = g_variant_dup_strv(value, NULL);
  for (char **name = names; *name != NULL; name++)
    if (!is_name(*name))
      return bad_name(config, group, key, *name, error);
  return TRUE;
}

static gboolean
check_core_names(AzConfig *config, GError **error)
{
  static const char *const bricks[]
      = { "provider", "deployer", "failover", "sync", "sync-strategies", "context", "coordinator" };

  for (gsize i = 0; i < G_N_ELEMENTS(bricks); i++)
    if (!check_names(config, "bricks", bricks[i], error))
      return FALSE;
  return check_names(config, "azlin", "plugins", error) && check_names(config, "policy", "allowed-regions", error);
}

static gboolean
take_alias(AzConfig *config, const char *name, const char *region, GError **error)
{
  if (!is_name(name))
    return bad_name(config, "aliases", name, name, error);
  g_hash_table_remove(config->aliases, name);
  if (*region == '\0')
    return TRUE;
  if (!is_name(region))
    return bad_name(config, "aliases", name, region, error);
  g_hash_table_replace(config->aliases, g_strdup(name), g_strdup(region));
  return TRUE;
}

/* Built-in aliases stay unless the file names the same one; keys are people's own, so none is unknown. */
static gboolean
declare_aliases(AzConfig *config, GError **error)
{
  const AzConfigGroup *group = az_config_core_groups;
  g_auto(GStrv) keys = NULL;

  while (!group->free_keys)
    group++;
  for (const AzlinOption *option = group->options; option->name != NULL; option++)
    if (az_config_origin(config, group->name, option->name) == NULL)
      g_key_file_set_value(config->merged, group->name, option->name, option->def);
  keys = g_key_file_get_keys(config->merged, group->name, NULL, NULL);
  for (char **key = keys; *key != NULL; key++) {
    AzlinOption option = { .name = *key, .type = "s" };
    g_autoptr(GVariant) value = take_value(config, group->name, &option, error);
    if (value == NULL || !take_alias(config, *key, g_variant_get_string(value, NULL), error))
      return FALSE;
  }
  return TRUE;
}

static void
index_regions(AzConfig *config)
{
  g_auto(GStrv) regions = az_config_strv(config, "policy", "allowed-regions");

  for (char **region = regions; *region != NULL; region++)
    g_hash_table_add(config->allowed, g_strdup(*region));
}

/* The regions of one set of [policy] allowed-fallback; CONFIG when one of them is not allowed at all. */
static char **
fallback_set(AzConfig *config, const char *text, GError **error)
{
  const char *origin = az_config_origin(config, "policy", "allowed-fallback");
  g_auto(GStrv) words = g_strsplit(text, ",", -1);
  g_autoptr(GStrvBuilder) set = g_strv_builder_new();

  for (char **word = words; *word != NULL; word++) {
    const char *name = g_strstrip(*word);
    const char *region = az_config_allowed_region(config, az_config_alias(config, name));
    if (!is_name(name)) {
      bad_name(config, "policy", "allowed-fallback", name, error);
      return NULL;
    }
    if (region == NULL) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                  "%s: allowed-fallback in [policy]: '%s' is not among the allowed-regions",
                  origin != NULL ? origin : "built-in", name);
      return NULL;
    }
    g_strv_builder_add(set, region);
  }
  return g_strv_builder_end(set);
}

static gboolean
take_fallback(AzConfig *config, GError **error)
{
  g_auto(GStrv) sets = az_config_strv(config, "policy", "allowed-fallback");

  for (char **text = sets; *text != NULL; text++) {
    char **set = fallback_set(config, *text, error);
    if (set == NULL)
      return FALSE;
    g_ptr_array_add(config->fallback, set);
  }
  return TRUE;
}

AzConfig *
az_config_load(const char *path, GError **error)
{
  g_autoptr(AzConfig) config = config_new();

  if (!az_config_read_files(config, path, error) || !declare_core(config, error) || !check_core_names(config, error)
      || !declare_aliases(config, error))
    return NULL;
  index_regions(config);
  if (!take_fallback(config, error))
    return NULL;
  return g_steal_pointer(&config);
}

/* ---- values ---- */

static GVariant *
peek(AzConfig *config, const char *group, const char *name)
{
  AzConfigValues *declared = find_group(config, group);

  return declared != NULL ? g_hash_table_lookup(declared->values, name) : NULL;
}

GVariant *
az_config_get(AzConfig *config, const char *group, const char *name)
{
  GVariant *value = peek(config, group, name);

  return value != NULL ? g_variant_ref(value) : NULL;
}

const char *
az_config_string(AzConfig *config, const char *group, const char *name)
{
  GVariant *value = peek(config, group, name);

  g_return_val_if_fail(value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING), "");
  return g_variant_get_string(value, NULL);
}

char **
az_config_strv(AzConfig *config, const char *group, const char *name)
{
  GVariant *value = peek(config, group, name);

  g_return_val_if_fail(value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING_ARRAY), g_new0(char *, 1));
  return g_variant_dup_strv(value, NULL);
}

gboolean
az_config_bool(AzConfig *config, const char *group, const char *name)
{
  GVariant *value = peek(config, group, name);

  g_return_val_if_fail(value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_BOOLEAN), FALSE);
  return g_variant_get_boolean(value);
}

guint32
az_config_uint(AzConfig *config, const char *group, const char *name)
{
  GVariant *value = peek(config, group, name);

  g_return_val_if_fail(value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_UINT32), 0);
  return g_variant_get_uint32(value);
}

double
az_config_double(AzConfig *config, const char *group, const char *name)
{
  GVariant *value = peek(config, group, name);

  g_return_val_if_fail(value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_DOUBLE), 0);
  return g_variant_get_double(value);
}

const char *
az_config_alias(AzConfig *config, const char *name)
{
  const char *region = g_hash_table_lookup(config->aliases, name);

  return region != NULL ? region : name;
}

char **
az_config_alias_names(AzConfig *config)
{
  g_autoptr(GList) names = g_list_sort(g_hash_table_get_keys(config->aliases), (GCompareFunc) strcmp);
  char **list = g_new0(char *, g_hash_table_size(config->aliases) + 1);
  gsize n = 0;

  for (GList *item = names; item != NULL; item = item->next)
    list[n++] = item->data;
  return list;
}

const char *
az_config_allowed_region(AzConfig *config, const char *region)
{
  return g_hash_table_lookup(config->allowed, region);
}

char **
az_config_fallback_regions(AzConfig *config, const char *region)
{
  g_autoptr(GPtrArray) found = g_ptr_array_new();

  for (guint i = 0; i < config->fallback->len; i++) {
    char **set = g_ptr_array_index(config->fallback, i);
    if (!g_strv_contains((const char *const *) set, region))
      continue;
    for (char **other = set; *other != NULL; other++)
      if (!g_str_equal(*other, region) && !g_ptr_array_find_with_equal_func(found, *other, g_str_equal, NULL))
        g_ptr_array_add(found, *other);
  }
  g_ptr_array_add(found, NULL);
  return (char **) g_ptr_array_free(g_steal_pointer(&found), FALSE);
}
