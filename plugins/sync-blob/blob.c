/* sync-blob: copies through a staging container of Azure Blob Storage, filled and emptied side by side with curl. */
#include "blob.h"
#include <string.h>

#define SCOPE "https://storage.azure.com/.default"

static const struct {
  const char *suffix, *authority;
} clouds[] = {
  { ".core.chinacloudapi.cn", "https://login.chinacloudapi.cn" },
  { ".core.usgovcloudapi.net", "https://login.microsoftonline.us" },
  { "", "https://login.microsoftonline.com" },
};

static char *
option_string(AzlinHost *host, const char *name)
{
  g_autoptr(GVariant) value = host->api->option(host, name);
  return g_variant_dup_string(value, NULL);
}

static guint32
option_uint(AzlinHost *host, const char *name)
{
  g_autoptr(GVariant) value = host->api->option(host, name);
  return g_variant_get_uint32(value);
}

static double
score(gpointer data, const AzlinSyncJob *job, char **ret_reason)
{
  Blob *blob = data;
  BlobSpeed speed = { .mib_per_second = option_uint(blob->host, "throughput"),
                      .files_per_second = option_uint(blob->host, "files-per-second") };
  return blob_predict(&speed, blob->endpoint, job, ret_reason);
}

static void
transfer(gpointer self, const AzlinSyncJob *job, AzlinOp *op)
{
  blob_transfer_all(self, &job, &op, 1);
}

/* ---- the brick ---- */

static void
blob_free(gpointer data)
{
  Blob *blob = data;
  blob_endpoint_free(blob->endpoint);
  g_free(blob->key_file);
  g_free((char *) (guintptr) blob->identity.origin);
  g_free((char *) (guintptr) blob->identity.authority);
  g_free(blob);
}

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

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Blob *blob = g_new0(Blob, 1);
  g_autofree char *endpoint = option_string(host, "endpoint"), *account = option_string(host, "account"),
                  *key_file = option_string(host, "key-file");
  blob->host = host;
  blob->api = host->api;
  blob->key_file = *key_file != '\0' ? g_steal_pointer(&key_file) : NULL;
  blob->endpoint = *endpoint != '\0' ? blob_endpoint_parse(endpoint, account, error) : NULL;
  if (*endpoint != '\0' && blob->endpoint == NULL) {
    blob_free(blob);
    return FALSE;
  }
  if (blob->endpoint != NULL)
    blob->identity = (AzlinIdentity){ .size = sizeof(AzlinIdentity),
                                      .origin = g_strdup(blob->endpoint->origin),
                                      .authority = authority(blob->endpoint->origin),
                                      .scope = SCOPE };
  *ret_self = blob;
  return TRUE;
}

static const AzlinOption options[] = {
  { "endpoint", "s", "", NULL, NULL,
    "blob service: https://ACCOUNT.blob.core.windows.net; http for a loopback address" },
  { "account", "s", "", NULL, NULL, "storage account; empty: the one that endpoint names" },
  { "key-file", "s", "", NULL, NULL, "account key, mode 0600, where no token can be had; empty: a token of the login" },
  { "connections", "u", "0", "0", "64", "side by side from one machine to the blob service; 0: by distance" },
  { "chunk", "u", "0", "0", "1024", "MiB of a big file that are stored at once; 0: by distance and size" },
  { "throughput", "u", "50", "1", "100000", "MiB per second between machines and blob service, for predictions" },
  { "files-per-second", "u", "5000", "1", "10000000", "small files per second, for predictions" },
  { 0 },
};

static const AzlinSync iface = {
  .size = sizeof iface, .score = score, .transfer = transfer, .asks_for_key = TRUE, .transfer_all = blob_transfer_all
};
static const AzlinBrick brick = {
  .size = sizeof brick,
  .kind = AZLIN_KIND_SYNC,
  .name = "blob",
  .summary = "copies through a staging container of Azure Blob Storage, stored once for all targets",
  .options = options,
  .init = init,
  .free = blob_free,
  .recover = blob_recover,
  .iface = &iface,
};
AZLIN_PLUGIN_DEFINE("azlin.sync-blob", "0.1.0", "MIT", &brick)
