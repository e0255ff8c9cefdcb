/* Which proxies the environment names; only https ever goes through one. */
#include "http-private.h"

#include <string.h>

static const char *
variable(const char *lower, const char *upper)
{
  const char *value = g_getenv(lower);
  return value != NULL && *value != '\0' ? value : g_getenv(upper);
}

static char **
exceptions(void)
{
  const char *list = variable("no_proxy", "NO_PROXY");
  g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
  g_auto(GStrv) parts = g_strsplit_set(list != NULL ? list : "", ", ", -1);

  for (char **part = parts; *part != NULL; part++)
    if (**part != '\0')
      g_strv_builder_add(builder, *part);
  return g_strv_builder_end(builder);
}

GProxyResolver *
http_proxies_from_environment(void)
{
  const char *value = variable("https_proxy", "HTTPS_PROXY");
  g_auto(GStrv) except = exceptions();

  if (value == NULL || *value == '\0')
    value = variable("all_proxy", "ALL_PROXY");
  if (value == NULL || *value == '\0' || g_strv_contains((const char *const *) except, "*"))
    return NULL;
  g_autofree char *proxy = strstr(value, "://") != NULL ? g_strdup(value) : g_strconcat("http://", value, NULL);
  return g_simple_proxy_resolver_new(proxy, except);
}
