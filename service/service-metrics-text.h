/* The figures of the service as Prometheus reads them (text format 0.0.4), put together in slices. */
#pragma once
#include "service.h"

typedef struct _ServiceMetricsText ServiceMetricsText;

/* `done` gets the whole text, once, from the main loop. */
ServiceMetricsText *
service_metrics_text_new(Service *service, void (*done)(GBytes *text, gpointer data), gpointer data);
void service_metrics_text_free(ServiceMetricsText *text); /* before that, too: then `done` never runs */
