/* Who signs: the account's key from a 0600 file, or a user delegation key that the service gives out for a token. */
#include "blob.h"
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_KEY 4096
#define SKEW_US (5 * 60 * G_USEC_PER_SEC) /* clocks differ */

typedef struct {
  Blob *blob;
  BlobSigned then;
  gpointer data;
  char *key; /* read already */
  GError *error;
} Asking;

static void
wipe(char *secret)
{
  if (secret != NULL)
    explicit_bzero(secret, strlen(secret));
  g_free(secret);
}

BlobSigner *
blob_signer_ref(BlobSigner *signer)
{
  return g_rc_box_acquire(signer);
}

static void
signer_clear(gpointer data)
{
  BlobSigner *signer = data;
  wipe(signer->key);
  blob_delegation_free(signer->delegation);
}

void
blob_signer_unref(BlobSigner *signer)
{
  if (signer != NULL)
    g_rc_box_release_full(signer, signer_clear);
}

/* ---- the key's file ---- */

static gboolean
is_key(const char *text)
{
  gsize length = 0;
  if (strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") != strlen(text))
    return FALSE;
  g_autofree guchar *raw = g_base64_decode(text, &length);
  explicit_bzero(raw, length);
  return length >= 16;
}

static gboolean
only_ours(int fd)
{
  struct stat facts;
  return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && (facts.st_mode & 077) == 0
         && (facts.st_uid == geteuid() || facts.st_uid == 0);
}

char *
blob_read_key(const char *path, GError **error)
{
  char text[MAX_KEY + 1] = "";
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    int number = errno;
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[sync.blob] key-file %s cannot be read: %s", path,
                g_strerror(number));
    return NULL;
  }
  gboolean ours = only_ours(fd);
  gssize length = ours ? read(fd, text, MAX_KEY) : 0;
  close(fd);
  g_autofree char *key = g_strndup(text, length > 0 ? (gsize) length : 0);
  explicit_bzero(text, sizeof text);
  g_strstrip(key);
  if (ours && is_key(key))
    return g_steal_pointer(&key);
  explicit_bzero(key, strlen(key));
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[sync.blob] key-file %s %s", path,
              ours ? "holds no key of a storage account"
                   : "must be a file of yours that nobody else may read (mode 0600)");
  return NULL;
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
    signer->delegation = blob_delegation_parse(reply->body, &error);
  else
    error = blob_error(asking->blob, "give out a key to sign with", reply);
  deliver(asking, error == NULL ? signer : NULL, error);
}

void
blob_signer_get(Blob *blob, AzlinOp *op, gint64 expiry, BlobSigned then, gpointer data)
{
  const AzlinHostApi *api = blob->api;
  Asking *asking = g_new0(Asking, 1);
  *asking = (Asking){ .blob = blob, .then = then, .data = data };
  if (blob->key_file != NULL) {
    asking->key = blob_read_key(blob->key_file, &asking->error);
    api->sleep(blob->host, 0, api->op_new(op, "read the key", 0, on_key_read, asking));
    return;
  }
  g_autofree char *text = blob_delegation_request(api->now(blob->host) - SKEW_US, expiry);
  g_autoptr(GBytes) body = g_bytes_new(text, strlen(text));
  blob_request(blob, "POST", "/?restype=service&comp=userdelegationkey", NULL, body,
               api->op_new(op, "ask for a key to sign with", 0, on_delegated, asking));
}

char *
blob_signer_sas(Blob *blob, BlobSigner *signer, const char *container, const char *permissions, gint64 expiry)
{
  BlobTerms terms = { .account = blob->endpoint->account,
                      .container = container,
                      .permissions = permissions,
                      .start = blob->api->now(blob->host) - SKEW_US,
                      .expiry = expiry,
                      .https_only = blob->endpoint->https };
  return signer->key != NULL ? blob_sas_by_account_key(&terms, signer->key)
                             : blob_sas_by_delegation(&terms, signer->delegation);
}
