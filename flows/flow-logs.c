/* logs: what azlin did here, out of the audit log, as it stands and as it grows. Read by a thread: it may be long. */
#include "error.h"
#include "flow-logs.h"
#include "flow-support.h"
#include "logfile.h"

#include <string.h>

/* ---- what is asked for ---- */

gint64
az_logs_since(const char *text, gint64 now)
{
  static const struct {
    char unit;
    gint64 seconds;
  } units[] = { { 's', 1 }, { 'm', 60 }, { 'h', 3600 }, { 'd', 86400 } };
  char *end = NULL;
  guint64 number = g_ascii_strtoull(text, &end, 10);
  gboolean span = g_ascii_isdigit(*text) && end[0] != '\0' && end[1] == '\0' && number < G_MAXINT32;
  for (guint i = 0; span && i < G_N_ELEMENTS(units); i++)
    if (*end == units[i].unit)
      return now - (gint64) number * units[i].seconds * G_USEC_PER_SEC;
  g_autofree char *whole = strchr(text, 'T') == NULL ? g_strconcat(text, "T00:00:00Z", NULL) : g_strdup(text);
  g_autoptr(GTimeZone) utc = g_time_zone_new_utc();
  g_autoptr(GDateTime) time = g_date_time_new_from_iso8601(whole, utc);
  return time != NULL ? g_date_time_to_unix(time) * G_USEC_PER_SEC + g_date_time_get_microsecond(time) : -1;
}

static gboolean
names(GVariant *value, const char *region)
{
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_VARIANT)) {
    g_autoptr(GVariant) inner = g_variant_get_variant(value);
    return names(inner, region);
  }
  if (g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
    return g_str_equal(g_variant_get_string(value, NULL), region);
  for (gsize i = 0; g_variant_is_of_type(value, G_VARIANT_TYPE_ARRAY) && i < g_variant_n_children(value); i++) {
    g_autoptr(GVariant) child = g_variant_get_child_value(value, i);
    if (!g_variant_is_of_type(child, G_VARIANT_TYPE_DICT_ENTRY) && names(child, region))
      return TRUE;
  }
  return FALSE;
}

static gboolean
is_about(GVariant *facts, const char *region)
{
  GVariantIter iter;
  GVariant *value;
  const char *key;
  gboolean found = FALSE;
  g_variant_iter_init(&iter, facts);
  while (g_variant_iter_next(&iter, "{&sv}", &key, &value)) {
    found |= names(value, region);
    g_variant_unref(value);
  }
  return found;
}

gboolean
az_logs_match(GVariant *event, const AzLogsFilter *filter)
{
  const char *time = "";
  gint64 job = 0;
  guint64 wide = 0;
  g_autoptr(GVariant) facts = g_variant_lookup_value(event, "facts", G_VARIANT_TYPE_VARDICT);
  g_variant_lookup(event, "time", "&s", &time);
  if (filter->since != NULL && strcmp(time, filter->since) < 0)
    return FALSE;
  if (g_variant_lookup(event, "job", "t", &wide))
    job = (gint64) wide;
  g_variant_lookup(event, "job", "x", &job); /* as JSON has it */
  if (filter->job > 0 && job != (gint64) filter->job)
    return FALSE;
  return filter->region == NULL || (facts != NULL && is_about(facts, filter->region));
}

/* ---- one reading ---- */

typedef struct {
  char *path;
  AzLogfileCursor cursor;
  AzLogsFilter filter;
  guint32 limit;  /* 0 = all */
  GQueue *events; /* of GVariant, oldest first */
} Reading;

static void
reading_free(gpointer data)
{
  Reading *reading = data;
  g_queue_free_full(reading->events, (GDestroyNotify) g_variant_unref);
  g_free(reading->path);
  g_free(reading->filter.since);
  g_free(reading->filter.region);
  g_free(reading);
}

static void
take_record(guint64 line, const char *json, gpointer data)
{
  Reading *reading = data;
  g_autoptr(GVariant) event = az_json_parse(json, strlen(json), NULL);
  if (event == NULL || !g_variant_is_of_type(event, G_VARIANT_TYPE_VARDICT) || !az_logs_match(event, &reading->filter))
    return;
  g_queue_push_tail(reading->events, g_variant_ref(event));
  if (reading->limit > 0 && reading->events->length > reading->limit)
    g_variant_unref(g_queue_pop_head(reading->events));
}

static void
in_thread(GTask *task, gpointer source, gpointer data, GCancellable *cancellable)
{
  Reading *reading = data;
  GError *error = NULL;
  if (az_logfile_read_on(reading->path, &reading->cursor, take_record, reading, &error))
    g_task_return_boolean(task, TRUE);
  else
    g_task_return_error(task, error);
}

/* ---- the job ---- */

typedef struct {
  AzJob *job; /* NULL: it has ended, while a thread reads */
  AzClock *clock;
  gatomicrefcount references;
  Reading *reading;
  gboolean stream, follow;
  gboolean busy, again, stopping;
  guint64 told;
  GFileMonitor *monitor;
} Logs;

static void
logs_unref(Logs *logs)
{
  if (!g_atomic_ref_count_dec(&logs->references))
    return;
  reading_free(logs->reading);
  g_free(logs);
}

static void
logs_end(gpointer data)
{
  Logs *logs = data;
  logs->job = NULL;
  if (logs->monitor != NULL)
    g_signal_handlers_disconnect_by_data(logs->monitor, logs);
  g_clear_object(&logs->monitor);
  logs_unref(logs);
}

static void
tell_all(Logs *logs)
{
  for (GVariant *event = g_queue_pop_head(logs->reading->events); event != NULL;
       event = g_queue_pop_head(logs->reading->events)) {
    logs->told++;
    az_job_event(logs->job, "log", event);
    g_variant_unref(event);
  }
}

static void
finish(Logs *logs)
{
  GVariantBuilder list;
  GVariantDict result;
  g_variant_dict_init(&result, NULL);
  if (logs->stream) {
    g_variant_dict_insert(&result, "records", "t", logs->told);
  } else {
    g_variant_builder_init(&list, G_VARIANT_TYPE("aa{sv}"));
    for (GList *item = logs->reading->events->head; item != NULL; item = item->next)
      g_variant_builder_add_value(&list, item->data);
    g_variant_dict_insert_value(&result, "events", g_variant_builder_end(&list));
  }
  az_job_finish(logs->job, 0, g_variant_dict_end(&result));
}

static void read_on(Logs *logs);

static void
on_read(GObject *source, GAsyncResult *result, gpointer data)
{
  Logs *logs = data;
  GError *error = NULL;
  gboolean ok = g_task_propagate_boolean(G_TASK(result), &error);
  az_clock_release(logs->clock);
  logs->busy = FALSE;
  AzlinOp *root = logs->job != NULL ? az_job_root(logs->job) : NULL;
  if (root == NULL || az_op_cancelled(root)) {
    g_clear_error(&error);
  } else if (!ok) {
    az_job_fail(logs->job, error);
  } else {
    logs->reading->limit = 0; /* of what came before */
    if (logs->stream)
      tell_all(logs);
    if (!logs->follow || logs->stopping)
      finish(logs);
    else if (logs->again)
      read_on(logs);
  }
  logs_unref(logs);
}

static void
read_on(Logs *logs)
{
  logs->again = logs->busy;
  if (logs->busy)
    return;
  logs->busy = TRUE;
  g_atomic_ref_count_inc(&logs->references);
  az_clock_hold(logs->clock); /* no virtual hour passes while a thread reads */
  g_autoptr(GTask) task = g_task_new(NULL, NULL, on_read, logs);
  g_task_set_task_data(task, logs->reading, NULL);
  g_task_run_in_thread(task, in_thread);
}

static void
on_changed(GFileMonitor *monitor, GFile *file, GFile *other, GFileMonitorEvent event, gpointer data)
{
  if (event != G_FILE_MONITOR_EVENT_ATTRIBUTE_CHANGED)
    read_on(data);
}

static gboolean
watch_file(Logs *logs, GError **error)
{
  g_autoptr(GFile) file = g_file_new_for_path(logs->reading->path);
  logs->monitor = g_file_monitor_file(file, G_FILE_MONITOR_NONE, NULL, error);
  if (logs->monitor == NULL)
    return FALSE;
  g_file_monitor_set_rate_limit(logs->monitor, 50);
  g_signal_connect(logs->monitor, "changed", G_CALLBACK(on_changed), logs);
  return TRUE;
}

static char *
since_text(const char *given)
{
  if (given == NULL)
    return NULL;
  gint64 since = az_logs_since(given, g_get_real_time());
  g_autoptr(GDateTime) second = g_date_time_new_from_unix_utc(since / G_USEC_PER_SEC);
  g_autoptr(GDateTime) time = second != NULL ? g_date_time_add(second, since % G_USEC_PER_SEC) : NULL;
  return time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S.%fZ") : NULL;
}

static void
run(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)
{
  Logs *logs = g_new0(Logs, 1);
  Reading *reading = logs->reading = g_new0(Reading, 1);
  const char *region = az_job_arg_string(job, "region");
  GError *error = NULL;
  logs->job = job;
  logs->clock = az_engine_clock(engine);
  g_atomic_ref_count_init(&logs->references);
  logs->follow = az_job_arg_bool(job, "follow");
  logs->stream = logs->follow || az_job_arg_bool(job, "stream");
  reading->path = az_paths_file(az_engine_paths(engine), "audit.log");
  reading->events = g_queue_new();
  reading->limit = az_job_arg_uint(job, "limit", 0);
  reading->filter
      = (AzLogsFilter){ .since = since_text(az_job_arg_string(job, "since")),
                        .job = az_job_arg_uint(job, "job", 0),
                        .region = region != NULL ? g_strdup(az_config_alias(az_engine_config(engine), region)) : NULL };
  az_job_set_data(job, logs, logs_end);
  if (!az_paths_ensure(az_engine_paths(engine), &error) || (logs->follow && !watch_file(logs, &error)))
    az_job_fail(job, error);
  else
    read_on(logs);
}

static void
stop(AzJob *job)
{
  Logs *logs = az_job_data(job);
  logs->stopping = TRUE;
  if (!logs->busy)
    finish(logs);
}

static gboolean
check(AzEngine *engine, GVariant *args, GError **error)
{
  const char *since = NULL;
  if (!g_variant_lookup(args, "since", "&s", &since) || az_logs_since(since, g_get_real_time()) >= 0)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
              "--since takes a span (90s, 10m, 2h, 7d) or a time (2026-11-28, 2026-11-28T10:00:00Z), not '%s'", since);
  return FALSE;
}

static const AzFlag flags[] = {
  { "follow", 'f', "b", NULL, "go on with what is added, until Ctrl-C" },
  { "since", 0, "s", "TIME", "only what is not older: 90s, 10m, 2h, 7d, or a time as 2026-11-28T10:00:00Z" },
  { "region", 0, "s", "REGION", "only what names this region, or an alias of it" },
  { "job", 0, "u", "N", "only what this job of azlind did: azlin jobs list" },
  { "limit", 'n', "u", "N", "only the last N records, and what follows" },
  { "stream", 0, "b", NULL, "tell each record by itself, and none in the result" },
  { 0 },
};

const AzFlow az_flow_logs = {
  .kind = { .kind = "logs", .help = "Show what azlin did here, and follow what it does", .flags = flags, .tied = TRUE },
  .check = check,
  .run = run,
  .stop = stop,
};
