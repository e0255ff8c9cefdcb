/* What stands in a lock's blob, and what it is called. */
#include "blob.h"
#include <jansson.h>
#include <string.h>

#define LONGEST_NAME 200
#define LONGEST_TEXT 160

void
lock_record_clear(LockRecord *record)
{
  g_clear_pointer(&record->mark, g_free);
  g_clear_pointer(&record->holder, g_free);
}

/* It may be anybody's, and goes to a terminal. */
static char *
text_of(const json_t *object, const char *name)
{
  const char *text = json_string_value(json_object_get(object, name));
  char *copy = text != NULL ? g_strndup(text, LONGEST_TEXT) : NULL;
  for (char *c = copy; c != NULL && *c != '\0'; c++)
    if (!g_ascii_isprint(*c))
      *c = '?';
  return copy;
}

gboolean
lock_record_parse(GBytes *body, LockRecord *ret_record)
{
  gsize length = 0;
  const char *bytes = body != NULL ? g_bytes_get_data(body, &length) : NULL;
  json_auto_t *object = length > 0 ? json_loadb(bytes, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  const json_t *epoch = json_object_get(object, "epoch");
  *ret_record = (LockRecord){ 0 };
  if (!json_is_integer(epoch) || json_integer_value(epoch) < 0 || json_integer_value(epoch) == G_MAXINT64)
    return FALSE;
  ret_record->epoch = (guint64) json_integer_value(epoch);
  ret_record->mark = text_of(object, "mark");
  ret_record->holder = text_of(object, "holder");
  return TRUE;
}

GBytes *
lock_record_print(const LockRecord *record)
{
  json_auto_t *object
      = json_pack("{sIss*ss*}", "epoch", (json_int_t) record->epoch, "mark", record->mark, "holder", record->holder);
  char *text = json_dumps(object, JSON_COMPACT);
  return g_bytes_new_with_free_func(text, strlen(text), free, text);
}

char *
lock_blob_name(const char *key)
{
  g_autoptr(GString) name = g_string_new(NULL);
  for (const guchar *c = (const guchar *) key; *c != '\0' && name->len <= LONGEST_NAME; c++)
    if (g_ascii_isalnum(*c) || *c == '-' || *c == '_')
      g_string_append_c(name, (char) *c);
    else
      g_string_append_printf(name, "=%02X", *c);
  if (name->len <= LONGEST_NAME)
    return g_strdup(name->str);
  g_autofree char *hash = g_compute_checksum_for_string(G_CHECKSUM_SHA256, key, -1);
  return g_strconcat("=", hash, NULL);
}
