/* What the sync bricks share: a job that outlives the call that brought it, and the result that all of them report. */
#pragma once
#include "azlin-plugin.h"

/* All that `job` points to, copied or referenced, but for `exclude` and `facts`, which are NULL. */
AzlinSyncJob sync_job_copy(const AzlinHostApi *api, const AzlinSyncJob *job);
void sync_job_clear(const AzlinHostApi *api, AzlinSyncJob *job);

typedef struct {
  guint64 files, bytes, sent; /* named, in them, and what went over the line */
  gboolean incomplete;
  GPtrArray *errors; /* of char* */
  const char *note;  /* what people should know of the way it went, or NULL */
} SyncResult;
/* a{sv} as of AzlinSync.transfer; floating. */
GVariant *sync_job_result(const SyncResult *result);
