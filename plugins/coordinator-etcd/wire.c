/* Requests to etcd's JSON gateway, and the facts in its answers. */
#include "wire.h"
#include <string.h>

#define LONGEST_VALUE 160

/* ---- requests ---- */

static json_t *
base64(const char *text)
{
  g_autofree char *encoded = g_base64_encode((const guchar *) text, strlen(text));
  return json_string(encoded);
}

static json_t *
integer(gint64 number)
{
  char text[24];
  g_snprintf(text, sizeof text, "%" G_GINT64_FORMAT, number);
  return json_string(text);
}

json_t *
etcd_read(const char *key)
{
  return json_pack("{so}", "key", base64(key));
}

json_t *
etcd_grant(gint64 lease, guint32 ttl_s)
{
  return json_pack("{soso}", "TTL", integer(ttl_s), "ID", integer(lease));
}

json_t *
etcd_lease(gint64 lease)
{
  return json_pack("{so}", "ID", integer(lease));
}

static json_t *
range_of(const char *key)
{
  return json_pack("{so}", "request_range", etcd_read(key));
}

json_t *
etcd_take(const char *key, const char *value, gint64 lease)
{
  json_t *absent = json_pack("{sssssoso}", "target", "CREATE", "result", "EQUAL", "key", base64(key), "create_revision",
                             integer(0));
  json_t *put
      = json_pack("{s{sososo}}", "request_put", "key", base64(key), "value", base64(value), "lease", integer(lease));
  return json_pack("{s[o]s[oo]s[o]}", "compare", absent, "success", put, range_of(key), "failure", range_of(key));
}

/* Its revision alone would do, its lease alone too; a key that somebody restored by hand may have one of them. */
static json_t *
is_ours(const char *key, guint64 token, gint64 lease)
{
  json_t *created = json_pack("{sssssoso}", "target", "CREATE", "result", "EQUAL", "key", base64(key),
                              "create_revision", integer((gint64) token));
  json_t *leased
      = json_pack("{sssssoso}", "target", "LEASE", "result", "EQUAL", "key", base64(key), "lease", integer(lease));
  return json_pack("[oo]", created, leased);
}

json_t *
etcd_still(const char *key, guint64 token, gint64 lease)
{
  return json_pack("{so}", "compare", is_ours(key, token, lease));
}

json_t *
etcd_drop(const char *key, guint64 token, gint64 lease)
{
  return json_pack("{sos[{s{so}}]}", "compare", is_ours(key, token, lease), "success", "request_delete_range", "key",
                   base64(key));
}

/* ---- answers ---- */

static gint64
number_of(const json_t *object, const char *name)
{
  const json_t *value = json_object_get(object, name);
  const char *text = json_string_value(value);
  gint64 number = json_integer_value(value);
  if (text != NULL && !g_ascii_string_to_signed(text, 10, 0, G_MAXINT64, &number, NULL))
    return 0;
  return MAX(number, 0);
}

/* What stands there may be anybody's: it goes to a terminal. */
static char *
printable(const json_t *base64_text)
{
  gsize length = 0;
  const char *encoded = json_string_value(base64_text);
  if (encoded == NULL)
    return NULL;
  g_autofree guchar *bytes = g_base64_decode(encoded, &length);
  char *text = g_strndup((const char *) bytes, MIN(length, LONGEST_VALUE));
  for (char *c = text; *c != '\0'; c++)
    if (!g_ascii_isprint(*c))
      *c = '?';
  return text;
}

void
etcd_holder_clear(EtcdHolder *holder)
{
  g_clear_pointer(&holder->value, g_free);
}

gboolean
etcd_succeeded(const json_t *answer)
{
  return json_is_true(json_object_get(answer, "succeeded"));
}

/* The range stands last among the responses of a transaction. */
static const json_t *
range_in(const json_t *answer)
{
  const json_t *responses = json_object_get(answer, "responses");
  if (responses == NULL)
    return answer;
  gsize n = json_array_size(responses);
  return n > 0 ? json_object_get(json_array_get(responses, n - 1), "response_range") : NULL;
}

gboolean
etcd_find(const json_t *answer, EtcdHolder *ret_holder)
{
  const json_t *range = range_in(answer), *kv = json_array_get(json_object_get(range, "kvs"), 0);
  *ret_holder = (EtcdHolder){ 0 };
  if (!json_is_object(json_object_get(range, "header")))
    return FALSE;
  if (kv == NULL)
    return number_of(range, "count") == 0;
  ret_holder->created = (guint64) number_of(kv, "create_revision");
  ret_holder->lease = number_of(kv, "lease");
  ret_holder->value = printable(json_object_get(kv, "value"));
  return ret_holder->created > 0;
}

guint32
etcd_ttl(const json_t *answer)
{
  const json_t *result = json_object_get(answer, "result");
  return (guint32) MIN(number_of(result != NULL ? result : answer, "TTL"), G_MAXINT32);
}
