/* sync-stream: copies what is named as streams over SSH, straight from machine to machine over several connections. */
#include "stream.h"

#include "landing.h"

#include <string.h>

static void
copy_free(StreamCopy *copy)
{
  const AzlinHostApi *api = copy->self->host->api;
  api->vm_free((AzlinVm *) (guintptr) copy->job.source);
  api->vm_free((AzlinVm *) (guintptr) copy->job.target);
  g_free((char *) (guintptr) copy->job.path);
  g_free((char *) (guintptr) copy->job.run);
  g_free((char *) (guintptr) copy->job.source_folder);
  g_free((char *) (guintptr) copy->job.target_folder);
  g_bytes_unref(copy->names);
  g_ptr_array_unref(copy->errors);
  g_free(copy);
}

static StreamCopy *
copy_new(Stream *self, const AzlinSyncJob *job, AzlinOp *op)
{
  const AzlinHostApi *api = self->host->api;
  StreamCopy *copy = g_new0(StreamCopy, 1);
  *copy = (StreamCopy){ .self = self, .op = op, .job = *job };
  copy->job.source = api->vm_dup(job->source);
  copy->job.target = api->vm_dup(job->target);
  copy->job.path = g_strdup(job->path);
  copy->job.run = g_strdup(job->run);
  copy->job.source_folder = g_strdup(job->source_folder);
  copy->job.target_folder = g_strdup(job->target_folder);
  copy->names = landing_with_parents(job->only, !job->single_file);
  copy->job.only = copy->names;
  copy->job.exclude = NULL;
  copy->job.grant = NULL;
  copy->job.facts = NULL;
  copy->errors = g_ptr_array_new_with_free_func(g_free);
  return copy;
}

void
stream_done(StreamCopy *copy, gboolean incomplete)
{
  const AzlinHostApi *api = copy->self->host->api;
  GVariantDict result;
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "files_synced", "t", copy->job.files);
  g_variant_dict_insert(&result, "bytes_transferred", "t", copy->job.bytes);
  g_variant_dict_insert(&result, "bytes_sent", "t", copy->sent);
  g_variant_dict_insert(&result, "incomplete", "b", incomplete);
  g_variant_dict_insert_value(
      &result, "errors", g_variant_new_strv((const char *const *) copy->errors->pdata, (gssize) copy->errors->len));
  api->op_finish_variant(copy->op, g_variant_dict_end(&result));
  copy_free(copy);
}

void
stream_fail(StreamCopy *copy, GError *error)
{
  copy->self->host->api->op_fail(copy->op, error);
  copy_free(copy);
}

void
stream_placed(StreamCopy *copy, int status, GBytes *out, GBytes *err)
{
  gsize size = 0;
  const char *bytes = g_bytes_get_data(err, &size);
  g_autofree char *raw = g_strndup(bytes != NULL ? bytes : "", MIN(size, 500));
  g_autofree char *words = g_utf8_make_valid(g_strstrip(raw), -1);
  if (status == 0 || status == 23) {
    landing_read_report(out, copy->job.path, copy->errors);
    stream_done(copy, status != 0);
    return;
  }
  gboolean full = strstr(words, "No space left on device") != NULL;
  stream_fail(copy, g_error_new(AZLIN_ERROR, full ? AZLIN_ERROR_STORAGE : AZLIN_ERROR_SYNC,
                                "%s could not be put in place in %s: %s (status %d)", copy->job.path,
                                copy->job.target->region, *words != '\0' ? words : "no reason given", status));
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
  stream_direct(copy_new(self, job, op));
}

static double
score(gpointer data, const AzlinSyncJob *job, char **ret_reason)
{
  if (job->only == NULL)
    return -1;
  if (ret_reason != NULL)
    *ret_reason = g_strdup("several connections at once");
  return 2.0 + (double) job->bytes / (50 * 1048576.0);
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Stream *self = g_new0(Stream, 1);
  self->host = host;
  *ret_self = self;
  return TRUE;
}

static const AzlinSync iface = { .size = sizeof iface, .score = score, .transfer = transfer, .asks_for_key = TRUE };
static const AzlinBrick brick = {
  .size = sizeof brick,
  .kind = AZLIN_KIND_SYNC,
  .name = "stream",
  .summary = "copies what differs as streams over SSH, by several connections or through azlin",
  .init = init,
  .free = g_free,
  .iface = &iface,
};
AZLIN_PLUGIN_DEFINE("azlin.sync-stream", "0.1.0", "MIT", &brick)
