/* What the files of the service share: its jobs. */
#pragma once
#include "service-metrics.h"
#include "service-notify.h"
#include "service-objects.h"
#include "service-regions.h"
#include "service-store.h"
#include "service-suspend.h"

#include "error.h"

#include <gio/gunixfdlist.h>

typedef struct _ServiceGate ServiceGate;

struct _Service {
  AzEngine *engine;   /* the newest: of whatever comes */
  GPtrArray *engines; /* of Generation, service-engine.c */
  char *home;
  GDBusConnection *connection;
  ServiceVoice voice;
  ServiceObjects *objects;
  DbusManager *manager;
  ServiceGate *gate; /* system mode: what stands between the bus and all of this; else NULL */
  ServiceRegions *regions;
  ServiceNotify *notify;
  ServiceSuspend *suspend;
  GHashTable *jobs;       /* path -> ServiceJob */
  GQueue ended;           /* of ServiceJob, oldest first; borrowed */
  GPtrArray *inhibitions; /* of Inhibition, service-inhibit.c */
  GPtrArray *stored;      /* of StoredJob: what another service was at; NULL once it goes on */
  guint64 last_number;
  guint64 ended_total[AZ_JOB_CANCELLED + 1]; /* by AzJobState */
  GHashTable *past_counts;                   /* of engines that are gone: name -> guint64 */
  ServiceMetrics *metrics;
  guint live; /* jobs that have not ended */
  gboolean was_busy;
  void (*busy_changed)(gboolean busy, gpointer data);
  gpointer busy_data;
  void (*wound_up)(gpointer data);
  gpointer wound_up_data;
};

typedef struct _ServiceJob ServiceJob;

/* NULL and error: the engine does not want it. `sender`: who made it, on a bus; or NULL. */
ServiceJob *
service_job_new(Service *service, guint64 number, const char *kind, GVariant *args, const char *sender, GError **error);
/* One that another service was at when it died: it stands as running where it can go on, else as failed. */
ServiceJob *service_job_restored(Service *service, const StoredJob *stored);
/* Begins what stands as running; FALSE: the engine does not want it any more, and it has failed. */
gboolean service_job_go_on(ServiceJob *job);
void service_job_free(gpointer job);
char *service_job_path_of(guint64 number);
const char *service_job_path(const ServiceJob *job);
AzJobState service_job_state(const ServiceJob *job);
gboolean service_job_is_live(const ServiceJob *job);
guint64 service_job_number(const ServiceJob *job);
guint32 service_job_owner(const ServiceJob *job); /* the user who made it, in system mode; else all have the same */
const char *service_job_kind(const ServiceJob *job);
DbusJob *service_job_skeleton(const ServiceJob *job); /* borrowed */
gboolean service_job_is_ended(const ServiceJob *job);
guint service_job_said(const ServiceJob *job); /* how much Listen would tell */
/* For a list of jobs: job, kind, state, started_at, message. Floating. */
GVariant *service_job_facts(const ServiceJob *job);
void service_job_cancel(ServiceJob *job);
/* What never ends by itself, and begins anew with each round. `args`: a{sv} */
gboolean service_job_kind_goes_on(const char *kind, GVariant *args);
/* Makes what goes on ready to go on under the newest engine; FALSE and why: one cannot, and none is. */
gboolean service_jobs_make_ready(Service *service, GError **error);
void service_jobs_go_over(Service *service); /* those that were made ready */
/* ---- service-inhibit.c ---- */

/* The end that the client gets, or NULL. */
GUnixFDList *service_inhibit(Service *service, const char *who, const char *why, GError **error);
void service_inhibition_free(gpointer inhibition);
guint service_inhibitions_of(Service *service, guint32 owner);
void service_inhibition_apply(gpointer inhibition); /* in every engine that does not know it yet */

/* ---- service-engine.c ---- */

void service_engines_begin(Service *service, AzEngine *engine); /* borrowed: the first */
/* The newest engine, which lives until it is released. */
AzEngine *service_engine_hold(Service *service);
void service_engine_release(Service *service, AzEngine *engine);
/* The sum of this count (Query "counts") over all engines that there were. */
guint64 service_engines_count(const Service *service, const char *name);
void service_engines_set_asleep(Service *service, gboolean asleep);
void service_engines_inhibit(Service *service, gconstpointer key, const char *who, const char *why);
void service_engines_allow(Service *service, gconstpointer key);
void service_engines_end(Service *service);
/* Reads the configuration again, for whatever comes from now on and for watches; FALSE and why: the one before stays.
 */
gboolean service_engines_reload(Service *service, const char *config, const char *home, GError **error);

/* ---- service.c ---- */

/* Answers a call with an error, under the name that it has on the bus. */
void service_refuse(GDBusMethodInvocation *invocation, const GError *error);
void service_refuse_new(GDBusMethodInvocation *invocation, AzlinError code, const char *message);
void service_look_busy(Service *service); /* something that keeps it alive came or went */
void service_job_began(Service *service);
/* The job has ended; the oldest of those that have are forgotten. */
void service_job_ended(Service *service, ServiceJob *job);
/* Nobody wants it any more. */
void service_job_forget(Service *service, ServiceJob *job);
