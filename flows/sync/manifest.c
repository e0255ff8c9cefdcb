/* Manifests of trees: the scripts that make them, the parsers of their answers, the comparison. */
#include "manifest.h"
#include "azlin-plugin.h"
#include <string.h>

#define MAX_NAME 8192u
#define SHA256_CHARS 64u

/* sort, sed and find work on bytes in the C locale only. `head` bounds what a hostile or huge tree can send. */
const char *const az_manifest_names_script
    = "LC_ALL=C; export LC_ALL; cd -- \"$1\" || exit 3; root=$2 from=$3 to=$4; shift 4\n"
      "names() { find \"$root\" -regextype posix-extended \\( \"$@\" \\) -prune -o \\( -type f -o -type d -o -type l "
      "\\) "
      "-print0 | sort -z; }\n"
      "names \"$@\" | sed -zn \"${from},${to}p;${to}q\"\n"
      "set -- \"$(names \"$@\" | sha256sum)\" \"$(names \"$@\" | tr -dc '\\0' | wc -c)\"\n"
      "printf 'Z%.64s %d\\0' \"$1\" \"$2\"\n";

const char *const az_manifest_probe_script
    = "LC_ALL=C; export LC_ALL; cd -- \"$1\" || exit 3\n"
      "xargs -0 -r sh -c 'find \"$@\" -maxdepth 0 -printf \"E%y %m %s %T@ %p\\\\0L%l\\\\0\"\n"
      "find \"$@\" -maxdepth 0 -type f -exec sha256sum -z -- {} +' sh\n"
      "printf 'Z\\0'\n";

struct _AzManifest {
  GHashTable *entries; /* char* -> AzManifestEntry* */
};

static void
entry_free(gpointer data)
{
  AzManifestEntry *entry = data;
  g_free(entry->link);
  g_free(entry->sha256);
  g_free(entry);
}

void
az_manifest_free(AzManifest *manifest)
{
  if (manifest == NULL)
    return;
  g_hash_table_unref(manifest->entries);
  g_free(manifest);
}

const AzManifestEntry *
az_manifest_lookup(AzManifest *manifest, const char *name)
{
  return g_hash_table_lookup(manifest->entries, name);
}

guint
az_manifest_size(AzManifest *manifest)
{
  return g_hash_table_size(manifest->entries);
}

void
az_manifest_names_free(AzManifestNames *names)
{
  if (names == NULL)
    return;
  g_clear_pointer(&names->names, g_bytes_unref);
  g_free(names->digest);
  g_free(names);
}

void
az_manifest_difference_free(AzManifestDifference *difference)
{
  g_free(difference->name);
  g_free(difference->what);
  g_free(difference);
}

/* The next NUL-terminated record, or NULL at the end; an unterminated rest sets `ret_torn`. */
static const char *
next_record(const char **position, const char *end, gboolean *ret_torn)
{
  const char *record = *position;
  if (record >= end)
    return NULL;
  const char *nul = memchr(record, 0, (gsize) (end - record));
  if (nul == NULL || nul - record > (gssize) MAX_NAME) {
    *ret_torn = TRUE;
    return NULL;
  }
  *position = nul + 1;
  return record;
}

static gboolean
is_sha256(const char *text)
{
  for (guint i = 0; i < SHA256_CHARS; i++)
    if (!g_ascii_isdigit(text[i]) && !(text[i] >= 'a' && text[i] <= 'f'))
      return FALSE;
  return TRUE;
}

/* A decimal or octal number that ends in a blank; moves behind the blank. */
static gboolean
take_number(const char **text, guint base, guint64 *ret_value)
{
  char *end = NULL;
  if (!g_ascii_isdigit(**text))
    return FALSE;
  *ret_value = g_ascii_strtoull(*text, &end, base);
  if (*end == '.') /* find prints times with a fraction */
    end += strspn(end, ".0123456789");
  if (*end != ' ')
    return FALSE;
  *text = end + 1;
  return TRUE;
}

/* "f 644 12 1700000000.5 ./name" */
static AzManifestEntry *
parse_entry(const char *text, const char **ret_name)
{
  guint64 mode = 0, size = 0, mtime = 0;
  char type = text[0];
  if (!g_ascii_isalpha(type) || text[1] != ' ')
    return NULL;
  text += 2;
  if (!take_number(&text, 8, &mode) || mode > 07777 || !take_number(&text, 10, &size))
    return NULL;
  gboolean before_epoch = *text == '-';
  text += before_epoch ? 1 : 0;
  if (!take_number(&text, 10, &mtime) || mtime > G_MAXINT64 || text[0] != '.' || (text[1] != '/' && text[1] != 0))
    return NULL;
  AzManifestEntry *entry = g_new0(AzManifestEntry, 1);
  *entry = (AzManifestEntry){ .type = type, .mode = (guint32) mode, .size = size };
  entry->mtime = before_epoch ? -(gint64) mtime : (gint64) mtime;
  *ret_name = text;
  return entry;
}

/* One record; `ret_last` remembers the entry that an L record belongs to. */
static gboolean
take_record(AzManifest *manifest, const char *record, AzManifestEntry **ret_last)
{
  const char *name = NULL;
  if (record[0] == 'E') {
    *ret_last = parse_entry(record + 1, &name);
    if (*ret_last == NULL)
      return FALSE;
    g_hash_table_replace(manifest->entries, g_strdup(name), *ret_last);
    return TRUE;
  }
  if (record[0] == 'L') {
    if (*ret_last == NULL)
      return FALSE;
    if ((*ret_last)->type == 'l')
      (*ret_last)->link = g_strdup(record + 1);
    *ret_last = NULL;
    return TRUE;
  }
  if (strnlen(record, SHA256_CHARS + 3) < SHA256_CHARS + 3 || !is_sha256(record) || record[SHA256_CHARS] != ' ')
    return FALSE;
  AzManifestEntry *entry = g_hash_table_lookup(manifest->entries, record + SHA256_CHARS + 2);
  if (entry != NULL) {
    g_free(entry->sha256);
    entry->sha256 = g_strndup(record, SHA256_CHARS);
  }
  return TRUE;
}

AzManifest *
az_manifest_parse(GBytes *answer, GError **error)
{
  gsize length = 0;
  const char *position = g_bytes_get_data(answer, &length);
  const char *end = position + length;
  g_autoptr(AzManifest) manifest = g_new0(AzManifest, 1);
  AzManifestEntry *last = NULL;
  gboolean torn = FALSE, complete = FALSE;
  manifest->entries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, entry_free);
  for (const char *record; !complete && (record = next_record(&position, end, &torn)) != NULL;) {
    complete = strcmp(record, "Z") == 0;
    if (!complete && !take_record(manifest, record, &last)) {
      g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the list of files is not one that can be read");
      return NULL;
    }
  }
  if (!complete || torn || position != end) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the list of files ended early");
    return NULL;
  }
  return g_steal_pointer(&manifest);
}

static gboolean
parse_trailer(AzManifestNames *names, const char *trailer)
{
  if (strnlen(trailer, SHA256_CHARS + 3) < SHA256_CHARS + 3 || trailer[0] != 'Z' || !is_sha256(trailer + 1)
      || trailer[SHA256_CHARS + 1] != ' ')
    return FALSE;
  names->digest = g_strndup(trailer + 1, SHA256_CHARS);
  return g_ascii_string_to_unsigned(trailer + SHA256_CHARS + 2, 10, 0, G_MAXUINT64, &names->total, NULL);
}

AzManifestNames *
az_manifest_names_parse(GBytes *answer, GError **error)
{
  gsize length = 0;
  const char *start = g_bytes_get_data(answer, &length);
  const char *position = start, *end = start + length, *record = NULL;
  g_autoptr(AzManifestNames) names = g_new0(AzManifestNames, 1);
  gboolean torn = FALSE;
  while ((record = next_record(&position, end, &torn)) != NULL && record[0] == '.'
         && (record[1] == '/' || record[1] == 0))
    names->n_names++;
  if (record == NULL || torn || position != end || !parse_trailer(names, record)) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the list of names ended early");
    return NULL;
  }
  names->names = g_bytes_new_from_bytes(answer, 0, (gsize) (record - start));
  return g_steal_pointer(&names);
}

char *
az_manifest_show_name(const char *name)
{
  const char *shown = g_str_has_prefix(name, "./") ? name + 2 : name;
  gboolean valid = g_utf8_validate(shown, -1, NULL);
  GString *text = g_string_new(NULL);
  for (const char *byte = shown; *byte != 0; byte++) {
    guchar value = (guchar) *byte;
    if (value < 0x20 || value == 0x7f || value == '\\' || (value >= 0x80 && !valid))
      g_string_append_printf(text, "\\%03o", value);
    else
      g_string_append_c(text, *byte);
  }
  return g_string_free(text, FALSE);
}

/* What two entries disagree about, the gravest first; NULL = nothing. */
static char *
disagreement(const AzManifestEntry *source, const AzManifestEntry *target)
{
  if (source->type != target->type)
    return g_strdup_printf("type '%c', on the target '%c'", source->type, target->type);
  if (source->type == 'l')
    return g_strcmp0(source->link, target->link) == 0 ? NULL : g_strdup("points elsewhere on the target");
  if (source->mode != target->mode)
    return g_strdup_printf("mode %04o, on the target %04o", source->mode, target->mode);
  if (source->type != 'f')
    return NULL;
  if (source->size != target->size)
    return g_strdup_printf("%" G_GUINT64_FORMAT " bytes, on the target %" G_GUINT64_FORMAT, source->size, target->size);
  if (source->sha256 == NULL || target->sha256 == NULL)
    return g_strdup_printf("cannot be read on the %s", source->sha256 == NULL ? "source" : "target");
  if (strcmp(source->sha256, target->sha256) != 0)
    return g_strdup("other content on the target");
  return source->mtime == target->mtime ? NULL : g_strdup("other time on the target");
}

void
az_manifest_compare(GBytes *names, AzManifest *source, AzManifest *target, GPtrArray *differences)
{
  gsize length = 0;
  const char *position = g_bytes_get_data(names, &length);
  const char *end = position + length;
  gboolean torn = FALSE;
  for (const char *name; (name = next_record(&position, end, &torn)) != NULL;) {
    const AzManifestEntry *here = az_manifest_lookup(source, name), *there = az_manifest_lookup(target, name);
    g_autofree char *what = NULL;
    if (here == NULL)
      what = g_strdup("vanished from the source meanwhile");
    else if (there == NULL)
      what = g_strdup("not on the target");
    else
      what = disagreement(here, there);
    if (what == NULL)
      continue;
    AzManifestDifference *difference = g_new0(AzManifestDifference, 1);
    *difference = (AzManifestDifference){ .name = g_strdup(name), .what = g_steal_pointer(&what) };
    g_ptr_array_add(differences, difference);
  }
}
