/* How long a copy through blob storage will take: pure, so that a test can walk the bounds. */
#include "blob.h"

#define SETUP_TRIPS 20.0   /* container, sessions, connections and their first flights, landing */
#define SETUP_SECONDS 0.5  /* what the machines do in it */
#define LAG_BYTES 33554432 /* stored, not fetched yet */

static double
refuse(char **ret_reason, const char *region, const char *why)
{
  if (ret_reason != NULL)
    *ret_reason = g_strconcat(region, why, NULL);
  return -1;
}

static gboolean
lacks(const char *tools, const char *tool)
{
  return tools != NULL && g_strstr_len(tools, -1, tool) == NULL;
}

double
blob_predict(const BlobSpeed *speed, const StorageEndpoint *endpoint, const AzlinSyncJob *job, char **ret_reason)
{
  const AzlinSyncFacts *facts = job->facts;
  if (endpoint == NULL)
    return refuse(ret_reason, "", "no endpoint is set in [sync.blob]");
  if (job->dry_run)
    return refuse(ret_reason, "", "it has nothing to show without copying");
  if (facts != NULL && lacks(facts->tools_source, " curl "))
    return refuse(ret_reason, job->source->region, " has no curl");
  if (facts != NULL && lacks(facts->tools_target, " curl "))
    return refuse(ret_reason, job->target->region, " has no curl");
  double measured = facts != NULL ? facts->mib_per_second : 0;
  double per_second = MAX(measured, speed->mib_per_second) * 1048576.0;
  if (job->bwlimit_kib > 0)
    per_second = MIN(per_second, job->bwlimit_kib * 1024.0);
  double rtt = facts != NULL ? MAX(facts->rtt_source_ms, 0) + MAX(facts->rtt_target_ms, 0) : 0;
  double moving = (double) job->bytes / per_second + (double) MIN(job->bytes, LAG_BYTES) / per_second;
  double handling = (double) job->files / speed->files_per_second;
  if (ret_reason != NULL)
    *ret_reason = g_strdup(facts != NULL && facts->n_targets > 1 ? "read and stored once for all targets"
                                                                 : "many connections at once");
  return SETUP_SECONDS + SETUP_TRIPS * rtt / 2000.0 + MAX(moving, handling);
}
