/* The words of etcd's JSON gateway that every request and answer is made of. */
#include "etcd-wire.h"
#include <string.h>

#define LONGEST_LINE 160

json_t *
etcd_base64(const char *text)
{
  g_autofree char *encoded = g_base64_encode((const guchar *) text, strlen(text));
  return json_string(encoded);
}

json_t *
etcd_integer(gint64 number)
{
  char text[24];
  g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, number);
  return json_string(text);
}

json_t *
etcd_read(const char *key)
{
  return json_pack("{so}", "key", etcd_base64(key));
}

json_t *
etcd_read_op(const char *key)
{
  return json_pack("{so}", "request_range", etcd_read(key));
}

json_t *
etcd_created_at(const char *key, guint64 revision)
{
  return json_pack("{sssssoso}", "target", "CREATE", "result", "EQUAL", "key", etcd_base64(key), "create_revision",
                   etcd_integer((gint64) revision));
}

gboolean
etcd_succeeded(const json_t *answer)
{
  return json_is_true(json_object_get(answer, "succeeded"));
}

gint64
etcd_number(const json_t *object, const char *name)
{
  const json_t *value = json_object_get(object, name);
  const char *text = json_string_value(value);
  gint64 number = json_integer_value(value);
  if (text != NULL && !g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &number, NULL))
    return 0;
  return MAX(number, 0);
}

char *
etcd_text(const json_t *base64_text, gsize most)
{
  gsize length = 0;
  const char *encoded = json_string_value(base64_text);
  if (encoded == NULL || strlen(encoded) > 2 * most)
    return NULL;
  g_autofree guchar *bytes = g_base64_decode(encoded, &length);
  return length <= most && g_utf8_validate((const char *) bytes, (gssize) length, NULL)
             ? g_strndup((const char *) bytes, length)
             : NULL;
}

/* What stands there may be anybody's: it goes to a terminal. */
char *
etcd_printable(const json_t *base64_text)
{
  gsize length = 0;
  const char *encoded = json_string_value(base64_text);
  if (encoded == NULL)
    return NULL;
  g_autofree guchar *bytes = g_base64_decode(encoded, &length);
  char *text = g_strndup((const char *) bytes, MIN(length, LONGEST_LINE));
  for (char *c = text; *c != '\0'; c++)
    if (!g_ascii_isprint(*c))
      *c = '?';
  return text;
}
