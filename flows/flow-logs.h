/* What `azlin logs` asks of the audit log. Pure. */
#pragma once
#include <glib.h>

typedef struct {
  char *since;  /* in the form of a record's time, or as much of it as matters; NULL = all */
  char *region; /* that the facts name, by themselves or in a list; NULL = any */
  guint64 job;  /* 0 = any */
} AzLogsFilter;
gboolean az_logs_match(GVariant *event, const AzLogsFilter *filter);
/* "90s", "10m", "2h", "7d" before `now`, a date, or an ISO 8601 time (UTC unless it says otherwise): microseconds since
 * 1970; -1 = none of these. */
gint64 az_logs_since(const char *text, gint64 now);
