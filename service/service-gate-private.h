/* A call that has come to the door of system mode, until it is served or refused. */
#pragma once
#include "service-gate.h"
#include "service-polkit.h"
#include "service-rule.h"
#include "service-tell.h"

typedef struct {
  ServiceGate *gate;
  GDBusMethodInvocation *invocation;
  ServiceUser *user;    /* NULL: the bus is being asked */
  ServiceObject object; /* what the path was when the rule was found; a job that comes later is another matter */
  ServiceRule rule;
  guint granted; /* of what the rule needs */
  gboolean sees_all;
  ServiceQuestion *question; /* the one that is out, or NULL */
} GateCall;

struct _ServiceGate {
  Service *service;
  GDBusConnection *bus;
  ServicePeers *peers;
  ServiceTeller *teller;
  GPtrArray *calls; /* of GateCall, that wait */
  const GateCall *serving;
  guint manager, objects, jobs, regions; /* what stands on the bus */
};

/* ---- service-gate-serve.c ---- */

/* NULL: there is none at the path of the call, or it is not about a job. */
ServiceJob *service_gate_job(const GateCall *call);
ServiceObject service_gate_object(const GateCall *call);
/* Does what was asked; everything is granted by now. Leaves the invocation answered. */
void service_gate_serve(GateCall *call);
