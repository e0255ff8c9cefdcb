/* Watches go over to the engine of a new configuration: the same job on the bus, whose turn under the old engine ends
 * in good order before the next one begins. */
#include "service-job-private.h"

void
service_turn_drop(Service *service, ServiceTurn *turn)
{
  if (turn->job == NULL)
    return;
  az_engine_forget(turn->engine, g_steal_pointer(&turn->job));
  service_engine_release(service, turn->engine);
}

void
service_job_drop_others(ServiceJob *job)
{
  g_clear_handle_id(&job->going_over, g_source_remove);
  service_turn_drop(job->service, &job->ready);
  service_turn_drop(job->service, &job->next);
}

gboolean
service_job_kind_goes_on(const char *kind, GVariant *args)
{
  gboolean watch = FALSE;
  g_variant_lookup(args, "watch", "b", &watch);
  return g_str_equal(kind, "watch") || (watch && (g_str_equal(kind, "sync") || g_str_equal(kind, "regions-health")));
}

/* ---- what goes over ---- */

/* A time that it was given counts from its first beginning. */
static GVariant *
args_of_rest(const ServiceJob *job)
{
  guint32 seconds = 0;
  GVariantDict dict;
  if (!g_variant_lookup(job->args, "for", "u", &seconds))
    return job->args;
  gint64 passed = az_engine_now(job->turn.engine) - (gint64) dbus_job_get_started(job->skeleton);
  gint64 rest = CLAMP((gint64) seconds - passed / G_USEC_PER_SEC, 1, (gint64) seconds);
  g_variant_dict_init(&dict, job->args);
  g_variant_dict_insert(&dict, "for", "u", (guint32) rest);
  return g_variant_dict_end(&dict);
}

static GPtrArray *
list_moving(Service *service)
{
  GPtrArray *jobs = g_ptr_array_new();
  GHashTableIter iter;
  gpointer value;
  g_hash_table_iter_init(&iter, service->jobs);
  while (g_hash_table_iter_next(&iter, NULL, &value)) {
    const ServiceJob *job = value;
    if (service_job_is_live(job) && !job->unwanted && service_job_kind_goes_on(service_job_kind(job), job->args))
      g_ptr_array_add(jobs, value);
  }
  return jobs;
}

gboolean
service_jobs_make_ready(Service *service, GError **error)
{
  g_autoptr(GPtrArray) jobs = list_moving(service);
  for (guint i = 0; i < jobs->len; i++) {
    ServiceJob *job = g_ptr_array_index(jobs, i);
    if (service_job_submit(job, service_job_kind(job), args_of_rest(job), &job->ready, error))
      continue;
    g_prefix_error(error, "job %" G_GUINT64_FORMAT ", which runs, could not go on by it: ", job->number);
    while (i-- > 0)
      service_turn_drop(service, &((ServiceJob *) g_ptr_array_index(jobs, i))->ready);
    return FALSE;
  }
  return TRUE;
}

/* The turn under way may be asked to end already, for one that will not come any more. */
static void
go_over(ServiceJob *job)
{
  gboolean asked = job->next.job != NULL;
  service_turn_drop(job->service, &job->next);
  job->next = job->ready;
  job->ready = (ServiceTurn){ 0 };
  service_job_say(job, "step", "The configuration was read again; this goes on by the new one");
  if (!asked)
    az_engine_cancel(job->turn.engine, job->turn.job);
}

void
service_jobs_go_over(Service *service)
{
  g_autoptr(GPtrArray) jobs = list_moving(service);
  for (guint i = 0; i < jobs->len; i++)
    go_over(g_ptr_array_index(jobs, i));
}

/* ---- from one turn to the next ---- */

/* Out of the old job's own call, which must not free it. */
static gboolean
on_next(gpointer data)
{
  ServiceJob *job = data;
  job->going_over = 0;
  service_turn_drop(job->service, &job->turn);
  job->turn = job->next;
  job->next = (ServiceTurn){ 0 };
  az_engine_start(job->turn.engine, job->turn.job);
  return G_SOURCE_REMOVE;
}

/* One that failed says what nobody should miss. */
static gboolean
has_failed(AzJob *job)
{
  g_autoptr(GVariant) error = g_variant_lookup_value(az_job_result(job), "error", G_VARIANT_TYPE_VARDICT);
  return az_job_state(job) == AZ_JOB_FAILED && error != NULL;
}

gboolean
service_job_hand_over(ServiceJob *job)
{
  if (job->next.job == NULL)
    return FALSE;
  if (has_failed(job->turn.job)) {
    service_turn_drop(job->service, &job->next);
    return FALSE;
  }
  job->going_over = g_idle_add_full(G_PRIORITY_DEFAULT, on_next, job, NULL);
  return TRUE;
}

gboolean
service_job_stay(ServiceJob *job)
{
  gboolean over = job->going_over > 0, asked = job->next.job != NULL;
  service_job_drop_others(job);
  if (over)
    service_job_on_finished(job->turn.job, job);
  return asked;
}
