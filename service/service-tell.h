/* Who hears what a job says, in system mode: those who may, each by name; nothing is called out to the whole bus. */
#pragma once
#include "azlin-dbus.h"

typedef struct _ServiceTeller ServiceTeller;

ServiceTeller *service_teller_new(GDBusConnection *bus);
void service_teller_free(ServiceTeller *teller);
/* From now on `job` at `path` is listened to, until it says Finished or is removed. */
void service_teller_add_job(ServiceTeller *teller, const char *path, DbusJob *job);
void service_teller_remove_job(ServiceTeller *teller, const char *path);
/* `name`, a connection of `user`, hears of it, too. FALSE: the user hears of as much as one may. */
gboolean service_teller_follow(ServiceTeller *teller, const char *path, const char *name, guint32 user);
/* Of all regions. */
gboolean service_teller_follow_regions(ServiceTeller *teller, const char *name, guint32 user);
void service_teller_say(ServiceTeller *teller, const char *path, const char *interface, const char *what,
                        GVariant *arguments);
/* The connection is gone. */
void service_teller_forget(ServiceTeller *teller, const char *name);
