/* Readiness of many sockets as one source of the main loop: GLib's own poll() costs O(n) per wake-up, epoll does not.
 */
#include "watch.h"

#include <glib-unix.h>
#include <sys/epoll.h>
#include <unistd.h>

#define BATCH 256

struct _Watch {
  int fd;
  guint32 events;
  void (*func)(guint32 events, gpointer data);
  gpointer data;
  gboolean dropped;
};

static int epoll_fd = -1;
static GSource *set_source;
static guint n_watches;
static GPtrArray *dropped; /* during a batch: the kernel's answer may still name them */

static gboolean
dispatch(int fd, GIOCondition condition, gpointer unused)
{
  struct epoll_event batch[BATCH];
  int n = epoll_wait(epoll_fd, batch, BATCH, 0);
  g_autoptr(GPtrArray) garbage = g_ptr_array_new_with_free_func(g_free);
  dropped = garbage;
  for (int i = 0; i < n; i++) {
    Watch *watch = batch[i].data.ptr;
    if (!watch->dropped)
      watch->func(batch[i].events, watch->data);
  }
  dropped = NULL;
  return G_SOURCE_CONTINUE;
}

static void
open_set(void)
{
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  set_source = g_unix_fd_source_new(epoll_fd, G_IO_IN);
  g_source_set_callback(set_source, G_SOURCE_FUNC(dispatch), NULL, NULL);
  g_source_attach(set_source, g_main_context_get_thread_default());
}

static void
close_set(void)
{
  g_source_destroy(set_source);
  g_clear_pointer(&set_source, g_source_unref);
  close(epoll_fd);
  epoll_fd = -1;
}

Watch *
watch_add(int fd, guint32 events, void (*func)(guint32, gpointer), gpointer data)
{
  if (n_watches++ == 0)
    open_set();
  Watch *watch = g_new0(Watch, 1);
  *watch = (Watch){ .fd = fd, .events = events, .func = func, .data = data };
  struct epoll_event event = { .events = events, .data.ptr = watch };
  epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event);
  return watch;
}

void
watch_set(Watch *watch, guint32 events)
{
  if (watch->events == events)
    return;
  watch->events = events;
  struct epoll_event event = { .events = events, .data.ptr = watch };
  epoll_ctl(epoll_fd, EPOLL_CTL_MOD, watch->fd, &event);
}

void
watch_drop(Watch *watch, gboolean closed)
{
  if (watch == NULL)
    return;
  if (!closed)
    epoll_ctl(epoll_fd, EPOLL_CTL_DEL, watch->fd, NULL);
  watch->dropped = TRUE;
  if (dropped != NULL)
    g_ptr_array_add(dropped, watch);
  else
    g_free(watch);
  if (--n_watches == 0)
    close_set();
}
