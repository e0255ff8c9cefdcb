/* How long rsync will take: pure, so that a test can walk the bounds. */
#include "rsync.h"

#define SETUP_SECONDS 1.0 /* logging in, starting both ends, building the first list */

double
rsync_predict(const RsyncSpeed *speed, guint64 bytes, guint64 files, guint32 bwlimit_kib, char **ret_reason)
{
  double per_second = speed->throughput_mib * 1048576.0;
  if (bwlimit_kib > 0)
    per_second = MIN(per_second, bwlimit_kib * 1024.0);
  double moving = (double) bytes / per_second, handling = (double) files / speed->files_per_second;
  if (ret_reason != NULL)
    *ret_reason = g_strdup(handling > moving   ? "many small files"
                           : bytes < 100000000 ? "small files"
                                               : "only what differs is sent");
  return SETUP_SECONDS + MAX(moving, handling);
}
