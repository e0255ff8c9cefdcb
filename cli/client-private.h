/* What the two ways to the engine share: one table each, behind the five calls. */
#pragma once
#include "client.h"

typedef struct {
  void (*free)(Client *client);
  GVariant *(*query)(Client *client, const char *what, GVariant *args, GError **error);
  gint64 (*now)(Client *client);
  ClientJob *(*submit)(Client *client, const char *kind, GVariant *args, const ClientWatch *watch, GError **error);
  ClientJob *(*attach)(Client *client, guint64 number, const ClientWatch *watch, GError **error);
  gboolean (*cancel_job)(Client *client, guint64 number, GError **error);
  const char *(*kind)(ClientJob *job);
  void (*start)(ClientJob *job);
  void (*answer)(ClientJob *job, gboolean yes);
  void (*cancel)(ClientJob *job);
  int (*exit_code)(ClientJob *job);
  GVariant *(*result)(ClientJob *job);
} ClientWay;

struct _Client { /* at the head of what each way has */
  const ClientWay *way;
};

struct _ClientJob {
  Client *client;
  ClientWatch watch;
};

Client *client_local_new(const char *config, const char *home, GError **error);
/* NULL without an error: no service works in this home with this configuration. */
Client *client_bus_new(const ClientPlace *place, GError **error);
