/* Scanning a place: the request, what is kept here between runs so that only changes travel, the listing in the end. */
#include "error.h"
#include "exclude.h"
#include "kept.h"
#include "scan-private.h"
#include <glib/gstdio.h>
#include <string.h>

#define SCAN_MS (6 * 3600000u)
#define MAX_ANSWER (256u << 20)
#define MAX_UNPACKED (768u << 20)
/* A machine's clock of file times moves in steps of up to 10 ms. */
#define TICK 50000000
#define HASH_BATCH "1000"
/* Bytes that mean nothing: the first two flights of a connection but for what the answer itself needs, and two more
 * behind it, which go while azlin has yet to say what is to be sent. */
#define WARM_UP "36000"
#define KEEP_WARM "120000"
#define LONG_WAY_MS 10.0 /* round trip; shorter ways are quick by themselves */

typedef struct {
  AzScan *scan;
  AzlinOp *op;
  char *id;      /* names this place of this machine, seen through these filters */
  GBytes *known; /* the list of the last run, or NULL */
  char *mark;    /* ends the answer where bytes that mean nothing follow it, or NULL */
} State;

void
az_scan_clear(AzScan *scan)
{
  g_clear_pointer(&scan->place, az_sync_place_free);
  g_clear_pointer(&scan->listing, az_listing_unref);
  g_clear_pointer(&scan->words, g_free);
}

static void
state_end(State *state, GError *error)
{
  if (error != NULL)
    az_op_fail(state->op, error);
  else
    az_op_finish(state->op);
  g_free(state->id);
  g_free(state->mark);
  g_clear_pointer(&state->known, g_bytes_unref);
  g_free(state);
}

/* ---- what is kept between runs ---- */

static char *
file_of(State *state, const char *suffix)
{
  g_autofree char *name = g_strconcat(state->id, suffix, NULL);
  return az_sync_kept_path(state->scan->engine, name);
}

static char *
read_kept(State *state, const char *suffix, gsize *ret_length)
{
  g_autofree char *path = file_of(state, suffix);
  char *text = NULL;
  return g_file_get_contents(path, &text, ret_length, NULL) ? text : NULL;
}

/* Losing it costs time, never truth. */
static void
keep(State *state, const char *suffix, const char *bytes, gsize length)
{
  g_autofree char *path = file_of(state, suffix), *folder = g_path_get_dirname(path);
  if (az_paths_make_dir(folder, NULL))
    g_file_set_contents_full(path, bytes, (gssize) length, G_FILE_SET_CONTENTS_NONE, 0600, NULL);
}

static void
forget(State *state, const char *suffix)
{
  g_autofree char *path = file_of(state, suffix);
  g_unlink(path);
}

static char *
identify(const AzScan *scan)
{
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_autofree char *port = g_strdup_printf("%u", scan->vm->ssh_port);
  const char *words[] = { scan->vm->ssh_user, scan->vm->public_ip, port, scan->vm->vm_name, scan->path, scan->base };
  for (guint i = 0; i < G_N_ELEMENTS(words); i++)
    g_checksum_update(sum, (const guchar *) (words[i] != NULL ? words[i] : ""),
                      words[i] != NULL ? (gssize) strlen(words[i]) + 1 : 1);
  for (guint i = 0; scan->exclude != NULL && scan->exclude[i] != NULL; i++)
    g_checksum_update(sum, (const guchar *) scan->exclude[i], (gssize) strlen(scan->exclude[i]) + 1);
  return g_strndup(g_checksum_get_string(sum), 32);
}

/* ---- the answer ---- */

static GError *
reply_error(const AzScan *scan, const AzlinReply *reply, const char *what)
{
  g_autofree char *words = az_flow_first_words(reply->err);
  AzlinError code = reply->status == 126 || reply->status == 127 ? AZLIN_ERROR_NOT_SUPPORTED : AZLIN_ERROR_FAILED;
  return g_error_new(AZLIN_ERROR, (int) code, "%s on %s: %s: %s", scan->path, scan->vm->region, what,
                     *words != 0 ? words : "no reason given");
}

/* What could not be listed; a machine that talks at each login has said nothing about that. */
static void
take_words(AzScan *scan, const AzlinReply *reply, int status)
{
  gsize length = 0;
  if (status == 0)
    return;
  const char *bytes = g_bytes_get_data(reply->err, &length);
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", MIN(length, 1000));
  g_autofree char *valid = g_utf8_make_valid(g_strstrip(text), -1);
  scan->words = g_strdup(*valid != 0 ? valid : "find could not list everything");
}

static GByteArray *
records_of(State *state, const AzScanAnswer *answer)
{
  if (answer->patch)
    return state->known != NULL ? az_listing_patch(state->known, answer->records, answer->length) : NULL;
  GByteArray *raw = g_byte_array_sized_new((guint) answer->length);
  return g_byte_array_append(raw, (const guint8 *) answer->records, (guint) answer->length);
}

static void
count(AzScan *scan)
{
  for (guint i = 0; i < az_listing_size(scan->listing); i++) {
    const AzEntry *entry = az_listing_at(scan->listing, i);
    scan->place->files += entry->type != 'd' ? 1 : 0;
    scan->place->bytes += entry->type == 'f' ? entry->size : 0;
  }
}

static gboolean
remember(State *state, const AzScanAnswer *answer, GError **error)
{
  AzScan *scan = state->scan;
  GByteArray *raw = records_of(state, answer);
  g_autofree char *digest = raw != NULL ? g_compute_checksum_for_data(G_CHECKSUM_SHA256, raw->data, raw->len) : NULL;
  if (raw == NULL || raw->len > MAX_UNPACKED || !g_str_equal(digest, answer->digest)) {
    g_clear_pointer(&raw, g_byte_array_unref);
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the list of files from %s is not what it listed",
                scan->vm->region);
    return FALSE;
  }
  if (!answer->patch || answer->length > 0)
    keep(state, ".list", (const char *) raw->data, raw->len);
  scan->listing = az_listing_new(raw, error);
  if (scan->listing == NULL) {
    forget(state, ".list");
    return FALSE;
  }
  if (!az_scan_take_hashes(scan->listing, answer, scan->expected, error))
    return FALSE;
  g_autofree char *cache = scan->fresh ? NULL : read_kept(state, ".hash", NULL);
  if (cache != NULL)
    az_listing_recall(scan->listing, cache);
  if (answer->hashes_length > 0) {
    g_autofree char *hashes = az_listing_hashes(scan->listing, scan->place->now - TICK);
    keep(state, ".hash", hashes, strlen(hashes));
  }
  count(scan);
  return TRUE;
}

static gboolean
take_listing(State *state, const AzlinReply *reply, gsize used, GError **error)
{
  gsize length = 0;
  const char *bytes = g_bytes_get_data(reply->out, &length);
  length = az_scan_length(bytes, length, state->mark);
  AzScanAnswer answer;
  g_autoptr(GBytes) plain = NULL;
  if (length < used + 2 || bytes[used + 1] != 0) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the machine's answer stopped before its end");
    return FALSE;
  }
  gboolean packed = bytes[used] == '1';
  bytes += used + 2;
  length -= used + 2;
  if (packed) {
    plain = az_scan_unpack(bytes, length, MAX_UNPACKED, error);
    if (plain == NULL)
      return FALSE;
    bytes = g_bytes_get_data(plain, &length);
  }
  if (bytes == NULL || !az_scan_answer(bytes, length, &answer, error) || !remember(state, &answer, error))
    return FALSE;
  take_words(state->scan, reply, answer.status);
  return TRUE;
}

static void
on_scanned(AzlinOp *op, gpointer data)
{
  State *state = data;
  AzScan *scan = state->scan;
  const AzlinReply *reply = az_op_reply(op);
  GError *error = NULL;
  gsize used = 0;
  if (az_op_error(op) != NULL) {
    state_end(state, g_error_copy(az_op_error(op)));
    return;
  }
  if (reply->status == 0)
    scan->place = az_sync_place_parse(reply->out, &used);
  if (scan->place == NULL)
    error = reply_error(scan, reply, reply->status == 4 ? "it cannot be made" : "it cannot be looked at");
  else if (scan->place->kind == 'd' || scan->place->kind == 'f')
    take_listing(state, reply, used, &error);
  state_end(state, error);
}

/* ---- the request ---- */

static char *
digest_of(State *state)
{
  gsize length = 0;
  char *list = read_kept(state, ".list", &length);
  state->known = list != NULL ? g_bytes_new_take(list, length) : NULL;
  return state->known != NULL ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, state->known) : g_strdup("");
}

void
az_scan(AzScan *scan, AzlinOp *op)
{
  static const char *const modes[] = { [AZ_SCAN_LIST] = "0", [AZ_SCAN_HASH] = "n", [AZ_SCAN_HASH_ALL] = "a" };
  GError *error = NULL;
  State *state = g_new0(State, 1);
  *state = (State){ .scan = scan, .op = op, .id = identify(scan) };
  az_scan_clear(scan);
  g_autoptr(GPtrArray) filter = az_exclude_filter(scan->exclude, &error);
  if (filter == NULL) {
    state_end(state, error);
    return;
  }
  g_autofree char *known = digest_of(state);
  g_autofree char *expected
      = scan->expected != NULL ? g_compute_checksum_for_bytes(G_CHECKSUM_SHA256, scan->expected) : g_strdup("");
  gboolean near = g_str_has_prefix(scan->vm->public_ip != NULL ? scan->vm->public_ip : "", "127.");
  double rtt_ms = az_remote_rtt_ms(az_engine_remote(scan->engine), scan->vm);
  gboolean warm = scan->warm && !near && (rtt_ms < 0 || rtt_ms >= LONG_WAY_MS);
  state->mark = warm ? g_uuid_string_random() : NULL;
  const char *fixed[] = { "sh",
                          "-c",
                          az_scan_script,
                          "sh",
                          scan->path,
                          scan->base != NULL ? scan->base : "",
                          scan->make ? "1" : "0",
                          state->id,
                          known,
                          near ? "0" : "1",
                          modes[scan->hash],
                          HASH_BATCH,
                          expected,
                          warm && *known != '\0' ? WARM_UP : "0",
                          scan->arrived != NULL ? scan->arrived : "",
                          warm ? state->mark : "",
                          KEEP_WARM };
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
    g_ptr_array_add(argv, (gpointer) (guintptr) fixed[i]);
  for (guint i = 0; i < filter->len; i++)
    g_ptr_array_add(argv, g_ptr_array_index(filter, i));
  g_ptr_array_add(argv, NULL);
  AzlinExec request = { .size = sizeof request,
                        .vm = scan->vm,
                        .argv = (const char *const *) argv->pdata,
                        .input = scan->hash == AZ_SCAN_HASH ? scan->names : NULL,
                        .max_output = MAX_ANSWER };
  az_engine_exec_until(scan->engine, &request, state->mark, az_op_new(op, "scan", SCAN_MS, on_scanned, state));
}
