/* Options of a brick as C has them. */
#include "option.h"

char *
option_string(AzlinHost *host, const char *name)
{
  g_autoptr(GVariant) value = host->api->option(host, name);
  return g_variant_dup_string(value, NULL);
}

guint32
option_uint(AzlinHost *host, const char *name)
{
  g_autoptr(GVariant) value = host->api->option(host, name);
  return g_variant_get_uint32(value);
}
