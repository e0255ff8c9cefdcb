/* What a flow (one kind of job) is, and what it may do to its job. */
#pragma once
#include "engine-private.h"

typedef struct _AzFlow {
  AzJobKind kind;
  /* Pure check of the arguments after types were checked; errors are USAGE, or CONFIG where the
   * configuration forbids them. May be NULL. */
  gboolean (*check)(AzEngine *engine, GVariant *args, GError **error);
  /* Starts the work under `root`; ends with az_job_finish() or az_job_fail(). */
  void (*run)(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root);
  AzOpPriority priority; /* of its requests to a cloud; 0 = AZ_PRIORITY_LIST */
  /* For a job that runs until somebody ends it: asked to, once. NULL = it is interrupted instead. */
  void (*stop)(AzJob *job);
} AzFlow;

/* Every flow that exists: flows.c lists them. */
const AzFlow *const *az_flows(void);

AzEngine *az_job_engine(AzJob *job);
guint64 az_job_number(AzJob *job); /* 0 = no service knows it */
GVariant *az_job_args(AzJob *job);
const char *az_job_arg_string(AzJob *job, const char *name); /* NULL when not given */
gboolean az_job_arg_bool(AzJob *job, const char *name);
guint32 az_job_arg_uint(AzJob *job, const char *name, guint32 fallback);
char **az_job_arg_strv(AzJob *job, const char *name); /* NULL when not given; owned */

/* What people read. `level`: "step" ending in "..." opens a section, under which "step", "ok", "warn", "fail" without a
 * region stand indented; "done" and "failed" are the closing line of the job, unindented, with "detail" lines under it;
 * "hint" is a next step at the very end. With a region the line joins that region's block. */
void az_job_message(AzJob *job, const char *level, const char *region, const char *format, ...) G_GNUC_PRINTF(4, 5);
void az_job_region(AzJob *job, const char *region, GVariant *facts);
void az_job_progress(AzJob *job, guint64 done, guint64 total, const char *text);
/* An event with a name of its own and `facts` (a{sv}, sunk). A live screen shows the string `line` among them until the
 * same event comes without one. */
void az_job_event(AzJob *job, const char *name, GVariant *facts);
/* Asks; `answered` runs with yes or no (no also when nobody can be asked). With `--yes` given it runs at once with yes.
 */
void
az_job_ask(AzJob *job, const char *question, void (*answered)(AzJob *job, gboolean yes, gpointer data), gpointer data);
/* Ends the job. `result` (a{sv}, sunk) is the JSON document of the contract. */
void az_job_finish(AzJob *job, int exit_code, GVariant *result);
void az_job_fail(AzJob *job, GError *error); /* {"error": ...} and the taxonomy's exit code; takes the error */
/* Runs once the job has ended, to free the flow's own state. */
void az_job_set_data(AzJob *job, gpointer data, GDestroyNotify free_func);
gpointer az_job_data(AzJob *job);
/* Hears what bricks stream through op_region(), op_region_started() and op_progress() under this job's root. */
void az_job_set_sink(AzJob *job, const AzOpSink *sink);
/* Work that must also run after the job was cancelled (revoke a key, release a lease): an op outside the job's tree.
 * The job counts as finished only when these have ended too. `timeout_ms` must not be 0. */
AzlinOp *az_job_cleanup_op(AzJob *job, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data);
AzlinOp *az_job_root(AzJob *job);
