/* Regions on the bus: an object for each one on record, kept up with what stands on disk and what a watch sees. */
#pragma once
#include "service.h"

typedef struct _ServiceRegions ServiceRegions;

/* `changed` runs whenever the primary is another one than before; `from` and `to` may be "" (none). */
typedef void (*ServicePrimaryMoved)(const char *from, const char *to, guint64 epoch, gpointer data);

/* `service`: borrowed; its objects and its engine must be there. Nothing is read before service_regions_look(). */
ServiceRegions *service_regions_new(Service *service, ServicePrimaryMoved moved, gpointer data);
void service_regions_free(ServiceRegions *regions);
/* Reads the records, soon: many calls in a short time are one. */
void service_regions_look(ServiceRegions *regions);
/* What a watch, the job `watcher`, says of `region` (facts a{sv} of its row). */
void service_regions_take(ServiceRegions *regions, gconstpointer watcher, const char *region, GVariant *facts);
/* That watch has ended: nobody knows any more what it knew. */
void service_regions_watch_ended(ServiceRegions *regions, gconstpointer watcher);

/* ---- for whoever counts ---- */

typedef struct {
  const char *name, *status, *state; /* borrowed until the main loop goes on */
  gboolean is_primary, fence_pending;
  gint64 last_sync, last_answer; /* microseconds since 1970; 0 = never */
  double latency_ms;             /* < 0 = unknown */
} ServiceRegionView;
guint service_regions_count(const ServiceRegions *regions);
guint64 service_regions_epoch(const ServiceRegions *regions);
/* Names of all, sorted; the array is owned, the names are not, and each may be gone by the time it is viewed. */
GPtrArray *service_regions_names(const ServiceRegions *regions);
gboolean service_regions_view(const ServiceRegions *regions, const char *name, ServiceRegionView *ret_view);
