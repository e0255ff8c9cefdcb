/* The address of a blob service: what may be configured, and what it says about the account. */
#include "storage.h"
#include <string.h>

static gboolean
is_loopback(const char *host)
{
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
  return address != NULL ? g_inet_address_get_is_loopback(address) : g_ascii_strcasecmp(host, "localhost") == 0;
}

static gboolean
is_account(const char *name)
{
  gsize length = strlen(name);
  return length >= 3 && length <= 24 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == length;
}

/* "acct" of acct.blob.core.windows.net, or of 127.0.0.1/acct. */
static char *
guess_account(GUri *uri)
{
  const char *host = g_uri_get_host(uri), *path = g_uri_get_path(uri);
  if (path[0] == '/' && path[1] != '\0')
    return g_strndup(path + 1, strcspn(path + 1, "/"));
  return g_hostname_is_ip_address(host) ? g_strdup("") : g_strndup(host, strcspn(host, "."));
}

static gboolean
refuse(GError **error, const char *group, const char *what, const char *word)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[%s] %s: %s", group, what, word);
  return FALSE;
}

static gboolean
check(GUri *uri, const char *group, const char *url, GError **error)
{
  const char *scheme = g_uri_get_scheme(uri), *host = g_uri_get_host(uri), *path = g_uri_get_path(uri);
  if (host == NULL || *host == '\0' || g_uri_get_userinfo(uri) != NULL || g_uri_get_query(uri) != NULL
      || g_uri_get_fragment(uri) != NULL || strpbrk(url, "\"\\ \t\r\n") != NULL
      || strspn(path, "abcdefghijklmnopqrstuvwxyz0123456789/") != strlen(path))
    return refuse(error, group, "endpoint is no address of a blob service", url);
  if (g_str_equal(scheme, "http") && !is_loopback(host))
    return refuse(error, group, "endpoint must be https", url);
  if (!g_str_equal(scheme, "http") && !g_str_equal(scheme, "https"))
    return refuse(error, group, "endpoint must be https", url);
  return TRUE;
}

StorageEndpoint *
storage_endpoint_parse(const char *group, const char *url, const char *account, GError **error)
{
  g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_NONE, NULL);
  if (uri == NULL) {
    refuse(error, group, "endpoint is no address of a blob service", url);
    return NULL;
  }
  if (!check(uri, group, url, error))
    return NULL;
  g_autofree char *name = account != NULL && *account != '\0' ? g_strdup(account) : guess_account(uri);
  if (!is_account(name)) {
    refuse(error, group, "account is no name of a storage account", name);
    return NULL;
  }
  StorageEndpoint *endpoint = g_new0(StorageEndpoint, 1);
  const char *path = g_uri_get_path(uri);
  gsize length = strlen(path);
  while (length > 0 && path[length - 1] == '/')
    length--;
  g_autofree char *kept = g_strndup(path, length);
  endpoint->origin = g_uri_join(G_URI_FLAGS_NONE, g_uri_get_scheme(uri), NULL, g_uri_get_host(uri), g_uri_get_port(uri),
                                "", NULL, NULL);
  endpoint->url = g_strconcat(endpoint->origin, kept, NULL);
  endpoint->account = g_steal_pointer(&name);
  endpoint->https = g_str_equal(g_uri_get_scheme(uri), "https");
  return endpoint;
}

void
storage_endpoint_free(StorageEndpoint *endpoint)
{
  if (endpoint == NULL)
    return;
  g_free(endpoint->url);
  g_free(endpoint->origin);
  g_free(endpoint->account);
  g_free(endpoint);
}
