/* Which way the commands reach the engine: through a service that works in the same home, else in this process; through
 * that of the machine where it is asked for. */
#include "client-private.h"

#include "engine.h"
#include "error.h"
#include "nearest.h"
#include "record.h"

const Flag *
client_flags(const char *kind)
{
  static const Flag none[] = { { 0 } };
  static GHashTable *made;
  const AzJobKind *found = az_engine_kind(kind);
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
  const AzJobKind *found = az_engine_kind(kind);
  return found ? found->help : NULL;
}

const char *
client_nearest(const char *word, const char *const *candidates)
{
  return az_nearest(word, candidates);
}

Client *
client_new(const ClientPlace *place, GError **error)
{
  g_autoptr(GError) trouble = NULL;
  Client *client = place->no_daemon ? NULL : client_bus_new(place, &trouble);
  if (trouble)
    g_propagate_error(error, g_steal_pointer(&trouble));
  else if (!client)
    client = client_local_new(place->config, place->home, error);
  return client;
}

void
client_free(Client *client)
{
  client->way->free(client);
}

GVariant *
client_query(Client *client, const char *what, GVariant *args, GError **error)
{
  return client->way->query(client, what, args, error);
}

gint64
client_now(Client *client)
{
  return client->way->now(client);
}

ClientJob *
client_submit(Client *client, const char *kind, GVariant *args, const ClientWatch *watch, GError **error)
{
  return client->way->submit(client, kind, args, watch, error);
}

ClientJob *
client_attach(Client *client, guint64 number, const ClientWatch *watch, GError **error)
{
  return client->way->attach(client, number, watch, error);
}

gboolean
client_cancel_job(Client *client, guint64 number, GError **error)
{
  return client->way->cancel_job(client, number, error);
}

const char *
client_kind(ClientJob *job)
{
  return job->client->way->kind(job);
}

void
client_start(ClientJob *job)
{
  job->client->way->start(job);
}

void
client_answer(ClientJob *job, gboolean yes)
{
  job->client->way->answer(job, yes);
}

void
client_cancel(ClientJob *job)
{
  job->client->way->cancel(job);
}

int
client_exit_code(ClientJob *job)
{
  return job->client->way->exit_code(job);
}

GVariant *
client_result(ClientJob *job)
{
  return job->client->way->result(job);
}

GVariant *
client_error_result(const GError *error)
{
  return az_error_result(error);
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
