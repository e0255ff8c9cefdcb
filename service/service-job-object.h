/* A job's interface on the bus, whose regions are put together when somebody asks: a watch of thousands has news of one
 * of them every millisecond, most of which is that it has answered again. */
#pragma once
#include "azlin-dbus.h"

#define SERVICE_TYPE_JOB_OBJECT (service_job_object_get_type())
G_DECLARE_FINAL_TYPE(ServiceJobObject, service_job_object, SERVICE, JOB_OBJECT, DbusJobSkeleton)

ServiceJobObject *service_job_object_new(void);

#define SERVICE_JOB_MANY 200 /* regions from which on an answer that is like the one before is no news for a minute */
#define SERVICE_JOB_REST_US (60 * G_USEC_PER_SEC)
/* Keeps `facts` (a{sv}). TRUE: they are worth to be said; `now`: monotonic, microseconds. */
gboolean service_job_object_set_region(ServiceJobObject *object, const char *region, GVariant *facts, gint64 now);
