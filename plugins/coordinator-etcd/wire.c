/* Requests for leases, and the facts in what etcd answers. */
#include "wire.h"

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

static json_t *
range_of(const char *key)
{
  return json_pack("{so}", "request_range", etcd_read(key));
}

json_t *
etcd_take(const char *key, const char *value, gint64 lease)
{
  json_t *put = json_pack("{s{sososo}}", "request_put", "key", etcd_base64(key), "value", etcd_base64(value), "lease",
                          etcd_integer(lease));
  return json_pack("{s[o]s[oo]s[o]}", "compare", etcd_created_at(key, 0), "success", put, range_of(key), "failure",
                   range_of(key));
}

/* Its revision alone would do, its lease alone too; a key that somebody restored by hand may have one of them. */
static json_t *
is_ours(const char *key, guint64 token, gint64 lease)
{
  json_t *leased = json_pack("{sssssoso}", "target", "LEASE", "result", "EQUAL", "key", etcd_base64(key), "lease",
                             etcd_integer(lease));
  return json_pack("[oo]", etcd_created_at(key, token), leased);
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
