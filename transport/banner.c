/* The least that shows an SSH server at work: the line that it greets with. Watching thousands of machines is made of
 * these: no key is exchanged. */
#include "banner.h"

#include "dial.h"
#include "watch.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#define MAX_BYTES 2048 /* of lines before the greeting, and of it */

struct _Banner {
  int fd;
  Watch *watch;
  GString *text;
  void (*done)(AzSshOutcome outcome, const char *detail, gpointer data);
  gpointer data;
};

void
banner_cancel(Banner *banner)
{
  watch_drop(banner->watch, FALSE);
  g_string_free(banner->text, TRUE);
  g_free(banner);
}

static void
end(Banner *banner, AzSshOutcome outcome, const char *detail)
{
  void (*done)(AzSshOutcome, const char *, gpointer) = banner->done;
  gpointer data = banner->data;
  banner_cancel(banner);
  done(outcome, detail, data);
}

static gboolean
has_greeted(const Banner *banner)
{
  return g_str_has_prefix(banner->text->str, "SSH-") || strstr(banner->text->str, "\nSSH-") != NULL;
}

static void
on_readable(guint32 events, gpointer data)
{
  Banner *banner = data;
  char bytes[512];
  ssize_t n = recv(banner->fd, bytes, sizeof bytes, 0);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return;
  if (n < 0) {
    end(banner, dial_outcome(errno), g_strerror(errno));
    return;
  }
  g_string_append_len(banner->text, bytes, n);
  if (has_greeted(banner))
    end(banner, AZ_SSH_OK, NULL);
  else if (n == 0)
    end(banner, AZ_SSH_CLOSED, "the connection was closed before the SSH banner");
  else if (banner->text->len >= MAX_BYTES)
    end(banner, AZ_SSH_ERROR, "what answers is no SSH server");
}

Banner *
banner_start(int fd, void (*done)(AzSshOutcome outcome, const char *detail, gpointer data), gpointer data)
{
  Banner *banner = g_new0(Banner, 1);
  *banner = (Banner){ .fd = fd, .text = g_string_new(NULL), .done = done, .data = data };
  banner->watch = watch_add(fd, EPOLLIN, on_readable, banner);
  return banner;
}
