/* Who is at the other end of the bus: connections, and the users that they belong to. */
#pragma once
#include "service-limit.h"
#include "service-store.h"

#include <gio/gio.h>

typedef struct {
  guint32 id;
  guint connections;
  guint waiting;             /* calls whose right is being asked for */
  ServiceBucket calls, jobs; /* what he has taken of them lately */
} ServiceUser;

typedef struct _ServicePeers ServicePeers;

typedef struct {
  /* The bus has said whose connection `name` is; NULL: it could not. */
  void (*known)(const char *name, ServiceUser *user, gpointer data);
  void (*gone)(const char *name, gpointer data);
  gpointer data;
} ServicePeersWatch;

ServicePeers *service_peers_new(GDBusConnection *bus, const ServicePeersWatch *watch);
void service_peers_free(ServicePeers *peers);
/* NULL: the bus is being asked, and `known` will tell. Users live as long as one of their connections. */
ServiceUser *service_peers_find(ServicePeers *peers, const char *name);
