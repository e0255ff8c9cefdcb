/* The engine in this process: with client.c the one place of the program that includes its header. */
#include "client-private.h"

#include "engine.h"
#include "error.h"

typedef struct {
  Client base;
  AzEngine *engine;
  GPtrArray *jobs; /* of LocalJob */
} LocalClient;

typedef struct {
  ClientJob base;
  AzJob *job;
} LocalJob;

static AzEngine *
engine_of(ClientJob *job)
{
  return ((LocalClient *) job->client)->engine;
}

static AzJob *
job_of(ClientJob *job)
{
  return ((LocalJob *) job)->job;
}

static void
local_free(Client *client)
{
  LocalClient *local = (LocalClient *) client;
  az_engine_free(local->engine);
  g_ptr_array_unref(local->jobs);
  g_free(local);
}

static GVariant *
local_query(Client *client, const char *what, GVariant *args, GError **error)
{
  return az_engine_query(((LocalClient *) client)->engine, what, args, error);
}

static gint64
local_now(Client *client)
{
  return az_engine_now(((LocalClient *) client)->engine);
}

static void
on_message(AzJob *job, const char *level, const char *region, const char *text, gpointer data)
{
  const ClientWatch *watch = &((ClientJob *) data)->watch;
  watch->message(level, region, text, watch->data);
}

static void
on_region(AzJob *job, const char *region, GVariant *facts, gpointer data)
{
  const ClientWatch *watch = &((ClientJob *) data)->watch;
  watch->region(region, facts, watch->data);
}

static void
on_progress(AzJob *job, guint64 done, guint64 total, const char *text, gpointer data)
{
  const ClientWatch *watch = &((ClientJob *) data)->watch;
  watch->progress(done, total, text, watch->data);
}

static void
on_event(AzJob *job, const char *name, GVariant *facts, gpointer data)
{
  const ClientWatch *watch = &((ClientJob *) data)->watch;
  watch->event(name, facts, watch->data);
}

static void
on_question(AzJob *job, const char *text, gpointer data)
{
  const ClientWatch *watch = &((ClientJob *) data)->watch;
  watch->question(text, watch->data);
}

static void
on_finished(AzJob *job, gpointer data)
{
  const ClientWatch *watch = &((ClientJob *) data)->watch;
  watch->finished(watch->data);
}

static ClientJob *
local_submit(Client *client, const char *kind, GVariant *args, const ClientWatch *watch, GError **error)
{
  LocalClient *local = (LocalClient *) client;
  LocalJob *self = g_new0(LocalJob, 1);
  g_ptr_array_add(local->jobs, self);
  self->base = (ClientJob){ .client = client, .watch = *watch };
  AzJobWatch heard = {
    .message = on_message,
    .region_changed = on_region,
    .progress = on_progress,
    .event = on_event,
    .question = on_question,
    .finished = on_finished,
    .data = self,
  };
  self->job = az_engine_submit(local->engine, kind, args, &heard, error);
  return self->job ? &self->base : NULL;
}

static void
refuse_number(guint64 number, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND,
              "there is no job %" G_GUINT64_FORMAT ": no azlind works in this home", number);
}

static ClientJob *
local_attach(Client *client, guint64 number, const ClientWatch *watch, GError **error)
{
  refuse_number(number, error);
  return NULL;
}

static gboolean
local_cancel_job(Client *client, guint64 number, GError **error)
{
  refuse_number(number, error);
  return FALSE;
}

static const char *
local_kind(ClientJob *job)
{
  return az_job_kind(job_of(job));
}

static void
local_start(ClientJob *job)
{
  az_engine_start(engine_of(job), job_of(job));
}

static void
local_answer(ClientJob *job, gboolean yes)
{
  az_engine_answer(engine_of(job), job_of(job), yes);
}

static void
local_cancel(ClientJob *job)
{
  az_engine_cancel(engine_of(job), job_of(job));
}

static int
local_exit_code(ClientJob *job)
{
  return az_job_exit_code(job_of(job));
}

static GVariant *
local_result(ClientJob *job)
{
  return az_job_result(job_of(job));
}

Client *
client_local_new(const char *config, const char *home, GError **error)
{
  static const ClientWay way = {
    .free = local_free,
    .query = local_query,
    .now = local_now,
    .submit = local_submit,
    .attach = local_attach,
    .cancel_job = local_cancel_job,
    .kind = local_kind,
    .start = local_start,
    .answer = local_answer,
    .cancel = local_cancel,
    .exit_code = local_exit_code,
    .result = local_result,
  };
  AzEngine *engine = az_engine_new(config, home, error);
  if (!engine)
    return NULL;
  LocalClient *local = g_new0(LocalClient, 1);
  local->base.way = &way;
  local->engine = engine;
  local->jobs = g_ptr_array_new_with_free_func(g_free);
  return &local->base;
}
