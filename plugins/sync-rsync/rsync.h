/* What the files of this brick share: command lines, the parsers of rsync's output, the meaning of its exit codes. */
#pragma once
#include "azlin-plugin.h"

/* ---- command.c ---- */

typedef struct {
  gboolean compress, xattrs;
  guint32 io_timeout_s;
} RsyncOptions;

/* The whole command line for the source machine; NULL and FAILED when the grant holds what cannot be passed on safely.
 * Elements owned, ends NULL. */
GPtrArray *rsync_command(const AzlinSyncJob *job, const RsyncOptions *options, GError **error);
/* Why this job is none for rsync; NULL = it is. */
const char *rsync_refusal(const AzlinSyncJob *job);
/* The names for --files-from: without ".", which rsync takes for all that is in the folder. */
GBytes *rsync_names(GBytes *only);
/* Worth compressing: where the link is slower than the compressor, as far as that is known. */
gboolean rsync_should_compress(const char *setting, const AzlinSyncJob *job);

/* ---- parse.c ---- */

typedef struct {
  guint64 bytes;
  guint percent;
  gint64 eta_seconds; /* -1 = rsync does not know */
} RsyncProgress;
/* "  1,234,567  45%    1.23MB/s    0:00:12 (xfr#3, to-chk=5/10)", whatever the locale puts between the digits. */
gboolean rsync_parse_progress(const char *line, RsyncProgress *ret_progress);

typedef struct {
  guint64 files, bytes, bytes_sent;
  gboolean seen; /* the block at the end did come */
} RsyncStats;
/* One line of --stats; FALSE: it is another line. */
gboolean rsync_parse_stats(const char *line, RsyncStats *stats);

/* ---- residue.c ---- */

/* Those of `names` (of char*) that are called as rsync calls a file that it writes for one of `only`. Elements
 * borrowed. */
GPtrArray *rsync_left_behind(GBytes *only, GPtrArray *names);

/* ---- verdict.c ---- */

typedef enum {
  RSYNC_DONE,
  RSYNC_INCOMPLETE,
  RSYNC_FAILED,
  RSYNC_WITHOUT_XATTRS /* one of the two rsyncs was built without extended attributes: again without them */
} RsyncVerdict;
/* What an exit code and the words on stderr amount to. `errors` gets sentences for people; with RSYNC_DONE these say
 * which extended attributes the target did not take. With RSYNC_FAILED `ret_error` says why, and its code whether
 * another attempt makes sense. */
RsyncVerdict rsync_judge(const AzlinSyncJob *job, int status, GBytes *err, GPtrArray *errors, GError **ret_error);

/* ---- score.c ---- */

typedef struct {
  guint32 throughput_mib; /* per second, where nothing was measured */
  double files_per_second;
} RsyncSpeed;
/* Seconds. `ret_reason` may be NULL. */
double rsync_predict(const RsyncSpeed *speed, const AzlinSyncJob *job, char **ret_reason);
/* MiB per second that one connection between the machines carries, measured or bounded by its window; 0 = unknown. */
double rsync_link_mib(const AzlinSyncFacts *facts);
