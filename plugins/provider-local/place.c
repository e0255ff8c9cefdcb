/* Chooses loopback addresses and asks them whether an SSH server listens. */
#include "place.h"
#include "option.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define N_PORTS 10000
#define MAX_TRIES 256

gboolean
place_parse_range(const char *text, guint32 *ret_base, guint32 *ret_size, GError **error)
{
  g_auto(GStrv) parts = g_strsplit(text, "/", 2);
  struct in_addr address;
  guint64 bits = 0;
  if (g_strv_length(parts) == 2 && inet_pton(AF_INET, parts[0], &address) == 1
      && g_ascii_string_to_unsigned(parts[1], 10, 8, 30, &bits, NULL)) {
    guint32 size = 1u << (32 - bits);
    guint32 base = ntohl(address.s_addr) & ~(size - 1);
    if (base >> 24 == 127) {
      *ret_base = base;
      *ret_size = size;
      return TRUE;
    }
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "[provider.local] address-range=%s: a range inside 127.0.0.0/8 is needed, such as 127.64.0.0/10", text);
  return FALSE;
}

static struct sockaddr_in
socket_address(const char *address, guint32 port)
{
  struct sockaddr_in result = { .sin_family = AF_INET, .sin_port = htons((guint16) port) };
  if (inet_pton(AF_INET, address, &result.sin_addr) != 1)
    result.sin_addr.s_addr = htonl(INADDR_NONE);
  return result;
}

gboolean
place_is_free(const char *address, guint32 port)
{
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0)
    return FALSE;
  int on = 1;
  struct sockaddr_in place = socket_address(address, port);
  /* As sshd does: connections that linger from an earlier run of the machine do not count. */
  gboolean is_free = setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0
                     && bind(fd, (struct sockaddr *) &place, sizeof place) == 0;
  close(fd);
  return is_free;
}

static void
derive(Local *local, Machine *machine, guint attempt, guint32 base, guint32 size)
{
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_autofree char *seed
      = g_strdup_printf("%s\n%s\n%u", local->host->api->home_dir(local->host), machine->name, attempt);
  guint8 digest[32];
  gsize length = sizeof digest;
  g_checksum_update(sum, (const guchar *) seed, -1);
  g_checksum_get_digest(sum, digest, &length);
  guint32 words[2];
  memcpy(words, digest, sizeof words);
  /* Neither the first nor the last of a range: 127.0.0.0 and broadcast look-alikes confuse people and programs. */
  guint32 address = base + 1 + words[0] % (size - 2);
  struct in_addr in = { .s_addr = htonl(address) };
  char text[INET_ADDRSTRLEN];
  inet_ntop(AF_INET, &in, text, sizeof text);
  g_free(machine->address);
  machine->address = g_strdup(text);
  machine->port = option_uint(local->host, "first-port") + words[1] % N_PORTS;
}

gboolean
place_choose(Local *local, Machine *machine, GError **error)
{
  g_autofree char *range = option_string(local->host, "address-range");
  guint32 base, size;
  if (!place_parse_range(range, &base, &size, error))
    return FALSE;
  for (guint attempt = 0; attempt < MAX_TRIES; attempt++) {
    derive(local, machine, attempt, base, size);
    if (place_is_free(machine->address, machine->port))
      return TRUE;
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CAPACITY, "no free address in %s for machine %s", range, machine->name);
  return FALSE;
}

void
knock_init(Knock *knock)
{
  *knock = (Knock){ .fd = -1 };
}

void
knock_clear(Knock *knock)
{
  if (knock->fd >= 0)
    close(knock->fd);
  knock_init(knock);
}

gboolean
knock_step(Knock *knock, const char *address, guint32 port)
{
  if (knock->fd < 0) {
    struct sockaddr_in place = socket_address(address, port);
    knock->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (knock->fd < 0)
      return FALSE;
    if (connect(knock->fd, (struct sockaddr *) &place, sizeof place) != 0 && errno != EINPROGRESS) {
      knock_clear(knock);
      return FALSE;
    }
  }
  ssize_t n = recv(knock->fd, knock->seen + knock->length, sizeof knock->seen - knock->length, 0);
  if (n > 0)
    knock->length += (gsize) n;
  else if (n == 0 || (errno != EAGAIN && errno != EINTR))
    knock_clear(knock);
  return knock->length == sizeof knock->seen && memcmp(knock->seen, "SSH-", 4) == 0;
}
