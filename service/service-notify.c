/* sd_notify(3)'s protocol: datagrams to a socket that the environment names. */
#include "service-notify.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <unistd.h>

struct _ServiceNotify {
  GSocket *socket; /* NULL: nobody listens */
  GSocketAddress *to;
  guint watchdog;
};

/* '@': in the abstract namespace. */
static GSocketAddress *
address_of(const char *path)
{
  if (path[0] == '@')
    return g_unix_socket_address_new_with_type(path + 1, -1, G_UNIX_SOCKET_ADDRESS_ABSTRACT);
  return g_unix_socket_address_new(path);
}

void
service_notify_say(ServiceNotify *notify, const char *state)
{
  g_autoptr(GError) error = NULL;
  if (notify->socket != NULL && g_socket_send_to(notify->socket, notify->to, state, strlen(state), NULL, &error) < 0)
    g_debug("systemd does not hear %s: %s", state, error->message);
}

static gboolean
on_time(gpointer data)
{
  service_notify_say(data, "WATCHDOG=1");
  return G_SOURCE_CONTINUE;
}

/* Milliseconds between two signs of life; 0: nobody waits for any. */
static guint
interval_of(const char *usec, const char *pid)
{
  guint64 within = 0, whose = 0;
  if (usec == NULL || !g_ascii_string_to_unsigned(usec, 10, 1, G_MAXUINT, &within, NULL))
    return 0;
  if (pid != NULL && (!g_ascii_string_to_unsigned(pid, 10, 1, G_MAXUINT, &whose, NULL) || whose != (guint64) getpid()))
    return 0;
  return (guint) MAX(within / 2000, 1);
}

ServiceNotify *
service_notify_new(void)
{
  static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" };
  ServiceNotify *notify = g_new0(ServiceNotify, 1);
  const char *path = g_getenv("NOTIFY_SOCKET");
  guint interval = interval_of(g_getenv("WATCHDOG_USEC"), g_getenv("WATCHDOG_PID"));
  if (path != NULL && (path[0] == '/' || path[0] == '@') && path[1] != '\0') {
    notify->to = address_of(path);
    notify->socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  }
  if (notify->socket != NULL)
    g_socket_set_blocking(notify->socket, FALSE);
  if (notify->socket != NULL && interval > 0)
    notify->watchdog = g_timeout_add(interval, on_time, notify);
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    g_unsetenv(names[i]);
  return notify;
}

void
service_notify_free(ServiceNotify *notify)
{
  g_clear_handle_id(&notify->watchdog, g_source_remove);
  g_clear_object(&notify->socket);
  g_clear_object(&notify->to);
  g_free(notify);
}
