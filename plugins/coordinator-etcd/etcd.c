/* coordinator-etcd: leases among many hosts, from etcd's JSON gateway. */
#include "etcd.h"
#include "option.h"
#include <string.h>

#define MAX_ENDPOINTS 16

static void
etcd_free(gpointer data)
{
  Etcd *etcd = data;
  etcd_cluster_clear(&etcd->cluster);
  g_hash_table_unref(etcd->leases);
  g_hash_table_unref(etcd->given_up);
  g_free(etcd->prefix);
  g_free(etcd);
}

static gboolean
is_loopback(const char *host)
{
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
  return address != NULL ? g_inet_address_get_is_loopback(address) : g_ascii_strcasecmp(host, "localhost") == 0;
}

/* "https://etcd-1.example.com:2379"; a password or a query has no place in it. */
static gboolean
check_endpoint(const char *text, GError **error)
{
  g_autoptr(GUri) uri = g_uri_parse(text, G_URI_FLAGS_NONE, NULL);
  const char *why = "is no address of an etcd member: https://HOST:2379";
  if (uri != NULL && g_uri_get_host(uri) != NULL && *g_uri_get_host(uri) != '\0' && g_uri_get_userinfo(uri) == NULL
      && g_uri_get_query(uri) == NULL && g_uri_get_fragment(uri) == NULL && strcmp(g_uri_get_path(uri), "") == 0) {
    if (strcmp(g_uri_get_scheme(uri), "https") == 0
        || (strcmp(g_uri_get_scheme(uri), "http") == 0 && is_loopback(g_uri_get_host(uri))))
      return TRUE;
    why = "must be https: plain http is for a loopback address alone";
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[coordinator.etcd] endpoints: %s %s", text, why);
  return FALSE;
}

static gboolean
take_endpoints(EtcdCluster *cluster, GError **error)
{
  g_autoptr(GVariant) value = cluster->api->option(cluster->host, "endpoints");
  cluster->endpoints = g_variant_dup_strv(value, NULL);
  guint n = g_strv_length(cluster->endpoints);
  if (n == 0 || n > MAX_ENDPOINTS) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[coordinator.etcd] endpoints must name 1 to %d members",
                MAX_ENDPOINTS);
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    char *endpoint = cluster->endpoints[i];
    if (g_str_has_suffix(endpoint, "/"))
      endpoint[strlen(endpoint) - 1] = '\0';
    if (!check_endpoint(endpoint, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
take_user(EtcdCluster *cluster, GError **error)
{
  g_autofree char *user = option_string(cluster->host, "user"), *file = option_string(cluster->host, "password-file");
  if ((*user == '\0') != (*file == '\0')) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[coordinator.etcd] user and password-file go together");
    return FALSE;
  }
  if (*user != '\0') {
    cluster->user = g_steal_pointer(&user);
    cluster->password_file = g_steal_pointer(&file);
  }
  return TRUE;
}

static gboolean
take_prefix(Etcd *etcd, GError **error)
{
  etcd->prefix = option_string(etcd->cluster.host, "prefix");
  if (*etcd->prefix != '\0' && strlen(etcd->prefix) <= 200)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[coordinator.etcd] prefix must have 1 to 200 bytes");
  return FALSE;
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Etcd *etcd = g_new0(Etcd, 1);
  etcd->cluster.host = host;
  etcd->cluster.api = host->api;
  etcd->leases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  etcd->given_up = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, NULL);
  if (!take_endpoints(&etcd->cluster, error) || !take_user(&etcd->cluster, error) || !take_prefix(etcd, error)) {
    etcd_free(etcd);
    return FALSE;
  }
  *ret_self = etcd;
  return TRUE;
}

static const AzlinOption options[] = {
  { "endpoints", "as", "http://127.0.0.1:2379", NULL, NULL,
    "client addresses of the members: https://HOST:2379; http for a loopback address" },
  { "prefix", "s", "/azlin/", NULL, NULL, "what all keys begin with; azlins that share locks have the same" },
  { "user", "s", "", NULL, NULL, "whom to log in as; empty: this etcd asks nobody" },
  { "password-file", "s", "", NULL, NULL, "password of user, mode 0600" },
  { 0 },
};

static const AzlinCoordinator iface = {
  .size = sizeof iface,
  .acquire = etcd_acquire,
  .renew = etcd_renew,
  .release = etcd_release,
  .check = etcd_check,
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
