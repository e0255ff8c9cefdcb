/* The bus knows whose a connection is; it is asked once for each, and told us when it goes. */
#include "service-peer.h"

#define ASK_MS 20000
#define MANY_USERS 1024u /* from here on those are forgotten who have not called lately */

typedef struct {
  char *name;
  ServiceUser *user; /* NULL: not known yet */
} Peer;

struct _ServicePeers {
  GDBusConnection *bus;
  GCancellable *over;
  GHashTable *table; /* name -> Peer */
  GHashTable *users; /* id -> ServiceUser */
  guint leaving;     /* while anybody is there: a subscription to all who leave the bus */
  ServicePeersWatch watch;
};

static void
peer_free(gpointer data)
{
  Peer *peer = data;
  if (peer->user != NULL)
    peer->user->connections--;
  g_free(peer->name);
  g_free(peer);
}

/* ---- users ---- */

static gboolean
is_forgotten(gpointer id, gpointer data, gpointer now)
{
  const ServiceUser *user = data;
  return user->connections == 0 && user->waiting == 0
         && service_bucket_is_full(&user->calls, SERVICE_CALLS_PER_SECOND, *(gint64 *) now)
         && service_bucket_is_full(&user->jobs, SERVICE_NEW_JOBS_PER_MINUTE / 60.0, *(gint64 *) now);
}

static ServiceUser *
user_of(ServicePeers *peers, guint32 id)
{
  ServiceUser *user = g_hash_table_lookup(peers->users, GUINT_TO_POINTER(id));
  gint64 now = g_get_monotonic_time();
  if (user != NULL)
    return user;
  if (g_hash_table_size(peers->users) >= MANY_USERS)
    g_hash_table_foreach_remove(peers->users, is_forgotten, &now);
  user = g_new0(ServiceUser, 1);
  user->id = id;
  g_hash_table_insert(peers->users, GUINT_TO_POINTER(id), user);
  return user;
}

/* ---- connections ---- */

static void
remove_peer(ServicePeers *peers, const char *name)
{
  g_hash_table_remove(peers->table, name);
  if (g_hash_table_size(peers->table) > 0 || peers->leaving == 0)
    return;
  g_dbus_connection_signal_unsubscribe(peers->bus, peers->leaving);
  peers->leaving = 0;
}

static void
on_owner_changed(GDBusConnection *bus, const char *sender, const char *path, const char *interface, const char *signal,
                 GVariant *arguments, gpointer data)
{
  ServicePeers *peers = data;
  const char *name = NULL, *owner = NULL;
  if (!g_variant_is_of_type(arguments, G_VARIANT_TYPE("(sss)")))
    return;
  g_variant_get(arguments, "(&s&s&s)", &name, NULL, &owner);
  if (*owner != '\0' || !g_hash_table_contains(peers->table, name))
    return;
  remove_peer(peers, name);
  peers->watch.gone(name, peers->watch.data);
}

/* One subscription for all: the bus lets a connection have a few hundred, and callers must not use them up. */
static void
watch_leaving(ServicePeers *peers)
{
  if (peers->leaving == 0)
    peers->leaving = g_dbus_connection_signal_subscribe(peers->bus, "org.freedesktop.DBus", "org.freedesktop.DBus",
                                                        "NameOwnerChanged", "/org/freedesktop/DBus", NULL,
                                                        G_DBUS_SIGNAL_FLAGS_NONE, on_owner_changed, peers, NULL);
}

typedef struct {
  ServicePeers *peers;
  char *name;
} Lookup;

static void
lookup_free(Lookup *lookup)
{
  g_free(lookup->name);
  g_free(lookup);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Lookup, lookup_free)

static void
on_user(GObject *bus, GAsyncResult *result, gpointer data)
{
  g_autoptr(Lookup) lookup = data;
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) reply = g_dbus_connection_call_finish(G_DBUS_CONNECTION(bus), result, &error);
  guint32 id = SERVICE_NOBODY;
  if (g_error_matches(error, G_IO_ERROR, G_IO_ERROR_CANCELLED))
    return;
  ServicePeers *peers = lookup->peers;
  Peer *peer = g_hash_table_lookup(peers->table, lookup->name);
  if (peer == NULL)
    return;
  if (reply != NULL)
    g_variant_get(reply, "(u)", &id);
  if (id == SERVICE_NOBODY) {
    remove_peer(peers, lookup->name); /* its next call asks again */
    peers->watch.known(lookup->name, NULL, peers->watch.data);
    return;
  }
  peer->user = user_of(peers, id);
  peer->user->connections++;
  peers->watch.known(lookup->name, peer->user, peers->watch.data);
}

static void
ask(ServicePeers *peers, const char *name)
{
  Lookup *lookup = g_new0(Lookup, 1);
  *lookup = (Lookup){ .peers = peers, .name = g_strdup(name) };
  g_dbus_connection_call(peers->bus, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus",
                         "GetConnectionUnixUser", g_variant_new("(s)", name), G_VARIANT_TYPE("(u)"),
                         G_DBUS_CALL_FLAGS_NONE, ASK_MS, peers->over, on_user, lookup);
}

ServiceUser *
service_peers_find(ServicePeers *peers, const char *name)
{
  Peer *peer = g_hash_table_lookup(peers->table, name);
  if (peer != NULL)
    return peer->user;
  peer = g_new0(Peer, 1);
  peer->name = g_strdup(name);
  g_hash_table_insert(peers->table, peer->name, peer);
  watch_leaving(peers); /* before the bus is asked: whoever leaves meanwhile is missed by neither */
  ask(peers, name);
  return NULL;
}

/* ---- its life ---- */

ServicePeers *
service_peers_new(GDBusConnection *bus, const ServicePeersWatch *watch)
{
  ServicePeers *peers = g_new0(ServicePeers, 1);
  peers->bus = g_object_ref(bus);
  peers->over = g_cancellable_new();
  peers->table = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, peer_free);
  peers->users = g_hash_table_new_full(g_direct_hash, g_direct_equal, NULL, g_free);
  peers->watch = *watch;
  return peers;
}

void
service_peers_free(ServicePeers *peers)
{
  g_cancellable_cancel(peers->over);
  if (peers->leaving > 0)
    g_dbus_connection_signal_unsubscribe(peers->bus, peers->leaving);
  g_hash_table_unref(peers->table);
  g_hash_table_unref(peers->users);
  g_object_unref(peers->over);
  g_object_unref(peers->bus);
  g_free(peers);
}
