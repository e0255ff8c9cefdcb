/* sync-blob: copies through a staging container of Azure Blob Storage, filled and emptied side by side with curl. */
#include "blob.h"
#include "option.h"
#include <string.h>

static double
score(gpointer data, const AzlinSyncJob *job, char **ret_reason)
{
  Blob *blob = data;
  BlobSpeed speed = { .mib_per_second = option_uint(blob->host, "throughput"),
                      .files_per_second = option_uint(blob->host, "files-per-second") };
  return blob_predict(&speed, blob->account.endpoint, job, ret_reason);
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
  storage_account_clear(&blob->account);
  g_free(blob);
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Blob *blob = g_new0(Blob, 1);
  blob->host = host;
  blob->api = host->api;
  if (!storage_account_init(&blob->account, host, "sync.blob", "dlc", "sc", error)) {
    blob_free(blob);
    return FALSE;
  }
  *ret_self = blob;
  return TRUE;
}

static const AzlinOption options[] = {
  { "endpoint", "s", "", NULL, NULL, STORAGE_ENDPOINT_HELP },
  { "account", "s", "", NULL, NULL, STORAGE_ACCOUNT_HELP },
  { "key-file", "s", "", NULL, NULL, STORAGE_KEY_FILE_HELP },
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
