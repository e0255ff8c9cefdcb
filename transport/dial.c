/* A TCP connect that never blocks: numeric address or name, each address of the name in turn. */
#include "dial.h"

#include "watch.h"

#include <errno.h>
#include <gio/gio.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* A peer that vanished without a word is noticed after about this long, also in the middle of a long command. */
#define DEAD_PEER_MS 30000

struct _Dial {
  char *host;
  guint16 port;
  GList *addresses; /* of GInetAddress, not tried yet */
  GCancellable *cancellable;
  GSource *idle;
  int fd;
  Watch *watch;
  int last_errno;
  void (*done)(int fd, AzSshOutcome outcome, const char *detail, gpointer data);
  gpointer data;
};

static void try_next(Dial *dial);

static void
dial_free(Dial *dial)
{
  watch_drop(dial->watch, FALSE);
  if (dial->fd >= 0)
    close(dial->fd);
  if (dial->idle != NULL) {
    g_source_destroy(dial->idle);
    g_source_unref(dial->idle);
  }
  g_clear_object(&dial->cancellable);
  g_list_free_full(dial->addresses, g_object_unref);
  g_free(dial->host);
  g_free(dial);
}

AzSshOutcome
dial_outcome(int error)
{
  switch (error) {
  case ECONNREFUSED:
    return AZ_SSH_REFUSED;
  case ETIMEDOUT:
    return AZ_SSH_TIMEOUT;
  case EHOSTUNREACH:
  case ENETUNREACH:
  case EHOSTDOWN:
  case ENETDOWN:
    return AZ_SSH_UNREACHABLE;
  case ECONNRESET:
  case ECONNABORTED:
    return AZ_SSH_CLOSED;
  default: /* EMFILE, ENOBUFS, EADDRNOTAVAIL, EPERM: trouble of this host */
    return AZ_SSH_ERROR;
  }
}

static void
end(Dial *dial, AzSshOutcome outcome, const char *detail)
{
  int fd = outcome == AZ_SSH_OK ? dial->fd : -1;
  void (*done)(int, AzSshOutcome, const char *, gpointer) = dial->done;
  gpointer data = dial->data;
  watch_drop(g_steal_pointer(&dial->watch), FALSE);
  if (outcome == AZ_SSH_OK)
    dial->fd = -1;
  dial_free(dial);
  done(fd, outcome, detail, data);
}

static void
end_errno(Dial *dial)
{
  g_autofree char *detail
      = g_strdup_printf("connect to %s port %d: %s", dial->host, dial->port, g_strerror(dial->last_errno));
  end(dial, dial_outcome(dial->last_errno), detail);
}

static void
on_writable(guint32 events, gpointer data)
{
  Dial *dial = data;
  int error = 0;
  socklen_t length = sizeof error;
  if (getsockopt(dial->fd, SOL_SOCKET, SO_ERROR, &error, &length) < 0)
    error = errno;
  if (error == 0) {
    end(dial, AZ_SSH_OK, NULL);
    return;
  }
  dial->last_errno = error;
  watch_drop(g_steal_pointer(&dial->watch), FALSE);
  close(dial->fd);
  dial->fd = -1;
  try_next(dial);
}

static void
set_int(int fd, int level, int option, int value)
{
  setsockopt(fd, level, option, &value, sizeof value);
}

static void
tune(int fd)
{
  set_int(fd, IPPROTO_TCP, TCP_NODELAY, 1);
  set_int(fd, SOL_SOCKET, SO_KEEPALIVE, 1);
  set_int(fd, IPPROTO_TCP, TCP_KEEPIDLE, 15);
  set_int(fd, IPPROTO_TCP, TCP_KEEPINTVL, 5);
  set_int(fd, IPPROTO_TCP, TCP_KEEPCNT, 3);
  set_int(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, DEAD_PEER_MS);
}

static gboolean
begin(Dial *dial, GInetAddress *address)
{
  g_autoptr(GSocketAddress) target = g_inet_socket_address_new(address, dial->port);
  struct sockaddr_storage raw;
  gssize length = g_socket_address_get_native_size(target);
  if (!g_socket_address_to_native(target, &raw, sizeof raw, NULL)) {
    dial->last_errno = EAFNOSUPPORT;
    return FALSE;
  }
  dial->fd = socket(raw.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (dial->fd < 0) {
    dial->last_errno = errno;
    return FALSE;
  }
  tune(dial->fd);
  if (connect(dial->fd, (struct sockaddr *) &raw, (socklen_t) length) < 0 && errno != EINPROGRESS) {
    dial->last_errno = errno;
    close(dial->fd);
    dial->fd = -1;
    return FALSE;
  }
  dial->watch = watch_add(dial->fd, EPOLLOUT, on_writable, dial);
  return TRUE;
}

static void
try_next(Dial *dial)
{
  while (dial->addresses != NULL) {
    g_autoptr(GInetAddress) address = dial->addresses->data;
    dial->addresses = g_list_delete_link(dial->addresses, dial->addresses);
    if (begin(dial, address))
      return;
  }
  end_errno(dial);
}

static void
on_resolved(GObject *resolver, GAsyncResult *result, gpointer data)
{
  g_autoptr(GError) error = NULL;
  GList *addresses = g_resolver_lookup_by_name_finish(G_RESOLVER(resolver), result, &error);
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return; /* the Dial is gone */
  Dial *dial = data;
  if (error != NULL) {
    end(dial, AZ_SSH_ERROR, error->message);
    return;
  }
  dial->addresses = addresses;
  try_next(dial);
}

static gboolean
start_numeric(gpointer data)
{
  Dial *dial = data;
  g_clear_pointer(&dial->idle, g_source_unref);
  try_next(dial);
  return G_SOURCE_REMOVE;
}

Dial *
dial_start(const char *host, guint16 port, void (*done)(int, AzSshOutcome, const char *, gpointer), gpointer data)
{
  Dial *dial = g_new0(Dial, 1);
  *dial = (Dial){ .host = g_strdup(host), .port = port, .fd = -1, .done = done, .data = data };
  GInetAddress *numeric = g_inet_address_new_from_string(host);
  if (numeric == NULL) {
    g_autoptr(GResolver) resolver = g_resolver_get_default();
    dial->cancellable = g_cancellable_new();
    g_resolver_lookup_by_name_async(resolver, host, dial->cancellable, on_resolved, dial);
    return dial;
  }
  dial->addresses = g_list_append(NULL, numeric);
  /* a refusal on loopback is known at once, yet nobody may be called back from inside his own call */
  dial->idle = g_idle_source_new();
  g_source_set_priority(dial->idle, G_PRIORITY_DEFAULT);
  g_source_set_callback(dial->idle, start_numeric, dial, NULL);
  g_source_attach(dial->idle, g_main_context_get_thread_default());
  return dial;
}

void
dial_cancel(Dial *dial)
{
  if (dial == NULL)
    return;
  if (dial->cancellable != NULL)
    g_cancellable_cancel(dial->cancellable);
  dial_free(dial);
}
