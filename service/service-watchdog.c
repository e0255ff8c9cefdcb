/* sd_notify(3)'s protocol: datagrams to a socket that the environment names. */
#include "service-watchdog.h"

#include <gio/gio.h>
#include <gio/gunixsocketaddress.h>
#include <unistd.h>

struct _ServiceWatchdog {
  GSocket *socket; /* NULL: nobody listens */
  GSocketAddress *to;
  guint beat; /* source */
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
service_watchdog_say(ServiceWatchdog *watchdog, const char *state)
{
  g_autoptr(GError) error = NULL;
  if (watchdog->socket != NULL
      && g_socket_send_to(watchdog->socket, watchdog->to, state, strlen(state), NULL, &error) < 0)
    g_debug("systemd does not hear %s: %s", state, error->message);
}

static gboolean
on_time(gpointer data)
{
  service_watchdog_say(data, "WATCHDOG=1");
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

ServiceWatchdog *
service_watchdog_new(void)
{
  static const char *const names[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" };
  ServiceWatchdog *watchdog = g_new0(ServiceWatchdog, 1);
  const char *path = g_getenv("NOTIFY_SOCKET");
  guint interval = interval_of(g_getenv("WATCHDOG_USEC"), g_getenv("WATCHDOG_PID"));
  if (path != NULL && (path[0] == '/' || path[0] == '@') && path[1] != '\0') {
    watchdog->to = address_of(path);
    watchdog->socket = g_socket_new(G_SOCKET_FAMILY_UNIX, G_SOCKET_TYPE_DATAGRAM, G_SOCKET_PROTOCOL_DEFAULT, NULL);
  }
  if (watchdog->socket != NULL)
    g_socket_set_blocking(watchdog->socket, FALSE);
  if (watchdog->socket != NULL && interval > 0)
    watchdog->beat = g_timeout_add(interval, on_time, watchdog);
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    g_unsetenv(names[i]);
  return watchdog;
}

void
service_watchdog_free(ServiceWatchdog *watchdog)
{
  g_clear_handle_id(&watchdog->beat, g_source_remove);
  g_clear_object(&watchdog->socket);
  g_clear_object(&watchdog->to);
  g_free(watchdog);
}
