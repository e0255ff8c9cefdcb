/* RS256 signatures of client certificates, by GnuTLS, which the TLS of GLib stands on anyway. */
#include "http-private.h"

#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>

static gboolean
fail(const char *file, const char *what, int code, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_AUTH, "%s in %s: %s", what, file, gnutls_strerror(code));
  return FALSE;
}

static gboolean
take_thumbprint(const char *file, const gnutls_datum_t *pem, GBytes **ret_thumbprint, GError **error)
{
  gnutls_x509_crt_t *certificates = NULL;
  unsigned n = 0;
  guint8 digest[20];
  gsize size = sizeof digest;
  int code = gnutls_x509_crt_list_import2(&certificates, &n, pem, GNUTLS_X509_FMT_PEM, 0);

  if (code < 0 || n == 0)
    return fail(file, "no certificate", code < 0 ? code : GNUTLS_E_NO_CERTIFICATE_FOUND, error);
  code = gnutls_x509_crt_get_fingerprint(certificates[0], GNUTLS_DIG_SHA1, digest, &size);
  for (unsigned i = 0; i < n; i++)
    gnutls_x509_crt_deinit(certificates[i]);
  gnutls_free(certificates);
  if (code < 0)
    return fail(file, "unusable certificate", code, error);
  *ret_thumbprint = g_bytes_new(digest, size);
  return TRUE;
}

static gboolean
sign(const char *file, const gnutls_datum_t *pem, GBytes *data, GBytes **ret_signature, GError **error)
{
  gnutls_privkey_t key;
  gnutls_datum_t signature = { 0 };
  gsize size;
  gconstpointer bytes = g_bytes_get_data(data, &size);
  g_autofree void *copy = g_memdup2(bytes, size);
  gnutls_datum_t input = { copy, (unsigned) size };
  int code = gnutls_privkey_init(&key);

  if (code < 0)
    return fail(file, "no private key", code, error);
  code = gnutls_privkey_import_x509_raw(key, pem, GNUTLS_X509_FMT_PEM, NULL, 0);
  if (code >= 0)
    code = gnutls_privkey_sign_data2(key, GNUTLS_SIGN_RSA_SHA256, 0, &input, &signature);
  gnutls_privkey_deinit(key);
  if (code < 0)
    return fail(file, "no usable RSA key", code, error);
  *ret_signature = g_bytes_new(signature.data, signature.size);
  gnutls_free(signature.data);
  return TRUE;
}

gboolean
http_sign_rs256(const char *pem_file, GBytes *data, GBytes **ret_signature, GBytes **ret_thumbprint_sha1,
                GError **error)
{
  g_autoptr(GError) reason = NULL;
  g_autoptr(GBytes) thumbprint = NULL;
  g_autofree char *content = NULL;
  gsize length = 0;

  if (!g_file_get_contents(pem_file, &content, &length, &reason)) {
    gboolean missing = g_error_matches(reason, G_FILE_ERROR, G_FILE_ERROR_NOENT);
    g_set_error(error, AZLIN_ERROR, missing ? AZLIN_ERROR_NOT_FOUND : AZLIN_ERROR_AUTH, "%s", reason->message);
    return FALSE;
  }
  gnutls_datum_t pem = { (unsigned char *) content, (unsigned) length };
  gboolean ok = ret_thumbprint_sha1 == NULL || take_thumbprint(pem_file, &pem, &thumbprint, error);
  ok = ok && (data == NULL || sign(pem_file, &pem, data, ret_signature, error));
  explicit_bzero(content, length);
  if (ok && ret_thumbprint_sha1 != NULL)
    *ret_thumbprint_sha1 = g_steal_pointer(&thumbprint);
  return ok;
}
