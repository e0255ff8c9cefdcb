/* What the files about jobs share: a job, and its turns under one engine after the other. */
#pragma once
#include "service-private.h"

typedef struct { /* a job of an engine, which is held for as long as that is there */
  AzEngine *engine;
  AzJob *job; /* NULL: there is none */
} ServiceTurn;

struct _ServiceJob {
  Service *service;
  guint64 number;
  guint32 owner;
  char *path;
  ServiceTurn turn;        /* without a job: it has ended, or is of a service that died */
  ServiceTurn ready, next; /* of newer engines: checked only; and begun as soon as this turn has ended */
  GVariant *args;
  DbusJob *skeleton;
  GQueue said; /* of GVariant (ttsa{sv}), in order */
  gsize said_bytes;
  guint64 next_number;
  guint forgetting, going_over; /* sources */
  guint32 asked;                /* questions so far */
  guint owner_watch;            /* until it is started: of the client that made it */
  gboolean started, ended, tied;
  gboolean unwanted; /* it was asked to end */
  AzJobState state;
};

/* ---- service-job.c ---- */

/* A turn under the newest engine, not started. */
gboolean service_job_submit(ServiceJob *job, const char *kind, GVariant *args, ServiceTurn *ret_turn, GError **error);
void service_job_say(ServiceJob *job, const char *level, const char *text);
void service_job_on_finished(AzJob *engine_job, gpointer data);

/* ---- service-job-move.c ---- */

void service_turn_drop(Service *service, ServiceTurn *turn);
/* Its turn has ended: TRUE: another one follows, and this was not the end of the job. */
gboolean service_job_hand_over(ServiceJob *job);
/* It is to end: no other turn follows. TRUE: this one was asked to end for the next one's sake, and needs no second
 * word. */
gboolean service_job_stay(ServiceJob *job);
void service_job_drop_others(ServiceJob *job); /* but for the present turn */
