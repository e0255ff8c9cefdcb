/* Regions on the bus: an object for each one on record, kept up with what stands on disk and what a watch sees. */
#pragma once
#include "service-region.h"
#include "service.h"

typedef struct _ServiceRegions ServiceRegions;

typedef struct { /* whom it tells what changed, once each; all run on the main loop */
  /* Names may be "" (none). */
  void (*primary_moved)(const char *from, const char *to, guint64 epoch, gpointer data);
  void (*state_changed)(const ServiceRegion *region, const char *was, gpointer data);
  gpointer data;
} ServiceRegionsEars;

/* `service`: borrowed; its objects and its engine must be there. Nothing is read before service_regions_look(). */
ServiceRegions *service_regions_new(Service *service, const ServiceRegionsEars *ears);
void service_regions_free(ServiceRegions *regions);
/* Reads the records, soon (of a thousand regions and more at most every half minute): many calls are one. */
void service_regions_look(ServiceRegions *regions);
/* The same, at once: something is known to have changed that matters. */
void service_regions_look_now(ServiceRegions *regions);
/* What the job `watcher` says of `region` (facts a{sv} of its row). One that acts is believed before one that looks. */
void service_regions_take(ServiceRegions *regions, gconstpointer watcher, gboolean acts, const char *region,
                          GVariant *facts);
/* That watch has ended: nobody knows any more what it knew. */
void service_regions_watch_ended(ServiceRegions *regions, gconstpointer watcher);
guint64 service_regions_epoch(const ServiceRegions *regions);
