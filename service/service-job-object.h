/* A job's interface on the bus, whose regions are put together when somebody asks: a watch of thousands has news of one
 * of them every millisecond. */
#pragma once
#include "azlin-dbus.h"

#define SERVICE_TYPE_JOB_OBJECT (service_job_object_get_type())
G_DECLARE_FINAL_TYPE(ServiceJobObject, service_job_object, SERVICE, JOB_OBJECT, DbusJobSkeleton)

ServiceJobObject *service_job_object_new(void);
/* `facts`: a{sv}, kept. */
void service_job_object_set_region(ServiceJobObject *object, const char *region, GVariant *facts);
