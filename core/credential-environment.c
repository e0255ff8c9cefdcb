/* Where tokens are asked for and by whom: names, addresses and waiting times, checked before they are used. */
#include "credential-private.h"

#include <gio/gio.h>
#include <string.h>

#define METADATA_ADDRESS "169.254.169.254"
#define LONGEST_WORD 256

const char *
az_token_env(const char *name)
{
  const char *value = g_getenv(name);
  return value != NULL && *value != '\0' ? value : NULL;
}

static gboolean
is_loopback(const char *host)
{
  g_autoptr(GInetAddress) address = g_inet_address_new_from_string(host);
  return address != NULL ? g_inet_address_get_is_loopback(address) : g_ascii_strcasecmp(host, "localhost") == 0;
}

static gboolean
may_be_asked(GUri *uri, gboolean metadata)
{
  const char *host = g_uri_get_host(uri);
  if (host == NULL || *host == '\0' || g_uri_get_userinfo(uri) != NULL || g_uri_get_query(uri) != NULL
      || g_uri_get_fragment(uri) != NULL)
    return FALSE;
  if (g_str_equal(g_uri_get_scheme(uri), "https"))
    return TRUE;
  return g_str_equal(g_uri_get_scheme(uri), "http")
         && (is_loopback(host) || (metadata && g_str_equal(host, METADATA_ADDRESS)));
}

static char *
checked_base(const char *url, const char *what, gboolean metadata, GError **error)
{
  g_autofree char *whole = strstr(url, "://") != NULL ? g_strdup(url) : g_strconcat("https://", url, NULL);
  g_autoptr(GUri) uri = g_uri_parse(whole, G_URI_FLAGS_ENCODED, NULL);
  g_autofree char *shown = NULL;
  if (uri != NULL && may_be_asked(uri, metadata)) {
    g_autofree char *base = g_uri_to_string(uri);
    while (g_str_has_suffix(base, "/"))
      base[strlen(base) - 1] = '\0';
    return g_steal_pointer(&base);
  }
  shown = az_token_quote(url, strlen(url));
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "%s is '%s': it must be an https: address without user, query or fragment (http: for a loopback host "
              "alone)",
              what, shown);
  return NULL;
}

char *
az_token_authority(const char *url, const char *what, GError **error)
{
  return checked_base(url, what, FALSE, error);
}

char *
az_token_metadata_host(const char *url, const char *what, GError **error)
{
  return checked_base(url, what, TRUE, error);
}

gboolean
az_token_plain_word(const char *text, const char *others)
{
  gsize length = strlen(text);
  for (gsize i = 0; i < length; i++)
    if (!g_ascii_isalnum(text[i]) && strchr(others, text[i]) == NULL)
      return FALSE;
  return length > 0 && length <= LONGEST_WORD;
}

char *
az_token_resource(const char *scope)
{
  gsize length = strlen(scope);
  return g_strndup(scope, g_str_has_suffix(scope, "/.default") ? length - strlen(".default") : length);
}

gint64
az_token_retry_after_ms(const AzlinHttpReply *reply)
{
  for (guint i = 0; reply->headers != NULL && reply->headers[i] != NULL && reply->headers[i + 1] != NULL; i += 2) {
    guint64 seconds;
    if (g_str_equal(reply->headers[i], "retry-after")
        && g_ascii_string_to_unsigned(reply->headers[i + 1], 10, 0, 86400, &seconds, NULL))
      return (gint64) seconds * 1000;
  }
  return -1;
}
