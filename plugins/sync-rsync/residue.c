/* Files that an rsync which was killed has left on the target: it writes to a name of its own beside each file. */
#include "rsync.h"
#include <string.h>

#define SUFFIX 7u    /* ".XXXXXX", a dot and what mkstemp() put there */
#define NAME_CUT 200 /* bytes; rsync shortens long names, by a few bytes more where they are no ASCII */

/* "./a/.b.c" -> "./a/b.c": rsync puts a dot before a name that has none yet, and drops one at its end. Owned. */
static char *
key_of(const char *name, gsize length)
{
  const char *slash = g_strrstr_len(name, (gssize) length, "/"), *base = slash != NULL ? slash + 1 : name;
  gsize folder = (gsize) (base - name), rest = length - folder;
  if (rest > 0 && *base == '.') {
    base++;
    rest--;
  }
  rest = MIN(rest, NAME_CUT);
  if (rest > 0 && base[rest - 1] == '.')
    rest--;
  return g_strdup_printf("%.*s%.*s", (int) folder, name, (int) rest, base);
}

static GHashTable *
keys_of(GBytes *only)
{
  gsize length = 0;
  const char *name = g_bytes_get_data(only, &length);
  GHashTable *keys = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (const char *end = name + length; name < end; name += strlen(name) + 1)
    g_hash_table_add(keys, key_of(name, strlen(name)));
  return keys;
}

/* The key of the file that it would have become; NULL: it is not called like one of rsync's. Owned. */
static char *
becomes(const char *left)
{
  gsize length = strlen(left);
  const char *slash = strrchr(left, '/'), *base = slash != NULL ? slash + 1 : left;
  gsize rest = length - (gsize) (base - left);
  if (*base != '.' || rest <= SUFFIX + 1 || left[length - SUFFIX] != '.')
    return NULL;
  for (const char *at = left + length - SUFFIX + 1; *at != 0; at++)
    if (!g_ascii_isalnum(*at))
      return NULL;
  return key_of(left, length - SUFFIX);
}

GPtrArray *
rsync_left_behind(GBytes *only, GPtrArray *names)
{
  g_autoptr(GHashTable) keys = keys_of(only);
  GPtrArray *left = g_ptr_array_new();
  for (guint i = 0; i < names->len; i++) {
    g_autofree char *key = becomes(g_ptr_array_index(names, i));
    if (key != NULL && g_hash_table_contains(keys, key))
      g_ptr_array_add(left, g_ptr_array_index(names, i));
  }
  return left;
}
