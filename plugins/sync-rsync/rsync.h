/* What the files of this brick share: command lines, the parsers of rsync's output, the meaning of its exit codes. */
#pragma once
#include "azlin-plugin.h"

/* ---- command.c ---- */

typedef struct {
  gboolean compress;
  guint32 io_timeout_s;
} RsyncOptions;

/* The whole command line for the source machine; NULL and FAILED when the grant holds what cannot be passed on safely.
 * Elements owned, ends NULL. */
GPtrArray *rsync_command(const AzlinSyncJob *job, const RsyncOptions *options, GError **error);
/* The names for --files-from: without ".", which rsync takes for all that is in the folder. */
GBytes *rsync_names(GBytes *only);
/* Worth compressing: not when both ends are one host. */
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
  guint64 files, bytes, bytes_sent, deleted;
  gboolean seen; /* the block at the end did come */
} RsyncStats;
/* One line of --stats; FALSE: it is another line. */
gboolean rsync_parse_stats(const char *line, RsyncStats *stats);

#define RSYNC_ITEM_PREFIX "azlin:"
/* "azlin:*deleting   a/b" and the like. `ret_file`: no folder. */
gboolean rsync_parse_item(const char *line, gboolean *ret_deletes, gboolean *ret_file);

/* ---- verdict.c ---- */

typedef enum { RSYNC_DONE, RSYNC_INCOMPLETE, RSYNC_FAILED } RsyncVerdict;
/* What an exit code and the words on stderr amount to. `errors` gets sentences for people; with RSYNC_FAILED
 * `ret_error` says why, and its code whether another attempt makes sense. */
RsyncVerdict rsync_judge(const AzlinSyncJob *job, int status, GBytes *err, GPtrArray *errors, GError **ret_error);

/* ---- score.c ---- */

typedef struct {
  guint32 throughput_mib; /* per second */
  double files_per_second;
} RsyncSpeed;
double rsync_predict(const RsyncSpeed *speed, guint64 bytes, guint64 files, guint32 bwlimit_kib, char **ret_reason);
