/* Which addresses may be used: a token must never go to a host that only looks like the right one. */
#include "http-private.h"

#include <string.h>

#define MAX_URL (16 * 1024)

static gboolean
refuse(const char *why, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "the address %s; it was not used", why);
  return FALSE;
}

/* Printable ASCII without what parsers disagree about. */
static gboolean
has_plain_letters(const char *url, GError **error)
{
  gsize length = strlen(url);
  if (length > MAX_URL)
    return refuse("is too long", error);
  for (gsize i = 0; i < length; i++) {
    if (url[i] <= ' ' || url[i] >= 127 || strchr("\\\"<>^`{|}", url[i]) != NULL)
      return refuse("contains characters that no address has", error);
    if (url[i] == '%' && (!g_ascii_isxdigit(url[i + 1]) || !g_ascii_isxdigit(url[i + 2])))
      return refuse("contains a broken escape", error);
  }
  if (strstr(url, "%00") != NULL)
    return refuse("contains a NUL", error);
  if (strchr(url, '#') != NULL)
    return refuse("has a fragment", error);
  return TRUE;
}

static gboolean
is_port(const char *text)
{
  gsize digits = strspn(text, "0123456789");
  return digits > 0 && digits <= 5 && text[digits] == '\0' && *text != '0' && atoi(text) <= 65535;
}

static gboolean
is_name(const char *host)
{
  gsize length = strlen(host);
  const char *last = strrchr(host, '.');
  last = last != NULL ? last + 1 : host;
  if (length == 0 || length > 253 || host[0] == '.' || host[0] == '-' || *last == '\0' || strstr(host, "..") != NULL)
    return FALSE;
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum(host[i]) && host[i] != '-' && host[i] != '.')
      return FALSE;
  /* what ends in a number is an IPv4 address, and then only in its one usual spelling */
  return !g_ascii_isdigit(*last) || g_hostname_is_ip_address(host);
}

/* `authority`: what stands between "//" and the next "/". */
static gboolean
check_authority(char *authority, GError **error)
{
  char *port = strrchr(authority, ':');
  if (strchr(authority, '@') != NULL)
    return refuse("contains a user name", error);
  if (*authority == '[') {
    char *end = strchr(authority, ']');
    if (end == NULL || (end[1] != '\0' && end[1] != ':'))
      return refuse("has no usable host", error);
    port = end[1] == ':' ? end + 1 : NULL;
    *end = '\0';
    if (strchr(authority, '%') != NULL || !g_hostname_is_ip_address(authority + 1))
      return refuse("has no usable host", error);
    return port == NULL || is_port(port + 1) || refuse("has no usable port", error);
  }
  if (port != NULL && !is_port(port + 1))
    return refuse("has no usable port", error);
  if (port != NULL)
    *port = '\0';
  return is_name(authority) || refuse("has no usable host", error);
}

static GUri *
parse(const char *url, GError **error)
{
  if (url == NULL || !has_plain_letters(url, error)) {
    if (url == NULL)
      refuse("is missing", error);
    return NULL;
  }
  gboolean secure = g_ascii_strncasecmp(url, "https://", 8) == 0;
  if (!secure && g_ascii_strncasecmp(url, "http://", 7) != 0) {
    refuse("is neither https nor http", error);
    return NULL;
  }
  const char *start = url + (secure ? 8 : 7);
  g_autofree char *authority = g_strndup(start, strcspn(start, "/?"));
  if (!check_authority(authority, error))
    return NULL;
  GUri *uri = g_uri_parse(url, G_URI_FLAGS_ENCODED | G_URI_FLAGS_SCHEME_NORMALIZE, NULL);
  if (uri == NULL)
    refuse("cannot be read", error);
  return uri;
}

gboolean
az_http_host_is_loopback(const char *host)
{
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
  return address != NULL ? g_inet_address_get_is_loopback(address) : g_ascii_strcasecmp(host, "localhost") == 0;
}

static gboolean
is_secure(GUri *uri)
{
  return g_str_equal(g_uri_get_scheme(uri), "https");
}

static int
port_of(GUri *uri)
{
  int port = g_uri_get_port(uri);
  return port > 0 ? port : is_secure(uri) ? 443 : 80;
}

static gboolean
same_origin(GUri *a, GUri *b)
{
  return is_secure(a) == is_secure(b) && port_of(a) == port_of(b)
         && g_ascii_strcasecmp(g_uri_get_host(a), g_uri_get_host(b)) == 0;
}

GUri *
az_http_url_check(const char *url, const char *origin, GError **error)
{
  g_autoptr(GUri) uri = parse(url, error);
  if (uri == NULL)
    return NULL;
  if (origin == NULL) {
    if (is_secure(uri) || az_http_host_is_loopback(g_uri_get_host(uri)))
      return g_steal_pointer(&uri);
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "plain http to %s; only https may leave this host",
                g_uri_get_host(uri));
    return NULL;
  }
  g_autoptr(GUri) home = az_http_url_check(origin, NULL, error);
  if (home == NULL)
    return NULL;
  if (same_origin(uri, home))
    return g_steal_pointer(&uri);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "%s answered with an address of another host (%s); it was not followed", g_uri_get_host(home),
              g_uri_get_host(uri));
  return NULL;
}
