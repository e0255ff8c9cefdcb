/* Sleep of this host, as logind tells it: azlin stops looking before, and looks anew after it. */
#include "service-suspend.h"

#include <gio/gunixfdlist.h>
#include <unistd.h>

#define LOGIND "org.freedesktop.login1"
#define PATH "/org/freedesktop/login1"
#define MANAGER LOGIND ".Manager"
#define LATEST_S 60 /* awake, after it was said to sleep: whoever was to say that it woke did not */

struct _ServiceSuspend {
  void (*slept)(gboolean asleep, gpointer data);
  gpointer data;
  GDBusConnection *bus;
  GCancellable *gone;
  guint subscription, watch, latest;
  int delay; /* holds sleep up until azlin has stopped looking; -1 = not held */
  gboolean asleep;
};

/* ---- the delay ---- */

static void
let_it_sleep(ServiceSuspend *suspend)
{
  if (suspend->delay >= 0)
    close(suspend->delay);
  suspend->delay = -1;
}

static void
on_delay(GObject *bus, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GUnixFDList) descriptors = NULL;
  g_autoptr(GVariant) reply
      = g_dbus_connection_call_with_unix_fd_list_finish(G_DBUS_CONNECTION(bus), &descriptors, result, &error);
  if (reply == NULL) { /* without it the sleep may come a moment before azlin knows of it */
    g_debug("sleep is not held up: %s", error->message);
    return;
  }
  ServiceSuspend *suspend = data;
  gint32 index = -1;
  g_variant_get(reply, "(h)", &index);
  int descriptor = descriptors != NULL ? g_unix_fd_list_get(descriptors, index, NULL) : -1;
  if (suspend->asleep || suspend->delay >= 0) {
    if (descriptor >= 0)
      close(descriptor);
    return;
  }
  suspend->delay = descriptor;
}

static void
hold_it_up(ServiceSuspend *suspend)
{
  g_dbus_connection_call_with_unix_fd_list(
      suspend->bus, LOGIND, PATH, MANAGER, "Inhibit",
      g_variant_new("(ssss)", "sleep", "azlin", "a sleep must not be taken for an outage", "delay"),
      G_VARIANT_TYPE("(h)"), G_DBUS_CALL_FLAGS_NO_AUTO_START, -1, NULL, suspend->gone, on_delay, suspend);
}

/* ---- sleep ---- */

static void
set_asleep(ServiceSuspend *suspend, gboolean asleep)
{
  suspend->asleep = asleep;
  g_clear_handle_id(&suspend->latest, g_source_remove);
  suspend->slept(asleep, suspend->data);
}

static gboolean
on_latest(gpointer data)
{
  ServiceSuspend *suspend = data;
  suspend->latest = 0;
  set_asleep(suspend, FALSE);
  hold_it_up(suspend);
  return G_SOURCE_REMOVE;
}

static void
on_prepare(GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *name,
           GVariant *arguments, gpointer data)
{
  ServiceSuspend *suspend = data;
  gboolean asleep = FALSE;
  if (!g_variant_is_of_type(arguments, G_VARIANT_TYPE("(b)")))
    return;
  g_variant_get(arguments, "(b)", &asleep);
  set_asleep(suspend, asleep);
  if (!asleep) {
    hold_it_up(suspend);
    return;
  }
  suspend->latest = g_timeout_add_seconds(LATEST_S, on_latest, suspend); /* a clock that stands while the host sleeps */
  let_it_sleep(suspend);
}

/* ---- its life ---- */

static void
on_logind(GDBusConnection *bus, const char *name, const char *owner, gpointer data)
{
  hold_it_up(data);
}

static void
on_no_logind(GDBusConnection *bus, const char *name, gpointer data)
{
  ServiceSuspend *suspend = data;
  let_it_sleep(suspend);
  if (suspend->asleep)
    set_asleep(suspend, FALSE);
}

static void
on_bus(GObject *source, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  GDBusConnection *bus = g_bus_get_finish(result, &error);
  if (bus == NULL) { /* a container, most often: then nobody sleeps either */
    g_debug("sleep of this host is not noticed: %s", error->message);
    return;
  }
  ServiceSuspend *suspend = data;
  suspend->bus = bus;
  g_dbus_connection_set_exit_on_close(bus, FALSE);
  suspend->subscription = g_dbus_connection_signal_subscribe(bus, LOGIND, MANAGER, "PrepareForSleep", PATH, NULL,
                                                             G_DBUS_SIGNAL_FLAGS_NONE, on_prepare, suspend, NULL);
  suspend->watch = g_bus_watch_name_on_connection(bus, LOGIND, G_BUS_NAME_WATCHER_FLAGS_NONE, on_logind, on_no_logind,
                                                  suspend, NULL);
}

ServiceSuspend *
service_suspend_new(void (*slept)(gboolean asleep, gpointer data), gpointer data)
{
  ServiceSuspend *suspend = g_new0(ServiceSuspend, 1);
  *suspend = (ServiceSuspend){ .slept = slept, .data = data, .gone = g_cancellable_new(), .delay = -1 };
  g_bus_get(G_BUS_TYPE_SYSTEM, suspend->gone, on_bus, suspend);
  return suspend;
}

void
service_suspend_free(ServiceSuspend *suspend)
{
  g_cancellable_cancel(suspend->gone);
  g_clear_handle_id(&suspend->latest, g_source_remove);
  if (suspend->watch > 0)
    g_bus_unwatch_name(suspend->watch);
  if (suspend->subscription > 0)
    g_dbus_connection_signal_unsubscribe(suspend->bus, suspend->subscription);
  let_it_sleep(suspend);
  g_clear_object(&suspend->bus);
  g_object_unref(suspend->gone);
  g_free(suspend);
}
