/* Names that azlin gives: the short id of this home, machine names made from it, resource groups. */
#include "flow-names.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define ID_BYTES 16
#define ID_TEXT (2 * ID_BYTES)

static gboolean
id_is_good(const char *text, gsize length)
{
  return length == ID_TEXT && strspn(text, "0123456789abcdef") == ID_TEXT;
}

static char *
read_id(const char *path, GError **error)
{
  g_autofree char *text = NULL;
  gsize length = 0;
  if (!g_file_get_contents(path, &text, &length, error))
    return NULL;
  if (id_is_good(text, length))
    return g_steal_pointer(&text);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s does not hold an id; machine names would change without it",
              path);
  return NULL;
}

/* Two processes may both find no id: the link succeeds for one, and both then read that one's. */
static gboolean
write_id(const char *path, GError **error)
{
  char text[ID_TEXT + 1];
  guint8 bytes[ID_BYTES];
  for (guint i = 0; i < ID_BYTES; i++)
    bytes[i] = (guint8) g_random_int_range(0, 256);
  for (guint i = 0; i < ID_BYTES; i++)
    g_snprintf(text + 2 * i, 3, "%02x", bytes[i]);
  g_autofree char *draft = g_strdup_printf("%s.%d.tmp", path, (int) getpid());
  if (!g_file_set_contents_full(draft, text, ID_TEXT, G_FILE_SET_CONTENTS_DURABLE, 0600, error))
    return FALSE;
  gboolean made = link(draft, path) == 0 || errno == EEXIST;
  if (!made)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "%s: %s", path, g_strerror(errno));
  unlink(draft);
  return made;
}

char *
az_names_home_id(AzEngine *engine, gboolean make, GError **error)
{
  AzPaths *paths = az_engine_paths(engine);
  g_autofree char *path = az_paths_file(paths, "id");
  if (g_file_test(path, G_FILE_TEST_EXISTS))
    return read_id(path, error);
  if (!make || !az_paths_ensure(paths, error) || !write_id(path, error))
    return NULL;
  return read_id(path, error);
}

char *
az_names_vm(const char *home_id, const char *region)
{
  g_autofree char *seed = g_strdup_printf("%s/%s", home_id, region);
  g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, seed, -1);
  return g_strdup_printf("azlin-%s-%.6s", region, digest);
}

char *
az_names_home_tag(const char *home_id)
{
  g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, home_id, -1);
  return g_strndup(digest, 12);
}

/* The selected provider's own option of that name, owned; NULL = it has none, or it is not set. */
static char *
provider_option(AzEngine *engine, const char *name)
{
  AzConfig *config = az_engine_config(engine);
  g_autofree char *group = g_strdup_printf("provider.%s", az_config_string(config, "bricks", "provider"));
  gpointer self = NULL;
  /* Its options are known once it is loaded; what keeps it from being loaded is told by whoever needs it. */
  az_engine_lookup(engine, AZLIN_KIND_PROVIDER, NULL, &self, NULL);
  g_autoptr(GVariant) value = az_config_get(config, group, name);
  gboolean set = value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING)
                 && *g_variant_get_string(value, NULL) != '\0';
  return set ? g_variant_dup_string(value, NULL) : NULL;
}

char *
az_names_resource_group(AzEngine *engine, const char *region)
{
  g_autofree char *own = provider_option(engine, "resource-group");
  const char *base = own != NULL ? own : az_config_string(az_engine_config(engine), "defaults", "resource-group");
  return g_strdup_printf("%s-%s", base, region);
}

#define MAX_KEY_FILE 65536

static gboolean
read_key_line(const char *path, char **ret_line)
{
  g_autofree char *text = NULL;
  gsize length = 0;
  GStatBuf st;
  if (g_stat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > MAX_KEY_FILE
      || !g_file_get_contents(path, &text, &length, NULL))
    return FALSE;
  text[strcspn(text, "\r\n")] = '\0';
  g_auto(GStrv) words = g_strsplit(text, " ", 3);
  gboolean known = words[0]
                   && (g_str_has_prefix(words[0], "ssh-") || g_str_has_prefix(words[0], "ecdsa-")
                       || g_str_has_prefix(words[0], "sk-"));
  if (!known || !words[1] || !*words[1] || !g_utf8_validate(text, -1, NULL))
    return FALSE;
  *ret_line = g_steal_pointer(&text);
  return TRUE;
}

gboolean
az_names_public_key(const char *path, char **ret_line, GError **error)
{
  g_autofree char *beside = g_strdup_printf("%s.pub", path);
  if (read_key_line(path, ret_line) || read_key_line(beside, ret_line))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s is not a readable public SSH key, and no %s.pub is beside it",
              path, path);
  return FALSE;
}
