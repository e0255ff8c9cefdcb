/* What is asked of etcd for a lease, and what its answers say of one. Pure. */
#pragma once
#include "etcd-wire.h"

/* ---- requests; all owned by the caller ---- */

json_t *etcd_grant(gint64 lease, guint32 ttl_s); /* /v3/lease/grant with a number of our own */
json_t *etcd_lease(gint64 lease);                /* /v3/lease/keepalive, /v3/lease/revoke */
/* /v3/kv/txn: */
json_t *etcd_take(const char *key, const char *value, gint64 lease); /* puts what does not exist; reads it either way */
json_t *etcd_still(const char *key, guint64 token, gint64 lease);    /* succeeds while it is ours; changes nothing */
json_t *etcd_drop(const char *key, guint64 token, gint64 lease);     /* deletes it while it is ours */
json_t *etcd_replace(const char *key, const char *value, gint64 lease); /* puts while it is ours; reads it either way */
/* /v3/kv/range: at most `limit` keys that begin with `folder` and come after `from` */
json_t *etcd_range(const char *from, const char *folder, guint limit);

/* ---- answers; NULL is allowed ---- */

typedef struct {
  guint64 created; /* create revision; 0 = there is no such key */
  gint64 lease;
  char *value; /* printable ASCII, cut to a line; or NULL */
} EtcdHolder;
void etcd_holder_clear(EtcdHolder *holder);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EtcdHolder, etcd_holder_clear)

/* The key that a range, or the range of a transaction, has found. FALSE: the answer makes no sense. */
gboolean etcd_find(const json_t *answer, EtcdHolder *ret_holder);
/* Seconds that a lease has from when it was granted or kept alive; 0 = there is no such lease (any more). */
guint32 etcd_ttl(const json_t *answer);
