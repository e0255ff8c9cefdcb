/* Exclude patterns: rsync's syntax translated for find, so that every strategy and every listing leave out the same. */
#include "exclude.h"
#include "listing.h"
#include "azlin-plugin.h"
#include <string.h>

#define MAX_PATTERN 1024u

static gboolean
check_pattern(const char *pattern, GError **error)
{
  gsize length = strlen(pattern);
  const char *reason = NULL;
  if (length == 0 || strspn(pattern, "/") == length)
    reason = "it is empty";
  else if (length > MAX_PATTERN)
    reason = "it is longer than 1024 bytes";
  else if (strchr(pattern, '\\') != NULL)
    reason = "a backslash is not supported in it";
  for (gsize i = 0; reason == NULL && i < length; i++)
    if (g_ascii_iscntrl(pattern[i]))
      reason = "it holds a control character";
  if (reason == NULL)
    return TRUE;
  g_autofree char *shown = az_listing_show_name(pattern);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "the exclude pattern \"%s\" is not usable: %s", shown, reason);
  return FALSE;
}

/* "[a-z_]" or "[!a-z]"; returns how many bytes were taken, 0 = not one that is supported. */
static gsize
append_class(GString *regex, const char *text)
{
  gboolean negated = text[1] == '!' || text[1] == '^';
  const char *first = text + 1 + (negated ? 1 : 0);
  const char *close = strchr(first, ']');
  if (close == NULL || close == first)
    return 0;
  for (const char *byte = first; byte < close; byte++)
    if (!g_ascii_isalnum(*byte) && strchr("-_.,~+@ ", *byte) == NULL)
      return 0;
  /* a class never matches '/' in rsync; a range that would span it is refused */
  for (const char *byte = first + 1; byte + 1 < close; byte++)
    if (*byte == '-' && byte[-1] < '/' && byte[1] > '/')
      return 0;
  g_string_append_printf(regex, "[%s", negated ? "^/" : "");
  g_string_append_len(regex, first, close - first + 1);
  return (gsize) (close - text) + 1;
}

static gsize
append_stars(GString *regex, const char *text)
{
  gsize stars = strspn(text, "*");
  g_string_append(regex, stars > 1 ? ".*" : "[^/]*");
  return stars;
}

static gboolean
append_body(GString *regex, const char *text, gsize length)
{
  for (gsize i = 0, taken; i < length; i += taken) {
    taken = 1;
    if (text[i] == '*')
      taken = append_stars(regex, text + i);
    else if (text[i] == '?')
      g_string_append(regex, "[^/]");
    else if (text[i] == '[')
      taken = append_class(regex, text + i);
    else if (strchr(".+^$(){}|]", text[i]) != NULL)
      g_string_append_printf(regex, "\\%c", text[i]);
    else
      g_string_append_c(regex, text[i]);
    if (taken == 0)
      return FALSE;
  }
  return TRUE;
}

char *
az_exclude_regex(const char *pattern, gboolean *ret_only_folders, GError **error)
{
  if (!check_pattern(pattern, error))
    return NULL;
  gsize length = strlen(pattern);
  gboolean anchored = pattern[0] == '/';
  gboolean with_content = length > 4 && g_str_has_suffix(pattern, "/***");
  gboolean only_folders = !with_content && pattern[length - 1] == '/';
  gsize skip = anchored ? 1 : 0;
  while (!anchored && g_str_has_prefix(pattern + skip, "**/") && pattern[skip + 3] != 0)
    skip += 3; /* it may match nothing, at the root too */
  length -= skip + (with_content ? 4 : 0) + (only_folders ? 1 : 0);
  g_autoptr(GString) regex = g_string_new(anchored ? "\\./" : "\\./(.*/)?");
  if (!append_body(regex, pattern + skip, length)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                "the exclude pattern \"%s\" is not usable: letters, digits and - _ . , ~ + @ only between brackets",
                pattern);
    return NULL;
  }
  if (with_content)
    g_string_append(regex, "(/.*)?");
  *ret_only_folders = only_folders;
  return g_strdup(regex->str);
}

GPtrArray *
az_exclude_filter(const char *const *patterns, GError **error)
{
  g_autoptr(GPtrArray) filter = g_ptr_array_new_with_free_func(g_free);
  for (guint i = 0; patterns != NULL && patterns[i] != NULL; i++) {
    gboolean only_folders = FALSE;
    g_autofree char *regex = az_exclude_regex(patterns[i], &only_folders, error);
    if (regex == NULL)
      return NULL;
    if (only_folders) {
      g_ptr_array_add(filter, g_strdup("-type"));
      g_ptr_array_add(filter, g_strdup("d"));
    }
    g_ptr_array_add(filter, g_strdup("-regex"));
    g_ptr_array_add(filter, g_steal_pointer(&regex));
    g_ptr_array_add(filter, g_strdup("-o"));
  }
  g_ptr_array_add(filter, g_strdup("-false"));
  return g_steal_pointer(&filter);
}
