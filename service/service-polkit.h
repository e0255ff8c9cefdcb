/* Asking polkit whether somebody on the bus may do something. */
#pragma once
#include <gio/gio.h>

typedef struct _ServiceQuestion ServiceQuestion;

/* `why`: NULL when it is allowed; else a sentence without full stop for whoever wanted it. */
typedef void (*ServiceAnswered)(const char *why, gpointer data);

/* Asks about `action` for `sender`, a unique name on `bus`. `details` (a{ss}, may be floating): what the rules of
 * polkit may look at. `interactive`: polkit may ask the person for a password, for as long as that takes. `answered`
 * runs once, from the main loop, never from within this call; not after service_polkit_withdraw(). */
ServiceQuestion *service_polkit_ask(GDBusConnection *bus, const char *sender, const char *action, GVariant *details,
                                    gboolean interactive, ServiceAnswered answered, gpointer data);
/* Nobody waits for the answer any more: a dialog that asks for a password goes. */
void service_polkit_withdraw(ServiceQuestion *question);
