/* The engine's public face for front ends: submit, start, answer, cancel, query. The D-Bus service offers the same
 * five. */
#pragma once
#include <gio/gio.h>
typedef struct _AzEngine AzEngine;
typedef struct _AzJob AzJob;

/* One flag of a command: drives validation here, parsing and help in the CLI, and the D-Bus arguments. */
typedef struct {
  const char *name;     /* long flag name, and key in the a{sv} */
  char letter;          /* short flag or 0 */
  const char *type;     /* GVariant type: "b", "s", "as" (comma separated on the command line), "u", "d" */
  const char *argument; /* how help calls the value, "REGION"; NULL for "b" */
  const char *help;
} AzFlag;

typedef struct {
  const char *kind; /* "deploy", "regions-add" */
  const char *help;
  const AzFlag *flags; /* ends {0} */
  gboolean tied;       /* only reads, for somebody who listens: a service ends it with the client that began it */
} AzJobKind;

/* `config_path`, `home`: --config and --home or NULL. Reads the configuration; bricks load on first use. */
AzEngine *az_engine_new(const char *config_path, const char *home, GError **error);
void az_engine_free(AzEngine *engine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzEngine, az_engine_free)
const AzJobKind *const *az_engine_kinds(void);     /* ends NULL; needs no engine */
const AzJobKind *az_engine_kind(const char *name); /* NULL: there is none */

typedef enum {
  AZ_JOB_CREATED,
  AZ_JOB_RUNNING,
  AZ_JOB_WAITING_ANSWER,
  AZ_JOB_DONE,
  AZ_JOB_FAILED,
  AZ_JOB_CANCELLED
} AzJobState;

/* What a watcher hears; all run on the engine's thread. Unused ones are NULL. */
typedef struct {
  void (*message)(AzJob *, const char *level /* "step", "ok", "warn", "fail", "hint", "detail" */,
                  const char *region /* or NULL */, const char *text, gpointer data);
  void (*region_changed)(AzJob *, const char *region, GVariant *facts /* a{sv}: status, text, ... */, gpointer data);
  void (*progress)(AzJob *, guint64 done, guint64 total, const char *text, gpointer data);
  /* Something with a name of its own ("verdict", "switch"); facts' `line` (s) is shown for as long as it stands. */
  void (*event)(AzJob *, const char *name, GVariant *facts /* a{sv} */, gpointer data);
  void (*question)(AzJob *, const char *text, gpointer data); /* answer with az_engine_answer() */
  void (*finished)(AzJob *, gpointer data);
  gpointer data;
} AzJobWatch;

/* Validates `args` (a{sv}; unknown key: an error naming the nearest). The job is created, not started. */
AzJob *az_engine_submit(AzEngine *engine, const char *kind, GVariant *args, const AzJobWatch *watch, GError **error);
void az_engine_start(AzEngine *engine, AzJob *job);
gboolean az_engine_answer(AzEngine *engine, AzJob *job, gboolean yes);
/* Asks the job to end: a watch ends in good order, any other is interrupted. A second call always interrupts. */
void az_engine_cancel(AzEngine *engine, AzJob *job);
/* Frees a job that has finished; without it jobs live as long as the engine. Not from within a watcher's call. */
void az_engine_forget(AzEngine *engine, AzJob *job);
/* Questions that need no side effect and no waiting: "config", "bricks", "bricks-info" (name s), "audit" (limit u),
 * "audit-verify", "engine" (version, home, config, metrics, now, virtual), "jobs", "counts" (answers to the questions
 * of lookouts since the engine began: alive, dark, refused, nothing). */
/* Owned result (a{sv}); NULL and error. */
GVariant *az_engine_query(AzEngine *engine, const char *what, GVariant *args, GError **error);
/* The same for whoever must not wait: the audit log is read by a thread. `done` runs on this one's main loop. */
void az_engine_query_async(AzEngine *engine, const char *what, GVariant *args, GAsyncReadyCallback done, gpointer data);
GVariant *az_engine_query_finish(GAsyncResult *result, GError **error);
/* Until az_engine_allow(): no region becomes primary by itself in any job of this engine; people still may switch.
 * `who` and `why` are shown to them. */
guint az_engine_inhibit(AzEngine *engine, const char *who, const char *why);
void az_engine_allow(AzEngine *engine, guint id);
/* The host went to sleep (`asleep`) or is back: whatever watches asks nothing in between, and forgets what it saw
 * before, so that a sleep is no outage. Waking twice does no harm. */
void az_engine_set_asleep(AzEngine *engine, gboolean asleep);
/* What watches of `before` have seen when they end goes to those of `engine` that begin soon after, until it is said of
 * another one; NULL: to nobody. `engine` must outlive that. */
void az_engine_set_heir(AzEngine *before, AzEngine *engine);
gint64 az_engine_now(AzEngine *engine); /* microseconds since the Unix epoch; virtual under provider-sim */

/* By which a service knows it; stands in what the job writes to the audit log. 0 = none. */
void az_job_set_number(AzJob *job, guint64 number);
AzJobState az_job_state(AzJob *job);
int az_job_exit_code(AzJob *job);    /* valid when finished */
GVariant *az_job_result(AzJob *job); /* a{sv} of the JSON contract, or {"error": ErrorResult}; borrowed */
const char *az_job_kind(AzJob *job);
