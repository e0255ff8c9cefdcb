/* An account of Azure Storage: who signs azlin's own requests, and what the service's refusals mean. */
#include "option.h"
#include "secret-file.h"
#include "storage.h"
#include <string.h>

#define SCOPE "https://storage.azure.com/.default"
#define MAX_KEY 4096
#define REQUEST_MINUTES 30 /* how long azlin's own signature admits what it asks for */

static const struct {
  const char *suffix, *authority;
} clouds[] = {
  { ".core.chinacloudapi.cn", "https://login.chinacloudapi.cn" },
  { ".core.usgovcloudapi.net", "https://login.microsoftonline.us" },
  { "", "https://login.microsoftonline.com" },
};

/* ---- what is configured ---- */

static char *
authority(const char *origin)
{
  const char *variable = g_getenv("AZURE_AUTHORITY_HOST");
  if (variable != NULL && *variable != '\0')
    return g_str_has_suffix(variable, "/") ? g_strndup(variable, strlen(variable) - 1) : g_strdup(variable);
  for (gsize i = 0;; i++)
    if (g_str_has_suffix(origin, clouds[i].suffix))
      return g_strdup(clouds[i].authority);
}

gboolean
storage_account_init(StorageAccount *account, AzlinHost *host, const char *group, const char *permissions,
                     const char *types, GError **error)
{
  g_autofree char *endpoint = option_string(host, "endpoint"), *name = option_string(host, "account"),
                  *key_file = option_string(host, "key-file");
  *account
      = (StorageAccount){ .host = host, .api = host->api, .group = group, .permissions = permissions, .types = types };
  account->key_file = *key_file != '\0' ? g_steal_pointer(&key_file) : NULL;
  if (*endpoint == '\0')
    return TRUE;
  account->endpoint = storage_endpoint_parse(group, endpoint, name, error);
  if (account->endpoint == NULL)
    return FALSE;
  account->identity = (AzlinIdentity){ .size = sizeof(AzlinIdentity),
                                       .origin = g_strdup(account->endpoint->origin),
                                       .authority = authority(account->endpoint->origin),
                                       .scope = SCOPE };
  return TRUE;
}

void
storage_account_clear(StorageAccount *account)
{
  storage_endpoint_free(account->endpoint);
  g_free(account->key_file);
  g_free((char *) (guintptr) account->identity.origin);
  g_free((char *) (guintptr) account->identity.authority);
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

char *
storage_read_key(const StorageAccount *account, GError **error)
{
  g_autofree char *option = g_strdup_printf("[%s] key-file", account->group);
  char *key = secret_file_read(account->key_file, option, MAX_KEY, error);
  if (key == NULL)
    return NULL;
  g_strstrip(key);
  if (is_key(key))
    return key;
  secret_wipe(key);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s %s holds no key of a storage account", option,
              account->key_file);
  return NULL;
}

/* ---- requests ---- */

/* azlin's own signature is of the account: a service signature cannot make a container. */
static char *
signed_url(StorageAccount *account, const char *path, GError **error)
{
  if (account->key_file == NULL)
    return g_strconcat(account->endpoint->url, path, NULL);
  gint64 now = account->api->now(account->host);
  StorageTerms terms = { .account = account->endpoint->account,
                         .permissions = account->permissions,
                         .start = now - REQUEST_MINUTES * 60 * G_USEC_PER_SEC,
                         .expiry = now + REQUEST_MINUTES * 60 * G_USEC_PER_SEC,
                         .https_only = account->endpoint->https,
                         .types = account->types };
  char *key = storage_read_key(account, error);
  if (key == NULL)
    return NULL;
  g_autofree char *sas = storage_sas_by_account_key(&terms, key);
  secret_wipe(key);
  return g_strconcat(account->endpoint->url, path, strchr(path, '?') != NULL ? "&" : "?", sas, NULL);
}

void
storage_send(StorageAccount *account, const StorageRequest *request, AzlinOp *op)
{
  GError *error = NULL;
  g_autoptr(GStrvBuilder) all = g_strv_builder_new();
  g_autofree char *url = signed_url(account, request->path, &error);
  g_autofree char *pace = g_strconcat("storage:", account->endpoint->account, NULL);
  if (url == NULL) {
    account->api->op_fail(op, error);
    return;
  }
  g_strv_builder_add_many(all, "x-ms-version", STORAGE_VERSION, NULL);
  for (const char *const *header = request->headers; header != NULL && *header != NULL; header++)
    g_strv_builder_add(all, *header);
  g_auto(GStrv) pairs = g_strv_builder_end(all);
  AzlinHttp http = { .size = sizeof http,
                     .method = request->method,
                     .url = url,
                     .identity = account->key_file == NULL ? &account->identity : NULL,
                     .headers = (const char *const *) pairs,
                     .body = request->body,
                     .content_type = request->content_type != NULL ? request->content_type : "application/xml",
                     .account = pace,
                     .max_body = request->max_body };
  account->api->http(account->host, &http, op);
  explicit_bzero(url, strlen(url));
}

/* ---- what refusals mean ---- */

const char *
storage_header(const AzlinHttpReply *reply, const char *name)
{
  for (const char *const *pair = reply->headers; pair != NULL && pair[0] != NULL; pair += 2)
    if (g_str_equal(pair[0], name))
      return pair[1];
  return "";
}

static const struct {
  const char *code;
  AzlinError class;
  const char *step;
} refusals[] = {
  { "AuthorizationPermissionMismatch", AZLIN_ERROR_PERMISSION,
    "Give whom azlin logs in as the role Storage Blob Data Contributor on the storage account: Owner and Contributor "
    "do not suffice" },
  { "AuthorizationFailure", AZLIN_ERROR_PERMISSION, "Let this host through the storage account's firewall" },
  { "KeyBasedAuthenticationNotPermitted", AZLIN_ERROR_PERMISSION,
    "The account takes no keys: take key-file out of its options, so that azlin logs in by a token" },
  { "AuthenticationFailed", AZLIN_ERROR_AUTH, "Check the account and the key-file, and the clock of this host" },
  { "InvalidAuthenticationInfo", AZLIN_ERROR_AUTH, "Log in again: az login" },
};

GError *
storage_error(const StorageAccount *account, const char *what, const AzlinHttpReply *reply)
{
  const char *code = storage_header(reply, "x-ms-error-code");
  g_autofree char *shown = g_str_to_ascii(code, NULL);
  gsize known = 0;
  while (known < G_N_ELEMENTS(refusals) && !g_str_equal(refusals[known].code, code))
    known++;
  AzlinError class = known < G_N_ELEMENTS(refusals) ? refusals[known].class
                     : reply->status == 401         ? AZLIN_ERROR_AUTH
                     : reply->status == 403         ? AZLIN_ERROR_PERMISSION
                                                    : AZLIN_ERROR_FAILED;
  GError *error = g_error_new(AZLIN_ERROR, (int) class, "%s did not %s: HTTP %d%s%.60s", account->endpoint->origin,
                              what, reply->status, *shown != '\0' ? ", " : "", shown);
  if (known < G_N_ELEMENTS(refusals))
    account->api->error_add_step(error, "%s ([%s])", refusals[known].step, account->group);
  return error;
}
