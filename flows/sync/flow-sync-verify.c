/* sync: does the target hold what the source holds? Both sides listed and hashed once more, and what that shows. */
#include "error.h"
#include "flow-sync-private.h"
#include <string.h>

#define MAX_AGAIN 2u
#define MAX_CHANGED 50u /* differing entries that are named */

typedef struct {
  AzSyncPair *pair;
  void (*done)(AzSyncPair *pair, AzSyncVerdict verdict, const GError *error);
  GBytes *names;
  GBytes *expected; /* on the target, or NULL */
  guint pending;
  guint again; /* how often, for what nobody had asked to be hashed */
  AzScanHash hash;
  GError *error;
} Check;

static void start(Check *check);

/* What one of the two could not list, or NULL. */
static const char *
unlisted(const AzSyncPair *pair)
{
  return pair->again.words != NULL ? pair->again.words : pair->scan.words;
}

static void
append_files(GByteArray *bytes, AzListing *source, GPtrArray *names)
{
  for (guint i = 0; names != NULL && i < names->len; i++) {
    const char *name = g_ptr_array_index(names, i);
    const AzEntry *entry = az_listing_find(source, name);
    if (entry != NULL && entry->type == 'f')
      az_listing_append(bytes, name);
  }
}

static GBytes *
names_of_files(AzListing *source, GPtrArray *names, GPtrArray *more)
{
  GByteArray *bytes = g_byte_array_new();
  append_files(bytes, source, names);
  append_files(bytes, source, more);
  return g_byte_array_free_to_bytes(bytes);
}

static void
check_over(Check *check, AzSyncVerdict verdict)
{
  check->done(check->pair, verdict, check->error);
  g_clear_error(&check->error);
  g_clear_pointer(&check->names, g_bytes_unref);
  g_clear_pointer(&check->expected, g_bytes_unref);
  g_free(check);
}

static void
on_folders_fixed(AzlinOp *op, gpointer data)
{
  Check *check = data;
  if (az_op_error(op) != NULL)
    check->error = g_error_copy(az_op_error(op));
  check_over(check, check->error != NULL ? AZ_SYNC_UNSURE : AZ_SYNC_EQUAL);
}

/* What was hashed just before, but too soon after its last change to count, is known no more: once again
 * then, with all that was hashed now and may be as young. */
static gboolean
hash_the_rest(Check *check)
{
  AzSyncPair *pair = check->pair;
  AzComparison *comparison = pair->comparison;
  if (check->again >= MAX_AGAIN || comparison->unknown->len == 0 || comparison->copy->len > 0)
    return FALSE;
  check->again++;
  if (check->hash != AZ_SCAN_HASH_ALL) {
    GByteArray *names = g_byte_array_new();
    if (check->names != NULL)
      g_byte_array_append(names, g_bytes_get_data(check->names, NULL), (guint) g_bytes_get_size(check->names));
    append_files(names, az_sync_pair_source(pair), comparison->unknown);
    g_clear_pointer(&check->names, g_bytes_unref);
    check->names = g_byte_array_free_to_bytes(names);
    check->hash = AZ_SCAN_HASH;
  }
  start(check);
  return TRUE;
}

static void
judge(Check *check)
{
  AzSyncPair *pair = check->pair;
  AzComparison *comparison = pair->comparison;
  const char *words = unlisted(pair);
  if (hash_the_rest(check))
    return;
  if (comparison->copy->len > 0 || comparison->unknown->len > 0 || g_hash_table_size(pair->vanished) > 0) {
    check_over(check, AZ_SYNC_DIFFERS);
  } else if (words != NULL) {
    check->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_PARTIAL, "not all of it can be listed: %s", words);
    check_over(check, AZ_SYNC_UNSURE);
  } else if (comparison->folders->len > 0) {
    az_sync_fix_folders(pair, comparison->folders, az_op_new(pair->op, "folders", 0, on_folders_fixed, check));
  } else {
    check_over(check, AZ_SYNC_EQUAL);
  }
}

static void
on_residue_gone(AzlinOp *op, gpointer data)
{
  Check *check = data;
  if (az_op_error(op) != NULL) {
    check->error = g_error_copy(az_op_error(op));
    check_over(check, AZ_SYNC_UNSURE);
    return;
  }
  judge(check);
}

static void
side_over(Check *check, AzlinOp *op)
{
  AzSyncPair *pair = check->pair;
  if (az_op_error(op) != NULL && check->error == NULL)
    check->error = g_error_copy(az_op_error(op));
  if (--check->pending > 0)
    return;
  if (check->error == NULL && (pair->again.listing == NULL || pair->scan.listing == NULL))
    check->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "the place is gone on one of the two machines");
  if (check->error != NULL) {
    check_over(check, AZ_SYNC_UNSURE);
    return;
  }
  az_sync_pair_compare(pair);
  az_sync_residue(pair, az_op_new(pair->op, "residue", 0, on_residue_gone, check));
}

static void
on_source(AzlinOp *op, gpointer data)
{
  side_over(data, op);
}

static void
on_target(AzlinOp *op, gpointer data)
{
  side_over(data, op);
}

/* ---- what is to be hashed ---- */

/* Names would travel for nothing when nearly all files are meant. */
static AzScanHash
choose_hashing(AzSyncPair *pair, Check *check)
{
  const AzComparison *comparison = pair->comparison;
  guint64 files = az_sync_pair_path(pair)->scan.place->files;
  if (pair->left_out[0] == NULL && comparison->files + comparison->unknown->len >= files - files / 4
      && comparison->target_files <= files + files / 4)
    return AZ_SCAN_HASH_ALL;
  check->names = names_of_files(az_sync_pair_source(pair), comparison->copy, comparison->unknown);
  return g_bytes_get_size(check->names) > 0 ? AZ_SCAN_HASH : AZ_SCAN_LIST;
}

static void
set_source_scan(AzSyncPair *pair, AzScan *scan, AzScanHash hash, GBytes *names)
{
  az_scan_clear(scan);
  *scan = az_sync_pair_path(pair)->scan;
  scan->place = NULL;
  scan->listing = NULL;
  scan->words = NULL;
  scan->hash = hash;
  scan->names = names;
  scan->expected = NULL;
  scan->fresh = FALSE; /* the first scan was, where it was asked for */
  scan->warm = FALSE;  /* nothing long follows it */
}

/* Both sides; the source's hashes are known already where they were made beside the transfer. */
static void
start(Check *check)
{
  AzSyncPair *pair = check->pair;
  gboolean summed = pair->sums.listing != NULL && check->again == 0;
  g_clear_pointer(&check->expected, g_bytes_unref);
  if (summed && check->hash != AZ_SCAN_LIST)
    check->expected = az_scan_expect(pair->sums.listing, check->names);
  set_source_scan(pair, &pair->again, summed ? AZ_SCAN_LIST : check->hash, check->names);
  az_scan_clear(&pair->sums);
  check->pending = 2;
  az_scan(&pair->again, az_op_new(pair->op, "compare", 0, on_source, check));
  az_sync_pair_scan_again(pair, check->hash, check->names, check->expected, check->again == 0 ? pair->run : NULL,
                          az_op_new(pair->op, "compare", 0, on_target, check));
}

static void
on_summed(AzlinOp *op, gpointer data)
{
  AzSyncPair *pair = data;
  void (*summed)(AzSyncPair * pair) = g_steal_pointer(&pair->summed);
  pair->summing = NULL;
  if (summed != NULL)
    summed(pair);
  az_sync_pair_unref(pair);
}

void
az_sync_sum(AzSyncPair *pair)
{
  Check check = { .pair = pair };
  if (pair->summing != NULL || pair->sums.listing != NULL || pair->round > 0)
    return;
  AzScanHash hash = choose_hashing(pair, &check);
  g_clear_pointer(&pair->sum_names, g_bytes_unref);
  pair->sum_names = check.names;
  set_source_scan(pair, &pair->sums, hash, check.names);
  g_rc_box_acquire(pair);
  pair->summing = az_op_new(pair->op, "hash", 0, on_summed, pair);
  az_scan(&pair->sums, pair->summing);
}

static void
begin(AzSyncPair *pair)
{
  start(g_steal_pointer(&pair->check));
}

void
az_sync_check(AzSyncPair *pair, void (*done)(AzSyncPair *pair, AzSyncVerdict verdict, const GError *error))
{
  Check *check = g_new0(Check, 1);
  *check = (Check){ .pair = pair, .done = done };
  gboolean untouched = pair->round == 0 && pair->deleted == 0;
  if (untouched && pair->comparison->copy->len == 0 && pair->comparison->unknown->len == 0) {
    az_sync_find_vanished(pair);
    judge(check); /* listed a moment ago, and every hash is known */
    return;
  }
  check->hash = choose_hashing(pair, check);
  pair->check = check;
  if (pair->summing != NULL)
    pair->summed = begin;
  else
    begin(pair);
}

/* ---- what differs ---- */

static char *
full_name(AzSyncPair *pair, const char *name)
{
  const AzSyncPath *path = az_sync_pair_path(pair);
  if (path->scan.place->base != NULL || strcmp(name, ".") == 0)
    return g_strdup(path->path);
  g_autofree char *shown = az_listing_show_name(name);
  return g_strconcat(path->path, "/", shown, NULL);
}

/* Returns 1 where it differs. */
static guint
report_one(AzSyncPair *pair, AzListing *source, const char *name, guint named)
{
  g_autofree char *what = az_compare_words(az_listing_find(source, name), az_listing_find(pair->scan.listing, name));
  if (what == NULL)
    return 0;
  g_autofree char *full = full_name(pair, name);
  if (named < MAX_CHANGED)
    az_sync_pair_note(pair, g_strdup_printf("CHANGED %s: %s", full, what));
  return 1;
}

static void
report_changed(AzSyncPair *pair, AzListing *source)
{
  GPtrArray *copy = pair->comparison->copy, *extra = pair->comparison->extra;
  const char *above = NULL; /* of what vanished the topmost is enough */
  guint named = 0;
  for (guint i = 0; i < copy->len; i++)
    named += report_one(pair, source, g_ptr_array_index(copy, i), named);
  for (guint i = 0; i < extra->len; i++) {
    const char *name = ((const AzEntry *) g_ptr_array_index(extra, i))->name;
    if (!g_hash_table_contains(pair->vanished, name) || (above != NULL && az_listing_is_below(name, above)))
      continue;
    named += report_one(pair, source, name, named);
    above = name;
  }
  if (named > MAX_CHANGED)
    az_sync_pair_note(pair,
                      g_strdup_printf("CHANGED: %u more below %s", named - MAX_CHANGED, az_sync_pair_path(pair)->path));
}

static void
report_unread(AzSyncPair *pair, AzListing *source)
{
  GPtrArray *unknown = pair->comparison->unknown;
  for (guint i = 0; i < unknown->len && i < MAX_CHANGED; i++) {
    const char *name = g_ptr_array_index(unknown, i);
    const AzEntry *here = az_listing_find(source, name);
    g_autofree char *full = full_name(pair, name);
    az_sync_pair_note(pair, g_strdup_printf("%s could not be compared: it cannot be read on the %s", full,
                                            here->hash == NULL ? "source" : "target"));
  }
  const char *words = unlisted(pair);
  if (words != NULL)
    az_sync_pair_note(pair, g_strdup(words));
}

void
az_sync_report(AzSyncPair *pair)
{
  AzListing *source = az_sync_pair_source(pair);
  report_changed(pair, source);
  report_unread(pair, source);
}
