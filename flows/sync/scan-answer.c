/* What a scanned machine answers, byte by byte: foreign, so that nothing is believed that is not whole. */
#include "azlin-plugin.h"
#include "scan-private.h"
#include <string.h>

#define FIELDS 9 /* the last one means nothing */

/* ---- where it is ---- */

void
az_sync_place_free(AzSyncPlace *place)
{
  if (place == NULL)
    return;
  g_free(place->folder);
  g_free(place->base);
  g_free(place->full);
  g_free(place->home);
  g_free(place->tools);
  g_free(place);
}

static gboolean
parse_number(const char *text, guint64 max, guint64 *ret_value)
{
  return g_ascii_string_to_unsigned(text + strspn(text, " "), 10, 0, max, ret_value, NULL);
}

AzSyncPlace *
az_sync_place_parse(GBytes *answer, gsize *ret_used)
{
  gsize length = 0;
  const char *start = g_bytes_get_data(answer, &length), *at = start, *end = start + length;
  const char *fields[FIELDS];
  guint64 cpus = 0, now = 0;
  for (guint i = 0; i < FIELDS; i++) {
    const char *nul = at < end ? memchr(at, 0, (gsize) (end - at)) : NULL;
    if (nul == NULL || !g_utf8_validate(at, nul - at, NULL))
      return NULL;
    fields[i] = at;
    at = nul + 1;
  }
  g_autoptr(AzSyncPlace) place = g_new0(AzSyncPlace, 1);
  if (strchr(fields[2], '/') != NULL || strcmp(fields[2], ".") == 0 || strcmp(fields[2], "..") == 0)
    return NULL;
  if (strlen(fields[0]) != 1 || fields[1][0] != '/' || fields[3][0] != '/'
      || !parse_number(fields[4], G_MAXUINT64, &place->free_bytes) || !parse_number(fields[6], 4096, &cpus)
      || !parse_number(fields[7], G_MAXINT64, &now))
    return NULL;
  place->kind = fields[0][0];
  place->folder = g_strdup(fields[1]);
  place->base = fields[2][0] != 0 ? g_strdup(fields[2]) : NULL;
  place->full = place->base != NULL ? g_build_filename(place->folder, place->base, NULL) : g_strdup(place->folder);
  place->home = g_strdup(fields[3]);
  place->tools = g_strdup(fields[5]);
  place->cpus = (guint32) cpus;
  place->now = (gint64) now;
  *ret_used = (gsize) (at - start);
  return g_steal_pointer(&place);
}

gboolean
az_sync_protect(const AzSyncPlace *place, GPtrArray *names, GError **error)
{
  static const char *const never[] = { ".ssh", ".local/state/azlin" };
  for (guint i = 0; i < G_N_ELEMENTS(never); i++) {
    g_autofree char *kept = g_build_filename(place->home, never[i], NULL);
    if (az_listing_is_below(place->full, kept)) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
                  "%s is never copied: keys of SSH and azlin's own state belong to one machine", place->folder);
      return FALSE;
    }
    gboolean at_root = g_str_equal(place->folder, "/");
    if (at_root)
      g_ptr_array_add(names, g_strconcat(".", kept, NULL));
    else if (az_listing_is_below(kept, place->folder))
      g_ptr_array_add(names, g_strconcat(".", kept + strlen(place->folder), NULL));
  }
  return TRUE;
}

/* ---- what stands there ---- */

gsize
az_scan_length(const char *bytes, gsize length, const char *mark)
{
  const char *found = mark != NULL && length > 0 ? memmem(bytes, length, mark, strlen(mark)) : NULL;
  return found != NULL ? (gsize) (found - bytes) : length;
}

static gboolean
not_whole(GError **error)
{
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the machine's answer stopped before its end");
  return FALSE;
}

/* Where the record after `at` begins; NULL = there is none. */
static const char *
next(const char *at, const char *end)
{
  const char *nul = at < end ? memchr(at, 0, (gsize) (end - at)) : NULL;
  return nul != NULL ? nul + 1 : NULL;
}

/* find ends with 1 when it could not read all, and says so; whatever else it ended with, its list is not all it saw. */
static gboolean
parse_trailer(const char *record, AzScanAnswer *answer)
{
  char *end = NULL;
  guint64 status = g_ascii_strtoull(record + 1, &end, 10);
  if (end == record + 1 || *end != ' ' || status > 1 || strlen(end + 1) != 64)
    return FALSE;
  answer->status = (int) status;
  g_strlcpy(answer->digest, end + 1, sizeof answer->digest);
  return TRUE;
}

gboolean
az_scan_answer(const char *bytes, gsize length, AzScanAnswer *ret_answer, GError **error)
{
  AzScanAnswer answer = { 0 };
  const char *end = bytes + length, *at = next(bytes, end);
  if (at == NULL || strlen(bytes) != 1 || strchr("FD", bytes[0]) == NULL)
    return not_whole(error);
  answer.patch = bytes[0] == 'D';
  answer.records = at;
  while (at < end && *at != 'Z') {
    at = next(at, end);
    if (at == NULL)
      return not_whole(error);
  }
  answer.length = (gsize) (at - answer.records);
  const char *hashes = next(at, end);
  if (hashes == NULL || !parse_trailer(at, &answer))
    return not_whole(error);
  /* the last record alone is "E": no hash looks like it */
  if (end - hashes < 2 || end[-1] != 0 || end[-2] != 'E' || (end - hashes > 2 && end[-3] != 0))
    return not_whole(error);
  answer.hashes = hashes;
  answer.hashes_length = (gsize) (end - 2 - hashes);
  *ret_answer = answer;
  return TRUE;
}

gboolean
az_scan_take_hashes(AzListing *listing, const AzScanAnswer *answer, GBytes *expected, GError **error)
{
  const char *at = answer->hashes;
  gsize length = answer->hashes_length;
  if (expected != NULL && length == 2 && *at == '=')
    at = g_bytes_get_data(expected, &length);
  const char *end = at + length;
  for (; at < end; at += strlen(at) + 1) {
    gsize digits = strspn(at, "0123456789abcdef");
    if (digits != 64 || strncmp(at + digits, "  ", 2) != 0) {
      g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the machine's hashes cannot be understood");
      return FALSE;
    }
    g_autofree char *hash = g_strndup(at, digits);
    az_listing_set_hash(listing, at + digits + 2, hash);
  }
  return TRUE;
}

GBytes *
az_scan_unpack(const char *bytes, gsize length, gsize max, GError **error)
{
  g_autoptr(GConverter) gunzip = G_CONVERTER(g_zlib_decompressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP));
  g_autoptr(GInputStream) packed = g_memory_input_stream_new_from_data(bytes, (gssize) length, NULL);
  g_autoptr(GInputStream) plain = g_converter_input_stream_new(packed, gunzip);
  g_autoptr(GByteArray) out = g_byte_array_new();
  guint8 buffer[65536];
  for (gssize n; (n = g_input_stream_read(plain, buffer, sizeof buffer, NULL, error)) != 0;) {
    if (n < 0)
      return NULL;
    if (out->len + (gsize) n > max) {
      g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the machine's list of files is too long");
      return NULL;
    }
    g_byte_array_append(out, buffer, (guint) n);
  }
  return g_byte_array_free_to_bytes(g_steal_pointer(&out));
}
