/* What the files of this brick share: the cluster that is asked, and the leases held. */
#pragma once
#include "wire.h"

/* ---- cluster.c: one request, asked of one member after the other until one can answer ---- */

typedef struct {
  AzlinHost *host;
  const AzlinHostApi *api;
  char **endpoints; /* no slash at the end; one at least */
  guint current;    /* the one that answered last */
  char *user;       /* NULL = this etcd asks for none */
  char *password_file;
  char *token; /* of the login; NULL = none yet */
} EtcdCluster;

typedef struct {
  const json_t *body;  /* NULL with `error`, and when a refusal has none; borrowed */
  const GError *error; /* NETWORK: no member could tell in time, and what was asked may be done all the same */
  char *complaint;     /* of a refusal: what etcd says; else NULL */
  gint64 sent;         /* just before the attempt that was answered; monotonic, microseconds */
} EtcdReply;
typedef void (*EtcdDone)(const EtcdReply *reply, gpointer data);

/* Asks `path` of the members in turn, for `seconds` at most, and calls `done` once. Takes `body`. What is asked must be
 * safe to ask twice: an attempt without an answer may have come through. `seconds` 0 = each member once. */
void etcd_ask(EtcdCluster *cluster, AzlinOp *op, const char *path, json_t *body, guint32 seconds, EtcdDone done,
              gpointer data);
void etcd_cluster_clear(EtcdCluster *cluster);

/* ---- login.c ---- */

/* Gets a token for `cluster` from `endpoint`; `op` finishes with nothing, or fails: AUTH, CONFIG (the password's file),
 * NETWORK. */
void etcd_login(EtcdCluster *cluster, const char *endpoint, AzlinOp *op);

/* ---- lease.c ---- */

typedef struct {
  EtcdCluster cluster;
  char *prefix;         /* of all keys: "/azlin/" */
  GHashTable *leases;   /* key -> EtcdLease */
  GHashTable *given_up; /* of gint64: leases of ours that are lost, while etcd may not have let them go */
} Etcd;

void etcd_acquire(gpointer self, const char *key, guint32 ttl_s, AzlinOp *op);
void etcd_renew(gpointer self, const char *key, guint64 token, AzlinOp *op);
void etcd_release(gpointer self, const char *key, guint64 token, AzlinOp *op);
void etcd_check(gpointer self, AzlinOp *op);
