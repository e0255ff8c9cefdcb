/* What the files of this brick share: its state, the endpoint, who signs, and what a staging container is. */
#pragma once
#include "storage.h"

/* ---- blob.c ---- */

typedef struct {
  AzlinHost *host;
  const AzlinHostApi *api;
  StorageAccount account;
  gboolean sweeping;
  gint64 swept; /* when old containers were last looked for, monotonic; 0 = never */
} Blob;

/* ---- account.c: who signs ---- */

typedef struct { /* what signatures are made with during one copy; reference counted */
  char *key;     /* of the account, base64; or NULL */
  StorageDelegation *delegation;
} BlobSigner;
BlobSigner *blob_signer_ref(BlobSigner *signer);
void blob_signer_unref(BlobSigner *signer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobSigner, blob_signer_unref)

/* `then` runs once, from the main loop; `signer` NULL = `error` says why. `signer` is borrowed. */
typedef void (*BlobSigned)(BlobSigner *signer, const GError *error, gpointer data);
void blob_signer_get(Blob *blob, AzlinOp *op, gint64 expiry, BlobSigned then, gpointer data);
/* A signature for one container. Owned, and a secret; NULL without a signer's key. */
char *blob_signer_sas(Blob *blob, BlobSigner *signer, const char *container, const char *permissions, gint64 expiry);

/* ---- container.c: azlin's own requests ---- */

/* Each finishes `op`. Made already, or gone already, is success. */
void blob_container_make(Blob *blob, const char *name, AzlinOp *op);
void blob_container_remove(Blob *blob, const char *name, AzlinOp *op);
/* Variant a(sx): name and the time it was made, of one page of containers that begin with BLOB_PREFIX. */
void blob_container_list(Blob *blob, AzlinOp *op);
/* Of the answer's XML; a(sx). */
GVariant *blob_container_parse(GBytes *xml, GError **error);
#define BLOB_PREFIX "azlin-sync-"
#define BLOB_KEPT_HOURS 24
/* "azlin-sync-20261127t223000-1a2b3c4d", owned. */
char *blob_container_name(gint64 now);

/* ---- sweep.c ---- */

/* Removes staging containers older than BLOB_KEPT_HOURS, beside the tree of `op`, at most once an hour and 50 at a
 * time. */
void blob_sweep(Blob *blob, AzlinOp *op);
/* Which of `listed` (a(sx)) are to go; owned strv. Pure. */
char **blob_sweep_choose(GVariant *listed, gint64 now);

/* ---- stage.c ---- */

/* Removes what `run` has left below FOLDER/.azlin-partial; `op` fails when it could not, which is logged. */
void blob_stage_drop(Blob *blob, const AzlinVm *vm, const char *folder, const char *run, AzlinOp *op);
/* The same from a journal's record: a{sv} that says where, and what it was made by. */
GVariant *blob_stage_facts(const AzlinVm *vm, const char *folder, const char *run);
void blob_stage_recover(Blob *blob, GVariant *facts, AzlinOp *op);

/* ---- score.c ---- */

typedef struct {
  double mib_per_second; /* configured */
  double files_per_second;
} BlobSpeed;
/* As AzlinSync.score; `endpoint` NULL = none. */
double
blob_predict(const BlobSpeed *speed, const StorageEndpoint *endpoint, const AzlinSyncJob *job, char **ret_reason);

/* ---- recover.c ---- */

/* The undo facts of intent "container"; `stages` aa{sv} of blob_stage_facts(), consumed. Floating. */
GVariant *blob_undo_facts(Blob *blob, const char *container, GVariant *stages);
void blob_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op);

/* ---- staging.c ---- */

void blob_transfer_all(gpointer self, const AzlinSyncJob *const *jobs, AzlinOp *const *ops, gsize n);
