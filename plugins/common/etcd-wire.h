/* What goes to etcd's JSON gateway and what comes back, as far as every brick needs it. Pure.
 *
 * Its integers of 64 bits are strings, keys and values base64, and a member that is 0 or false is left out: what is
 * missing says no. */
#pragma once
#include "azlin-plugin.h"
#include <jansson.h>

/* ---- requests; all owned by the caller ---- */

json_t *etcd_base64(const char *text);
json_t *etcd_integer(gint64 number);
json_t *etcd_read(const char *key);    /* /v3/kv/range of one key, linearizable */
json_t *etcd_read_op(const char *key); /* the same in a transaction */
/* A compare of a transaction: the create revision of `key` is `revision`; 0 = there is no such key. */
json_t *etcd_created_at(const char *key, guint64 revision);

/* ---- answers; NULL is allowed ---- */

gboolean etcd_succeeded(const json_t *answer);
gint64 etcd_number(const json_t *object, const char *name); /* 0 = missing, negative or no number */
/* The bytes of a base64 string that is UTF-8 of at most `most` bytes; NULL = it is not. Owned. */
char *etcd_text(const json_t *base64_text, gsize most);
/* The bytes of a base64 string as a line that may go to a terminal: printable ASCII, cut; NULL = there are none. */
char *etcd_printable(const json_t *base64_text);

/* ---- etcd-verdict.c: what an answer means ---- */

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
/* The error that a refusal stands for, with the steps that help; `section`: of the options, "coordinator.etcd". */
GError *
etcd_refusal(const AzlinHostApi *api, const char *section, const char *endpoint, int status, const json_t *answer);
