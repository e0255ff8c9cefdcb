/* Region names, machine names and paths as people type them, checked once for every front end. */
#include "regions.h"
#include <string.h>

#define LONGEST_PATH 4096
#define LONGEST_VM_NAME 64

static gboolean usage(GError **error, const char *format, ...) G_GNUC_PRINTF(2, 3);

static gboolean
usage(GError **error, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, text);
  return FALSE;
}

/* What a message may quote of a word: valid UTF-8, no control characters, not endless. */
static char *
quotable(const char *word)
{
  g_autofree char *start = g_strndup(word, 80);
  g_autofree char *valid = g_utf8_make_valid(start, -1);
  GString *shown = g_string_new(NULL);

  for (char *at = valid; *at != '\0'; at = g_utf8_next_char(at)) {
    gunichar c = g_utf8_get_char(at);
    g_string_append_unichar(shown, g_unichar_iscntrl(c) ? '?' : c);
  }
  if (strlen(word) > 80)
    g_string_append(shown, "...");
  return g_string_free(shown, FALSE);
}

static gboolean
holds_control(const char *text)
{
  g_autofree gunichar *letters = g_utf8_to_ucs4_fast(text, -1, NULL);

  for (gunichar *at = letters; *at != 0; at++)
    if (g_unichar_iscntrl(*at))
      return TRUE;
  return FALSE;
}

/* "East US 2" and "EastUS2" are how portals write eastus2. */
static char *
folded(const char *word)
{
  g_autofree char *start = g_strndup(word, 65);
  GString *plain = g_string_new(NULL);

  for (const char *at = start; *at != '\0'; at++)
    if (*at != ' ' && *at != '_')
      g_string_append_c(plain, g_ascii_tolower(*at));
  return g_string_free(plain, FALSE);
}

static char *
suggestion(AzConfig *config, const char *word)
{
  g_autofree char *plain = folded(word);
  g_auto(GStrv) allowed = az_config_strv(config, "policy", "allowed-regions");
  g_autofree char **aliases = az_config_alias_names(config);
  const char *near = az_nearest(plain, (const char *const *) allowed);
  GString *text;

  if (near == NULL)
    near = az_nearest(plain, (const char *const *) aliases);
  if (near != NULL)
    return g_strdup_printf("did you mean '%s'?", near);
  text = g_string_new("allowed are: ");
  for (gsize i = 0; allowed[i] != NULL && i < 20; i++)
    g_string_append_printf(text, "%s%s", i > 0 ? ", " : "", allowed[i]);
  if (g_strv_length(allowed) > 20)
    g_string_append(text, ", ...");
  return g_string_free(text, FALSE);
}

const char *
az_region_resolve(AzConfig *config, const char *word, GError **error)
{
  g_autofree char *shown = NULL, *hint = NULL;
  const char *meant, *region;

  if (word == NULL || *word == '\0') {
    usage(error, "region cannot be empty");
    return NULL;
  }
  meant = az_config_alias(config, word);
  region = az_config_allowed_region(config, meant);
  if (region != NULL)
    return region;
  shown = quotable(word);
  if (meant != word) {
    usage(error, "Invalid region '%s': the alias means %s, which [policy] allowed-regions does not hold", shown, meant);
    return NULL;
  }
  hint = suggestion(config, word);
  usage(error, "Invalid region '%s'; %s", shown, hint);
  return NULL;
}

char **
az_region_resolve_list(AzConfig *config, const char *const *words, GError **error)
{
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  g_autoptr(GStrvBuilder) list = g_strv_builder_new();

  if (words == NULL || *words == NULL) {
    usage(error, "regions list cannot be empty");
    return NULL;
  }
  for (; *words != NULL; words++) {
    const char *region = az_region_resolve(config, *words, error);
    if (region == NULL)
      return NULL;
    if (!g_hash_table_add(seen, g_strdup(region))) {
      usage(error, "region '%s' is named twice%s%s%s", region, g_str_equal(region, *words) ? "" : " ('",
            g_str_equal(region, *words) ? "" : *words, g_str_equal(region, *words) ? "" : "' is its alias)");
      return NULL;
    }
    g_strv_builder_add(list, region);
  }
  return g_strv_builder_end(list);
}

gboolean
az_vm_name_check(const char *name, GError **error)
{
  g_autofree char *shown = NULL;
  gsize length = name != NULL ? strlen(name) : 0;

  if (length == 0)
    return usage(error, "VM name cannot be empty");
  shown = quotable(name);
  if (length > LONGEST_VM_NAME)
    return usage(error, "VM name '%s' is too long; the most is %d characters", shown, LONGEST_VM_NAME);
  for (const char *at = name; *at != '\0'; at++)
    if (!g_ascii_isalnum(*at) && strchr("-_.", *at) == NULL)
      return usage(error, "Invalid VM name '%s': use letters, digits, '-', '_' and '.'", shown);
  if (!g_ascii_isalnum(name[0]) || !g_ascii_isalnum(name[length - 1]))
    return usage(error, "Invalid VM name '%s': it must begin and end with a letter or digit", shown);
  return TRUE;
}

/* Copying over these, or out of the kernel's own, cannot be what anybody wants. */
static gboolean
check_system_root(const char *path, GError **error)
{
  static const char *const exact[] = { "/", "/etc", "/boot", "/proc", "/sys", "/dev" };
  static const char *const below[] = { "/proc/", "/sys/", "/dev/" };

  for (gsize i = 0; i < G_N_ELEMENTS(exact); i++)
    if (g_str_equal(path, exact[i]))
      return usage(error, "path '%s' is a system folder; name a folder of your own", path);
  for (gsize i = 0; i < G_N_ELEMENTS(below); i++)
    if (g_str_has_prefix(path, below[i]))
      return usage(error, "path '%s' belongs to the system; name a folder of your own", path);
  return TRUE;
}

gboolean
az_path_check(const char *path, GError **error)
{
  g_autofree char *shown = NULL, *canonical = NULL;
  g_auto(GStrv) parts = NULL;
  gsize length = path != NULL ? strlen(path) : 0;

  if (length == 0)
    return usage(error, "path cannot be empty");
  shown = quotable(path);
  if (length > LONGEST_PATH)
    return usage(error, "path '%s' is too long; the most is %d bytes", shown, LONGEST_PATH);
  if (*path != '/')
    return usage(error, "path '%s' is relative; write it from '/'", shown);
  if (!g_utf8_validate(path, -1, NULL))
    return usage(error, "path '%s' is not valid UTF-8", shown);
  if (holds_control(path))
    return usage(error, "path '%s' holds a control character", shown);
  parts = g_strsplit(path, "/", -1);
  if (g_strv_contains((const char *const *) parts, ".."))
    return usage(error, "path '%s' holds '..'; write the folder that you mean", shown);
  canonical = g_canonicalize_filename(path + strspn(path, "/") - 1, "/"); /* "//" at the start would be kept */
  if (!check_system_root(canonical, error))
    return FALSE;
  if (strncmp(path, canonical, strlen(canonical)) != 0 || length > strlen(canonical) + 1)
    return usage(error, "path '%s' is not canonical; write '%s'", shown, canonical);
  return TRUE;
}
