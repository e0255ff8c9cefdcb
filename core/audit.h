/* Hash-chained audit log: who did what, on which evidence, how it ended. */
#pragma once
#include "azlin-plugin.h"
#include "logfile.h"
typedef struct _AzAudit AzAudit;
AzAudit *az_audit_open(const char *path, GError **error);
void az_audit_close(AzAudit *audit);
/* One event of a job that a service knows by `job` (0 = none): `what` ("failover", "vm.stop", "hostkey.trusted", ...),
 * `facts` a{sv} (sunk). Adds time, uid, pid, host name: {"time", "what", "uid", "pid", "host", "job", "facts": {...}}.
 * FALSE: it is not durable. */
gboolean az_audit_write_of(AzAudit *audit, guint64 job, const char *what, GVariant *facts, GError **error);
gboolean az_audit_write(AzAudit *audit, const char *what, GVariant *facts, GError **error); /* of no job */
GVariant *
az_audit_show(AzAudit *audit, guint limit, GError **error); /* av of a{sv}, oldest first, the last `limit`; 0 = all */
/* a{sv}: valid b, records t, bad_line t, head s, reason s or null. Changed, removed, moved and cut-off records all
 * show. */
GVariant *az_audit_verify(AzAudit *audit, GError **error);
