/* Hash-chained audit log, with the newest hash kept beside it so that a cut-off end shows as well. */
#include "audit.h"
#include "record.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

struct _AzAudit {
  AzLogfile *file;
  char *head_path;
};

AzAudit *
az_audit_open(const char *path, GError **error)
{
  AzLogfile *file = az_logfile_open(path, error);
  if (file == NULL)
    return NULL;
  AzAudit *audit = g_new0(AzAudit, 1);
  audit->file = file;
  audit->head_path = g_strconcat(path, ".head", NULL);
  return audit;
}

void
az_audit_close(AzAudit *audit)
{
  if (audit == NULL)
    return;
  az_logfile_close(audit->file);
  g_free(audit->head_path);
  g_free(audit);
}

/* ---- writing ---- */

/* Not synced: after a power cut an older head stands here, and an older head is still part of a longer log. */
static void
note_head(AzAudit *audit)
{
  char head[AZ_LOGFILE_HASH + 2];
  if (!az_logfile_head(audit->file, head, NULL))
    return;
  int fd = open(audit->head_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    g_warning("cannot write %s: %s", audit->head_path, g_strerror(errno));
    return;
  }
  head[AZ_LOGFILE_HASH] = '\n';
  if (pwrite(fd, head, AZ_LOGFILE_HASH + 1, 0) != AZ_LOGFILE_HASH + 1)
    g_warning("cannot write %s: %s", audit->head_path, g_strerror(errno));
  close(fd);
}

static GVariant *
event_of(guint64 job, const char *what, GVariant *facts)
{
  GVariantBuilder event;
  g_autoptr(GDateTime) now = g_date_time_new_now_utc();
  g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%S.%fZ");
  g_variant_builder_init(&event, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&event, "{sv}", "time", g_variant_new_string(time));
  g_variant_builder_add(&event, "{sv}", "what", g_variant_new_string(what));
  g_variant_builder_add(&event, "{sv}", "uid", g_variant_new_int64(getuid()));
  g_variant_builder_add(&event, "{sv}", "pid", g_variant_new_int64(getpid()));
  g_variant_builder_add(&event, "{sv}", "host", az_variant_str(g_get_host_name()));
  if (job > 0)
    g_variant_builder_add(&event, "{sv}", "job", g_variant_new_uint64(job));
  g_variant_builder_add(&event, "{sv}", "facts", facts);
  return g_variant_builder_end(&event);
}

gboolean
az_audit_write(AzAudit *audit, const char *what, GVariant *facts, GError **error)
{
  return az_audit_write_of(audit, 0, what, facts, error);
}

gboolean
az_audit_write_of(AzAudit *audit, guint64 job, const char *what, GVariant *facts, GError **error)
{
  g_autoptr(GVariant) held = g_variant_ref_sink(facts != NULL ? facts : g_variant_new("a{sv}", NULL));
  g_autofree char *json = az_json_from_variant(event_of(job, what, held), 0);
  if (!az_logfile_lock(audit->file, error))
    return FALSE;
  gboolean ok = az_logfile_append(audit->file, json, error);
  if (ok)
    note_head(audit);
  az_logfile_unlock(audit->file);
  return ok;
}

/* ---- reading ---- */

typedef struct {
  GQueue *last; /* of char* */
  guint limit;
} Show;

static void
keep_record(guint64 line, const char *json, gpointer data)
{
  Show *show = data;
  g_queue_push_tail(show->last, g_strdup(json));
  if (show->limit > 0 && g_queue_get_length(show->last) > show->limit)
    g_free(g_queue_pop_head(show->last));
}

GVariant *
az_audit_show(AzAudit *audit, guint limit, GError **error)
{
  g_autoptr(GQueue) last = g_queue_new();
  Show show = { last, limit };
  GVariantBuilder events;
  gboolean ok = az_logfile_foreach(audit->file, keep_record, &show, NULL, error);
  g_variant_builder_init(&events, G_VARIANT_TYPE("av"));
  for (char *json = g_queue_pop_head(last); json != NULL; json = g_queue_pop_head(last)) {
    g_autoptr(GVariant) event = az_json_parse(json, strlen(json), NULL);
    if (event != NULL)
      g_variant_builder_add(&events, "v", event);
    g_free(json);
  }
  GVariant *all = g_variant_ref_sink(g_variant_builder_end(&events));
  if (ok)
    return all;
  g_variant_unref(all);
  return NULL;
}

typedef struct {
  guint64 records;
} Count;

static void
count_record(guint64 line, const char *json, gpointer data)
{
  Count *count = data;
  count->records++;
}

static GVariant *
verdict_of(guint64 records, guint64 bad_line, const char *head, const char *reason)
{
  GVariantBuilder verdict;
  g_variant_builder_init(&verdict, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&verdict, "{sv}", "valid", g_variant_new_boolean(reason == NULL));
  g_variant_builder_add(&verdict, "{sv}", "records", g_variant_new_uint64(records));
  g_variant_builder_add(&verdict, "{sv}", "bad_line", g_variant_new_uint64(bad_line));
  g_variant_builder_add(&verdict, "{sv}", "head", g_variant_new_string(head));
  g_variant_builder_add(&verdict, "{sv}", "reason", az_variant_str(reason));
  return g_variant_ref_sink(g_variant_builder_end(&verdict));
}

/* Does the log still hold the record whose hash was noted last? */
static gboolean
holds_head(AzAudit *audit, const char *path)
{
  g_autofree char *head = NULL;
  g_autofree char *log = NULL;
  gsize length;
  if (!g_file_get_contents(audit->head_path, &head, &length, NULL) || length < AZ_LOGFILE_HASH)
    return TRUE;
  if (!g_file_get_contents(path, &log, NULL, NULL))
    return FALSE;
  head[AZ_LOGFILE_HASH] = '\0';
  const char *found = strstr(log, head);
  while (found != NULL && found != log && found[-1] != '\n')
    found = strstr(found + 1, head);
  return found != NULL;
}

GVariant *
az_audit_verify(AzAudit *audit, GError **error)
{
  Count count = { 0 };
  guint64 bad_line = 0;
  char head[AZ_LOGFILE_HASH + 1] = "";
  g_autofree char *path = g_strndup(audit->head_path, strlen(audit->head_path) - strlen(".head"));
  if (!az_logfile_lock(audit->file, error))
    return NULL;
  gboolean whole = holds_head(audit, path);
  gboolean ok = az_logfile_foreach(audit->file, count_record, &count, &bad_line, error);
  ok = ok && az_logfile_head(audit->file, head, error);
  az_logfile_unlock(audit->file);
  if (!ok)
    return NULL;
  if (bad_line > 0)
    return verdict_of(count.records, bad_line, head, "a record was changed, removed or moved");
  if (!whole)
    return verdict_of(count.records, count.records + 1, head, "the newest records were cut off");
  return verdict_of(count.records, 0, head, NULL);
}
