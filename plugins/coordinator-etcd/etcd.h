/* What the files of this brick share: the cluster that is asked, and the leases held. */
#pragma once
#include "etcd-cluster.h"
#include "wire.h"

typedef struct {
  EtcdCluster cluster;
  GHashTable *leases;    /* key -> EtcdLease */
  GHashTable *given_up;  /* of gint64: leases of ours that are lost, while etcd may not have let them go */
  GHashTable *announced; /* name -> gint64, the lease that its key stands with */
} Etcd;

/* ---- lease.c ---- */

/* For a lease: nobody else takes it. */
gint64 etcd_fresh_number(void);
/* Seconds of the lease that an answer to etcd_grant() gives; 0 with the error: none. */
guint32 etcd_granted(const EtcdReply *reply, guint32 asked_s, GError **error);
void etcd_acquire(gpointer self, const char *key, guint32 ttl_s, AzlinOp *op);
void etcd_renew(gpointer self, const char *key, guint64 token, AzlinOp *op);
void etcd_release(gpointer self, const char *key, guint64 token, AzlinOp *op);
void etcd_check(gpointer self, AzlinOp *op);

/* ---- members.c ---- */

void etcd_announce(gpointer self, const char *name, const char *facts, guint32 ttl_s, AzlinOp *op);
void etcd_members(gpointer self, AzlinOp *op);
void etcd_leave(gpointer self, const char *name, AzlinOp *op);
