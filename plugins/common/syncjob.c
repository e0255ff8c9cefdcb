/* What the sync bricks share: a job that outlives the call that brought it, and the result that all of them report. */
#include "syncjob.h"

AzlinSyncJob
sync_job_copy(const AzlinHostApi *api, const AzlinSyncJob *job)
{
  AzlinSyncJob copy = *job;
  copy.source = api->vm_dup(job->source);
  copy.target = api->vm_dup(job->target);
  copy.path = g_strdup(job->path);
  copy.run = g_strdup(job->run);
  copy.source_folder = g_strdup(job->source_folder);
  copy.target_folder = g_strdup(job->target_folder);
  copy.grant = job->grant != NULL ? g_variant_ref(job->grant) : NULL;
  copy.only = job->only != NULL ? g_bytes_ref(job->only) : NULL;
  copy.exclude = NULL;
  copy.facts = NULL;
  return copy;
}

void
sync_job_clear(const AzlinHostApi *api, AzlinSyncJob *job)
{
  const char *const texts[] = { job->path, job->run, job->source_folder, job->target_folder };
  for (guint i = 0; i < G_N_ELEMENTS(texts); i++)
    g_free((char *) (guintptr) texts[i]);
  api->vm_free((AzlinVm *) (guintptr) job->source);
  api->vm_free((AzlinVm *) (guintptr) job->target);
  g_clear_pointer(&job->grant, g_variant_unref);
  g_clear_pointer(&job->only, g_bytes_unref);
}

GVariant *
sync_job_result(const SyncResult *result)
{
  GVariantDict dict;
  g_variant_dict_init(&dict, NULL);
  g_variant_dict_insert(&dict, "files_synced", "t", result->files);
  g_variant_dict_insert(&dict, "bytes_transferred", "t", result->bytes);
  g_variant_dict_insert(&dict, "bytes_sent", "t", result->sent);
  g_variant_dict_insert(&dict, "incomplete", "b", result->incomplete);
  g_variant_dict_insert_value(
      &dict, "errors", g_variant_new_strv((const char *const *) result->errors->pdata, (gssize) result->errors->len));
  if (result->note != NULL)
    g_variant_dict_insert(&dict, "note", "s", result->note);
  return g_variant_dict_end(&dict);
}
