/* What the files of this brick share: the cluster, and the calls of the interface. */
#pragma once
#include "etcd-cluster.h"
#include "wire.h"

typedef struct {
  EtcdCluster cluster;
} Shared;

#define SHARED_READ_S 5u         /* so long a reading may: an election takes two */
#define SHARED_ASK_S 8u          /* so long one request may go round the members */
#define SHARED_GROUP "azlin-vms" /* of a record that names no resource group */

/* ---- read.c ---- */

/* What is told of `error`: LOCKED where no member of etcd could answer, with what is to be done. `sent`: a change was
 * on its way. Owned. */
GError *shared_error(Shared *shared, const GError *error, gboolean sent);
void shared_list(gpointer self, AzlinOp *op);
void shared_info(gpointer self, AzlinOp *op);

/* ---- notice.c ---- */

void shared_publish(gpointer self, const char *name, const char *text, AzlinOp *op);
void shared_published(gpointer self, AzlinOp *op);

/* ---- write.c ---- */

void shared_put(gpointer self, const AzlinVm *vm, AzlinOp *op);
void shared_put_all(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op);
void shared_put_status(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *op);
void shared_forget(gpointer self, const char *region, AzlinOp *op);
void shared_set_primary(gpointer self, const char *from, const char *to, guint64 epoch, AzlinOp *op);
void shared_raise_epoch(gpointer self, guint64 epoch, AzlinOp *op);
