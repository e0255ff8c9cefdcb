/* The service that a command is about, and calls to it: of the session when it works in the same home, of the machine
 * when that was asked for. */
#include "client-service.h"

#include "config.h"
#include "error.h"
#include "home-lock.h"
#include "paths.h"
#include "wire.h"

#include <string.h>

#define BUS "org.freedesktop.DBus"
#define BUS_PATH "/org/freedesktop/DBus"
#define CALL_MS 30000

/* ---- calls ---- */

/* The rights are those to use the service, and no cloud's. */
static void
add_way_to_right(const ClientService *service, GError *error)
{
  az_error_add_step(error, "%s", "");
  if (!service->may_ask)
    az_error_add_step(error, "Run it at a terminal, where a password can be asked for, or with sudo");
  else
    az_error_add_step(error, "Run it with sudo, or have the right granted");
  az_error_add_step(error, "See what the right is for, and who has it: pkaction --verbose");
}

GError *
client_service_error(const ClientService *service, GError *remote)
{
  g_autofree char *name = g_dbus_error_get_remote_error(remote);
  g_dbus_error_strip_remote_error(remote);
  if (!name || !g_str_has_prefix(name, AZ_WIRE_ERROR)) {
    g_prefix_error(&remote, "azlind does not answer: ");
    return remote;
  }
  g_autoptr(GError) owned = remote;
  GError *error = g_error_new_literal(AZLIN_ERROR, (int) az_error_code(name + strlen(AZ_WIRE_ERROR)), owned->message);
  if (service->of_system && error->code == AZLIN_ERROR_PERMISSION)
    add_way_to_right(service, error);
  return error;
}

static GDBusCallFlags
flags_of(const ClientService *service)
{
  gboolean ask = service->of_system && service->may_ask;
  return G_DBUS_CALL_FLAGS_NO_AUTO_START | (ask ? G_DBUS_CALL_FLAGS_ALLOW_INTERACTIVE_AUTHORIZATION : 0);
}

/* People take their time with passwords. */
static int
patience_of(const ClientService *service)
{
  return service->of_system && service->may_ask ? G_MAXINT : CALL_MS;
}

GVariant *
client_service_call(const ClientService *service, const char *path, const char *interface, const char *method,
                    GVariant *arguments, const char *reply_type, GError **error)
{
  GError *remote = NULL;
  GVariant *reply
      = g_dbus_connection_call_sync(service->bus, service->owner, path, interface, method, arguments,
                                    G_VARIANT_TYPE(reply_type), flags_of(service), patience_of(service), NULL, &remote);
  if (!reply)
    g_propagate_error(error, client_service_error(service, remote));
  return reply;
}

GVariant *
client_service_query(const ClientService *service, const char *what, GVariant *args, GError **error)
{
  GVariant *given = args ? args : g_variant_new("a{sv}", NULL);
  g_autoptr(GVariant) reply = client_service_call(service, AZ_WIRE_PATH, AZ_WIRE_NAME ".Manager", "Query",
                                                  g_variant_new("(s@a{sv})", what, given), "(a{sv})", error);
  if (!reply)
    return NULL;
  g_autoptr(GVariant) packed = g_variant_get_child_value(reply, 0);
  return az_wire_unpack(packed);
}

void
client_service_call_async(const ClientService *service, const char *path, const char *interface, const char *method,
                          GVariant *arguments, GCancellable *cancellable, GAsyncReadyCallback done, gpointer data)
{
  g_dbus_connection_call(service->bus, service->owner, path, interface, method, arguments, NULL, flags_of(service),
                         patience_of(service), cancellable, done, data);
}

/* ---- which one ---- */

static GVariant *
ask_bus(const ClientService *service, const char *method, GVariant *arguments, const char *reply_type, GError **error)
{
  return g_dbus_connection_call_sync(service->bus, BUS, BUS_PATH, BUS, method, arguments, G_VARIANT_TYPE(reply_type),
                                     G_DBUS_CALL_FLAGS_NONE, CALL_MS, NULL, error);
}

static gboolean
find_owner(ClientService *service, GError **error)
{
  g_autoptr(GVariant) reply = ask_bus(service, "GetNameOwner", g_variant_new("(s)", AZ_WIRE_NAME), "(s)", error);
  if (reply)
    g_variant_get(reply, "(s)", &service->owner);
  return reply != NULL;
}

static gboolean
start_service(const ClientService *service, GError **error)
{
  g_autoptr(GVariant) started
      = ask_bus(service, "StartServiceByName", g_variant_new("(su)", AZ_WIRE_NAME, 0), "(u)", error);
  return started != NULL;
}

static gboolean
same_file(const char *one, const char *other)
{
  g_autofree char *a = g_canonicalize_filename(one, NULL), *b = g_canonicalize_filename(other, NULL);
  return !strcmp(a, b);
}

static gboolean
is_of_place(GVariant *facts, const char *config, const char *home)
{
  const char *its_home = "", *its_config = "";
  g_variant_lookup(facts, "home", "&s", &its_home);
  g_variant_lookup(facts, "config", "&s", &its_config);
  g_autofree char *ours = az_config_find(config);
  return same_file(its_home, home) && same_file(its_config, ours ? ours : "");
}

static gboolean
find_in_session(ClientService *service, const ClientPlace *place, GVariant **ret_facts)
{
  g_autoptr(AzPaths) paths = az_paths_new(place->home);
  if (!az_home_lock_is_taken(az_paths_home(paths)))
    return FALSE;
  service->bus = g_bus_get_sync(G_BUS_TYPE_SESSION, NULL, NULL);
  if (!service->bus || !find_owner(service, NULL))
    return FALSE;
  g_autoptr(GVariant) facts = client_service_query(service, "engine", NULL, NULL);
  if (!facts || !is_of_place(facts, place->config, az_paths_home(paths)))
    return FALSE;
  *ret_facts = g_steal_pointer(&facts);
  return TRUE;
}

/* Takes `why`. */
static gboolean
refuse_system(const char *what, GError *why, GError **error)
{
  g_autoptr(GError) owned = why;
  g_dbus_error_strip_remote_error(owned);
  GError *refused = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "%s: %s", what, owned->message);
  az_error_add_step(refused, "%s", "");
  az_error_add_step(refused, "See how it does: systemctl status azlind.service");
  az_error_add_step(refused, "Work with your own state and login: leave --system away");
  g_propagate_error(error, refused);
  return FALSE;
}

/* The bus starts it where it does not run; from then on only this one is spoken to. */
static gboolean
find_in_system(ClientService *service, GVariant **ret_facts, GError **error)
{
  GError *why = NULL;
  service->bus = g_bus_get_sync(G_BUS_TYPE_SYSTEM, NULL, &why);
  if (!service->bus)
    return refuse_system("the system bus cannot be reached", why, error);
  if (!find_owner(service, NULL) && (!start_service(service, &why) || !find_owner(service, &why)))
    return refuse_system("no azlind serves this machine", why, error);
  *ret_facts = client_service_query(service, "engine", NULL, error);
  return *ret_facts != NULL;
}

gboolean
client_service_find(const ClientPlace *place, ClientService *ret_service, GVariant **ret_facts, GError **error)
{
  *ret_service = (ClientService){ .of_system = place->of_system, .may_ask = place->may_ask };
  gboolean found = place->of_system ? find_in_system(ret_service, ret_facts, error)
                                    : find_in_session(ret_service, place, ret_facts);
  if (!found)
    client_service_clear(ret_service);
  else
    g_dbus_connection_set_exit_on_close(ret_service->bus, FALSE);
  return found;
}

void
client_service_clear(ClientService *service)
{
  g_clear_object(&service->bus);
  g_clear_pointer(&service->owner, g_free);
}
