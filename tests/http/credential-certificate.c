/* A certificate instead of a secret: what is signed, that its public key confirms it, and what no file may be. */
#include "cloud.h"

#include <glib/gstdio.h>
#include <gnutls/abstract.h>
#include <gnutls/x509.h>
#include <string.h>

typedef struct {
  gnutls_x509_privkey_t key;
  gnutls_x509_crt_t certificate;
  char *file; /* PEM of both */
} Pair;

static char *
key_pem(Pair *pair, const char *password)
{
  gnutls_datum_t pem = { 0 };
  unsigned flags = password != NULL ? GNUTLS_PKCS_PBES2_AES_256 : GNUTLS_PKCS_PLAIN;
  g_assert_cmpint(gnutls_x509_privkey_export2_pkcs8(pair->key, GNUTLS_X509_FMT_PEM, password, flags, &pem), ==, 0);
  char *text = g_strndup((const char *) pem.data, pem.size);
  gnutls_free(pem.data);
  return text;
}

static char *
certificate_pem(Pair *pair)
{
  gnutls_datum_t pem = { 0 };
  g_assert_cmpint(gnutls_x509_crt_export2(pair->certificate, GNUTLS_X509_FMT_PEM, &pem), ==, 0);
  char *text = g_strndup((const char *) pem.data, pem.size);
  gnutls_free(pem.data);
  return text;
}

static void
pair_new(Pair *pair, Cloud *cloud, gnutls_pk_algorithm_t algorithm, unsigned bits)
{
  g_assert_cmpint(gnutls_x509_privkey_init(&pair->key), ==, 0);
  g_assert_cmpint(gnutls_x509_privkey_generate(pair->key, algorithm, bits, 0), ==, 0);
  g_assert_cmpint(gnutls_x509_crt_init(&pair->certificate), ==, 0);
  gnutls_x509_crt_set_version(pair->certificate, 3);
  gnutls_x509_crt_set_serial(pair->certificate, "\1", 1);
  gnutls_x509_crt_set_dn(pair->certificate, "CN=azlin", NULL);
  gnutls_x509_crt_set_activation_time(pair->certificate, 1700000000);
  gnutls_x509_crt_set_expiration_time(pair->certificate, 1900000000);
  g_assert_cmpint(gnutls_x509_crt_set_key(pair->certificate, pair->key), ==, 0);
  g_assert_cmpint(gnutls_x509_crt_sign2(pair->certificate, pair->certificate, pair->key, GNUTLS_DIG_SHA256, 0), ==, 0);
  g_autofree char *key = key_pem(pair, NULL);
  g_autofree char *certificate = certificate_pem(pair);
  g_autofree char *both = g_strconcat(key, certificate, NULL);
  pair->file = g_build_filename(cloud->dir, "client.pem", NULL);
  g_assert_true(g_file_set_contents(pair->file, both, -1, NULL));
}

static void
pair_clear(Pair *pair)
{
  gnutls_x509_privkey_deinit(pair->key);
  gnutls_x509_crt_deinit(pair->certificate);
  g_free(pair->file);
}

static void
name_certificate(const char *file)
{
  cloud_name_principal();
  g_unsetenv("AZURE_CLIENT_SECRET");
  g_setenv("AZURE_CLIENT_CERTIFICATE_PATH", file, TRUE);
}

/* The bytes of one part of a JWT, NUL-terminated. */
static guchar *
decode_part(const char *part, gsize *ret_length)
{
  g_autoptr(GString) text = g_string_new(part);
  g_assert_null(strpbrk(part, "+/="));
  g_string_replace(text, "-", "+", 0);
  g_string_replace(text, "_", "/", 0);
  while (text->len % 4 != 0)
    g_string_append_c(text, '=');
  gsize length;
  g_autofree guchar *bytes = g_base64_decode(text->str, &length);
  guchar *terminated = g_malloc0(length + 1);
  memcpy(terminated, bytes, length);
  if (ret_length != NULL)
    *ret_length = length;
  return terminated;
}

static void
verify_signature(Pair *pair, char **parts)
{
  gnutls_pubkey_t public_key;
  gsize length;
  g_autofree guchar *signature_bytes = decode_part(parts[2], &length);
  g_autofree char *text = g_strdup_printf("%s.%s", parts[0], parts[1]);
  gnutls_datum_t data = { (unsigned char *) text, (unsigned) strlen(text) };
  gnutls_datum_t signature = { signature_bytes, (unsigned) length };
  g_assert_cmpint(gnutls_pubkey_init(&public_key), ==, 0);
  g_assert_cmpint(gnutls_pubkey_import_x509(public_key, pair->certificate, 0), ==, 0);
  g_assert_cmpint(gnutls_pubkey_verify_data2(public_key, GNUTLS_SIGN_RSA_SHA256, 0, &data, &signature), >=, 0);
  text[0] ^= 1; /* and confirms nothing else */
  g_assert_cmpint(gnutls_pubkey_verify_data2(public_key, GNUTLS_SIGN_RSA_SHA256, 0, &data, &signature), <, 0);
  gnutls_pubkey_deinit(public_key);
}

static void
verify_header(Pair *pair, const char *part)
{
  guint8 digest[20];
  gsize size = sizeof digest;
  gnutls_x509_crt_get_fingerprint(pair->certificate, GNUTLS_DIG_SHA1, digest, &size);
  g_autoptr(GString) kid = g_string_new(NULL);
  for (gsize i = 0; i < size; i++)
    g_string_append_printf(kid, "%02X", digest[i]);
  g_autofree char *header = (char *) decode_part(part, NULL);
  g_autofree char *tail = g_strdup_printf("\",\"kid\":\"%s\",\"alg\":\"RS256\",\"typ\":\"JWT\"}", kid->str);
  g_assert_true(g_str_has_prefix(header, "{\"x5t\":\""));
  g_assert_true(g_str_has_suffix(header, tail));
  g_autofree char *x5t = g_strndup(header + 8, strlen(header) - 8 - strlen(tail));
  gsize length;
  g_autofree guchar *thumbprint = decode_part(x5t, &length);
  g_assert_cmpmem(thumbprint, length, digest, size);
}

static void
verify_claims(Cloud *cloud, const char *part)
{
  g_autofree char *claims = (char *) decode_part(part, NULL);
  g_autofree char *head = g_strdup_printf(
      "{\"aud\":\"%s/tenant/oauth2/v2.0/token\",\"iss\":\"client\",\"sub\":\"client\",\"jti\":\"", cloud->origin);
  g_assert_true(g_str_has_prefix(claims, head));
  g_assert_true(g_str_has_suffix(claims, "\",\"nbf\":1800000000,\"exp\":1800000600}"));
}

static void
test_signed(Cloud *cloud, gconstpointer unused)
{
  Pair pair;
  pair_new(&pair, cloud, GNUTLS_PK_RSA, 2048);
  name_certificate(pair.file);
  cloud_ask(cloud, NULL);
  cloud_expect_token(cloud, "canary-1");
  g_autofree char *type = cloud_field(cloud, 0, "client_assertion_type");
  g_autofree char *assertion = cloud_field(cloud, 0, "client_assertion");
  g_assert_cmpstr(type, ==, "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
  g_auto(GStrv) parts = g_strsplit(assertion, ".", -1);
  g_assert_cmpuint(g_strv_length(parts), ==, 3);
  verify_signature(&pair, parts);
  verify_header(&pair, parts[0]);
  verify_claims(cloud, parts[1]);
  pair_clear(&pair);
}

static void
expect_unusable(Cloud *cloud, const char *content, const char *words)
{
  g_autofree char *file = g_build_filename(cloud->dir, "other.pem", NULL);
  g_assert_true(g_file_set_contents(file, content, -1, NULL));
  name_certificate(file);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, words);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "environment: AZURE_CLIENT_CERTIFICATE_PATH: ");
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "Check AZURE_CLIENT_CERTIFICATE_PATH: a PEM file with an RSA key");
  cloud_pass_time(cloud, 6000);
}

static void
test_unusable_files(Cloud *cloud, gconstpointer unused)
{
  Pair pair;
  pair_new(&pair, cloud, GNUTLS_PK_RSA, 2048);
  g_autofree char *key = key_pem(&pair, NULL);
  g_autofree char *locked = key_pem(&pair, "canary-password");
  g_autofree char *certificate = certificate_pem(&pair);
  g_autofree char *both = g_strconcat(locked, certificate, NULL);
  g_setenv("AZURE_CLIENT_CERTIFICATE_PASSWORD", "canary-password", TRUE);
  expect_unusable(cloud, both, "its key has a password, and only keys without one are supported");
  g_unsetenv("AZURE_CLIENT_CERTIFICATE_PASSWORD");
  expect_unusable(cloud, key, "no certificate");
  expect_unusable(cloud, certificate, "no usable RSA key");
  expect_unusable(cloud, "canary", "no certificate");
  expect_unusable(cloud, "", "it is empty");
  name_certificate("/nowhere/client.pem");
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "cannot read /nowhere/client.pem: No such file");
  g_assert_cmpuint(cloud->seen->len, ==, 0);
  pair_clear(&pair);
}

static void
test_other_keys(Cloud *cloud, gconstpointer unused)
{
  Pair pair;
  pair_new(&pair, cloud, GNUTLS_PK_ECDSA, GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1));
  name_certificate(pair.file);
  cloud_ask(cloud, NULL);
  cloud_expect_error(cloud, AZLIN_ERROR_AUTH, "no usable RSA key");
  pair_clear(&pair);
}

#define TEST(name, func)                                                                                               \
  g_test_add("/credential-certificate/" name, Cloud, NULL, cloud_set_up_virtual, func, cloud_tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  TEST("signed", test_signed);
  TEST("unusable-files", test_unusable_files);
  TEST("other-keys", test_other_keys);
  return g_test_run();
}
