/* Which cluster of etcd a brick's options name, and as whom. */
#include "etcd-cluster.h"
#include "option.h"
#include "secret-file.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_ENDPOINTS 16
#define MAX_KEY 65536

static gboolean
is_loopback(const char *host)
{
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
  return address != NULL ? g_inet_address_get_is_loopback(address) : g_ascii_strcasecmp(host, "localhost") == 0;
}

/* "https://etcd-1.example.com:2379"; a password or a query has no place in it. */
static gboolean
check_endpoint(const char *section, const char *text, GError **error)
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
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[%s] endpoints: %s %s", section, text, why);
  return FALSE;
}

static gboolean
take_endpoints(EtcdCluster *cluster, GError **error)
{
  g_autoptr(GVariant) value = cluster->api->option(cluster->host, "endpoints");
  cluster->endpoints = g_variant_dup_strv(value, NULL);
  guint n = g_strv_length(cluster->endpoints);
  if (n == 0 || n > MAX_ENDPOINTS) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[%s] endpoints must name 1 to %d members", cluster->section,
                MAX_ENDPOINTS);
    return FALSE;
  }
  for (guint i = 0; i < n; i++) {
    char *endpoint = cluster->endpoints[i];
    if (g_str_has_suffix(endpoint, "/"))
      endpoint[strlen(endpoint) - 1] = '\0';
    if (!check_endpoint(cluster->section, endpoint, error))
      return FALSE;
  }
  return TRUE;
}

static gboolean
take_user(EtcdCluster *cluster, GError **error)
{
  g_autofree char *user = option_string(cluster->host, "user"), *file = option_string(cluster->host, "password-file");
  if ((*user == '\0') != (*file == '\0')) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[%s] user and password-file go together", cluster->section);
    return FALSE;
  }
  if (*user != '\0') {
    cluster->user = g_steal_pointer(&user);
    cluster->password_file = g_steal_pointer(&file);
  }
  return TRUE;
}

static gboolean
is_readable(const char *section, const char *option, const char *path, GError **error)
{
  if (path == NULL || g_access(path, R_OK) == 0)
    return TRUE;
  int number = errno;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[%s] %s %s cannot be read: %s", section, option, path,
              g_strerror(number));
  return FALSE;
}

static char *
option_or_null(EtcdCluster *cluster, const char *name)
{
  g_autofree char *text = option_string(cluster->host, name);
  return *text != '\0' ? g_steal_pointer(&text) : NULL;
}

static gboolean
check_key(const EtcdCluster *cluster, GError **error)
{
  g_autofree char *option = g_strdup_printf("[%s] key-file", cluster->section);
  char *key = secret_file_read(cluster->key_file, option, MAX_KEY, error);
  gboolean readable = key != NULL;
  secret_wipe(key);
  return readable;
}

static gboolean
check_certificates(const EtcdCluster *cluster, GError **error)
{
  const char *why = NULL;
  if ((cluster->certificate_file == NULL) != (cluster->key_file == NULL))
    why = "certificate-file and key-file go together";
  for (char **endpoint = cluster->endpoints; why == NULL && *endpoint != NULL; endpoint++)
    if (!g_str_has_prefix(*endpoint, "https:") && (cluster->ca_file != NULL || cluster->certificate_file != NULL))
      why = "ca-file and certificate-file are for https: all endpoints must be";
  if (why == NULL)
    return is_readable(cluster->section, "ca-file", cluster->ca_file, error)
           && is_readable(cluster->section, "certificate-file", cluster->certificate_file, error)
           && (cluster->key_file == NULL || check_key(cluster, error));
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[%s] %s", cluster->section, why);
  return FALSE;
}

static gboolean
take_certificates(EtcdCluster *cluster, GError **error)
{
  cluster->ca_file = option_or_null(cluster, "ca-file");
  cluster->certificate_file = option_or_null(cluster, "certificate-file");
  cluster->key_file = option_or_null(cluster, "key-file");
  cluster->tls = (AzlinTls){ .size = sizeof(AzlinTls),
                             .ca_file = cluster->ca_file,
                             .certificate_file = cluster->certificate_file,
                             .key_file = cluster->key_file };
  return check_certificates(cluster, error);
}

static gboolean
take_prefix(EtcdCluster *cluster, GError **error)
{
  cluster->prefix = option_string(cluster->host, "prefix");
  if (*cluster->prefix != '\0' && strlen(cluster->prefix) <= 200)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[%s] prefix must have 1 to 200 bytes", cluster->section);
  return FALSE;
}

gboolean
etcd_cluster_init(EtcdCluster *cluster, AzlinHost *host, const char *section, GError **error)
{
  *cluster = (EtcdCluster){ .host = host, .api = host->api, .section = section };
  return take_endpoints(cluster, error) && take_user(cluster, error) && take_certificates(cluster, error)
         && take_prefix(cluster, error);
}

void
etcd_cluster_clear(EtcdCluster *cluster)
{
  g_strfreev(cluster->endpoints);
  g_free(cluster->prefix);
  g_free(cluster->user);
  g_free(cluster->password_file);
  g_free(cluster->ca_file);
  g_free(cluster->certificate_file);
  g_free(cluster->key_file);
  secret_wipe(cluster->token);
}
