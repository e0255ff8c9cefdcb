/* The receive window of a channel: libssh's own is too small for long ways and can only be widened by a trick. */
#include "private.h"

char *
window_buffer(void)
{
  static char *buffer;
  if (buffer == NULL)
    buffer = g_malloc(MAX_WINDOW); /* pages that are never written to cost nothing */
  return buffer;
}

/* Reading with a large count is what makes libssh 0.10 grant more than 1.28 MB; nothing is waited for. */
int
window_open(ssh_channel channel, gsize bytes)
{
  if (!ssh_channel_is_open(channel) || ssh_channel_is_eof(channel))
    return 0;
  return ssh_channel_read_timeout(channel, window_buffer(), (guint32) bytes, 0, 0);
}

/* 1.28 MB, of which the half may be left, are 128 MB/s at 5 ms. TCP may end at a tunnel next door; but a slow server
 * needs 10 ms to begin a command by itself. */
gboolean
window_is_small(double rtt_ms, gint64 start_us)
{
  return rtt_ms >= 5 || start_us >= 20 * 1000;
}

gsize
window_after(gsize allowed, gsize length)
{
  const gsize base = 1280000; /* of libssh 0.10, which fills it up when less than the half is left */
  gsize left = allowed - MIN(allowed, length);
  return left < base / 2 ? base : left;
}
