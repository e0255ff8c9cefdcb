/* Standard input of a local process that stays open: what is said to it while it runs. */
#include "process-input.h"

#include "byte-queue.h"

#include <errno.h>
#include <gio/gio.h>
#include <glib-unix.h>
#include <sys/socket.h>
#include <unistd.h>

struct _AzProcessInput {
  int fd;          /* < 0: closed */
  GSource *source; /* while something waits */
  AzByteQueue queue;
  gboolean closing;
};

static void
hang_up(AzProcessInput *input)
{
  if (input->source != NULL) {
    g_source_destroy(input->source);
    g_clear_pointer(&input->source, g_source_unref);
  }
  if (input->fd >= 0)
    close(input->fd);
  input->fd = -1;
  az_byte_queue_clear(&input->queue);
}

static gboolean
on_writable(int fd, GIOCondition condition, gpointer data)
{
  AzProcessInput *input = data;
  const char *bytes;
  gsize length = az_byte_queue_peek(&input->queue, &bytes);
  gssize n = length > 0 ? send(fd, bytes, length, MSG_NOSIGNAL) : 0;
  if (n > 0)
    az_byte_queue_pop(&input->queue, (gsize) n);
  gboolean broken = n < 0 && errno != EAGAIN && errno != EINTR;
  if (!broken && input->queue.length > 0)
    return G_SOURCE_CONTINUE;
  if (broken || input->closing)
    hang_up(input);
  else
    g_clear_pointer(&input->source, g_source_unref);
  return G_SOURCE_REMOVE;
}

static void
flush(AzProcessInput *input)
{
  if (input->fd < 0 || input->source != NULL)
    return;
  input->source = g_unix_fd_source_new(input->fd, G_IO_OUT);
  g_source_set_callback(input->source, G_SOURCE_FUNC(on_writable), input, NULL);
  g_source_attach(input->source, g_main_context_get_thread_default());
}

AzProcessInput *
az_process_input_new(GBytes *first, int *ret_fd, GError **error)
{
  /* not a pipe: writing to one that nobody reads is a signal */
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) < 0) {
    g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "no room for its input: %s", g_strerror(errno));
    return NULL;
  }
  AzProcessInput *input = g_new0(AzProcessInput, 1);
  input->fd = ends[0];
  *ret_fd = ends[1];
  shutdown(ends[0], SHUT_RD);
  g_unix_set_fd_nonblocking(ends[0], TRUE, NULL);
  gsize size = 0;
  const char *bytes = first != NULL ? g_bytes_get_data(first, &size) : NULL;
  az_process_input_write(input, bytes, size);
  return input;
}

void
az_process_input_free(AzProcessInput *input)
{
  if (input == NULL)
    return;
  hang_up(input);
  g_free(input);
}

gboolean
az_process_input_write(AzProcessInput *input, const char *bytes, gsize length)
{
  if (input->fd < 0 || input->closing)
    return FALSE;
  az_byte_queue_push(&input->queue, bytes, length);
  if (length > 0)
    flush(input);
  return TRUE;
}

void
az_process_input_close(AzProcessInput *input)
{
  input->closing = TRUE;
  flush(input);
}
