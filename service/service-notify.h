/* What systemd wants to hear of a service that it runs. */
#pragma once
#include <glib.h>

typedef struct _ServiceNotify ServiceNotify;

/* From the environment of this process, and out of it: children must not speak for the service. With a watchdog,
 * systemd hears from the main loop twice in each of its intervals. Never NULL; without systemd it is silent. */
ServiceNotify *service_notify_new(void);
void service_notify_free(ServiceNotify *notify);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(ServiceNotify, service_notify_free)
/* `state`: "READY=1", "STOPPING=1". */
void service_notify_say(ServiceNotify *notify, const char *state);
