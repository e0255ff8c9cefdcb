/* The door of system mode: every call on the system bus goes through it, or nowhere. */
#pragma once
#include "service-peer.h"
#include "service-private.h"

/* Shows the service on `bus` behind the door; NULL and error. In session mode there is no gate, and all functions below
 * take NULL for that. */
ServiceGate *service_gate_new(Service *service, GDBusConnection *bus, GError **error);
/* Refuses whoever still waits. */
void service_gate_close(ServiceGate *gate);
gboolean service_gate_is_busy(const ServiceGate *gate); /* somebody waits for an answer */
/* The user whose call is being served, or SERVICE_NOBODY. */
guint32 service_gate_caller(const ServiceGate *gate);
/* Whether what belongs to `owner` may be shown in the call that is being served. */
gboolean service_gate_shows(const ServiceGate *gate, guint32 owner);
/* From now on what is said of regions reaches those who asked for all objects. */
void service_gate_set_voice(ServiceGate *gate, ServiceVoice *voice);
void service_gate_add_job(ServiceGate *gate, ServiceJob *job); /* its maker hears of it */
void service_gate_remove_job(ServiceGate *gate, ServiceJob *job);
