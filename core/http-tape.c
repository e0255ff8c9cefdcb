/* Tapes: one JSON line per exchange, keyed by method and address. */
#include "http-tape.h"

#include "azlin-plugin.h"
#include "record.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define GUID "[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
#define NOBODY "00000000-0000-0000-0000-000000000000"
#define ORIGIN "{origin}"
#define LONGEST_BODY (1024 * 1024) /* a longer one is left out: the tape is for tests, not for archives */

struct _AzTape {
  char *file;
  int fd;               /* recording; -1 = playing */
  GHashTable *recorded; /* key -> GQueue of GVariant a{sv} */
};

/* ---- what may be written down ---- */

/* Replaces by pattern; the text itself when the pattern fits nothing. Owned. */
static char *
replace_all(const char *text, const char *pattern, const char *by)
{
  g_autoptr(GRegex) regex = g_regex_new(pattern, G_REGEX_OPTIMIZE, 0, NULL);
  char *replaced = g_regex_replace_literal(regex, text, -1, 0, by, 0, NULL);
  return replaced != NULL ? replaced : g_strdup("");
}

static char *
replace_text(const char *text, const char *what, const char *by)
{
  g_auto(GStrv) parts = g_strsplit(text, what, -1);
  return g_strjoinv(by, parts);
}

/* The subscription that an address names, or NULL. Owned. */
static char *
subscription_of(const char *url)
{
  g_autoptr(GRegex) regex = g_regex_new("/subscriptions/(" GUID ")", G_REGEX_CASELESS, 0, NULL);
  g_autoptr(GMatchInfo) match = NULL;
  return g_regex_match(regex, url, 0, &match) ? g_match_info_fetch(match, 1) : NULL;
}

/* Members of JSON that are secrets by their names. Owned. */
static char *
leave_secrets_out(const char *text)
{
  static const char pattern[] = "(\"[A-Za-z_]*(?:token|secret|password|customData|keyData)\"\\s*:\\s*\")"
                                "(?:[^\"\\\\]|\\\\.)*";
  g_autoptr(GRegex) regex = g_regex_new(pattern, G_REGEX_CASELESS, 0, NULL);
  char *replaced = g_regex_replace(regex, text, -1, 0, "\\1left-out", 0, NULL);
  return replaced != NULL ? replaced : g_strdup("");
}

static char *
redact(const AzTapeRequest *request, const char *text)
{
  g_autofree char *subscription = subscription_of(request->url);
  g_autofree char *here = replace_text(text, request->origin, ORIGIN);
  g_autofree char *by_path = replace_all(here, "(?i)(?<=/subscriptions/)" GUID, NOBODY);
  g_autofree char *by_name = replace_all(by_path, "(?i)(?<=\"subscriptionId\":\")" GUID, NOBODY);
  g_autofree char *by_value = subscription != NULL ? replace_text(by_name, subscription, NOBODY) : g_strdup(by_name);
  g_autofree char *unsigned_url = replace_all(by_value, "(?<=[?&]sig=)[^&\"\\s]*", "left-out");
  return leave_secrets_out(unsigned_url);
}

/* The inverse, for the host and the subscription that are asked now. */
static char *
restore(const AzTapeRequest *request, const char *text)
{
  g_autofree char *subscription = subscription_of(request->url);
  g_autofree char *here = replace_text(text, ORIGIN, request->origin);
  return subscription != NULL ? replace_text(here, NOBODY, subscription) : g_steal_pointer(&here);
}

static char *
key_of(const AzTapeRequest *request)
{
  g_autofree char *url = redact(request, request->url);
  g_autofree char *named = replace_all(url, GUID, "{guid}");
  return g_strdup_printf("%s %s", request->method, named);
}

/* Of the body without what changes from run to run. */
static char *
hash_of(const AzTapeRequest *request)
{
  gsize length = 0;
  const char *bytes = request->body != NULL ? g_bytes_get_data(request->body, &length) : NULL;
  g_autofree char *text = length > 0 ? g_utf8_make_valid(bytes, (gssize) length) : g_strdup("");
  g_autofree char *redacted = redact(request, text);
  g_autofree char *named = replace_all(redacted, GUID, "{guid}");
  return g_compute_checksum_for_string(G_CHECKSUM_SHA256, named, -1);
}

/* ---- opening ---- */

static gboolean
cannot_use(const char *file, int code, GError **error)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "the tape %s cannot be used: %s", file, g_strerror(code));
  return FALSE;
}

static gboolean
open_new(AzTape *tape, GError **error)
{
  unlink(tape->file); /* never into a file that others may read, or through a link */
  tape->fd = open(tape->file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  return tape->fd >= 0 || cannot_use(tape->file, errno, error);
}

static void
free_queue(gpointer data)
{
  g_queue_free_full(data, (GDestroyNotify) g_variant_unref);
}

static gboolean
load_line(AzTape *tape, const char *line, GError **error)
{
  g_autoptr(GVariant) entry = az_json_parse(line, strlen(line), error);
  const char *key = NULL;
  if (entry == NULL)
    return FALSE;
  if (!g_variant_is_of_type(entry, G_VARIANT_TYPE_VARDICT) || !g_variant_lookup(entry, "key", "&s", &key)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s is no tape", tape->file);
    return FALSE;
  }
  GQueue *queue = g_hash_table_lookup(tape->recorded, key);
  if (queue == NULL) {
    queue = g_queue_new();
    g_hash_table_insert(tape->recorded, g_strdup(key), queue);
  }
  g_queue_push_tail(queue, g_steal_pointer(&entry));
  return TRUE;
}

static gboolean
load(AzTape *tape, GError **error)
{
  g_autofree char *content = NULL;
  g_autoptr(GError) reason = NULL;
  if (!g_file_get_contents(tape->file, &content, NULL, &reason)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "the tape cannot be read: %s", reason->message);
    return FALSE;
  }
  g_auto(GStrv) lines = g_strsplit(content, "\n", -1);
  for (char **line = lines; *line != NULL; line++)
    if (**line != '\0' && !load_line(tape, *line, error))
      return FALSE;
  return TRUE;
}

AzTape *
az_tape_open(const char *how, GError **error)
{
  gboolean recording = g_str_has_prefix(how, "record:");
  const char *file = recording || g_str_has_prefix(how, "replay:") ? how + strlen("record:") : "";
  if (*file == '\0') {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "AZLIN_TAPE is record:FILE or replay:FILE");
    return NULL;
  }
  AzTape *tape = g_new0(AzTape, 1);
  *tape = (AzTape){ .file = g_strdup(file), .fd = -1 };
  tape->recorded = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, free_queue);
  if (recording ? open_new(tape, error) : load(tape, error))
    return tape;
  az_tape_close(tape);
  return NULL;
}

void
az_tape_close(AzTape *tape)
{
  if (tape == NULL)
    return;
  if (tape->fd >= 0)
    close(tape->fd);
  g_hash_table_unref(tape->recorded);
  g_free(tape->file);
  g_free(tape);
}

gboolean
az_tape_replays(const AzTape *tape)
{
  return tape != NULL && tape->fd < 0;
}

/* ---- recording ---- */

static gboolean
is_recorded(const char *header)
{
  static const char *const private[]
      = { "set-cookie", "www-authenticate", "authorization", "proxy-authenticate", "date", NULL };
  return !g_strv_contains(private, header);
}

static GVariant *
headers_of(const AzTapeRequest *request, char **headers)
{
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func(g_free);
  for (; headers != NULL && headers[0] != NULL; headers += 2) {
    if (!is_recorded(headers[0]))
      continue;
    g_autofree char *valid = g_utf8_make_valid(headers[1], -1);
    g_ptr_array_add(kept, g_strdup(headers[0]));
    g_ptr_array_add(kept, redact(request, valid));
  }
  return g_variant_new_strv((const char *const *) kept->pdata, kept->len);
}

static void
add_body(GVariantBuilder *builder, const AzTapeRequest *request, GBytes *body)
{
  gsize length = 0;
  const char *bytes = body != NULL ? g_bytes_get_data(body, &length) : NULL;
  if (length == 0 || length > LONGEST_BODY || !g_utf8_validate_len(bytes, length, NULL))
    return;
  g_autofree char *text = g_strndup(bytes, length);
  g_autofree char *redacted = redact(request, text);
  g_variant_builder_add(builder, "{sv}", "body", g_variant_new_string(redacted));
}

void
az_tape_record(AzTape *tape, const AzTapeRequest *request, const AzHttpEnd *end)
{
  GVariantBuilder builder;
  g_autofree char *key = key_of(request);
  g_autofree char *hash = hash_of(request);
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "key", g_variant_new_string(key));
  g_variant_builder_add(&builder, "{sv}", "hash", g_variant_new_string(hash));
  g_variant_builder_add(&builder, "{sv}", "outcome", g_variant_new_int64(end->outcome));
  g_variant_builder_add(&builder, "{sv}", "status", g_variant_new_int64(end->status));
  g_variant_builder_add(&builder, "{sv}", "headers", headers_of(request, end->headers));
  add_body(&builder, request, end->body);
  g_autofree char *json = az_json_from_variant(g_variant_builder_end(&builder), 0);
  g_autofree char *line = g_strconcat(json, "\n", NULL);
  if (write(tape->fd, line, strlen(line)) != (gssize) strlen(line))
    g_warning("the tape %s is incomplete: %s", tape->file, g_strerror(errno));
}

/* ---- playing ---- */

static GVariant *
take_entry(AzTape *tape, const AzTapeRequest *request)
{
  g_autofree char *key = key_of(request);
  g_autofree char *hash = hash_of(request);
  GQueue *queue = g_hash_table_lookup(tape->recorded, key);
  if (queue == NULL)
    return NULL;
  for (GList *link = queue->head; link != NULL; link = link->next) {
    GVariant *entry = link->data;
    const char *recorded = "";
    g_variant_lookup(entry, "hash", "&s", &recorded);
    if (!g_str_equal(recorded, hash))
      continue;
    g_queue_delete_link(queue, link);
    return entry;
  }
  return g_queue_pop_head(queue);
}

static void
play_header(GPtrArray *headers, const AzTapeRequest *request, const char *name, const char *value)
{
  gboolean wait = g_str_equal(name, "retry-after") || g_str_equal(name, "retry-after-ms")
                  || g_str_equal(name, "x-ms-retry-after-ms");
  g_ptr_array_add(headers, g_strdup(name));
  g_ptr_array_add(headers, wait ? g_strdup("0") : restore(request, value));
}

static char **
play_headers(GVariant *entry, const AzTapeRequest *request)
{
  g_autoptr(GVariant) list = g_variant_lookup_value(entry, "headers", G_VARIANT_TYPE("av"));
  g_autoptr(GPtrArray) headers = g_ptr_array_new();
  for (gsize i = 0; list != NULL && i + 1 < g_variant_n_children(list); i += 2) {
    const char *name = NULL, *value = NULL;
    g_autoptr(GVariant) first = NULL;
    g_autoptr(GVariant) second = NULL;
    g_variant_get_child(list, i, "v", &first);
    g_variant_get_child(list, i + 1, "v", &second);
    name = g_variant_is_of_type(first, G_VARIANT_TYPE_STRING) ? g_variant_get_string(first, NULL) : NULL;
    value = g_variant_is_of_type(second, G_VARIANT_TYPE_STRING) ? g_variant_get_string(second, NULL) : NULL;
    if (name != NULL && value != NULL)
      play_header(headers, request, name, value);
  }
  g_ptr_array_add(headers, NULL);
  return (char **) g_ptr_array_steal(headers, NULL);
}

AzHttpEnd *
az_tape_play(AzTape *tape, const AzTapeRequest *request)
{
  g_autoptr(GVariant) entry = take_entry(tape, request);
  gint64 outcome = AZ_HTTP_ANSWERED, status = 0;
  const char *body = "";
  if (entry == NULL)
    return NULL;
  g_variant_lookup(entry, "outcome", "x", &outcome);
  g_variant_lookup(entry, "status", "x", &status);
  g_variant_lookup(entry, "body", "&s", &body);
  AzHttpEnd *end = g_new0(AzHttpEnd, 1);
  end->outcome = outcome >= AZ_HTTP_ANSWERED && outcome <= AZ_HTTP_TOO_BIG ? (AzHttpOutcome) outcome : AZ_HTTP_LOST;
  end->status = (int) CLAMP(status, 0, 999);
  end->detail = "as recorded on the tape";
  end->headers = play_headers(entry, request);
  g_autofree char *text = restore(request, body);
  end->body = g_bytes_new(text, strlen(text));
  return end;
}

void
az_tape_end_free(AzHttpEnd *end)
{
  g_strfreev(end->headers);
  g_bytes_unref(end->body);
  g_free(end);
}
