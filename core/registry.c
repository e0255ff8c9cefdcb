/* Bricks that are loaded: found by name from the configuration, checked, initialised, looked up by kind and name. */
#include "registry.h"

#include <string.h>

#include "host.h"
#include "loader.h"

typedef struct {
  const AzlinPlugin *plugin;
  const AzlinBrick *brick;
  gconstpointer iface; /* as long as the engine's own table: slots that an older plugin lacks read NULL */
  AzlinHost *host;
  gpointer self;
} Entry;

struct _AzRegistry {
  AzEngine *engine;
  GHashTable *entries; /* "provider-local" -> Entry */
};

static const char *const kind_names[] = {
  [AZLIN_KIND_PROVIDER] = "provider", [AZLIN_KIND_DEPLOYER] = "deployer", [AZLIN_KIND_FAILOVER] = "failover",
  [AZLIN_KIND_SYNC] = "sync",         [AZLIN_KIND_CONTEXT] = "context",   [AZLIN_KIND_COORDINATOR] = "coordinator",
};

const char *
az_kind_to_string(AzlinKind kind)
{
  return kind < AZLIN_KIND_PROVIDER || kind > AZLIN_KIND_COORDINATOR ? "unknown" : kind_names[kind];
}

static void
free_entry(gpointer data)
{
  Entry *entry = data;
  if (entry->brick->free != NULL)
    entry->brick->free(entry->self);
  az_host_free(entry->host);
  g_free(entry);
}

AzRegistry *
az_registry_new(AzEngine *engine)
{
  AzRegistry *registry = g_new0(AzRegistry, 1);
  registry->engine = engine;
  registry->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_entry);
  return registry;
}

void
az_registry_free(AzRegistry *registry)
{
  if (registry == NULL)
    return;
  g_hash_table_unref(registry->entries);
  g_free(registry);
}

static gboolean
start_brick(AzRegistry *registry, const AzlinPlugin *plugin, const AzlinBrick *brick, GError **error)
{
  g_autofree char *group = g_strdup_printf("%s.%s", az_kind_to_string(brick->kind), brick->name);
  if (!az_config_declare(az_engine_config(registry->engine), group, brick->options, error))
    return FALSE;
  Entry *entry = g_new0(Entry, 1);
  *entry = (Entry){ .plugin = plugin, .brick = brick, .iface = az_loader_iface(brick) };
  entry->host = az_host_new(registry->engine, brick);
  if (brick->init != NULL && !brick->init(entry->host, &entry->self, error)) {
    g_prefix_error(error, "brick %s-%s stays out: ", az_kind_to_string(brick->kind), brick->name);
    if (error != NULL && *error == NULL)
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "brick %s stays out and gave no reason", group);
    az_host_free(entry->host);
    g_free(entry);
    return FALSE;
  }
  g_hash_table_insert(registry->entries, g_strdup_printf("%s-%s", az_kind_to_string(brick->kind), brick->name), entry);
  return TRUE;
}

static const AzlinBrick *
find_in_plugin(const AzlinPlugin *plugin, AzlinKind kind, const char *name)
{
  for (const AzlinBrick *const *brick = plugin->bricks; *brick != NULL; brick++) {
    if ((*brick)->kind == kind && g_str_equal((*brick)->name, name))
      return *brick;
  }
  return NULL;
}

/* The plugin file that brings the brick: kind-name.so, else one of [azlin] plugins. */
static const AzlinPlugin *
find_plugin(AzRegistry *registry, AzlinKind kind, const char *name, const AzlinBrick **ret_brick, GError **error)
{
  g_autofree char *own = g_strdup_printf("%s-%s", az_kind_to_string(kind), name);
  g_auto(GStrv) extra = az_config_strv(az_engine_config(registry->engine), "azlin", "plugins");
  for (int i = -1; i < 0 || (extra != NULL && extra[i] != NULL); i++) {
    g_autofree char *file = az_loader_find(i < 0 ? own : extra[i], i < 0 ? NULL : error);
    if (file == NULL && i < 0)
      continue;
    const AzlinPlugin *plugin = file == NULL ? NULL : az_loader_open(file, error);
    if (plugin == NULL)
      return NULL;
    *ret_brick = find_in_plugin(plugin, kind, name);
    if (*ret_brick != NULL)
      return plugin;
  }
  g_autofree char *there = az_loader_find(own, error);
  if (there != NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "plugin %s brings no brick %s", there, own);
  return NULL;
}

gboolean
az_registry_load(AzRegistry *registry, AzlinKind kind, const char *name, GError **error)
{
  const AzlinBrick *brick = NULL;
  g_autofree char *key = g_strdup_printf("%s-%s", az_kind_to_string(kind), name);
  if (g_hash_table_contains(registry->entries, key))
    return TRUE;
  const AzlinPlugin *plugin = find_plugin(registry, kind, name, &brick, error);
  return plugin != NULL && start_brick(registry, plugin, brick, error);
}

/* The brick that [bricks] selects; the first of a list. Owned. */
static char *
selected_name(AzRegistry *registry, AzlinKind kind)
{
  AzConfig *config = az_engine_config(registry->engine);
  g_autoptr(GVariant) value = az_config_get(config, "bricks", az_kind_to_string(kind));
  if (value == NULL)
    return NULL;
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
    return g_variant_dup_string(value, NULL);
  g_autofree const char **list = g_variant_get_strv(value, NULL);
  return g_strdup(list[0]);
}

gconstpointer
az_registry_lookup(AzRegistry *registry, AzlinKind kind, const char *name, gpointer *ret_self, GError **error)
{
  g_autofree char *selected = name == NULL ? selected_name(registry, kind) : g_strdup(name);
  if (selected == NULL || *selected == '\0') {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[bricks] %s names no brick", az_kind_to_string(kind));
    return NULL;
  }
  if (!az_registry_load(registry, kind, selected, error))
    return NULL;
  g_autofree char *key = g_strdup_printf("%s-%s", az_kind_to_string(kind), selected);
  Entry *entry = g_hash_table_lookup(registry->entries, key);
  if (ret_self != NULL)
    *ret_self = entry->self;
  return entry->iface;
}

const AzlinBrick *
az_registry_brick(AzRegistry *registry, const char *owner, gpointer *ret_self)
{
  const char *dash = strchr(owner, '-');
  for (guint kind = AZLIN_KIND_PROVIDER; dash != NULL && kind <= AZLIN_KIND_COORDINATOR; kind++) {
    if (strncmp(owner, kind_names[kind], (gsize) (dash - owner)) != 0 || kind_names[kind][dash - owner] != '\0')
      continue;
    if (!az_registry_load(registry, (AzlinKind) kind, dash + 1, NULL))
      return NULL;
    Entry *entry = g_hash_table_lookup(registry->entries, owner);
    if (ret_self != NULL)
      *ret_self = entry->self;
    return entry->brick;
  }
  return NULL;
}

static gboolean
is_selected(AzRegistry *registry, AzlinKind kind, const char *name)
{
  AzConfig *config = az_engine_config(registry->engine);
  g_autoptr(GVariant) value = az_config_get(config, "bricks", az_kind_to_string(kind));
  g_autoptr(GVariant) strategies = az_config_get(config, "bricks", "sync-strategies");
  GVariant *candidates[] = { value, kind == AZLIN_KIND_SYNC ? strategies : NULL };
  for (guint i = 0; i < G_N_ELEMENTS(candidates); i++) {
    if (candidates[i] == NULL)
      continue;
    if (g_variant_is_of_type(candidates[i], G_VARIANT_TYPE_STRING)) {
      if (g_str_equal(g_variant_get_string(candidates[i], NULL), name))
        return TRUE;
      continue;
    }
    g_autofree const char **list = g_variant_get_strv(candidates[i], NULL);
    if (g_strv_contains(list, name))
      return TRUE;
  }
  return FALSE;
}

static GVariant *
show_options(const AzlinBrick *brick)
{
  GVariantBuilder list;
  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (const AzlinOption *option = brick->options; option != NULL && option->name != NULL; option++) {
    g_variant_builder_open(&list, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&list, "{sv}", "name", g_variant_new_string(option->name));
    g_variant_builder_add(&list, "{sv}", "type", g_variant_new_string(option->type));
    g_variant_builder_add(&list, "{sv}", "default", g_variant_new_string(option->def != NULL ? option->def : ""));
    g_variant_builder_add(&list, "{sv}", "min", g_variant_new_string(option->min != NULL ? option->min : ""));
    g_variant_builder_add(&list, "{sv}", "max", g_variant_new_string(option->max != NULL ? option->max : ""));
    g_variant_builder_add(&list, "{sv}", "help", g_variant_new_string(option->help != NULL ? option->help : ""));
    g_variant_builder_close(&list);
  }
  return g_variant_builder_end(&list);
}

static void
show_brick(AzRegistry *registry, GVariantBuilder *list, const AzlinPlugin *plugin, const AzlinBrick *brick,
           const char *file)
{
  gboolean selected = is_selected(registry, brick->kind, brick->name);
  g_variant_builder_open(list, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(list, "{sv}", "kind", g_variant_new_string(az_kind_to_string(brick->kind)));
  g_variant_builder_add(list, "{sv}", "name", g_variant_new_string(brick->name));
  g_variant_builder_add(list, "{sv}", "state", g_variant_new_string(selected ? "selected" : "available"));
  g_variant_builder_add(list, "{sv}", "summary", g_variant_new_string(brick->summary != NULL ? brick->summary : ""));
  g_variant_builder_add(list, "{sv}", "version", g_variant_new_string(plugin->version != NULL ? plugin->version : ""));
  g_variant_builder_add(list, "{sv}", "license", g_variant_new_string(plugin->license != NULL ? plugin->license : ""));
  g_variant_builder_add(list, "{sv}", "file", g_variant_new_string(file));
  g_variant_builder_add(list, "{sv}", "options", show_options(brick));
  g_variant_builder_close(list);
}

static void
show_refused(GVariantBuilder *list, const char *plugin_name, const char *reason)
{
  const char *dash = strchr(plugin_name, '-');
  g_autofree char *kind = g_strndup(plugin_name, dash != NULL ? (gsize) (dash - plugin_name) : 0);
  g_variant_builder_open(list, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(list, "{sv}", "kind", g_variant_new_string(kind));
  g_variant_builder_add(list, "{sv}", "name", g_variant_new_string(dash != NULL ? dash + 1 : plugin_name));
  g_variant_builder_add(list, "{sv}", "state", g_variant_new_string("refused"));
  g_variant_builder_add(list, "{sv}", "summary", g_variant_new_string(reason));
  g_variant_builder_close(list);
}

GVariant *
az_registry_show(AzRegistry *registry, const char *name, GError **error)
{
  g_auto(GStrv) plugins = az_loader_list();
  GVariantBuilder list;
  gboolean found = FALSE;
  g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; plugins[i] != NULL; i++) {
    if (name != NULL && !g_str_equal(name, plugins[i]))
      continue;
    g_autoptr(GError) reason = NULL;
    g_autofree char *file = az_loader_find(plugins[i], NULL);
    const AzlinPlugin *plugin = file == NULL ? NULL : az_loader_open(file, &reason);
    found = TRUE;
    if (plugin == NULL) {
      show_refused(&list, plugins[i], reason != NULL ? reason->message : "not found");
      continue;
    }
    for (const AzlinBrick *const *brick = plugin->bricks; *brick != NULL; brick++)
      show_brick(registry, &list, plugin, *brick, file);
  }
  g_autoptr(GVariant) result = g_variant_ref_sink(g_variant_builder_end(&list));
  if (found || name == NULL)
    return g_steal_pointer(&result);
  const char *nearest = az_nearest(name, (const char *const *) plugins);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "no brick named '%s' is installed%s%s%s", name,
              nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
  return NULL;
}
