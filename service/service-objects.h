/* The ObjectManager of the service: jobs, each an interface of GDBus, and regions, which are plain memory. */
#pragma once
#include "service-region.h"

#include "azlin-dbus.h"

typedef struct _ServiceObjects ServiceObjects;

GDBusInterfaceInfo *service_objects_interface(void);            /* the ObjectManager's; borrowed, for ever */
ServiceObjects *service_objects_new(const ServiceVoice *voice); /* borrowed */
void service_objects_free(ServiceObjects *objects);
/* Shows all that there are and will be on `connection`; once. */
gboolean service_objects_export(ServiceObjects *objects, GDBusConnection *connection, GError **error);
/* Answers GetManagedObjects with those jobs that `shows` wants (before this returns), and all regions. */
void service_objects_tell(ServiceObjects *objects, GDBusMethodInvocation *invocation,
                          gboolean (*shows)(const char *path, gpointer data), gpointer data);
const ServiceRegion *service_objects_region_at(ServiceObjects *objects, const char *path); /* NULL: there is none */

/* Adding says so on the bus, and so does removing. `job` gets a reference. */
void service_objects_add_job(ServiceObjects *objects, const char *path, GDBusInterfaceSkeleton *job);
void service_objects_remove_job(ServiceObjects *objects, const char *path);
/* Takes `region`. */
void service_objects_add_region(ServiceObjects *objects, ServiceRegion *region);
void service_objects_remove_region(ServiceObjects *objects, const char *name);
GHashTable *service_objects_regions(ServiceObjects *objects); /* name -> ServiceRegion; borrowed, to look at */
