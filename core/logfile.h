/* Durable append-only line files shared by journal and audit log: locked, checksummed, a torn tail set aside. */
#pragma once
#include <glib.h>
typedef struct _AzLogfile AzLogfile;
/* Opens or creates (0600) `path`. Line = "<hash chain> <JSON>\n"; the hash covers the previous hash and this JSON. */
AzLogfile *az_logfile_open(const char *path, GError **error);
void az_logfile_close(AzLogfile *file);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzLogfile, az_logfile_close)
/* Appends one record under an OFD lock and fdatasyncs; FALSE = it is not durable and nothing may follow from it. */
gboolean az_logfile_append(AzLogfile *file, const char *json, GError **error);
/* Hash of the last record, which covers all before it; 64 zeros when empty. Copies 64 digits and a NUL to `ret_head`.
 */
gboolean az_logfile_head(AzLogfile *file, char *ret_head, GError **error);
#define AZ_LOGFILE_HASH 64
/* Calls `func` for each valid record in order; `ret_bad_line` = first line that breaks the chain, 0 = none. */
gboolean az_logfile_foreach(AzLogfile *file, void (*func)(guint64 line, const char *json, gpointer data), gpointer data,
                            guint64 *ret_bad_line, GError **error);
/* A place in such a file, for readers that come back; {0} = its beginning. */
typedef struct {
  guint64 offset, line;
  char previous[AZ_LOGFILE_HASH + 1]; /* hash of the record before it */
} AzLogfileCursor;
/* The valid records from `cursor` on, which moves on behind the last whole one. Takes no lock and touches no AzLogfile,
 * so that any thread may do it; a file that is not there has none. */
gboolean az_logfile_read_on(const char *path, AzLogfileCursor *cursor,
                            void (*func)(guint64 line, const char *json, gpointer data), gpointer data, GError **error);
/* Holds the lock over several calls (calls nest), so that what was read is still true when it is acted upon. */
gboolean az_logfile_lock(AzLogfile *file, GError **error);
void az_logfile_unlock(AzLogfile *file);
/* Sets disk space aside for the next `bytes`, so that a record which only closes another fits on a full disk too. */
gboolean az_logfile_reserve(AzLogfile *file, gsize bytes, GError **error);
/* Length in bytes now, by whoever wrote. */
guint64 az_logfile_size(AzLogfile *file);
/* Drops all records (only when the caller holds what makes that safe): used by the journal when nothing is open. */
gboolean az_logfile_reset(AzLogfile *file, GError **error);
