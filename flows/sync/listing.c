/* Listings of trees: the reader of a machine's records, changes against an older listing, hashes kept between runs. */
#include "listing.h"
#include "azlin-plugin.h"
#include <string.h>

#define MAX_NAME 8192u
#define MAX_ENTRIES 4000000u
#define BLOCK 512u /* find counts %b in these */

struct _AzListing { /* counted with g_rc_box */
  GByteArray *raw;  /* names and link targets point into it */
  GArray *entries;  /* of AzEntry, by name */
  GStringChunk *hashes;
};

static void
listing_clear(gpointer data)
{
  AzListing *listing = data;
  g_byte_array_unref(listing->raw);
  g_array_unref(listing->entries);
  g_string_chunk_free(listing->hashes);
}

AzListing *
az_listing_ref(AzListing *listing)
{
  return g_rc_box_acquire(listing);
}

void
az_listing_unref(AzListing *listing)
{
  g_rc_box_release_full(listing, listing_clear);
}

/* ---- reading ---- */

/* A number that ends in a blank; moves behind the blank. */
static gboolean
take_number(char **text, guint base, guint64 *ret_value)
{
  char *end = NULL;
  if (!g_ascii_isdigit(**text))
    return FALSE;
  *ret_value = g_ascii_strtoull(*text, &end, base);
  if (*end != ' ')
    return FALSE;
  *text = end + 1;
  return TRUE;
}

/* find's "1700000000.1234567890" into nanoseconds. It prints whole seconds, rounded down, and the rest as positive. */
static gboolean
take_time(char **text, gint64 *ret_time)
{
  char *end = NULL;
  gboolean negative = **text == '-';
  char *digits = *text + (negative ? 1 : 0);
  if (!g_ascii_isdigit(*digits))
    return FALSE;
  guint64 seconds = g_ascii_strtoull(digits, &end, 10);
  gint64 fraction = 0;
  guint n = 0;
  if (*end == '.')
    for (end++; g_ascii_isdigit(*end); end++)
      if (n++ < 9)
        fraction = fraction * 10 + (*end - '0');
  for (; n < 9; n++)
    fraction *= 10;
  if (*end != ' ' || seconds > G_MAXINT64 / 2000000000)
    return FALSE;
  gint64 whole = (gint64) seconds * 1000000000;
  *ret_time = (negative ? -whole : whole) + fraction;
  *text = end + 1;
  return TRUE;
}

/* "." or "./a/b": nothing in it leads upwards, nothing is empty. */
static gboolean
is_name(const char *name)
{
  if (name[0] != '.' || strlen(name) > MAX_NAME)
    return FALSE;
  for (const char *part = strchr(name, '/'); part != NULL; part = strchr(part + 1, '/')) {
    gsize length = strcspn(part + 1, "/");
    if (length == 0 || (length == 1 && part[1] == '.') || (length == 2 && part[1] == '.' && part[2] == '.'))
      return FALSE;
  }
  return name[1] == 0 || name[1] == '/';
}

static gboolean
parse_entry(char *text, AzEntry *ret_entry)
{
  guint64 mode = 0, links = 0, blocks = 0;
  AzEntry entry = { .type = text[0] };
  if (strchr("fdl", entry.type) == NULL || text[0] == 0 || text[1] != ' ')
    return FALSE;
  text += 2;
  if (!take_number(&text, 8, &mode) || mode > 07777 || !take_number(&text, 10, &entry.size)
      || !take_time(&text, &entry.mtime) || !take_time(&text, &entry.ctime) || !take_number(&text, 10, &entry.inode)
      || !take_number(&text, 10, &links) || !take_number(&text, 10, &blocks))
    return FALSE;
  entry.mode = (guint32) mode;
  entry.links = (guint32) MIN(links, G_MAXUINT32);
  entry.sparse = entry.type == 'f' && blocks < entry.size / BLOCK;
  entry.name = text;
  char *link = entry.type == 'l' ? strstr(text, "//") : NULL;
  if (entry.type == 'l' && link == NULL)
    return FALSE;
  if (link != NULL) {
    *link = 0;
    entry.link = link + 2;
  }
  *ret_entry = entry;
  return is_name(entry.name);
}

/* The separator comes before every other byte, so that all that is below a folder follows it. */
static int
rank(char byte)
{
  guchar value = (guchar) byte;
  if (value == '/')
    return 1;
  return value > 0 && value < '/' ? value + 1 : value;
}

int
az_listing_order(const char *a, const char *b)
{
  for (; *a != 0 && *a == *b; a++)
    b++;
  return rank(*a) - rank(*b);
}

static int
by_name(gconstpointer a, gconstpointer b)
{
  return az_listing_order(((const AzEntry *) a)->name, ((const AzEntry *) b)->name);
}

static gboolean
malformed(GError **error)
{
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_SYNC, "the machine's list of files cannot be understood");
  return FALSE;
}

static gboolean
read_records(AzListing *listing, GError **error)
{
  char *at = (char *) listing->raw->data, *end = at + listing->raw->len;
  while (at < end) {
    AzEntry entry;
    char *nul = memchr(at, 0, (gsize) (end - at));
    if (nul == NULL || !parse_entry(at, &entry))
      return malformed(error);
    if (listing->entries->len >= MAX_ENTRIES) {
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                  "there are more than %u entries; sync the folders below it one by one", MAX_ENTRIES);
      return FALSE;
    }
    g_array_append_val(listing->entries, entry);
    at = nul + 1;
  }
  g_array_sort(listing->entries, by_name);
  for (guint i = 1; i < listing->entries->len; i++)
    if (by_name(az_listing_at(listing, i - 1), az_listing_at(listing, i)) == 0)
      return malformed(error);
  return TRUE;
}

AzListing *
az_listing_new(GByteArray *raw, GError **error)
{
  g_autoptr(AzListing) listing = g_rc_box_new0(AzListing);
  listing->raw = raw;
  listing->entries = g_array_new(FALSE, FALSE, sizeof(AzEntry));
  listing->hashes = g_string_chunk_new(4096);
  if (!read_records(listing, error))
    return NULL;
  return g_steal_pointer(&listing);
}

/* ---- asking ---- */

guint
az_listing_size(const AzListing *listing)
{
  return listing->entries->len;
}

const AzEntry *
az_listing_at(const AzListing *listing, guint index)
{
  return &g_array_index(listing->entries, AzEntry, index);
}

const AzEntry *
az_listing_find(const AzListing *listing, const char *name)
{
  guint index = 0;
  AzEntry wanted = { .name = name };
  if (!g_array_binary_search(listing->entries, &wanted, by_name, &index))
    return NULL;
  return az_listing_at(listing, index);
}

gboolean
az_listing_set_hash(AzListing *listing, const char *name, const char *hash)
{
  AzEntry *entry = (AzEntry *) (guintptr) az_listing_find(listing, name);
  if (entry == NULL || entry->type != 'f')
    return FALSE;
  entry->hash = g_string_chunk_insert(listing->hashes, hash);
  return TRUE;
}

/* ---- changes ---- */

/* The record at `at`, or NULL at the end; `torn` when it does not end. */
static const char *
record_at(const char *at, const char *end, gboolean *torn)
{
  if (at >= end)
    return NULL;
  if (memchr(at, 0, (gsize) (end - at)) == NULL) {
    *torn = TRUE;
    return NULL;
  }
  return at;
}

void
az_listing_append(GByteArray *records, const char *record)
{
  g_byte_array_append(records, (const guint8 *) record, (guint) strlen(record) + 1);
}

void
az_listing_append_entry(GByteArray *records, const AzEntry *entry)
{
  gint64 seconds = entry->mtime / 1000000000, rest = entry->mtime % 1000000000;
  if (rest < 0) { /* find rounds seconds down */
    seconds--;
    rest += 1000000000;
  }
  g_autofree char *text = g_strdup_printf(
      "%c %o %" G_GUINT64_FORMAT " %s%" G_GINT64_FORMAT ".%09" G_GINT64_FORMAT " 0 0 1 %" G_GUINT64_FORMAT " %s%s%s",
      entry->type, entry->mode, entry->size, entry->mtime < 0 ? "-" : "", ABS(seconds), ABS(rest),
      entry->size / BLOCK + 1, entry->name, entry->link != NULL ? "//" : "", entry->link != NULL ? entry->link : "");
  az_listing_append(records, text);
}

/* Both run in one order, so that one pass is enough: what is to go must come by, what is new falls into its place. */
GByteArray *
az_listing_patch(GBytes *old, const char *changes, gsize length)
{
  gsize old_length = 0;
  const char *at = g_bytes_get_data(old, &old_length), *end = at + old_length;
  const char *change = changes, *last = changes + length;
  gboolean torn = FALSE;
  g_autoptr(GByteArray) patched = g_byte_array_sized_new((guint) (old_length + length));
  while ((change = record_at(change, last, &torn)) != NULL) {
    gboolean comes = *change == '\t';
    const char *record = change + (comes ? 1 : 0);
    const char *kept = NULL;
    for (; (kept = record_at(at, end, &torn)) != NULL && strcmp(kept, record) < 0; at += strlen(at) + 1)
      az_listing_append(patched, kept);
    gboolean stands = kept != NULL && strcmp(kept, record) == 0;
    if (stands == comes)
      return NULL;
    if (comes)
      az_listing_append(patched, record);
    else
      at += strlen(at) + 1;
    change += strlen(change) + 1;
  }
  for (const char *kept; (kept = record_at(at, end, &torn)) != NULL; at += strlen(at) + 1)
    az_listing_append(patched, kept);
  return torn ? NULL : g_steal_pointer(&patched);
}

typedef struct {
  GByteArray *records;
  GPtrArray *hashed; /* of const AzEntry */
  const char *over;  /* an entry that is gone, or is no folder any more: with it goes what stood below */
} Merge;

static void
merge_add(Merge *merge, const AzEntry *entry)
{
  az_listing_append_entry(merge->records, entry);
  if (entry->hash != NULL)
    g_ptr_array_add(merge->hashed, (gpointer) (guintptr) entry);
}

static void
merge_walk(Merge *merge, const AzListing *old, const AzListing *news, GHashTable *gone)
{
  guint n_old = old->entries->len, n_new = news->entries->len;
  for (guint i = 0, j = 0; i < n_old || j < n_new;) {
    const AzEntry *was = i < n_old ? az_listing_at(old, i) : NULL, *is = j < n_new ? az_listing_at(news, j) : NULL;
    int order = was == NULL ? 1 : is == NULL ? -1 : by_name(was, is);
    if (order >= 0)
      merge_add(merge, is);
    else if (g_hash_table_contains(gone, was->name))
      merge->over = was->name;
    else if (merge->over == NULL || !az_listing_is_below(was->name, merge->over))
      merge_add(merge, was);
    if (order >= 0 && is->type != 'd')
      merge->over = is->name;
    i += order <= 0 ? 1 : 0;
    j += order >= 0 ? 1 : 0;
  }
}

AzListing *
az_listing_merge(const AzListing *old, const AzListing *news, GPtrArray *gone)
{
  g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
  g_autoptr(GPtrArray) hashed = g_ptr_array_new();
  for (guint i = 0; i < gone->len; i++)
    g_hash_table_add(names, g_ptr_array_index(gone, i));
  Merge merge = { .records = g_byte_array_new(), .hashed = hashed };
  merge_walk(&merge, old, news, names);
  AzListing *merged = az_listing_new(merge.records, NULL);
  for (guint i = 0; merged != NULL && i < hashed->len; i++) {
    const AzEntry *entry = g_ptr_array_index(hashed, i);
    az_listing_set_hash(merged, entry->name, entry->hash);
  }
  return merged;
}

/* ---- hashes ---- */

typedef struct {
  guint64 inode, size;
  gint64 mtime, ctime;
  const char *hash; /* `length` bytes, not ended */
  gsize length;
} KnownHash;

/* "INODE SIZE MTIME CTIME HASH", as az_listing_hashes() writes it. */
static gboolean
parse_known(const char *line, const char *end, KnownHash *ret_known)
{
  char *at = NULL;
  ret_known->inode = g_ascii_strtoull(line, &at, 10);
  ret_known->size = g_ascii_strtoull(at, &at, 10);
  ret_known->mtime = g_ascii_strtoll(at, &at, 10);
  ret_known->ctime = g_ascii_strtoll(at, &at, 10);
  if (at >= end || *at != ' ')
    return FALSE;
  ret_known->hash = at + 1;
  ret_known->length = (gsize) (end - at - 1);
  return TRUE;
}

static GArray *
parse_cache(const char *cache)
{
  GArray *known = g_array_new(FALSE, FALSE, sizeof(KnownHash));
  while (*cache != 0) {
    const char *end = strchrnul(cache, '\n');
    KnownHash one;
    if (parse_known(cache, end, &one))
      g_array_append_val(known, one);
    cache = *end != 0 ? end + 1 : end;
  }
  return known;
}

void
az_listing_recall(AzListing *listing, const char *cache)
{
  g_autoptr(GArray) known = parse_cache(cache);
  g_autoptr(GHashTable) by_inode = g_hash_table_new(g_int64_hash, g_int64_equal);
  for (guint i = 0; i < known->len; i++)
    g_hash_table_add(by_inode, &g_array_index(known, KnownHash, i)); /* begins with its key */
  for (guint i = 0; i < listing->entries->len; i++) {
    AzEntry *entry = &g_array_index(listing->entries, AzEntry, i);
    if (entry->type != 'f' || entry->hash != NULL)
      continue;
    const KnownHash *one = g_hash_table_lookup(by_inode, &entry->inode);
    if (one != NULL && one->size == entry->size && one->mtime == entry->mtime && one->ctime == entry->ctime)
      entry->hash = g_string_chunk_insert_len(listing->hashes, one->hash, (gssize) one->length);
  }
}

char *
az_listing_hashes(const AzListing *listing, gint64 settled)
{
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < listing->entries->len; i++) {
    const AzEntry *entry = az_listing_at(listing, i);
    if (entry->hash == NULL || entry->ctime > settled)
      continue;
    g_string_append_printf(text,
                           "%" G_GUINT64_FORMAT " %" G_GUINT64_FORMAT " %" G_GINT64_FORMAT " %" G_GINT64_FORMAT " %s\n",
                           entry->inode, entry->size, entry->mtime, entry->ctime, entry->hash);
  }
  return g_string_free(text, FALSE);
}

/* ---- names ---- */

char *
az_listing_show_name(const char *name)
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

gboolean
az_listing_is_below(const char *name, const char *folder)
{
  gsize length = strlen(folder);
  return strncmp(name, folder, length) == 0 && (name[length] == 0 || name[length] == '/');
}
