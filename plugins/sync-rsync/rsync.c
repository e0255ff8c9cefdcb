/* sync-rsync: copies one path by rsync that runs on the source machine against the target, with a key made for it. */
#include "rsync.h"
#include "option.h"
#include "syncjob.h"
#include <string.h>

typedef struct {
  AzlinHost *host;
} Rsync;

typedef struct {
  Rsync *self;
  AzlinOp *op;
  AzlinSyncJob job;
  RsyncOptions options;
  GPtrArray *argv;
  guint32 attempt;
  RsyncStats stats;
  GPtrArray *errors; /* of char* */
  const char *note;  /* what could not be kept, for people; or NULL */
} Transfer;

static void attempt(Transfer *transfer);
static void begin(Transfer *transfer);

static void
transfer_free(Transfer *transfer)
{
  sync_job_clear(transfer->self->host->api, &transfer->job);
  g_clear_pointer(&transfer->argv, g_ptr_array_unref);
  g_ptr_array_unref(transfer->errors);
  g_free(transfer);
}

static Transfer *
transfer_new(Rsync *self, const AzlinSyncJob *job, AzlinOp *op)
{
  Transfer *transfer = g_new0(Transfer, 1);
  AzlinSyncJob named = *job;
  g_autoptr(GBytes) names = named.only = job->only != NULL ? rsync_names(job->only) : NULL;
  *transfer = (Transfer){ .self = self, .op = op, .job = sync_job_copy(self->host->api, &named) };
  transfer->errors = g_ptr_array_new_with_free_func(g_free);
  return transfer;
}

static void
report_progress(Transfer *transfer, const RsyncProgress *progress)
{
  const AzlinHostApi *api = transfer->self->host->api;
  api->op_progress(transfer->op, progress->bytes, MAX(transfer->job.bytes, progress->bytes), NULL);
}

static void
on_line(const char *line, gpointer data)
{
  Transfer *transfer = data;
  RsyncProgress progress = { 0 };
  if (rsync_parse_progress(line, &progress))
    report_progress(transfer, &progress);
  else
    rsync_parse_stats(line, &transfer->stats);
}

static void
finish(Transfer *transfer, gboolean incomplete)
{
  SyncResult result = { .files = transfer->stats.files,
                        .bytes = transfer->stats.bytes,
                        .sent = transfer->stats.bytes_sent,
                        .incomplete = incomplete,
                        .errors = transfer->errors,
                        .note = transfer->note };
  transfer->self->host->api->op_finish_variant(transfer->op, sync_job_result(&result));
  transfer_free(transfer);
}

static void
fail(Transfer *transfer, GError *error)
{
  transfer->self->host->api->op_fail(transfer->op, error);
  transfer_free(transfer);
}

static void
on_slept(AzlinOp *op, gpointer data)
{
  Transfer *transfer = data;
  const GError *error = transfer->self->host->api->op_error(op);
  if (error != NULL)
    fail(transfer, g_error_copy(error));
  else
    attempt(transfer);
}

static void
try_again_or_fail(Transfer *transfer, GError *error)
{
  const AzlinHostApi *api = transfer->self->host->api;
  int delay = api->retry_delay_ms(error, transfer->attempt);
  if (delay < 0) {
    fail(transfer, error);
    return;
  }
  api->log(transfer->self->host, G_LOG_LEVEL_INFO, "attempt %u: %s; again in %d ms", transfer->attempt, error->message,
           delay);
  api->op_progress(transfer->op, 0, transfer->job.bytes, "connection lost, trying again");
  g_error_free(error);
  api->sleep(transfer->self->host, (guint32) delay, api->op_new(transfer->op, "wait to retry", 0, on_slept, transfer));
}

static void
finish_noted(Transfer *transfer, gboolean incomplete)
{
  if (!incomplete && transfer->errors->len > 0)
    transfer->note = "The target did not take all extended attributes";
  finish(transfer, incomplete);
}

static void
go_without_xattrs(Transfer *transfer)
{
  if (!transfer->options.xattrs) {
    fail(transfer, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                               "%s: rsync refused extended attributes that nobody asked for", transfer->job.path));
    return;
  }
  transfer->options.xattrs = FALSE;
  transfer->note = "Extended attributes were left out: rsync on one of the two machines was built without them";
  g_clear_pointer(&transfer->argv, g_ptr_array_unref);
  begin(transfer);
}

static void
on_ran(AzlinOp *op, gpointer data)
{
  Transfer *transfer = data;
  const AzlinHostApi *api = transfer->self->host->api;
  GError *error = NULL;
  if (api->op_error(op) != NULL) {
    fail(transfer, g_error_copy(api->op_error(op)));
    return;
  }
  const AzlinReply *reply = api->op_reply(op);
  RsyncVerdict verdict = rsync_judge(&transfer->job, reply->status, reply->err, transfer->errors, &error);
  if (verdict == RSYNC_WITHOUT_XATTRS)
    go_without_xattrs(transfer);
  else if (verdict == RSYNC_FAILED)
    try_again_or_fail(transfer, error);
  else if (verdict == RSYNC_DONE && !transfer->stats.seen)
    fail(transfer,
         g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "%s: rsync ended without its statistics", transfer->job.path));
  else
    finish_noted(transfer, verdict == RSYNC_INCOMPLETE);
}

static void
attempt(Transfer *transfer)
{
  const AzlinHostApi *api = transfer->self->host->api;
  transfer->attempt++;
  transfer->stats = (RsyncStats){ 0 };
  AzlinExec request = { .size = sizeof request,
                        .vm = transfer->job.source,
                        .argv = (const char *const *) transfer->argv->pdata,
                        .input = transfer->job.only,
                        .on_line = on_line,
                        .line_data = transfer };
  api->exec(transfer->self->host, &request, api->op_new(transfer->op, "rsync", 0, on_ran, transfer));
}

static void
begin(Transfer *transfer)
{
  GError *error = NULL;
  transfer->argv = rsync_command(&transfer->job, &transfer->options, &error);
  if (transfer->argv == NULL)
    fail(transfer, error);
  else
    attempt(transfer);
}

static void
transfer(gpointer data, const AzlinSyncJob *job, AzlinOp *op)
{
  Rsync *self = data;
  const char *refusal = rsync_refusal(job);
  if (refusal != NULL) {
    self->host->api->op_fail(op,
                             g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "rsync cannot do this: %s", refusal));
    return;
  }
  g_autofree char *compress = option_string(self->host, "compress");
  Transfer *state = transfer_new(self, job, op);
  state->options = (RsyncOptions){ .io_timeout_s = option_uint(self->host, "timeout"), .xattrs = TRUE };
  state->options.compress = rsync_should_compress(compress, job);
  begin(state);
}

static double
score(gpointer data, const AzlinSyncJob *job, char **ret_reason)
{
  Rsync *self = data;
  const char *refusal = rsync_refusal(job);
  if (refusal != NULL) {
    *ret_reason = g_strdup(refusal);
    return -1;
  }
  RsyncSpeed speed = { .throughput_mib = option_uint(self->host, "throughput"),
                       .files_per_second = option_uint(self->host, "files-per-second") };
  return rsync_predict(&speed, job, ret_reason);
}

static GPtrArray *
left_behind(gpointer data, const AzlinSyncJob *job, GPtrArray *names)
{
  (void) data;
  return job->only != NULL ? rsync_left_behind(job->only, names) : NULL;
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Rsync *self = g_new0(Rsync, 1);
  self->host = host;
  g_autofree char *compress = option_string(self->host, "compress");
  if (!g_str_equal(compress, "auto") && !g_str_equal(compress, "yes") && !g_str_equal(compress, "no")) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[sync.rsync] compress is auto, yes or no, not \"%s\"",
                compress);
    g_free(self);
    return FALSE;
  }
  *ret_self = self;
  return TRUE;
}

static const AzlinOption options[] = {
  { "compress", "s", "auto", NULL, NULL, "auto: compress where the link is slower than that; yes; no" },
  { "timeout", "u", "60", "5", "3600", "seconds without a byte after which a transfer is attempted again" },
  { "throughput", "u", "50", "1", "100000", "MiB per second between regions, for predictions while none was measured" },
  { "files-per-second", "u", "2000", "1", "10000000", "small files per second, for predictions" },
  { 0 },
};

static const AzlinSync iface
    = { .size = sizeof iface, .score = score, .transfer = transfer, .left_behind = left_behind };
static const AzlinBrick brick = {
  .size = sizeof brick,
  .kind = AZLIN_KIND_SYNC,
  .name = "rsync",
  .summary = "copies what differs by rsync from machine to machine",
  .options = options,
  .init = init,
  .free = g_free,
  .iface = &iface,
};
AZLIN_PLUGIN_DEFINE("azlin.sync-rsync", "0.1.0", "MIT", &brick)
