/* How long rsync will take: pure, so that a test can walk the bounds. */
#include "rsync.h"

#define SETUP_SECONDS 0.3 /* starting both ends, building the first list, keys made and taken back */
#define KEY_TRIPS 4.0     /* round trips to the machines until the key lies on both, and until it is gone */
#define LOGIN_TRIPS 12.0  /* round trips between the machines from the first packet to the first byte of a file */
#define WINDOW_MIB 2.0    /* what one connection of OpenSSH has on its way at most */
#define DELTA_SHARE 0.02  /* of an older version: sums of its blocks one way, references and small changes the other */
#define MANY_SECONDS 0.1  /* of handling files: below that their number is not what takes the time */
#define DELTA_MIB 600.0   /* per second: an older version read and summed up */

static double
window_mib(const AzlinSyncFacts *facts)
{
  return facts != NULL && facts->rtt_between_ms > 0 ? WINDOW_MIB * 1000 / facts->rtt_between_ms : G_MAXDOUBLE;
}

double
rsync_link_mib(const AzlinSyncFacts *facts)
{
  double measured = facts != NULL && facts->mib_per_second > 0 ? facts->mib_per_second : G_MAXDOUBLE;
  double link = MIN(measured, window_mib(facts));
  return link < G_MAXDOUBLE ? link : 0;
}

/* Not measured for small jobs: as far as the farther of the two is from here. */
static double
setup_seconds(const AzlinSyncFacts *facts)
{
  double here = facts != NULL ? MAX(MAX(facts->rtt_source_ms, facts->rtt_target_ms), 0) : 0;
  double between = facts != NULL && facts->rtt_between_ms >= 0 ? facts->rtt_between_ms : here;
  return SETUP_SECONDS + (KEY_TRIPS * here + LOGIN_TRIPS * between) / 1000;
}

static double
bytes_per_second(const RsyncSpeed *speed, const AzlinSyncJob *job)
{
  const AzlinSyncFacts *facts = job->facts;
  double link = facts != NULL && facts->mib_per_second > 0 ? facts->mib_per_second : speed->throughput_mib;
  link = MIN(link, window_mib(facts)) * 1048576.0;
  return job->bwlimit_kib > 0 ? MIN(link, job->bwlimit_kib * 1024.0) : link;
}

double
rsync_predict(const RsyncSpeed *speed, const AzlinSyncJob *job, char **ret_reason)
{
  const AzlinSyncFacts *facts = job->facts;
  double bytes = (double) job->bytes, old = facts != NULL ? MIN((double) facts->old_bytes, bytes) : 0;
  double largest_old = facts != NULL ? MIN((double) facts->largest, old) : 0;
  double moving = (bytes - old + old * DELTA_SHARE) / bytes_per_second(speed, job);
  double handling = (double) job->files / speed->files_per_second;
  double reading = old / (DELTA_MIB * 1048576.0);
  /* files overlap, but the largest is read whole at the target before any of it is sent */
  double first = largest_old / (DELTA_MIB * 1048576.0);
  if (ret_reason != NULL)
    *ret_reason = g_strdup(handling > MAX(MAX(moving, reading), MANY_SECONDS) ? "many small files"
                           : old > bytes / 2        ? "only what differs inside the files is sent"
                           : job->bytes < 100000000 ? "small files"
                                                    : "one stream");
  return setup_seconds(facts) + first + MAX(MAX(moving, handling), reading);
}
