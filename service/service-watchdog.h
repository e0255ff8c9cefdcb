/* What systemd wants to hear of a service that it runs. */
#pragma once
#include <glib.h>

typedef struct _ServiceWatchdog ServiceWatchdog;

/* From the environment of this process, and out of it: children must not speak for the service. With a watchdog,
 * systemd hears from the main loop twice in each of its intervals. Never NULL; without systemd it is silent. */
ServiceWatchdog *service_watchdog_new(void);
void service_watchdog_free(ServiceWatchdog *watchdog);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ServiceWatchdog, service_watchdog_free)
/* `state`: "READY=1", "STOPPING=1". */
void service_watchdog_say(ServiceWatchdog *watchdog, const char *state);
