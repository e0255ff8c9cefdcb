/* What goes to etcd's JSON gateway and what comes back. Pure.
 *
 * Its integers of 64 bits are strings, keys and values base64, and a member that is 0 or false is left out: what is
 * missing says no. */
#pragma once
#include "azlin-plugin.h"
#include <jansson.h>

/* ---- requests; all owned by the caller ---- */

json_t *etcd_read(const char *key);              /* /v3/kv/range, linearizable */
json_t *etcd_grant(gint64 lease, guint32 ttl_s); /* /v3/lease/grant with a number of our own */
json_t *etcd_lease(gint64 lease);                /* /v3/lease/keepalive, /v3/lease/revoke */
/* /v3/kv/txn: */
json_t *etcd_take(const char *key, const char *value, gint64 lease); /* puts what does not exist; reads it either way */
json_t *etcd_still(const char *key, guint64 token, gint64 lease);    /* succeeds while it is ours; changes nothing */
json_t *etcd_drop(const char *key, guint64 token, gint64 lease);     /* deletes it while it is ours */

/* ---- answers; NULL is allowed ---- */

typedef struct {
  guint64 created; /* create revision; 0 = there is no such key */
  gint64 lease;
  char *value; /* printable ASCII, cut to a line; or NULL */
} EtcdHolder;
void etcd_holder_clear(EtcdHolder *holder);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(EtcdHolder, etcd_holder_clear)

gboolean etcd_succeeded(const json_t *answer);
/* The key that a range, or the range of a transaction, has found. FALSE: the answer makes no sense. */
gboolean etcd_find(const json_t *answer, EtcdHolder *ret_holder);
/* Seconds that a lease has from when it was granted or kept alive; 0 = there is no such lease (any more). */
guint32 etcd_ttl(const json_t *answer);

/* ---- what an answer means ---- */

typedef enum {
  ETCD_ANSWERED,
  ETCD_ELSEWHERE, /* this member cannot tell now; what was asked may be done or not */
  ETCD_LOGIN,     /* our token is no good any more */
  ETCD_REFUSED
} EtcdVerdict;
/* `status` of HTTP, `answer` its body or NULL when that is no JSON. A stream may fail inside a body of status 200. */
EtcdVerdict etcd_judge(int status, const json_t *answer);
/* What etcd says is wrong, printable; owned. */
char *etcd_complaint(int status, const json_t *answer);
/* The error that a refusal stands for, with the steps that help. */
GError *etcd_refusal(const AzlinHostApi *api, const char *endpoint, int status, const json_t *answer);
