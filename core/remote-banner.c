/* The least that shows an SSH server at work: a connection, and the line it greets with. Watching thousands of
 * machines is made of these: no key is exchanged. */
#include "remote-banner.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_BYTES 2048 /* of lines before the greeting, and of it */

struct _AzBanner {
  int fd;
  int trouble; /* errno of what failed at once */
  GSource *source;
  GString *text;
  gboolean connected;
  void (*event)(AzSshStep step, AzSshOutcome outcome, const char *detail, gpointer data);
  gpointer data;
};

static AzSshOutcome
outcome_of(int trouble)
{
  switch (trouble) {
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
  case EPIPE:
    return AZ_SSH_CLOSED;
  default:
    return AZ_SSH_ERROR;
  }
}

static gboolean on_ready(int fd, GIOCondition condition, gpointer data);

static void
wait_for(AzBanner *banner, GIOCondition condition)
{
  banner->source = g_unix_fd_source_new(banner->fd, condition);
  g_source_set_callback(banner->source, G_SOURCE_FUNC(on_ready), banner, NULL);
  g_source_attach(banner->source, g_main_context_get_thread_default());
}

static void
stop_waiting(AzBanner *banner)
{
  if (banner->source == NULL)
    return;
  g_source_destroy(banner->source);
  g_clear_pointer(&banner->source, g_source_unref);
}

/* Whoever hears it may free it. */
static void
fail(AzBanner *banner, int trouble)
{
  stop_waiting(banner);
  banner->event(banner->connected ? AZ_SSH_KEX : AZ_SSH_TCP, outcome_of(trouble), g_strerror(trouble), banner->data);
}

static gboolean
has_greeted(const AzBanner *banner)
{
  return g_str_has_prefix(banner->text->str, "SSH-") || strstr(banner->text->str, "\nSSH-") != NULL;
}

static void
take_bytes(AzBanner *banner)
{
  char bytes[512];
  ssize_t n = recv(banner->fd, bytes, sizeof bytes, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n < 0) {
    fail(banner, errno);
    return;
  }
  g_string_append_len(banner->text, bytes, n);
  gboolean greeted = has_greeted(banner);
  if (!greeted && n > 0 && banner->text->len < MAX_BYTES)
    return;
  stop_waiting(banner);
  if (greeted)
    banner->event(AZ_SSH_KEX, AZ_SSH_OK, NULL, banner->data);
  else if (n == 0)
    banner->event(AZ_SSH_KEX, AZ_SSH_CLOSED, "the connection was closed before the SSH banner", banner->data);
  else
    banner->event(AZ_SSH_KEX, AZ_SSH_ERROR, "what answers is no SSH server", banner->data);
}

static void
take_connection(AzBanner *banner)
{
  int trouble = banner->trouble;
  socklen_t length = sizeof trouble;
  if (trouble == 0 && getsockopt(banner->fd, SOL_SOCKET, SO_ERROR, &trouble, &length) != 0)
    trouble = errno;
  if (trouble != 0) {
    fail(banner, trouble);
    return;
  }
  stop_waiting(banner);
  banner->connected = TRUE;
  wait_for(banner, G_IO_IN);
  banner->event(AZ_SSH_TCP, AZ_SSH_OK, NULL, banner->data);
}

static gboolean
on_ready(int fd, GIOCondition condition, gpointer data)
{
  AzBanner *banner = data;
  if (banner->connected)
    take_bytes(banner);
  else
    take_connection(banner);
  return G_SOURCE_CONTINUE; /* it was destroyed where it is over */
}

static gboolean
on_trouble(gpointer data)
{
  take_connection(data);
  return G_SOURCE_REMOVE;
}

static void
begin(AzBanner *banner, const struct sockaddr *address, socklen_t length)
{
  banner->fd = socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (banner->fd < 0 || (connect(banner->fd, address, length) != 0 && errno != EINPROGRESS))
    banner->trouble = errno;
  if (banner->trouble == 0) {
    wait_for(banner, G_IO_OUT);
    return;
  }
  banner->source = g_idle_source_new();
  g_source_set_callback(banner->source, on_trouble, banner, NULL);
  g_source_attach(banner->source, g_main_context_get_thread_default());
}

AzBanner *
az_banner_read(const char *address, guint16 port,
               void (*event)(AzSshStep step, AzSshOutcome outcome, const char *detail, gpointer data), gpointer data)
{
  struct sockaddr_storage native;
  g_autoptr(GSocketAddress) place = g_inet_socket_address_new_from_string(address, port);
  if (place == NULL || !g_socket_address_to_native(place, &native, sizeof native, NULL))
    return NULL;
  AzBanner *banner = g_new0(AzBanner, 1);
  *banner = (AzBanner){ .fd = -1, .event = event, .data = data, .text = g_string_new(NULL) };
  begin(banner, (const struct sockaddr *) &native, (socklen_t) g_socket_address_get_native_size(place));
  return banner;
}

void
az_banner_free(AzBanner *banner)
{
  stop_waiting(banner);
  if (banner->fd >= 0)
    close(banner->fd);
  g_string_free(banner->text, TRUE);
  g_free(banner);
}
