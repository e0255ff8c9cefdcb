/* What the coordinators say of leases. */
#include "lease.h"

#include <unistd.h>

char *
lease_holder(AzlinHost *host)
{
  g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(host->api->now(host) / G_USEC_PER_SEC);
  g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
  return g_strdup_printf("%s, process %d, since %s", g_get_host_name(), (int) getpid(), time);
}

GError *
lease_held(const char *key, const char *holder)
{
  gboolean known = holder != NULL && *holder != '\0';
  return g_error_new(AZLIN_ERROR, AZLIN_ERROR_LOCKED, "\"%s\" is held by %s", key, known ? holder : "another azlin");
}

GError *
lease_lost(const char *key, guint64 token, const char *why)
{
  return g_error_new(AZLIN_ERROR, AZLIN_ERROR_FENCED, "the lease \"%s\" with token %" G_GUINT64_FORMAT " %s", key,
                     token, why);
}
