/* The figures of the service over HTTP, for Prometheus; nowhere unless azlin.conf says where. */
#pragma once
#include "service.h"

typedef struct _ServiceMetrics ServiceMetrics;

ServiceMetrics *service_metrics_new(Service *service);
void service_metrics_free(ServiceMetrics *metrics);
/* `where`: "/path" of a socket, which only this user may use; "127.0.0.1:PORT", a loopback address; "" = nowhere. FALSE
 * and CONFIG or STORAGE: all is as it was. */
gboolean service_metrics_listen(ServiceMetrics *metrics, const char *where, GError **error);
