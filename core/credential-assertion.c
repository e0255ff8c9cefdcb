/* What proves a service principal without a secret: a JWT signed with its certificate's key, or a token in a file. */
#include "credential-private.h"

#include "http-private.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define GOOD_FOR_S 600
#define LARGEST_FILE (64 * 1024)

/* ---- files ---- */

/* Room for one byte more than may be read: a file that fills it is too large. */
typedef struct {
  gsize length;
  char bytes[LARGEST_FILE + 1];
} Content;

static void
content_free(Content *content)
{
  az_secret_wipe(content, sizeof *content);
  g_free(content);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Content, content_free)

static Content *
fail_file(const char *file, const char *why, int code, GError **error)
{
  g_set_error(error, AZLIN_ERROR, code, "cannot read %s: %s", file, why);
  return NULL;
}

static const char *
fill(int fd, Content *content)
{
  struct stat info;
  if (fstat(fd, &info) != 0)
    return g_strerror(errno);
  if (!S_ISREG(info.st_mode))
    return "it is no regular file";
  while (content->length < sizeof content->bytes) {
    gssize n = read(fd, content->bytes + content->length, sizeof content->bytes - content->length);
    if (n < 0 && errno != EINTR)
      return g_strerror(errno);
    if (n == 0)
      return content->length > 0 ? NULL : "it is empty";
    content->length += n > 0 ? (gsize) n : 0;
  }
  return "it is larger than 64 KiB";
}

static Content *
read_file(const char *file, GError **error)
{
  int fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a FIFO must not hold the main loop up */
  if (fd < 0)
    return fail_file(file, g_strerror(errno), errno == ENOENT ? AZLIN_ERROR_NOT_FOUND : AZLIN_ERROR_AUTH, error);
  g_autoptr(Content) content = g_new0(Content, 1);
  const char *why = fill(fd, content);
  close(fd);
  return why == NULL ? g_steal_pointer(&content) : fail_file(file, why, AZLIN_ERROR_AUTH, error);
}

AzSecret *
az_token_assertion_read(const char *file, GError **error)
{
  g_autoptr(Content) content = read_file(file, error);
  if (content == NULL)
    return NULL;
  const char *start = content->bytes;
  gsize length = content->length;
  for (; length > 0 && g_ascii_isspace(start[length - 1]); length--)
    ;
  for (; length > 0 && g_ascii_isspace(*start); start++, length--)
    ;
  if (az_token_is_token(start, length))
    return az_secret_new(start, (gssize) length);
  fail_file(file, "it holds no token", AZLIN_ERROR_AUTH, error);
  return NULL;
}

/* ---- certificates ---- */

static char *
base64url(gconstpointer bytes, gsize length)
{
  char *text = g_base64_encode(bytes, length);
  for (char *c = text; *c != '\0'; c++)
    *c = *c == '+' ? '-' : *c == '/' ? '_' : *c;
  text[strcspn(text, "=")] = '\0';
  return text;
}

static char *
make_header(GBytes *thumbprint)
{
  gsize length;
  const guint8 *bytes = g_bytes_get_data(thumbprint, &length);
  g_autofree char *x5t = base64url(bytes, length);
  g_autoptr(GString) kid = g_string_new(NULL);
  for (gsize i = 0; i < length; i++)
    g_string_append_printf(kid, "%02X", bytes[i]);
  g_autofree char *json
      = g_strdup_printf("{\"x5t\":\"%s\",\"kid\":\"%s\",\"alg\":\"RS256\",\"typ\":\"JWT\"}", x5t, kid->str);
  return base64url(json, strlen(json));
}

/* Client and audience are checked words and addresses: nothing in them needs escaping. */
static char *
make_claims(const char *client, const char *audience, gint64 now)
{
  g_autofree char *id = g_uuid_string_random();
  gint64 from = now / G_USEC_PER_SEC;
  g_autofree char *json
      = g_strdup_printf("{\"aud\":\"%s\",\"iss\":\"%s\",\"sub\":\"%s\",\"jti\":\"%s\",\"nbf\":%" G_GINT64_FORMAT
                        ",\"exp\":%" G_GINT64_FORMAT "}",
                        audience, client, client, id, from, from + GOOD_FOR_S);
  return base64url(json, strlen(json));
}

/* A word of its own for what GnuTLS would call a decryption error. */
static gboolean
check_key(const char *file, GError **error)
{
  g_autoptr(Content) content = read_file(file, error);
  if (content == NULL)
    return FALSE;
  if (g_strstr_len(content->bytes, (gssize) content->length, "ENCRYPTED") == NULL)
    return TRUE;
  fail_file(file, "its key has a password, and only keys without one are supported", AZLIN_ERROR_AUTH, error);
  return FALSE;
}

AzSecret *
az_token_assertion_sign(AzHttp *http, const char *pem_file, const char *client, const char *audience, gint64 now,
                        GError **error)
{
  g_autoptr(GBytes) thumbprint = NULL;
  g_autoptr(GBytes) signature = NULL;
  if (!check_key(pem_file, error) || !az_http_load(http, error)
      || !http->module->sign_rs256(pem_file, NULL, NULL, &thumbprint, error))
    return NULL;
  g_autofree char *header = make_header(thumbprint);
  g_autofree char *claims = make_claims(client, audience, now);
  g_autofree char *text = g_strdup_printf("%s.%s", header, claims);
  g_autoptr(GBytes) data = g_bytes_new(text, strlen(text));
  if (!http->module->sign_rs256(pem_file, data, &signature, NULL, error))
    return NULL;
  g_autofree char *proof = base64url(g_bytes_get_data(signature, NULL), g_bytes_get_size(signature));
  g_autofree char *whole = g_strdup_printf("%s.%s", text, proof);
  AzSecret *assertion = az_secret_new(whole, -1);
  az_secret_wipe(proof, strlen(proof));
  az_secret_wipe(whole, strlen(whole));
  return assertion;
}
