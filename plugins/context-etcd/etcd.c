/* context-etcd: region records, primary and epoch that all azlins of one etcd share. */
#include "shared.h"

static void
shared_free(gpointer data)
{
  Shared *shared = data;
  etcd_cluster_clear(&shared->cluster);
  g_free(shared);
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Shared *shared = g_new0(Shared, 1);
  if (!etcd_cluster_init(&shared->cluster, host, "context.etcd", error)) {
    shared_free(shared);
    return FALSE;
  }
  *ret_self = shared;
  return TRUE;
}

static const AzlinOption options[] = {
  ETCD_OPTIONS,
  { 0 },
};

static const AzlinContext iface = {
  .size = sizeof iface,
  .list = shared_list,
  .put = shared_put,
  .forget = shared_forget,
  .set_primary = shared_set_primary,
  .info = shared_info,
  .put_status = shared_put_status,
  .put_all = shared_put_all,
  .raise_epoch = shared_raise_epoch,
  .publish = shared_publish,
  .published = shared_published,
};
static const AzlinBrick brick = {
  .size = sizeof brick,
  .kind = AZLIN_KIND_CONTEXT,
  .name = "etcd",
  .summary = "keeps the region records, the primary and the epoch in etcd, for many hosts",
  .options = options,
  .init = init,
  .free = shared_free,
  .iface = &iface,
};
AZLIN_PLUGIN_DEFINE("azlin.context-etcd", "0.1.0", "MIT", &brick)
