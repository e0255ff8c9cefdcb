/* One submitted command: its arguments, its operation tree, its messages, its one result. */
#include "job.h"

#include "error.h"
#include "record.h"

#define PATIENCE_MS 3000

struct _AzJob {
  AzEngine *engine;
  const AzFlow *flow;
  GVariant *args;
  AzJobWatch watch;
  guint64 number;
  AzOpSink sink; /* the flow's, for what bricks stream */
  AzJobState state;
  AzlinOp *root;
  guint cleanups; /* ops outside the tree that must end before the job has */
  char *cleanup;  /* what the newest of them is for; NULL = none yet */
  AzTimer *patience;
  gboolean root_ended, stopping;
  int exit_code;
  GVariant *result;
  void (*answered)(AzJob *, gboolean, gpointer);
  gpointer answered_data;
  gpointer data;
  GDestroyNotify free_data;
};

static const AzFlag *
find_flag(const AzFlow *flow, const char *name)
{
  for (const AzFlag *flag = flow->kind.flags; flag != NULL && flag->name != NULL; flag++) {
    if (g_str_equal(flag->name, name))
      return flag;
  }
  return NULL;
}

static gboolean
refuse_unknown(const AzFlow *flow, const char *name, GError **error)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (const AzFlag *flag = flow->kind.flags; flag != NULL && flag->name != NULL; flag++)
    g_ptr_array_add(names, (gpointer) (guintptr) flag->name);
  g_ptr_array_add(names, NULL);
  const char *nearest = az_nearest(name, (const char *const *) names->pdata);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "%s knows no '%s'%s%s%s", flow->kind.kind, name,
              nearest != NULL ? "; did you mean '" : "", nearest != NULL ? nearest : "", nearest != NULL ? "'?" : "");
  return FALSE;
}

static gboolean
check_types(const AzFlow *flow, GVariant *args, GError **error)
{
  GVariantIter iter;
  const char *name;
  GVariant *item;
  g_variant_iter_init(&iter, args);
  while (g_variant_iter_next(&iter, "{&sv}", &name, &item)) {
    g_autoptr(GVariant) value = item;
    const AzFlag *flag = find_flag(flow, name);
    if (flag == NULL)
      return refuse_unknown(flow, name, error);
    if (!g_str_equal(g_variant_get_type_string(value), flag->type)) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "'%s' takes a value of type '%s', not '%s'", name, flag->type,
                  g_variant_get_type_string(value));
      return FALSE;
    }
  }
  return TRUE;
}

static void
emit_finished(AzJob *job)
{
  if (!job->root_ended || job->cleanups > 0)
    return;
  az_timer_cancel(g_steal_pointer(&job->patience));
  if (job->watch.finished != NULL)
    job->watch.finished(job, job->watch.data);
}

static AzJobState
state_for(AzJob *job, const GError *error)
{
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED))
    return AZ_JOB_CANCELLED;
  return job->exit_code == 0 ? AZ_JOB_DONE : AZ_JOB_FAILED;
}

/* The result has been said by now, and nothing else would tell why the command does not end. */
static void
patience_is_over(gpointer data)
{
  AzJob *job = data;
  job->patience = NULL;
  az_job_message(job, "warn", NULL, "Still to end: %s; if it is cut short, azlin recover goes on with it",
                 job->cleanup);
}

static void
root_done(AzlinOp *op, gpointer data)
{
  AzJob *job = data;
  const GError *error = az_op_error(op);
  if (job->result == NULL && error != NULL) {
    job->exit_code = az_error_exit_code(error);
    job->result = g_variant_ref_sink(az_error_result(error));
  }
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED))
    job->exit_code = az_error_exit_code(error);
  job->root_ended = TRUE;
  job->root = NULL;
  job->state = state_for(job, error);
  if (job->cleanups > 0 && job->state != AZ_JOB_CANCELLED)
    job->patience = az_clock_after(az_engine_clock(job->engine), PATIENCE_MS, patience_is_over, job);
  emit_finished(job);
}

static void
on_progress(AzlinOp *op, guint64 done, guint64 total, const char *text, gpointer data)
{
  AzJob *job = data;
  if (job->sink.progress != NULL)
    job->sink.progress(op, done, total, text, job->sink.data);
  else
    az_job_progress(job, done, total, text);
}

static void
on_region_started(AzlinOp *op, const char *region, const char *text, gpointer data)
{
  AzJob *job = data;
  if (job->sink.region_started != NULL)
    job->sink.region_started(op, region, text, job->sink.data);
}

static void
on_region(AzlinOp *op, const char *region, const AzlinVm *vm, const GError *error, gpointer data)
{
  AzJob *job = data;
  if (job->sink.region != NULL)
    job->sink.region(op, region, vm, error, job->sink.data);
}

static void
on_warning(const char *text, gpointer data)
{
  az_job_message(data, "warn", NULL, "%s", text);
}

static AzlinOp *
on_detached(const char *label, guint32 timeout_ms, AzlinDone done, gpointer done_data, gpointer data)
{
  return az_job_cleanup_op(data, label, timeout_ms, done, done_data);
}

AzJob *
az_job_new(AzEngine *engine, const AzFlow *flow, GVariant *args, const AzJobWatch *watch, GError **error)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(args);
  if (!check_types(flow, sunk, error) || (flow->check != NULL && !flow->check(engine, sunk, error)))
    return NULL;
  AzJob *job = g_new0(AzJob, 1);
  job->engine = engine;
  job->flow = flow;
  job->args = g_steal_pointer(&sunk);
  if (watch != NULL)
    job->watch = *watch;
  return job;
}

void
az_job_run(AzJob *job)
{
  const AzOpSink sink = { .progress = on_progress,
                          .region_started = on_region_started,
                          .region = on_region,
                          .detached = on_detached,
                          .warning = on_warning,
                          .data = job };
  g_return_if_fail(job->state == AZ_JOB_CREATED);
  job->state = AZ_JOB_RUNNING;
  job->root = az_op_new_root(az_engine_clock(job->engine), job->flow->kind.kind, 0, &sink, root_done, job);
  az_op_set_priority(job->root, job->flow->priority);
  job->flow->run(job, job->engine, job->args, job->root);
}

void
az_job_free(AzJob *job)
{
  if (job == NULL)
    return;
  if (job->free_data != NULL)
    job->free_data(job->data);
  az_timer_cancel(g_steal_pointer(&job->patience));
  g_free(job->cleanup);
  g_clear_pointer(&job->result, g_variant_unref);
  g_variant_unref(job->args);
  g_free(job);
}

gboolean
az_job_answer(AzJob *job, gboolean yes)
{
  void (*answered)(AzJob *, gboolean, gpointer) = g_steal_pointer(&job->answered);
  if (answered == NULL)
    return FALSE;
  job->state = AZ_JOB_RUNNING;
  answered(job, yes, job->answered_data);
  return TRUE;
}

void
az_job_ask(AzJob *job, const char *question, void (*answered)(AzJob *job, gboolean yes, gpointer data), gpointer data)
{
  job->answered = answered;
  job->answered_data = data;
  if (az_job_arg_bool(job, "yes") || job->watch.question == NULL) {
    az_job_answer(job, az_job_arg_bool(job, "yes"));
    return;
  }
  job->state = AZ_JOB_WAITING_ANSWER;
  job->watch.question(job, question, job->watch.data);
}

void
az_job_cancel(AzJob *job)
{
  if (job->root == NULL)
    return;
  if (job->flow->stop == NULL || job->stopping) {
    az_op_cancel(job->root, "interrupted");
    return;
  }
  job->stopping = TRUE;
  job->flow->stop(job);
}

void
az_job_finish(AzJob *job, int exit_code, GVariant *result)
{
  g_autoptr(GVariant) sunk = result != NULL ? g_variant_ref_sink(result) : NULL;
  if (job->result != NULL || job->root_ended)
    return;
  job->exit_code = exit_code;
  job->result = g_steal_pointer(&sunk);
  if (job->result == NULL)
    job->result = g_variant_ref_sink(g_variant_new("a{sv}", NULL));
  az_op_finish(job->root);
}

void
az_job_fail(AzJob *job, GError *error)
{
  g_autoptr(GError) owned = error;
  az_job_finish(job, az_error_exit_code(owned), az_error_result(owned));
}

void
az_job_message(AzJob *job, const char *level, const char *region, const char *format, ...)
{
  va_list args;
  if (job->watch.message == NULL)
    return;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  az_error_cut_steps(text); /* of an error that it ends in: a notice has no room for them */
  job->watch.message(job, level, region, text, job->watch.data);
}

void
az_job_region(AzJob *job, const char *region, GVariant *facts)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(facts);
  if (job->watch.region_changed != NULL)
    job->watch.region_changed(job, region, sunk, job->watch.data);
}

void
az_job_progress(AzJob *job, guint64 done, guint64 total, const char *text)
{
  if (job->watch.progress != NULL)
    job->watch.progress(job, done, total, text, job->watch.data);
}

void
az_job_event(AzJob *job, const char *name, GVariant *facts)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(facts);
  if (job->watch.event != NULL)
    job->watch.event(job, name, sunk, job->watch.data);
}

void
az_job_set_sink(AzJob *job, const AzOpSink *sink)
{
  job->sink = *sink;
}

typedef struct {
  AzJob *job;
  AzlinDone done;
  gpointer data;
} Cleanup;

static void
cleanup_done(AzlinOp *op, gpointer data)
{
  g_autofree Cleanup *cleanup = data;
  if (cleanup->done != NULL)
    cleanup->done(op, cleanup->data);
  cleanup->job->cleanups--;
  emit_finished(cleanup->job);
}

AzlinOp *
az_job_cleanup_op(AzJob *job, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data)
{
  Cleanup *cleanup = g_new(Cleanup, 1);
  *cleanup = (Cleanup){ job, done, data };
  job->cleanups++;
  g_free(job->cleanup);
  job->cleanup = g_strdup(label);
  const AzOpSink sink = { .detached = on_detached, .warning = on_warning, .data = job };
  return az_op_new_root(az_engine_clock(job->engine), label, timeout_ms, &sink, cleanup_done, cleanup);
}

AzlinOp *
az_job_root(AzJob *job)
{
  return job->root;
}

void
az_job_set_data(AzJob *job, gpointer data, GDestroyNotify free_func)
{
  job->data = data;
  job->free_data = free_func;
}

gpointer
az_job_data(AzJob *job)
{
  return job->data;
}

AzEngine *
az_job_engine(AzJob *job)
{
  return job->engine;
}

GVariant *
az_job_args(AzJob *job)
{
  return job->args;
}

const char *
az_job_arg_string(AzJob *job, const char *name)
{
  const char *value = NULL;
  g_variant_lookup(job->args, name, "&s", &value);
  return value;
}

gboolean
az_job_arg_bool(AzJob *job, const char *name)
{
  gboolean value = FALSE;
  g_variant_lookup(job->args, name, "b", &value);
  return value;
}

guint32
az_job_arg_uint(AzJob *job, const char *name, guint32 fallback)
{
  guint32 value = fallback;
  g_variant_lookup(job->args, name, "u", &value);
  return value;
}

char **
az_job_arg_strv(AzJob *job, const char *name)
{
  char **value = NULL;
  g_variant_lookup(job->args, name, "^as", &value);
  return value;
}

void
az_job_set_number(AzJob *job, guint64 number)
{
  job->number = number;
}

guint64
az_job_number(AzJob *job)
{
  return job->number;
}

AzJobState
az_job_state(AzJob *job)
{
  return job->state;
}

int
az_job_exit_code(AzJob *job)
{
  return job->exit_code;
}

GVariant *
az_job_result(AzJob *job)
{
  return job->result;
}

const char *
az_job_kind(AzJob *job)
{
  return job->flow->kind.kind;
}
