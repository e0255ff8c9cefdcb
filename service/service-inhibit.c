/* Inhibit: a client holds one end of a pipe, and what it forbade is allowed again when that end is gone. */
#include "service-gate.h"

#include <gio/gunixfdlist.h>
#include <glib-unix.h>
#include <unistd.h>

typedef struct {
  Service *service;
  int fd;
  guint source;
  guint32 owner;
  char *who, *why;
} Inhibition;

void
service_inhibition_apply(gpointer data)
{
  const Inhibition *inhibition = data;
  service_engines_inhibit(inhibition->service, inhibition, inhibition->who, inhibition->why);
}

void
service_inhibition_free(gpointer data)
{
  Inhibition *inhibition = data;
  g_clear_handle_id(&inhibition->source, g_source_remove);
  service_engines_allow(inhibition->service, inhibition);
  close(inhibition->fd);
  g_free(inhibition->who);
  g_free(inhibition->why);
  g_free(inhibition);
}

static gboolean
on_closed(int fd, GIOCondition condition, gpointer data)
{
  Inhibition *inhibition = data;
  inhibition->source = 0;
  Service *service = inhibition->service;
  g_ptr_array_remove_fast(service->inhibitions, inhibition);
  service_look_busy(service);
  return G_SOURCE_REMOVE;
}

GUnixFDList *
service_inhibit(Service *service, const char *who, const char *why, GError **error)
{
  int ends[2];
  if (!g_unix_open_pipe(ends, FD_CLOEXEC, error))
    return NULL;
  Inhibition *inhibition = g_new0(Inhibition, 1);
  *inhibition = (Inhibition){ .service = service, .fd = ends[0], .owner = service_gate_caller(service->gate) };
  inhibition->who = g_strdup(who);
  inhibition->why = g_strdup(why);
  service_inhibition_apply(inhibition);
  inhibition->source = g_unix_fd_add(ends[0], G_IO_HUP | G_IO_ERR, on_closed, inhibition);
  g_ptr_array_add(service->inhibitions, inhibition);
  service_look_busy(service);
  return g_unix_fd_list_new_from_array(&ends[1], 1);
}

guint
service_inhibitions_of(Service *service, guint32 owner)
{
  guint n = 0;
  for (guint i = 0; i < service->inhibitions->len; i++)
    n += ((const Inhibition *) g_ptr_array_index(service->inhibitions, i))->owner == owner;
  return n;
}
