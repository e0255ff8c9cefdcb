/* coordinator-etcd: leases among many hosts, from etcd's JSON gateway. */
#include "etcd.h"

static void
etcd_free(gpointer data)
{
  Etcd *etcd = data;
  etcd_cluster_clear(&etcd->cluster);
  g_hash_table_unref(etcd->leases);
  g_hash_table_unref(etcd->given_up);
  g_hash_table_unref(etcd->announced);
  g_free(etcd);
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Etcd *etcd = g_new0(Etcd, 1);
  etcd->leases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  etcd->given_up = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  etcd->announced = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  if (!etcd_cluster_init(&etcd->cluster, host, "coordinator.etcd", error)) {
    etcd_free(etcd);
    return FALSE;
  }
  *ret_self = etcd;
  return TRUE;
}

static const AzlinOption options[] = {
  ETCD_OPTIONS,
  { 0 },
};

static const AzlinCoordinator iface = {
  .size = sizeof iface,
  .acquire = etcd_acquire,
  .renew = etcd_renew,
  .release = etcd_release,
  .check = etcd_check,
  .announce = etcd_announce,
  .members = etcd_members,
  .leave = etcd_leave,
};
static const AzlinBrick brick = {
  .size = sizeof brick,
  .kind = AZLIN_KIND_COORDINATOR,
  .name = "etcd",
  .summary = "one azlin at a time among many hosts, by leases of etcd with a rising token",
  .options = options,
  .init = init,
  .free = etcd_free,
  .iface = &iface,
};
AZLIN_PLUGIN_DEFINE("azlin.coordinator-etcd", "0.1.0", "MIT", &brick)
