/* Sleep of this host, as logind tells it on the system bus. */
#pragma once
#include <gio/gio.h>

typedef struct _ServiceSuspend ServiceSuspend;

/* `slept` runs with TRUE before the host sleeps, which waits for it, and with FALSE when it is awake again. Where there
 * is no system bus or no logind it never runs. */
ServiceSuspend *service_suspend_new(void (*slept)(gboolean asleep, gpointer data), gpointer data);
void service_suspend_free(ServiceSuspend *suspend);
