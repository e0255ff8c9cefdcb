/* Landing what was copied: a private stage at the target, and the way from there into place that nobody can redirect.
 */
#include "landing.h"
#include <string.h>

#define MAX_SENTENCES 20u

char *
landing_script(const char *body)
{
  return g_strconcat(landing_functions, body, NULL);
}

GPtrArray *
landing_argv(const char *body, const char *folder, const char *run)
{
  GPtrArray *argv = g_ptr_array_new_with_free_func(g_free);
  g_ptr_array_add(argv, g_strdup("sh"));
  g_ptr_array_add(argv, g_strdup("-c"));
  g_ptr_array_add(argv, landing_script(body));
  g_ptr_array_add(argv, g_strdup("azlin"));
  g_ptr_array_add(argv, g_strdup(folder));
  g_ptr_array_add(argv, g_strdup(run));
  g_ptr_array_add(argv, NULL);
  return argv;
}

GPtrArray *
landing_drop_argv(const char *folder, const char *run)
{
  return landing_argv("azlin_alone \"$2\"\n[ -d \"$1/.azlin-partial\" ] || exit 0\n"
                      "azlin_open \"$1\" \"$2\" && azlin_drop\n",
                      folder, run);
}

/* ---- names ---- */

static gboolean
is_below(const char *name)
{
  if (g_str_equal(name, "."))
    return TRUE;
  if (!g_str_has_prefix(name, "./") || name[2] == '\0')
    return FALSE;
  for (const char *part = name + 2; part != NULL; part = strchr(part, '/') != NULL ? strchr(part, '/') + 1 : NULL) {
    gsize length = strcspn(part, "/");
    if (length == 0 || (length <= 2 && strspn(part, ".") >= length))
      return FALSE;
  }
  return TRUE;
}

static void
add_name(GByteArray *names, GHashTable *seen, const char *name, gsize length)
{
  char *copy = g_strndup(name, length);
  if (g_hash_table_add(seen, copy)) /* which frees it when it was there */
    g_byte_array_append(names, (const guint8 *) copy, (guint) length + 1);
}

GBytes *
landing_with_parents(GBytes *only, gboolean with_folder)
{
  gsize size = 0;
  const char *bytes = g_bytes_get_data(only, &size);
  GByteArray *names = g_byte_array_new();
  g_autoptr(GHashTable) seen = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (gsize at = 0; at < size && memchr(bytes + at, '\0', size - at) != NULL; at += strlen(bytes + at) + 1) {
    const char *name = bytes + at;
    if (!is_below(name))
      continue;
    if (with_folder)
      add_name(names, seen, ".", 1);
    for (const char *slash = strchr(name, '/'); slash != NULL; slash = strchr(slash + 1, '/'))
      if (slash > name + 1)
        add_name(names, seen, name, (gsize) (slash - name));
    if (with_folder || !g_str_equal(name, "."))
      add_name(names, seen, name, strlen(name));
  }
  return g_byte_array_free_to_bytes(names);
}

/* ---- the report ---- */

static const char *
reason(char code)
{
  switch (code) {
  case 'd':
    return "a folder that is not empty stands where this belongs";
  case 'f':
    return "something that is no folder stands where this folder belongs";
  case 's':
    return "the folder that it belongs into is not where it should be: a symbolic link leads elsewhere";
  case 'a':
    return "mode and times of this folder could not be set";
  default:
    return "could not be put in place";
  }
}

guint
landing_read_report(GBytes *report, const char *path, GPtrArray *errors)
{
  gsize size = 0;
  guint n = 0;
  const char *bytes = g_bytes_get_data(report, &size);
  for (gsize at = 0; at < size && memchr(bytes + at, '\0', size - at) != NULL; at += strlen(bytes + at) + 1) {
    const char *entry = bytes + at;
    if (entry[0] == '\0' || entry[1] != '.' || ++n > MAX_SENTENCES)
      continue;
    g_autofree char *name = g_utf8_make_valid(entry[2] == '/' ? entry + 2 : "", -1);
    g_ptr_array_add(errors, g_strdup_printf("%s%s: %s", path, name, reason(entry[0])));
  }
  if (n > MAX_SENTENCES)
    g_ptr_array_add(errors, g_strdup_printf("and %u more of this kind", n - MAX_SENTENCES));
  return n;
}
