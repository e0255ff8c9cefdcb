/* Readiness of many sockets as one source of the main loop: GLib's own poll() costs O(n) per wake-up, epoll does not.
 */
#pragma once
#include <glib.h>

typedef struct _Watch Watch;

/* `events`: EPOLL* bits. `func` runs on the main loop and may drop any watch, also its own. */
Watch *watch_add(int fd, guint32 events, void (*func)(guint32 events, gpointer data), gpointer data);
void watch_set(Watch *watch, guint32 events);
/* `closed`: the descriptor is closed already, so that its number may belong to somebody else by now. */
void watch_drop(Watch *watch, gboolean closed);
