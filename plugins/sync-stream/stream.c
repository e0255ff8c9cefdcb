/* sync-stream: copies what is named as streams over SSH, straight from machine to machine over several connections. */
#include "stream.h"

#include "landing.h"
#include "option.h"
#include "syncjob.h"

#include <string.h>

#define DROP_MS 30000u
#define NOT_ALL_PLACED 23 /* the status of azlin_place */

const char stream_unreachable[] = "the source cannot reach the target: copied through azlin";

static void
copy_free(StreamCopy *copy)
{
  sync_job_clear(copy->self->host->api, &copy->job);
  g_clear_pointer(&copy->command, g_ptr_array_unref);
  g_free(copy->stage);
  g_byte_array_unref(copy->report);
  g_string_free(copy->words, TRUE);
  g_ptr_array_unref(copy->errors);
  g_free(copy);
}

static StreamCopy *
copy_new(Stream *self, const AzlinSyncJob *job, AzlinOp *op)
{
  StreamCopy *copy = g_new0(StreamCopy, 1);
  AzlinSyncJob named = *job;
  g_autoptr(GBytes) names = named.only = landing_with_parents(job->only, !job->single_file);
  *copy = (StreamCopy){ .self = self, .op = op, .job = sync_job_copy(self->host->api, &named) };
  copy->report = g_byte_array_new();
  copy->words = g_string_new(NULL);
  copy->errors = g_ptr_array_new_with_free_func(g_free);
  return copy;
}

void
stream_done(StreamCopy *copy, gboolean incomplete)
{
  SyncResult result = { .files = copy->job.files,
                        .bytes = copy->job.bytes,
                        .sent = copy->sent,
                        .incomplete = incomplete,
                        .errors = copy->errors,
                        .note = copy->note };
  copy->self->host->api->op_finish_variant(copy->op, sync_job_result(&result));
  copy_free(copy);
}

static void
on_dropped(AzlinOp *op, gpointer data)
{
  AzlinHost *host = data;
  const GError *error = host->api->op_error(op);
  if (error != NULL)
    host->api->log(host, G_LOG_LEVEL_INFO, "what had arrived could not be taken away: %s", error->message);
}

/* Goes on when the copy was cancelled, or failed because azlin ends. */
void
stream_drop(StreamCopy *copy)
{
  AzlinHost *host = copy->self->host;
  g_autoptr(GPtrArray) argv = landing_drop_argv(copy->job.target_folder, copy->stage);
  AzlinExec request = { .size = sizeof request, .vm = copy->job.target, .argv = (const char *const *) argv->pdata };
  host->api->exec(host, &request, host->api->op_new_detached(copy->op, "clean up", DROP_MS, on_dropped, host));
}

void
stream_fail(StreamCopy *copy, GError *error)
{
  stream_drop(copy);
  copy->self->host->api->op_fail(copy->op, error);
  copy_free(copy);
}

void
stream_placed(StreamCopy *copy, int status, GBytes *report, const char *words, gboolean incomplete)
{
  if (status == 0 || status == NOT_ALL_PLACED) {
    landing_read_report(report, copy->job.path, copy->errors);
    stream_done(copy, incomplete || status != 0);
    return;
  }
  gboolean full = strstr(words, "No space left on device") != NULL;
  stream_fail(copy, g_error_new(AZLIN_ERROR, full ? AZLIN_ERROR_STORAGE : AZLIN_ERROR_SYNC,
                                "%s could not be put in place in %s: %.500s (status %d)", copy->job.path,
                                copy->job.target->region, *words != '\0' ? words : "no reason given", status));
}

static guint
most_connections(Stream *self)
{
  return option_uint(self->host, "connections");
}

static void
transfer(gpointer data, const AzlinSyncJob *job, AzlinOp *op)
{
  Stream *self = data;
  if (job->only == NULL || job->run == NULL || job->dry_run) {
    self->host->api->op_fail(op, g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                                                     "the strategy stream copies only what it is told by name"));
    return;
  }
  StreamForecast forecast = stream_predict(job, most_connections(self), self->road);
  StreamCopy *copy = copy_new(self, job, op);
  copy->forecast = forecast;
  if (self->road == STREAM_RELAY) /* it is stayed on, however slow it is */
    copy->forecast.direct = -1;
  copy->most = most_connections(self);
  if (g_bytes_get_size(copy->job.only) == 0) {
    stream_done(copy, FALSE);
    return;
  }
  if (forecast.direct < 0)
    copy->note = stream_unreachable;
  if (forecast.road == STREAM_RELAY)
    stream_relay(copy);
  else
    stream_direct(copy);
}

static double
score(gpointer data, const AzlinSyncJob *job, char **ret_reason)
{
  Stream *self = data;
  if (job->only == NULL)
    return -1;
  StreamForecast forecast = stream_predict(job, most_connections(self), self->road);
  if (ret_reason != NULL)
    *ret_reason = g_strdup(forecast.road == STREAM_RELAY ? "one archive through azlin" : "several connections at once");
  return forecast.road == STREAM_RELAY ? forecast.relay : forecast.direct;
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  static const char *const roads[] = { [STREAM_AUTO] = "auto", [STREAM_DIRECT] = "direct", [STREAM_RELAY] = "relay" };
  g_autoptr(GVariant) value = host->api->option(host, "road");
  const char *road = g_variant_get_string(value, NULL);
  for (guint i = 0; i < G_N_ELEMENTS(roads); i++) {
    if (!g_str_equal(road, roads[i]))
      continue;
    Stream *self = g_new0(Stream, 1);
    *self = (Stream){ .host = host, .road = (StreamRoad) i };
    *ret_self = self;
    return TRUE;
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[sync.stream] road is auto, direct or relay, not \"%s\"", road);
  return FALSE;
}

static const AzlinOption options[] = {
  { "connections", "u", "32", "1", "64", "connections from the source to the target at most" },
  { "road", "s", "auto", NULL, NULL, "auto: the quicker one; direct: from machine to machine; relay: through azlin" },
  { 0 },
};

static const AzlinSync iface = { .size = sizeof iface, .score = score, .transfer = transfer, .asks_for_key = TRUE };
static const AzlinBrick brick = {
  .size = sizeof brick,
  .kind = AZLIN_KIND_SYNC,
  .name = "stream",
  .summary = "copies what differs as streams over SSH, by several connections or through azlin",
  .options = options,
  .init = init,
  .free = g_free,
  .iface = &iface,
};
AZLIN_PLUGIN_DEFINE("azlin.sync-stream", "0.1.0", "MIT", &brick)
