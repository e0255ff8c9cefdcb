/* The engine on a message bus: Manager, jobs, and what keeps the process alive. */
#pragma once
#include "azlin-dbus.h"
#include "engine.h"

typedef struct _Service Service;

Service *service_new(AzEngine *engine); /* borrowed; must outlive the service */
void service_free(Service *service);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Service, service_free)
/* Shows all objects on `connection`, a bus or a peer. */
gboolean service_export(Service *service, GDBusConnection *connection, GError **error);
/* The same on the system bus, where each call is looked at first, and polkit is asked: service-gate.h. */
gboolean service_export_guarded(Service *service, GDBusConnection *connection, GError **error);
/* Regions that go dark and primaries that move are shown on the desktop behind this session bus, too. */
void service_set_desktop(Service *service, GDBusConnection *session);
/* Offers figures where the configuration wants them; CONFIG. */
gboolean service_offer_metrics(Service *service, GError **error);
/* Reads the configuration again, for jobs that come from now on; one that is bad changes nothing. The journal is told.
 */
void service_reload(Service *service, const char *config, const char *home);
/* What a service was at that died in this home stands on the bus from the export on: watches as running under their
 * numbers, all else as failed. Here, once the name is there, watches go on, and the disk forgets the others. */
void service_resume(Service *service);
/* `changed` runs whenever the service begins or ceases to have something to do. */
void service_on_busy(Service *service, void (*changed)(gboolean busy, gpointer data), gpointer data);
gboolean service_is_busy(const Service *service);
/* Ends every job in good order, or at least in a way that the journal knows of; `done` runs once none is left. */
void service_wind_up(Service *service, void (*done)(gpointer data), gpointer data);
