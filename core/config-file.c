/* The files of the configuration: found, checked, read and laid over one another; the text is not interpreted here. */
#include "config-private.h"
#include "trust.h"
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#define MAX_FILE (8 * 1024 * 1024)

static gboolean
read_text(const char *path, GString *ret_text, GError **error)
{
  char buffer[16384];
  int fd = az_trust_open(path, TRUE, error);
  gssize got = 1;

  if (fd < 0)
    return FALSE;
  while (got > 0 && ret_text->len <= MAX_FILE) {
    got = read(fd, buffer, sizeof buffer);
    if (got < 0 && errno == EINTR)
      got = 1;
    else if (got > 0)
      g_string_append_len(ret_text, buffer, got);
  }
  close(fd);
  if (got >= 0 && ret_text->len <= MAX_FILE)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "file %s %s", path, got < 0 ? "cannot be read" : "is too large");
  return FALSE;
}

static void
merge_group(AzConfig *config, GKeyFile *file, const char *path, const char *group)
{
  g_auto(GStrv) keys = g_key_file_get_keys(file, group, NULL, NULL);

  for (char **key = keys; key != NULL && *key != NULL; key++) {
    g_autofree char *raw = g_key_file_get_value(file, group, *key, NULL);
    g_key_file_set_value(config->merged, group, *key, raw);
    g_hash_table_replace(config->origins, g_strdup_printf("%s\n%s", group, *key), g_strdup(path));
  }
  if (g_key_file_has_group(config->merged, group))
    return;
  /* an empty group with a misspelt name is a mistake too, so it must be seen */
  g_hash_table_replace(config->origins, g_strdup_printf("%s\n", group), g_strdup(path));
  g_key_file_set_value(config->merged, group, "x", "");
  g_key_file_remove_key(config->merged, group, "x", NULL);
}

static gboolean
add_file(AzConfig *config, const char *path, GError **error)
{
  g_autoptr(GString) text = g_string_new(NULL);
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autoptr(GError) local = NULL;
  g_auto(GStrv) groups = NULL;

  if (!read_text(path, text, error))
    return FALSE;
  if (text->len > 0 && !g_key_file_load_from_data(file, text->str, text->len, G_KEY_FILE_KEEP_TRANSLATIONS, &local)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s: %s", path, local->message);
    return FALSE;
  }
  groups = g_key_file_get_groups(file, NULL);
  for (char **group = groups; *group != NULL; group++)
    merge_group(config, file, path, *group);
  return TRUE;
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static gboolean
add_folder(AzConfig *config, const char *main_file, GError **error)
{
  g_autofree char *beside = g_path_get_dirname(main_file);
  g_autofree char *folder = g_build_filename(beside, "conf.d", NULL);
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

  if (dir == NULL)
    return TRUE;
  for (const char *name = g_dir_read_name(dir); name != NULL; name = g_dir_read_name(dir))
    if (g_str_has_suffix(name, ".conf") && name[0] != '.')
      g_ptr_array_add(names, g_strdup(name));
  g_ptr_array_sort(names, compare_names);
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *path = g_build_filename(folder, g_ptr_array_index(names, i), NULL);
    if (!add_file(config, path, error))
      return FALSE;
  }
  return TRUE;
}

static const char *const system_files[] = { "/etc/azlin/azlin.conf", AZLIN_SYSCONFDIR "/azlin/azlin.conf" };

/* The first of the places that holds a file. */
char *
az_config_find(const char *path)
{
  g_autofree char *user = g_build_filename(g_get_user_config_dir(), "azlin", "azlin.conf", NULL);
  const char *named = path;

  if (named == NULL || *named == '\0')
    named = secure_getenv("AZLIN_CONFIG");
  if (named != NULL && *named != '\0')
    return g_canonicalize_filename(named, NULL);
  if (g_path_is_absolute(user) && access(user, F_OK) == 0)
    return g_steal_pointer(&user);
  for (gsize i = 0; i < G_N_ELEMENTS(system_files); i++)
    if (access(system_files[i], F_OK) == 0)
      return g_strdup(system_files[i]);
  return NULL;
}

gboolean
az_config_read_files(AzConfig *config, const char *path, GError **error)
{
  config->source = az_config_find(path);
  if (config->source == NULL)
    return TRUE;
  return add_file(config, config->source, error) && add_folder(config, config->source, error);
}
