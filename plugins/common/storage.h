/* Azure Storage for the bricks that keep something there: where the account is, who signs, and what refusals mean. */
#pragma once
#include "azlin-plugin.h"

#define STORAGE_VERSION "2021-12-02" /* of the protocol and of the signatures; newer ones sign other fields */

/* ---- storage-endpoint.c ---- */

typedef struct {
  char *url;     /* "https://acct.blob.core.windows.net", "http://127.0.0.1:10000/acct": no slash at the end */
  char *origin;  /* its scheme, host and port */
  char *account; /* "acct" */
  gboolean https;
} StorageEndpoint;

/* `account` NULL or empty: the first label of the host, or the path where the host is an address. NULL and CONFIG for
 * what is no such URL, and for http: to any but a loopback address; messages name `group` ("sync.blob"). */
StorageEndpoint *storage_endpoint_parse(const char *group, const char *url, const char *account, GError **error);
void storage_endpoint_free(StorageEndpoint *endpoint);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageEndpoint, storage_endpoint_free)

/* ---- storage-sas.c: signatures, pure ---- */

typedef struct { /* a user delegation key, as the service gave it out */
  char *oid, *tid, *start, *expiry, *service, *version, *value;
} StorageDelegation;
void storage_delegation_free(StorageDelegation *delegation);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(StorageDelegation, storage_delegation_free)
/* NULL and FAILED when `xml` is no such key. */
StorageDelegation *storage_delegation_parse(GBytes *xml, GError **error);
/* <KeyInfo> that asks for one. Owned. */
char *storage_delegation_request(gint64 start, gint64 expiry);

typedef struct {
  const char *account;
  const char *container;   /* NULL = the account itself: its containers and all that is in them */
  const char *permissions; /* letters in the order that the service wants: racwdxyltmeop */
  gint64 start, expiry;    /* microseconds since the Unix epoch; start 0 = none is said */
  gboolean https_only;
  const char *types; /* without a container: of "s" the service, "c" its containers, "o" blobs */
} StorageTerms;

/* The query, without '?', that admits what `terms` say. `key`: of the account, base64; NULL when it is none. Owned, and
 * a secret. */
char *storage_sas_by_account_key(const StorageTerms *terms, const char *key);
char *storage_sas_by_delegation(const StorageTerms *terms, const StorageDelegation *delegation);
char *storage_time(gint64 us); /* "2026-11-27T22:30:00Z", owned */

/* ---- storage-account.c ---- */

typedef struct {
  AzlinHost *host;
  const AzlinHostApi *api;
  const char *group;         /* of its options: "sync.blob"; static */
  const char *permissions;   /* that its own requests need with the account's key: "dlc"; static */
  const char *types;         /* what they are about: "sc"; static */
  StorageEndpoint *endpoint; /* NULL = none is configured */
  char *key_file;            /* NULL = tokens */
  AzlinIdentity identity;
} StorageAccount;

/* Reads the options endpoint, account and key-file of the brick; `account` may be cleared whatever comes of it. */
gboolean storage_account_init(StorageAccount *account, AzlinHost *host, const char *group, const char *permissions,
                              const char *types, GError **error);
void storage_account_clear(StorageAccount *account);
/* The account's key of `key_file`; NULL and CONFIG when it is missing, others may read it, or it is none. */
char *storage_read_key(const StorageAccount *account, GError **error);
typedef struct {
  const char *method;
  const char *path;           /* begins with '/', '?' and its query included */
  const char *const *headers; /* name, value, ..., NULL; or NULL */
  GBytes *body;               /* or NULL */
  const char *content_type;   /* NULL = application/xml */
  gsize max_body;             /* of the answer; 0 = the engine's cap */
} StorageRequest;
/* Signs and sends; op_http. */
void storage_send(StorageAccount *account, const StorageRequest *request, AzlinOp *op);
const char *storage_header(const AzlinHttpReply *reply, const char *name); /* "" = there is none */
/* What a refusal is: "ORIGIN did not WHAT: HTTP 403, AuthorizationFailure", with the steps that help. */
GError *storage_error(const StorageAccount *account, const char *what, const AzlinHttpReply *reply);

/* How the options endpoint, account and key-file are described. */
#define STORAGE_ENDPOINT_HELP "blob service: https://ACCOUNT.blob.core.windows.net; http for a loopback address"
#define STORAGE_ACCOUNT_HELP "storage account; empty: the one that endpoint names"
#define STORAGE_KEY_FILE_HELP "account key, mode 0600, where no token can be had; empty: a token of the login"
