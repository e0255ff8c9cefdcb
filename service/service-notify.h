/* What is worth waking somebody for: regions that go dark, and primaries that move. Each change once, to the journal
 * and to the desktop. */
#pragma once
#include "service-region.h"

typedef struct _ServiceNotify ServiceNotify;

ServiceNotify *service_notify_new(void);
void service_notify_free(ServiceNotify *notify);
/* From now on the desktop behind this session bus is told, too. */
void service_notify_set_desktop(ServiceNotify *notify, GDBusConnection *session);

void service_notify_state(ServiceNotify *notify, const ServiceRegion *region, const char *was);
/* The primary is `to` now; names may be "" (none). */
void service_notify_primary(ServiceNotify *notify, const char *from, const char *to, guint64 epoch);
/* A switch of the watch came to nothing. */
void service_notify_no_switch(ServiceNotify *notify, const char *from, const char *why);
/* Configuration was read again; `why` NULL = it was taken. */
void service_notify_reload(ServiceNotify *notify, const char *why);
void service_notify_woke(ServiceNotify *notify);

typedef struct { /* since the service began */
  guint64 moves, failed_switches, dark;
} ServiceNotifyCounts;
const ServiceNotifyCounts *service_notify_counts(const ServiceNotify *notify);
