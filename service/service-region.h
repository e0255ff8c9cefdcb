/* One region on the bus: its properties, and what is said of their change. Plain memory and not an object of GDBus, of
 * which ten thousand would cost a hundred megabytes. */
#pragma once
#include <gio/gio.h>

#include "wire.h"

#define SERVICE_REGIONS_PATH AZ_WIRE_PATH "/regions" /* above all of them */

typedef struct {
  char *path;
  char *name, *vm_name, *public_ip, *ssh_user, *resource_group, *status, *state; /* of g_ref_string_new_intern() */
  char **seen_by, **dark_from;                                                   /* NULL = nobody */
  guint32 ssh_port;
  gboolean is_primary, fence_pending, unreachable_from_me;
  guint64 created_at, last_health_check, epoch, last_sync, since, last_answer;
  double latency_ms;
  guint32 changed;       /* a bit for each property, until it was said */
  gconstpointer watcher; /* the job whose word its state is; NULL = nobody's */
  guint generation;      /* of the last list that it stood in */
} ServiceRegion;

typedef enum {
  REGION_NAME,
  REGION_VM_NAME,
  REGION_PUBLIC_IP,
  REGION_SSH_PORT,
  REGION_SSH_USER,
  REGION_RESOURCE_GROUP,
  REGION_CREATED_AT,
  REGION_STATUS,
  REGION_LAST_HEALTH_CHECK,
  REGION_IS_PRIMARY,
  REGION_EPOCH,
  REGION_FENCE_PENDING,
  REGION_LAST_SYNC,
  REGION_STATE,
  REGION_SINCE,
  REGION_SEEN_BY,
  REGION_DARK_FROM,
  REGION_UNREACHABLE_FROM_ME,
  REGION_LAST_ANSWER,
  REGION_LATENCY_MS,
  REGION_N_PROPERTIES
} ServiceRegionProperty;

/* Where signals go: to all who are on the bus, or to those who may hear them. */
typedef struct {
  /* `arguments`: may be floating. NULL: nobody is there to hear it. */
  void (*say)(const char *path, const char *interface, const char *signal, GVariant *arguments, gpointer data);
  gpointer data;
} ServiceVoice;

ServiceRegion *service_region_new(const char *name);
void service_region_free(gpointer region);
/* Each remembers whether that is news. The type is the property's own. */
void service_region_set_text(ServiceRegion *region, ServiceRegionProperty property, const char *text);
void service_region_set_names(ServiceRegion *region, ServiceRegionProperty property, const char *const *names);
void service_region_set_number(ServiceRegion *region, ServiceRegionProperty property, guint64 number); /* also b, u */
void service_region_set_double(ServiceRegion *region, ServiceRegionProperty property, double number);
/* Says what has changed since the last time, in one signal or none. */
void service_region_say_changes(ServiceRegion *region, const ServiceVoice *voice);

GVariant *service_region_get(const ServiceRegion *region, const char *property); /* floating; NULL = there is none */
GVariant *service_region_interfaces(const ServiceRegion *region);                /* a{sa{sv}}, floating */
