/* What the files of this brick share: its state, the endpoint, who signs, and what a staging container is. */
#pragma once
#include "azlin-plugin.h"

#define BLOB_VERSION "2021-12-02" /* of the protocol and of the signatures; newer ones sign other fields */

/* ---- endpoint.c ---- */

typedef struct {
  char *url;     /* "https://acct.blob.core.windows.net", "http://127.0.0.1:10000/acct": no slash at the end */
  char *origin;  /* its scheme, host and port */
  char *account; /* "acct" */
  gboolean https;
} BlobEndpoint;

/* `account` NULL or empty: the first label of the host, or the path where the host is an address. NULL and CONFIG for
 * what is no such URL, and for http: to any but a loopback address. */
BlobEndpoint *blob_endpoint_parse(const char *url, const char *account, GError **error);
void blob_endpoint_free(BlobEndpoint *endpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobEndpoint, blob_endpoint_free)

/* ---- sas.c: signatures, pure ---- */

typedef struct { /* a user delegation key, as the service gave it out */
  char *oid, *tid, *start, *expiry, *service, *version, *value;
} BlobDelegation;
void blob_delegation_free(BlobDelegation *delegation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobDelegation, blob_delegation_free)
/* NULL and FAILED when `xml` is no such key. */
BlobDelegation *blob_delegation_parse(GBytes *xml, GError **error);
/* <KeyInfo> that asks for one. Owned. */
char *blob_delegation_request(gint64 start, gint64 expiry);

typedef struct {
  const char *account;
  const char *container;   /* NULL = the account itself: its containers may be made, listed and removed */
  const char *permissions; /* letters in the order that the service wants: racwdxyltmeop */
  gint64 start, expiry;    /* microseconds since the Unix epoch; start 0 = none is said */
  gboolean https_only;
} BlobTerms;

/* The query, without '?', that admits what `terms` say. `key`: of the account, base64; NULL when it is none. Owned, and
 * a secret. */
char *blob_sas_by_account_key(const BlobTerms *terms, const char *key);
char *blob_sas_by_delegation(const BlobTerms *terms, const BlobDelegation *delegation);
char *blob_time(gint64 us); /* "2026-11-27T22:30:00Z", owned */

/* ---- blob.c ---- */

typedef struct {
  AzlinHost *host;
  const AzlinHostApi *api;
  BlobEndpoint *endpoint; /* NULL = none is configured */
  char *key_file;         /* NULL = tokens */
  AzlinIdentity identity;
  gboolean sweeping;
  gint64 swept; /* when old containers were last looked for, monotonic; 0 = never */
} Blob;

/* ---- account.c: who signs ---- */

typedef struct { /* what signatures are made with during one copy; reference counted */
  char *key;     /* of the account, base64; or NULL */
  BlobDelegation *delegation;
} BlobSigner;
BlobSigner *blob_signer_ref(BlobSigner *signer);
void blob_signer_unref(BlobSigner *signer);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlobSigner, blob_signer_unref)

/* The account's key of [sync.blob] key-file; NULL and CONFIG when it is missing, others may read it, or it is none. */
char *blob_read_key(const char *path, GError **error);
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
GError *blob_error(Blob *blob, const char *what, const AzlinHttpReply *reply);
/* Signs and sends; `path_and_query` begins with '/', '?' included. op_http. */
void blob_request(Blob *blob, const char *method, const char *path_and_query, const char *const *headers, GBytes *body,
                  AzlinOp *op);

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

/* Removes what `run` has left below FOLDER/.azlin-partial, and finishes `op`: that it could not is logged
 * alone. */
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
double blob_predict(const BlobSpeed *speed, const BlobEndpoint *endpoint, const AzlinSyncJob *job, char **ret_reason);

/* ---- recover.c ---- */

/* The undo facts of intent "container"; `stages` aa{sv} of blob_stage_facts(), consumed. Floating. */
GVariant *blob_undo_facts(Blob *blob, const char *container, GVariant *stages);
void blob_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op);

/* ---- staging.c ---- */

void blob_transfer_all(gpointer self, const AzlinSyncJob *const *jobs, AzlinOp *const *ops, gsize n);
