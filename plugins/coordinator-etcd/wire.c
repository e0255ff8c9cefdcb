/* Requests for leases, and the facts in what etcd answers. */
#include "wire.h"
#include <string.h>

/* ---- requests ---- */

json_t *
etcd_grant(gint64 lease, guint32 ttl_s)
{
  return json_pack("{soso}", "TTL", etcd_integer(ttl_s), "ID", etcd_integer(lease));
}

json_t *
etcd_lease(gint64 lease)
{
  return json_pack("{so}", "ID", etcd_integer(lease));
}

/* Puts where `compare` holds. */
static json_t *
put_if(json_t *compare, const char *key, const char *value, gint64 lease)
{
  json_t *put = json_pack("{s{sososo}}", "request_put", "key", etcd_base64(key), "value", etcd_base64(value), "lease",
                          etcd_integer(lease));
  return json_pack("{s[o]s[oo]s[o]}", "compare", compare, "success", put, etcd_read_op(key), "failure",
                   etcd_read_op(key));
}

json_t *
etcd_take(const char *key, const char *value, gint64 lease)
{
  return put_if(etcd_created_at(key, 0), key, value, lease);
}

static json_t *
leased_as(const char *key, gint64 lease)
{
  return json_pack("{sssssoso}", "target", "LEASE", "result", "EQUAL", "key", etcd_base64(key), "lease",
                   etcd_integer(lease));
}

json_t *
etcd_replace(const char *key, const char *value, gint64 lease)
{
  return put_if(leased_as(key, lease), key, value, lease);
}

/* Its revision alone would do, its lease alone too; a key that somebody restored by hand may have one of them. */
static json_t *
is_ours(const char *key, guint64 token, gint64 lease)
{
  return json_pack("[oo]", etcd_created_at(key, token), leased_as(key, lease));
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
                   etcd_base64(key));
}

/* Bytes that no key of UTF-8 has stand behind all that begin with the folder. */
json_t *
etcd_range(const char *from, const char *folder, guint limit)
{
  g_autofree char *end = g_strconcat(folder, "\xff", NULL);
  g_autofree guchar *start = (guchar *) g_strconcat(from, "x", NULL);
  start[strlen(from)] = '\0'; /* the next key after one is that with a zero behind it */
  g_autofree char *encoded = g_base64_encode(start, strlen(from) + 1);
  return json_pack("{sssosi}", "key", encoded, "range_end", etcd_base64(end), "limit", (int) limit);
}

/* ---- answers ---- */

void
etcd_holder_clear(EtcdHolder *holder)
{
  g_clear_pointer(&holder->value, g_free);
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
    return etcd_number(range, "count") == 0;
  ret_holder->created = (guint64) etcd_number(kv, "create_revision");
  ret_holder->lease = etcd_number(kv, "lease");
  ret_holder->value = etcd_printable(json_object_get(kv, "value"));
  return ret_holder->created > 0;
}

guint32
etcd_ttl(const json_t *answer)
{
  const json_t *result = json_object_get(answer, "result");
  return (guint32) MIN(etcd_number(result != NULL ? result : answer, "TTL"), G_MAXINT32);
}
