/* The relayed road: one archive from the source through azlin's own sessions to the target, with no key and no login.
 */
#include "stream.h"

#include "landing.h"

#include <string.h>

#define MAX_REPORT (1u << 20)
#define MAX_WORDS (1u << 14)
#define TAR_COUNTS "azlin-"
#define UNPACKED "-Izstd --checkpoint=" G_STRINGIFY(STREAM_COUNT_RECORDS) " --checkpoint-action=echo=" TAR_COUNTS "%u"

static const char stream_slow[] = "going through azlin is slow: copied from machine to machine";

static void
tell(StreamCopy *copy)
{
  guint64 bytes = MAX(copy->sent, (guint64) copy->pace.unpacked);
  copy->self->host->api->op_progress(copy->op, MIN(bytes, copy->job.bytes), copy->job.bytes, copy->note);
}

static void
on_moved(guint64 bytes, gpointer data)
{
  StreamCopy *copy = data;
  AzlinHost *host = copy->self->host;
  double seconds = (double) (host->api->monotonic(host) - copy->began) / G_USEC_PER_SEC;
  copy->sent = bytes;
  if (!copy->unpacking || copy->leaving)
    return;
  if (stream_is_to_leave(&copy->forecast, &copy->pace, (double) bytes, seconds)) {
    copy->leaving = TRUE;
    copy->note = stream_slow;
    host->api->op_cancel(copy->relaying, stream_slow);
    return;
  }
  tell(copy);
}

/* How many records it has read, and what went wrong; an empty line is its end. */
static void
on_tar_said(StreamCopy *copy, const char *line)
{
  guint64 records = 0;
  const char *count = g_strrstr(line, ": " TAR_COUNTS);
  copy->unpacking = *line != '\0';
  if (count != NULL)
    g_ascii_string_to_unsigned(count + strlen(": " TAR_COUNTS), 10, 0, G_MAXUINT32, &records, NULL);
  double unpacked = (double) records * STREAM_TAR_RECORD;
  if (unpacked > copy->pace.unpacked) {
    copy->pace.unpacked = unpacked;
    tell(copy);
  } else if (copy->unpacking) { /* its last words are those that count */
    g_string_append_printf(copy->words, "%s\n", line);
    g_string_erase(copy->words, 0, (gssize) (copy->words->len - MIN(copy->words->len, MAX_WORDS)));
  }
}

static void
on_said(const char *line, gpointer data)
{
  StreamCopy *copy = data;
  if (copy->unpacking) {
    on_tar_said(copy, line);
    return;
  }
  if (copy->report->len > MAX_REPORT) /* a target that talks for ever */
    return;
  g_byte_array_append(copy->report, (const guint8 *) line, (guint) strlen(line) + 1);
}

/* What tar on the source has to say; that a file went away or grew meanwhile is for the comparison to judge. */
static void
take_trouble(StreamCopy *copy, const char *words)
{
  g_auto(GStrv) lines = g_strsplit(words, "\n", 50);
  for (guint i = 0; lines[i] != NULL; i++)
    if (*lines[i] != '\0' && strstr(lines[i], "Removing leading") == NULL && copy->errors->len < 20)
      g_ptr_array_add(copy->errors, g_strdup(lines[i]));
}

/* What is still on its way to the target may take longer to arrive than the whole copy on the other road: nobody waits
 * for it, and no stage is shared with it. */
static void
leave(StreamCopy *copy)
{
  stream_drop(copy);
  copy->sent = 0;
  copy->self->host->api->op_progress(copy->op, 0, copy->job.bytes, stream_slow);
  stream_direct(copy);
}

static void
on_piped(AzlinOp *op, gpointer data)
{
  StreamCopy *copy = data;
  const AzlinHostApi *api = copy->self->host->api;
  copy->relaying = NULL;
  if (copy->leaving && api->op_error(op) != NULL && !api->op_cancelled(copy->op)) {
    leave(copy);
    return;
  }
  gint32 from_status = 0, to_status = 0;
  const char *from_err = "", *to_err = "";
  if (api->op_error(op) != NULL) {
    stream_fail(copy, g_error_copy(api->op_error(op)));
    return;
  }
  GVariant *result = api->op_variant(op);
  g_variant_lookup(result, "from_status", "i", &from_status);
  g_variant_lookup(result, "to_status", "i", &to_status);
  g_variant_lookup(result, "bytes", "t", &copy->sent);
  g_variant_lookup(result, "from_err", "&s", &from_err);
  g_variant_lookup(result, "to_err", "&s", &to_err);
  if (from_status != 0)
    take_trouble(copy, from_err);
  g_autoptr(GBytes) report = g_bytes_new(copy->report->data, copy->report->len);
  g_autofree char *words = g_strconcat(copy->words->str, to_err, NULL);
  stream_placed(copy, to_status, report, words, from_status > 1);
}

void
stream_relay(StreamCopy *copy)
{
  const AzlinHostApi *api = copy->self->host->api;
  g_autofree char *unpack = landing_script(stream_unpack_script);
  g_free(copy->stage);
  copy->stage = g_strconcat(copy->job.run, "-relayed", NULL);
  g_autofree char *level = g_strdup_printf("%u", copy->forecast.level);
  const char *const from[] = { "sh", "-c", stream_pack_script, "azlin", copy->job.source_folder, level, NULL };
  const char *const to[] = { "sh",
                             "-c",
                             unpack,
                             "azlin",
                             copy->job.target_folder,
                             copy->stage,
                             copy->job.single_file ? "kept" : "all",
                             copy->forecast.level > 0 ? UNPACKED : "",
                             NULL };
  AzlinPipe request = { .size = sizeof request,
                        .from = copy->job.source,
                        .to = copy->job.target,
                        .from_argv = from,
                        .to_argv = to,
                        .from_input = copy->job.only,
                        .bwlimit_kib = copy->job.bwlimit_kib,
                        .moved = on_moved,
                        .said = on_said,
                        .data = copy };
  if (copy->note != NULL)
    api->op_progress(copy->op, 0, copy->job.bytes, copy->note);
  copy->leaving = FALSE;
  copy->unpacking = TRUE;
  g_string_truncate(copy->words, 0);
  g_byte_array_set_size(copy->report, 0);
  copy->pace = (StreamPace){ 0 };
  copy->began = api->monotonic(copy->self->host);
  copy->relaying = api->op_new(copy->op, "relaying", 0, on_piped, copy);
  api->pipe(copy->self->host, &request, copy->relaying);
}
