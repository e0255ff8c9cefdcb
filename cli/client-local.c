/* The engine in this process: the one file of the program that includes its header. */
#include "client.h"

#include "engine.h"
#include "error.h"
#include "nearest.h"
#include "record.h"

struct _Client {
  AzEngine *engine;
  GPtrArray *jobs;
};

struct _ClientJob {
  Client *client;
  AzJob *job;
  ClientWatch watch;
};

static const AzJobKind *
find_kind(const char *kind)
{
  for (const AzJobKind *const *k = az_engine_kinds(); *k; k++)
    if (!g_strcmp0((*k)->kind, kind))
      return *k;
  return NULL;
}

const Flag *
client_flags(const char *kind)
{
  static const Flag none[] = { { 0 } };
  static GHashTable *made;
  const AzJobKind *found = find_kind(kind);
  if (!found)
    return NULL;
  if (!found->flags)
    return none;
  if (!made)
    made = g_hash_table_new(g_direct_hash, g_direct_equal);
  Flag *flags = g_hash_table_lookup(made, found);
  if (flags)
    return flags;

  guint n = 0;
  while (found->flags[n].name)
    n++;
  flags = g_new0(Flag, n + 1);
  for (guint i = 0; i < n; i++) {
    const AzFlag *f = &found->flags[i];
    flags[i]
        = (Flag){ .name = f->name, .letter = f->letter, .type = f->type, .argument = f->argument, .help = f->help };
  }
  g_hash_table_insert(made, (gpointer) (guintptr) found, flags);
  return flags;
}

const char *
client_kind_help(const char *kind)
{
  const AzJobKind *found = find_kind(kind);
  return found ? found->help : NULL;
}

const char *
client_nearest(const char *word, const char *const *candidates)
{
  return az_nearest(word, candidates);
}

Client *
client_new(const char *config, const char *home, GError **error)
{
  AzEngine *engine = az_engine_new(config, home, error);
  if (!engine)
    return NULL;
  Client *client = g_new0(Client, 1);
  client->engine = engine;
  client->jobs = g_ptr_array_new_with_free_func(g_free);
  return client;
}

void
client_free(Client *client)
{
  az_engine_free(client->engine);
  g_ptr_array_unref(client->jobs);
  g_free(client);
}

GVariant *
client_query(Client *client, const char *what, GVariant *args, GError **error)
{
  return az_engine_query(client->engine, what, args, error);
}

gint64
client_now(Client *client)
{
  return az_engine_now(client->engine);
}

static void
on_message(AzJob *job, const char *level, const char *region, const char *text, gpointer data)
{
  ClientJob *self = data;
  self->watch.message(level, region, text, self->watch.data);
}

static void
on_region(AzJob *job, const char *region, GVariant *facts, gpointer data)
{
  ClientJob *self = data;
  self->watch.region(region, facts, self->watch.data);
}

static void
on_progress(AzJob *job, guint64 done, guint64 total, const char *text, gpointer data)
{
  ClientJob *self = data;
  self->watch.progress(done, total, text, self->watch.data);
}

static void
on_event(AzJob *job, const char *name, GVariant *facts, gpointer data)
{
  ClientJob *self = data;
  self->watch.event(name, facts, self->watch.data);
}

static void
on_question(AzJob *job, const char *text, gpointer data)
{
  ClientJob *self = data;
  self->watch.question(text, self->watch.data);
}

static void
on_finished(AzJob *job, gpointer data)
{
  ClientJob *self = data;
  self->watch.finished(self->watch.data);
}

ClientJob *
client_submit(Client *client, const char *kind, GVariant *args, const ClientWatch *watch, GError **error)
{
  ClientJob *self = g_new0(ClientJob, 1);
  g_ptr_array_add(client->jobs, self);
  self->client = client;
  self->watch = *watch;
  AzJobWatch heard = {
    .message = on_message,
    .region_changed = on_region,
    .progress = on_progress,
    .event = on_event,
    .question = on_question,
    .finished = on_finished,
    .data = self,
  };
  self->job = az_engine_submit(client->engine, kind, args, &heard, error);
  return self->job ? self : NULL;
}

void
client_start(ClientJob *job)
{
  az_engine_start(job->client->engine, job->job);
}

void
client_answer(ClientJob *job, gboolean yes)
{
  az_engine_answer(job->client->engine, job->job, yes);
}

void
client_cancel(ClientJob *job)
{
  az_engine_cancel(job->client->engine, job->job);
}

int
client_exit_code(ClientJob *job)
{
  return az_job_exit_code(job->job);
}

GVariant *
client_result(ClientJob *job)
{
  return az_job_result(job->job);
}

GVariant *
client_error_result(const GError *error)
{
  GVariantDict dict;
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert_value(&dict, "error", az_error_to_variant(error, NULL));
  return g_variant_dict_end(&dict);
}

int
client_error_exit_code(const GError *error)
{
  return az_error_exit_code(error);
}

GError *
client_failure(const char *message)
{
  return g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_FAILED, message);
}

GError *
client_usage_error(const char *format, ...)
{
  va_list list;
  va_start(list, format);
  g_autofree char *text = g_strdup_vprintf(format, list);
  va_end(list);
  g_autofree char *valid = g_utf8_make_valid(text, -1); /* what was typed may be any bytes */
  return g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_USAGE, valid);
}

char *
client_json(GVariant *value, int indent)
{
  return az_json_from_variant(value, indent);
}
