/* Who signs: the account's key from a 0600 file, or a user delegation key that the service gives out for a token. */
#include "blob.h"
#include "secret-file.h"
#include <string.h>

#define SKEW_US (5 * 60 * G_USEC_PER_SEC) /* clocks differ */

typedef struct {
  Blob *blob;
  BlobSigned then;
  gpointer data;
  char *key; /* read already */
  GError *error;
} Asking;

BlobSigner *
blob_signer_ref(BlobSigner *signer)
{
  return g_rc_box_acquire(signer);
}

static void
signer_clear(gpointer data)
{
  BlobSigner *signer = data;
  secret_wipe(signer->key);
  storage_delegation_free(signer->delegation);
}

void
blob_signer_unref(BlobSigner *signer)
{
  if (signer != NULL)
    g_rc_box_release_full(signer, signer_clear);
}

/* ---- asking ---- */

static void
deliver(Asking *asking, BlobSigner *signer, const GError *error)
{
  asking->then(signer, error, asking->data);
  g_clear_error(&asking->error);
  g_free(asking);
}

static void
on_key_read(AzlinOp *op, gpointer data)
{
  Asking *asking = data;
  const GError *error = asking->blob->api->op_error(op);
  g_autoptr(BlobSigner) signer = g_rc_box_new0(BlobSigner);
  signer->key = g_steal_pointer(&asking->key);
  if (signer->key == NULL || error != NULL)
    deliver(asking, NULL, asking->error != NULL ? asking->error : error);
  else
    deliver(asking, signer, NULL);
}

static void
on_delegated(AzlinOp *op, gpointer data)
{
  Asking *asking = data;
  const AzlinHostApi *api = asking->blob->api;
  if (api->op_error(op) != NULL) {
    deliver(asking, NULL, api->op_error(op));
    return;
  }
  const AzlinHttpReply *reply = api->op_http(op);
  g_autoptr(GError) error = NULL;
  g_autoptr(BlobSigner) signer = g_rc_box_new0(BlobSigner);
  if (reply->status == 200)
    signer->delegation = storage_delegation_parse(reply->body, &error);
  else
    error = storage_error(&asking->blob->account, "give out a key to sign with", reply);
  deliver(asking, error == NULL ? signer : NULL, error);
}

void
blob_signer_get(Blob *blob, AzlinOp *op, gint64 expiry, BlobSigned then, gpointer data)
{
  const AzlinHostApi *api = blob->api;
  Asking *asking = g_new0(Asking, 1);
  *asking = (Asking){ .blob = blob, .then = then, .data = data };
  if (blob->account.key_file != NULL) {
    asking->key = storage_read_key(&blob->account, &asking->error);
    api->sleep(blob->host, 0, api->op_new(op, "read the key", 0, on_key_read, asking));
    return;
  }
  g_autofree char *text = storage_delegation_request(api->now(blob->host) - SKEW_US, expiry);
  g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
  StorageRequest http = { .method = "POST", .path = "/?restype=service&comp=userdelegationkey", .body = body };
  storage_send(&blob->account, &http, api->op_new(op, "ask for a key to sign with", 0, on_delegated, asking));
}

char *
blob_signer_sas(Blob *blob, BlobSigner *signer, const char *container, const char *permissions, gint64 expiry)
{
  StorageTerms terms = { .account = blob->account.endpoint->account,
                         .container = container,
                         .permissions = permissions,
                         .start = blob->api->now(blob->host) - SKEW_US,
                         .expiry = expiry,
                         .https_only = blob->account.endpoint->https };
  return signer->key != NULL ? storage_sas_by_account_key(&terms, signer->key)
                             : storage_sas_by_delegation(&terms, signer->delegation);
}
