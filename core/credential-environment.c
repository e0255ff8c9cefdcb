/* Where tokens are asked for and by whom: names, addresses and waiting times, checked before they are used. */
#include "credential-private.h"

#include "http-private.h"

#include <string.h>

/* the one address outside this host that may be asked without TLS: a link-local hop away */
#define METADATA_HOST "http://169.254.169.254"
#define LONGEST_WORD 256

const char *
az_token_env(const char *name)
{
  const char *value = g_getenv(name);
  return value != NULL && *value != '\0' ? value : NULL;
}

static gboolean
is_base(const char *url, gboolean metadata)
{
  if (metadata && g_str_equal(url, METADATA_HOST))
    return TRUE;
  g_autoptr(GUri) uri = az_http_url_check(url, NULL, NULL);
  return uri != NULL && g_uri_get_query(uri) == NULL;
}

static char *
checked_base(const char *url, const char *what, gboolean metadata, GError **error)
{
  g_autofree char *base = strstr(url, "://") != NULL ? g_strdup(url) : g_strconcat("https://", url, NULL);
  while (g_str_has_suffix(base, "/"))
    base[strlen(base) - 1] = '\0';
  if (is_base(base, metadata))
    return g_steal_pointer(&base);
  g_autofree char *shown = az_token_quote(url, strlen(url));
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "%s is '%s': it must be an https: address without user or query (http: for a loopback host alone)", what,
              shown);
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

gboolean
az_token_is_silence(const GError *error)
{
  return g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NETWORK)
         || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
}
