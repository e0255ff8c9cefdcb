/* sync-rsync: copies one path by rsync that runs on the source machine against the target, with a key made for it. */
#include "rsync.h"
#include <string.h>

#define MAX_ITEMS 10000u /* lines of a dry run that are kept; all are counted */

typedef struct {
  AzlinHost *host;
} Rsync;

typedef struct {
  Rsync *self;
  AzlinOp *op;
  AzlinSyncJob job; /* a copy, with storage of its own below */
  AzlinVm *source, *target;
  char *path;
  char **exclude;
  GPtrArray *argv;
  guint32 attempt;
  RsyncStats stats;
  GPtrArray *errors, *items; /* of char* */
  guint64 n_items, n_deletes, n_deleted_files;
} Transfer;

static void attempt(Transfer *transfer);

static char *
option_string(Rsync *self, const char *name)
{
  g_autoptr(GVariant) value = self->host->api->option(self->host, name);
  return g_variant_dup_string(value, NULL);
}

static guint32
option_uint(Rsync *self, const char *name)
{
  g_autoptr(GVariant) value = self->host->api->option(self->host, name);
  return g_variant_get_uint32(value);
}

static void
transfer_free(Transfer *transfer)
{
  const AzlinHostApi *api = transfer->self->host->api;
  api->vm_free(transfer->source);
  api->vm_free(transfer->target);
  g_free(transfer->path);
  g_strfreev(transfer->exclude);
  g_clear_pointer(&transfer->job.grant, g_variant_unref);
  g_clear_pointer(&transfer->job.only, g_bytes_unref);
  g_clear_pointer(&transfer->argv, g_ptr_array_unref);
  g_ptr_array_unref(transfer->errors);
  g_ptr_array_unref(transfer->items);
  g_free(transfer);
}

static Transfer *
transfer_new(Rsync *self, const AzlinSyncJob *job, AzlinOp *op)
{
  const AzlinHostApi *api = self->host->api;
  Transfer *transfer = g_new0(Transfer, 1);
  *transfer = (Transfer){ .self = self, .op = op, .job = *job };
  transfer->job.source = transfer->source = api->vm_dup(job->source);
  transfer->job.target = transfer->target = api->vm_dup(job->target);
  transfer->job.path = transfer->path = g_strdup(job->path);
  transfer->exclude = g_strdupv((char **) (guintptr) job->exclude);
  transfer->job.exclude = (const char *const *) transfer->exclude;
  transfer->job.grant = job->grant != NULL ? g_variant_ref(job->grant) : NULL;
  transfer->job.only = job->only != NULL ? rsync_names(job->only) : NULL;
  transfer->errors = g_ptr_array_new_with_free_func(g_free);
  transfer->items = g_ptr_array_new_with_free_func(g_free);
  return transfer;
}

static void
report_progress(Transfer *transfer, const RsyncProgress *progress)
{
  const AzlinHostApi *api = transfer->self->host->api;
  g_autofree char *eta = NULL;
  if (progress->eta_seconds >= 60)
    eta = g_strdup_printf("ETA: %dm %ds", (int) (progress->eta_seconds / 60), (int) (progress->eta_seconds % 60));
  else if (progress->eta_seconds >= 0)
    eta = g_strdup_printf("ETA: %ds", (int) progress->eta_seconds);
  api->op_progress(transfer->op, progress->bytes, MAX(transfer->job.bytes, progress->bytes), eta);
}

static void
take_item(Transfer *transfer, const char *line, gboolean deletes, gboolean is_file)
{
  transfer->n_items++;
  transfer->n_deletes += deletes ? 1 : 0;
  transfer->n_deleted_files += deletes && is_file ? 1 : 0;
  if (transfer->items->len < MAX_ITEMS)
    g_ptr_array_add(transfer->items, g_utf8_make_valid(line + strlen(RSYNC_ITEM_PREFIX), -1));
}

static void
on_line(const char *line, gpointer data)
{
  Transfer *transfer = data;
  RsyncProgress progress = { 0 };
  gboolean deletes = FALSE, is_file = FALSE;
  if (rsync_parse_item(line, &deletes, &is_file))
    take_item(transfer, line, deletes, is_file);
  else if (rsync_parse_progress(line, &progress))
    report_progress(transfer, &progress);
  else
    rsync_parse_stats(line, &transfer->stats);
}

static GVariant *
strings(GPtrArray *array)
{
  return g_variant_new_strv((const char *const *) array->pdata, (gssize) array->len);
}

static void
finish(Transfer *transfer, gboolean incomplete)
{
  const AzlinHostApi *api = transfer->self->host->api;
  GVariantDict result;
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "files_synced", "t", transfer->job.dry_run ? 0 : transfer->stats.files);
  g_variant_dict_insert(&result, "bytes_transferred", "t", transfer->job.dry_run ? 0 : transfer->stats.bytes);
  g_variant_dict_insert(&result, "bytes_sent", "t", transfer->stats.bytes_sent);
  g_variant_dict_insert(&result, "files_deleted", "t", transfer->job.dry_run ? 0 : transfer->stats.deleted);
  g_variant_dict_insert(&result, "incomplete", "b", incomplete);
  g_variant_dict_insert_value(&result, "errors", strings(transfer->errors));
  if (transfer->job.dry_run) {
    g_variant_dict_insert_value(&result, "items", strings(transfer->items));
    g_variant_dict_insert(&result, "n_items", "t", transfer->n_items);
    g_variant_dict_insert(&result, "n_deletes", "t", transfer->n_deletes);
    g_variant_dict_insert(&result, "n_deleted_files", "t", transfer->n_deleted_files);
  }
  api->op_finish_variant(transfer->op, g_variant_dict_end(&result));
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
  if (verdict == RSYNC_FAILED)
    try_again_or_fail(transfer, error);
  else if (verdict == RSYNC_DONE && !transfer->stats.seen)
    fail(transfer,
         g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "%s: rsync ended without its statistics", transfer->path));
  else
    finish(transfer, verdict == RSYNC_INCOMPLETE);
}

static void
attempt(Transfer *transfer)
{
  const AzlinHostApi *api = transfer->self->host->api;
  transfer->attempt++;
  transfer->stats = (RsyncStats){ 0 };
  transfer->n_items = transfer->n_deletes = transfer->n_deleted_files = 0;
  g_ptr_array_set_size(transfer->items, 0);
  AzlinExec request = { .size = sizeof request,
                        .vm = transfer->source,
                        .argv = (const char *const *) transfer->argv->pdata,
                        .input = transfer->job.only,
                        .on_line = on_line,
                        .line_data = transfer };
  api->exec(transfer->self->host, &request, api->op_new(transfer->op, "rsync", 0, on_ran, transfer));
}

static void
transfer(gpointer data, const AzlinSyncJob *job, AzlinOp *op)
{
  Rsync *self = data;
  GError *error = NULL;
  g_autofree char *compress = option_string(self, "compress");
  RsyncOptions options = { .io_timeout_s = option_uint(self, "timeout") };
  options.compress = rsync_should_compress(compress, job);
  Transfer *state = transfer_new(self, job, op);
  state->argv = rsync_command(job, &options, &error);
  if (state->argv == NULL)
    fail(state, error);
  else
    attempt(state);
}

static double
score(gpointer data, const AzlinSyncJob *job, char **ret_reason)
{
  Rsync *self = data;
  RsyncSpeed speed = { .throughput_mib = option_uint(self, "throughput"),
                       .files_per_second = option_uint(self, "files-per-second") };
  return rsync_predict(&speed, job->bytes, job->files, job->bwlimit_kib, ret_reason);
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Rsync *self = g_new0(Rsync, 1);
  self->host = host;
  g_autofree char *compress = option_string(self, "compress");
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
  { "compress", "s", "auto", NULL, NULL, "auto: compress unless both machines are this host; yes; no" },
  { "timeout", "u", "60", "5", "3600", "seconds without a byte after which a transfer is attempted again" },
  { "throughput", "u", "50", "1", "100000", "MiB per second between regions, for predictions" },
  { "files-per-second", "u", "2000", "1", "10000000", "small files per second, for predictions" },
  { 0 },
};

static const AzlinSync iface = { .size = sizeof iface, .score = score, .transfer = transfer };
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
