/* Finds plugin files by name and opens them: the one place that calls dlopen. */
#include "loader.h"
#include "config.h"
#include "trust.h"
#include <dlfcn.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* azlin's own modules (transport/) share the folders; no brick may be called so. */
#define OWN_PREFIX "azlin-"

static gboolean
is_plugin_name(const char *text)
{
  return *text != '\0' && strlen(text) <= 64 && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

/* ---- names to files ---- */

static char **
plugin_folders(void)
{
  g_autoptr(GStrvBuilder) folders = g_strv_builder_new();
  const char *path = secure_getenv("AZLIN_PLUGIN_PATH");
  g_auto(GStrv) named = g_strsplit(path != NULL ? path : "", ":", -1);

  for (char **folder = named; *folder != NULL; folder++)
    if (g_path_is_absolute(*folder))
      g_strv_builder_add(folders, *folder);
  g_strv_builder_add(folders, AZLIN_PLUGINSDIR);
  return g_strv_builder_end(folders);
}

static char *
find_file(const char *name)
{
  g_auto(GStrv) folders = plugin_folders();
  g_autofree char *file = g_strconcat(name, ".so", NULL);

  for (char **folder = folders; *folder != NULL; folder++) {
    g_autofree char *path = g_build_filename(*folder, file, NULL);
    if (faccessat(AT_FDCWD, path, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
      return g_steal_pointer(&path);
  }
  return NULL;
}

char *
az_loader_find(const char *plugin, GError **error)
{
  char *file = is_plugin_name(plugin) ? find_file(plugin) : NULL;
  g_auto(GStrv) all = NULL;
  g_autofree char *folders = NULL;
  g_auto(GStrv) searched = NULL;
  const char *near;

  if (file != NULL || error == NULL)
    return file;
  all = az_loader_list();
  near = az_nearest(plugin, (const char *const *) all);
  searched = plugin_folders();
  folders = g_strjoinv(", ", searched);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "no brick '%s' is installed%s%s%s (looked in %s)", plugin,
              near != NULL ? "; did you mean '" : "", near != NULL ? near : "", near != NULL ? "'?" : "", folders);
  return NULL;
}

static void
list_folder(const char *folder, GHashTable *names)
{
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

  if (dir == NULL)
    return;
  for (const char *file = g_dir_read_name(dir); file != NULL; file = g_dir_read_name(dir)) {
    g_autofree char *name = NULL;
    if (!g_str_has_suffix(file, ".so"))
      continue;
    name = g_strndup(file, strlen(file) - strlen(".so"));
    if (is_plugin_name(name) && !g_str_has_prefix(name, OWN_PREFIX))
      g_hash_table_add(names, g_steal_pointer(&name));
  }
}

char **
az_loader_list(void)
{
  g_autoptr(GHashTable) names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GStrvBuilder) list = g_strv_builder_new();
  g_auto(GStrv) folders = plugin_folders();
  g_autoptr(GList) sorted = NULL;

  for (char **folder = folders; *folder != NULL; folder++)
    list_folder(*folder, names);
  sorted = g_list_sort(g_hash_table_get_keys(names), (GCompareFunc) strcmp);
  for (GList *item = sorted; item != NULL; item = item->next)
    g_strv_builder_add(list, item->data);
  return g_strv_builder_end(list);
}

/* ---- files to code ---- */

/* What dlerror() says of /proc/self/fd/7 is said of the file that people know. */
static void
set_dl_error(const char *file, int fd, GError **error)
{
  g_autofree char *through = g_strdup_printf("/proc/self/fd/%d: ", fd);
  const char *text = dlerror();

  if (text != NULL && g_str_has_prefix(text, through))
    text += strlen(through);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "plugin %s cannot be loaded: %s", file,
              text != NULL ? text : "unknown reason");
}

/* The descriptor that was checked is the one that is loaded. It stays open for good: glibc takes two files for the same
 * when their names are equal, and a closed number would be given out again. */
static gpointer
open_library(const char *file, GError **error)
{
  static GHashTable *opened; /* file -> handle */
  g_autofree char *through = NULL;
  gpointer handle;
  int fd;

  if (opened == NULL)
    opened = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  handle = g_hash_table_lookup(opened, file);
  if (handle != NULL)
    return handle;
  fd = az_trust_open(file, FALSE, error);
  if (fd < 0)
    return NULL;
  through = g_strdup_printf("/proc/self/fd/%d", fd);
  handle = dlopen(through, RTLD_NOW | RTLD_LOCAL | RTLD_NODELETE);
  if (handle == NULL) {
    set_dl_error(file, fd, error);
    close(fd);
    return NULL;
  }
  g_hash_table_insert(opened, g_strdup(file), handle);
  return handle;
}

static void
set_symbol_error(const char *file, gpointer handle, GError **error)
{
  for (unsigned major = 0; major < 10; major++) {
    g_autofree char *symbol = g_strdup_printf("azlin_plugin_v%u", major);
    if (dlsym(handle, symbol) == NULL)
      continue;
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "plugin %s was built for ABI %u; this azlin speaks ABI %u",
                file, major, AZLIN_ABI_MAJOR);
    return;
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "plugin %s is no azlin plugin: it has no symbol %s", file,
              AZLIN_PLUGIN_SYMBOL);
}

const AzlinPlugin *
az_loader_open(const char *file, GError **error)
{
  static GHashTable *adopted; /* file -> AzlinPlugin */
  AzlinPlugin *plugin = adopted != NULL ? g_hash_table_lookup(adopted, file) : NULL;
  const AzlinPlugin *found;
  gpointer handle;

  if (plugin != NULL)
    return plugin;
  handle = open_library(file, error);
  if (handle == NULL)
    return NULL;
  found = dlsym(handle, AZLIN_PLUGIN_SYMBOL);
  if (found == NULL) {
    set_symbol_error(file, handle, error);
    return NULL;
  }
  plugin = az_loader_adopt(file, found, error);
  if (plugin == NULL)
    return NULL;
  if (adopted == NULL)
    adopted = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_hash_table_insert(adopted, g_strdup(file), plugin);
  return plugin;
}

gconstpointer
az_loader_module(const char *module, const char *symbol, GError **error)
{
  g_autofree char *file = az_loader_find(module, error);
  gpointer handle = file != NULL ? open_library(file, error) : NULL;
  gconstpointer found;

  if (handle == NULL)
    return NULL;
  found = dlsym(handle, symbol);
  if (found == NULL)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "module %s has no symbol %s", file, symbol);
  return found;
}
