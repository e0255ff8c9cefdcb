/* The engine as the commands see it: kinds of jobs and their flags, the five calls, JSON. Hides where the engine runs.
 */
#pragma once
#include <gio/gio.h>
G_BEGIN_DECLS

typedef struct { /* one flag of a command */
  const char *name;
  char letter;          /* 0 = none */
  const char *type;     /* "b", "s", "as", "u", "d" */
  const char *argument; /* placeholder in help; NULL for "b" */
  const char *help;
} Flag;

typedef struct _Client Client;
typedef struct _ClientJob ClientJob;

typedef struct { /* what a job says while it runs */
  void (*message)(const char *level, const char *region, const char *text, gpointer data);
  void (*region)(const char *region, GVariant *facts, gpointer data);
  void (*progress)(guint64 done, guint64 total, const char *text, gpointer data);
  void (*event)(const char *name, GVariant *facts, gpointer data); /* facts: a{sv} */
  void (*question)(const char *text, gpointer data);
  void (*finished)(gpointer data);
  gpointer data;
} ClientWatch;

/* Flags of a kind of job, ends {0}; NULL = there is no such kind. Needs no engine. */
const Flag *client_flags(const char *kind);
const char *client_kind_help(const char *kind);
/* The nearest of `candidates` to a misspelt word, or NULL. */
const char *client_nearest(const char *word, const char *const *candidates);

typedef struct {
  const char *config, *home; /* as given, or NULL */
  gboolean no_daemon;        /* in this process, whatever service there is */
  gboolean of_system;        /* by the service of this machine, or not at all; the other three mean nothing then */
  gboolean may_ask;          /* somebody is there who may be asked for a password */
} ClientPlace;
Client *client_new(const ClientPlace *place, GError **error);
void client_free(Client *client);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Client, client_free)
GVariant *client_query(Client *client, const char *what, GVariant *args, GError **error);
/* The engine's clock, microseconds since the Unix epoch; virtual under provider-sim. */
gint64 client_now(Client *client);

/* The job is created, not started; it lives as long as the client. */
ClientJob *client_submit(Client *client, const char *kind, GVariant *args, const ClientWatch *watch, GError **error);
/* A job of a service: client_start() tells what it has said so far, and then goes on. NULL and error: there is none. */
ClientJob *client_attach(Client *client, guint64 number, const ClientWatch *watch, GError **error);
const char *client_kind(ClientJob *job);
gboolean client_cancel_job(Client *client, guint64 number, GError **error);
void client_start(ClientJob *job);
void client_answer(ClientJob *job, gboolean yes);
void client_cancel(ClientJob *job);
int client_exit_code(ClientJob *job);
GVariant *client_result(ClientJob *job); /* borrowed */

/* {"error": ErrorResult}, floating. */
GVariant *client_error_result(const GError *error);
int client_error_exit_code(const GError *error);
GError *client_failure(const char *message);
GError *client_usage_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
/* `indent` 0 = one line. */
char *client_json(GVariant *value, int indent);
G_END_DECLS
