/* Listings and what follows from two of them: foreign records, patches, kept hashes, what is to be copied. */
#include "compare.h"
#include "exclude.h"
#include "live-frames.h"
#include "scan-private.h"
#include "azlin-plugin.h"
#include <glib/gstdio.h>
#include <string.h>

/* Records separated by newlines, for reading; none of these names holds one. */
static GByteArray *
records(const char *text)
{
  GByteArray *raw = g_byte_array_new();
  g_byte_array_append(raw, (const guint8 *) text, (guint) strlen(text));
  for (guint i = 0; i < raw->len; i++)
    if (raw->data[i] == '\n')
      raw->data[i] = 0;
  return raw;
}

static AzListing *
listing(const char *text)
{
  g_autoptr(GError) error = NULL;
  AzListing *made = az_listing_new(records(text), &error);
  g_assert_no_error(error);
  return made;
}

#define TREE                                                                                                           \
  "d 755 4096 1700000000.0000000001 1.5 10 3 8 .\n"                                                                    \
  "d 755 4096 1700000000.0000000001 1.5 11 2 8 ./a\n"                                                                  \
  "f 644 5 1700000000.1234567890 1700000001.5 12 1 8 ./a-b\n"                                                          \
  "f 644 7 1700000000.1234567890 1700000001.5 13 1 8 ./a/c\n"                                                          \
  "l 777 3 1700000000.5 1.5 14 1 0 ./a/link//to//there\n"

static void
test_records_are_read(void)
{
  g_autoptr(AzListing) tree = listing(TREE);
  g_assert_cmpuint(az_listing_size(tree), ==, 5);
  static const char *const order[] = { ".", "./a", "./a/c", "./a/link", "./a-b" };
  for (guint i = 0; i < G_N_ELEMENTS(order); i++)
    g_assert_cmpstr(az_listing_at(tree, i)->name, ==, order[i]);
  const AzEntry *file = az_listing_find(tree, "./a-b");
  g_assert_cmpint(file->mtime, ==, 1700000000123456789);
  g_assert_cmpuint(file->mode, ==, 0644);
  g_assert_cmpstr(az_listing_find(tree, "./a/link")->link, ==, "to//there");
  g_assert_null(az_listing_find(tree, "./nothing"));
  g_autoptr(AzListing) old = listing("f 644 600000 -1.5 1.5 12 1 8 ./old\n");
  g_assert_cmpint(az_listing_at(old, 0)->mtime, ==, -500000000);
  g_assert_true(az_listing_at(old, 0)->sparse);
}

static void
test_foreign_records_are_refused(void)
{
  static const char *const bad[] = { "x 644 5 1.1 1.1 1 1 8 ./a\n",
                                     "f 999 5 1.1 1.1 1 1 8 ./a\n",
                                     "f 644 -5 1.1 1.1 1 1 8 ./a\n",
                                     "f 644 5 1.1 1.1 1 1 8 /etc/passwd\n",
                                     "f 644 5 1.1 1.1 1 1 8 a\n",
                                     "f 644 5 1.1 1.1 1 1 8 ./\n",
                                     "f 644 5 1.1 1.1 1 1\n",
                                     "f 644 5 1.1 1.1 1 1 8 ./a",
                                     "l 777 5 1.1 1.1 1 1 8 ./a\n",
                                     "f 644 5 1.1 1.1 1 1 8 ./../a\n",
                                     "f 644 5 1.1 1.1 1 1 8 ./a//b\n",
                                     "f 644 5 1.1 1.1 1 1 8 ./a/..\n",
                                     "f 644 5 1.1 1.1 1 1 8 ./a\nf 644 5 1.1 1.1 1 1 8 ./a\n",
                                     "\n",
                                     "f 644 5 99999999999999999999.1 1.1 1 1 8 ./a\n" };
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(az_listing_new(records(bad[i]), &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_SYNC);
  }
}

static void
test_patches_fit_or_are_refused(void)
{
  static const struct {
    const char *changes, *result;
  } rows[] = { { "", "b\nd\n" },         { "\ta\n", "a\nb\nd\n" }, { "b\n\tc\n", "c\nd\n" }, { "b\nd\n", "" },
               { "\te\n", "b\nd\ne\n" }, { "x\n", NULL },          { "\tb\n", NULL },        { "a\n", NULL } };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GBytes) old = g_byte_array_free_to_bytes(records("b\nd\n"));
    g_autoptr(GByteArray) changes = records(rows[i].changes);
    g_autoptr(GByteArray) patched = az_listing_patch(old, (const char *) changes->data, changes->len);
    g_assert_true((patched == NULL) == (rows[i].result == NULL));
    if (patched == NULL)
      continue;
    g_autoptr(GByteArray) wanted = records(rows[i].result);
    g_assert_cmpmem(patched->data, patched->len, wanted->data, wanted->len);
  }
}

static void
test_hashes_are_kept_by_identity(void)
{
  g_autoptr(AzListing) tree = listing(TREE),
                       changed = listing("f 644 5 1700000000.1234567890 1700000002.5 12 1 8 ./a-b\n"
                                         "f 644 7 1700000000.1234567890 1700000001.5 13 1 8 ./moved\n");
  g_assert_true(az_listing_set_hash(tree, "./a-b", "aa"));
  g_assert_true(az_listing_set_hash(tree, "./a/c", "cc"));
  g_assert_false(az_listing_set_hash(tree, "./a", "dd"));
  g_assert_false(az_listing_set_hash(tree, "./none", "dd"));
  g_autofree char *kept = az_listing_hashes(tree, G_MAXINT64);
  az_listing_recall(changed, kept);
  g_assert_null(az_listing_find(changed, "./a-b")->hash); /* another ctime: it may be anything */
  g_assert_cmpstr(az_listing_find(changed, "./moved")->hash, ==, "cc");
  /* changed within the clock's tick before the look: it may change again unseen */
  g_autofree char *settled = az_listing_hashes(tree, 1700000001400000000);
  g_assert_cmpstr(settled, ==, "");
}

static char *
joined(GPtrArray *names)
{
  g_ptr_array_add(names, NULL);
  return g_strjoinv(" ", (char **) names->pdata);
}

static char *
entry_names(GPtrArray *entries)
{
  GString *text = g_string_new(NULL);
  for (guint i = 0; i < entries->len; i++)
    g_string_append_printf(text, "%s%s", i > 0 ? " " : "", ((const AzEntry *) g_ptr_array_index(entries, i))->name);
  return g_string_free(text, FALSE);
}

typedef struct {
  const char *source, *target;
  const char *copy, *extra, *blocked, *folders, *unknown;
} Case;

#define TOP "d 755 1 1.0 1.0 1 2 8 .\n"
static const Case cases[] = {
  { TOP, TOP, "", "", "", "", "" },
  { TOP, "", ".", "", "", "", "" },
  { TOP "f 644 1 1.5 1.0 2 1 8 ./f\n", TOP, ". ./f", "", "", "", "" },
  { TOP "f 644 1 1.5 1.0 2 1 8 ./f\n", TOP "f 644 1 1.5 9.0 9 1 8 ./f\n", "", "", "", "", "./f" },
  /* one second, other fractions: rsync's quick check takes them for equal */
  { TOP "f 644 1 1.5 1.0 2 1 8 ./f\n", TOP "f 644 1 1.6 1.0 2 1 8 ./f\n", ". ./f", "", "", "", "" },
  { TOP "f 644 1 1.5 1.0 2 1 8 ./f\n", TOP "f 644 1 1.0000000000 1.0 2 1 8 ./f\n", "", "", "", "", "./f" },
  { TOP "f 644 1 1.5 1.0 2 1 8 ./f\n", TOP "f 600 1 1.5 1.0 2 1 8 ./f\n", ". ./f", "", "", "", "" },
  { TOP "f 644 1 1.5 1.0 2 1 8 ./f\n", TOP "d 755 1 1.5 1.0 2 1 8 ./f\nf 644 1 1.0 1.0 3 1 8 ./f/g\n", ". ./f", "./f/g",
    "./f", "", "" },
  { TOP, TOP "d 755 1 1.0 1.0 5 2 8 ./x\nf 644 1 1.0 1.0 6 1 8 ./x/y\nf 644 1 1.0 1.0 7 1 8 ./x-y\n", "", "./x ./x-y",
    "", "", "" },
  { TOP "d 755 1 2.5 1.0 3 2 8 ./x\n", TOP "d 755 1 1.5 1.0 3 2 8 ./x\n", "", "", "", "./x", "" },
  { TOP "l 777 1 1.0 1.0 3 1 0 ./l//a\n", TOP "l 777 1 1.0 1.0 3 1 0 ./l//b\n", ". ./l", "", "", "", "" },
  /* one of two names of a file differs: both go, so that they stay one file */
  { TOP "f 644 1 1.5 1.0 2 2 8 ./f\nf 644 1 1.5 1.0 2 2 8 ./g\n", TOP "f 644 1 1.5 1.0 2 1 8 ./g\n", ". ./f ./g", "",
    "", "", "./g" },
  { TOP "f 644 1 1.5 1.0 2 2 8 ./f\nf 644 1 1.5 1.0 2 2 8 ./g\n",
    TOP "f 644 1 1.5 1.0 8 1 8 ./f\nf 644 1 1.5 1.0 9 1 8 ./g\n", ". ./f ./g", "", "", "", "./f ./g" },
  { TOP "d 700 1 1.0 1.0 3 2 8 ./.ssh\nf 600 1 1.0 1.0 4 1 8 ./.ssh/id\n", TOP "f 600 1 1.0 1.0 4 1 8 ./.ssh/x\n", "",
    "", "", "", "" },
};

static void
test_comparisons(void)
{
  static const char *const left_out[] = { "./.ssh", NULL };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(AzListing) source = listing(cases[i].source), target = listing(cases[i].target);
    g_autoptr(AzComparison) found = az_compare(source, target, left_out, TRUE);
    g_autofree char *copy = joined(found->copy), *unknown = joined(found->unknown);
    g_autoptr(GPtrArray) to_go = az_compare_to_go(found, TRUE);
    g_autofree char *extra = entry_names(to_go), *blocked = entry_names(found->blocked);
    g_autofree char *folders = entry_names(found->folders);
    g_test_message("case %u", i);
    g_assert_cmpstr(copy, ==, cases[i].copy);
    g_assert_cmpstr(extra, ==, cases[i].extra);
    g_assert_cmpstr(blocked, ==, cases[i].blocked);
    g_assert_cmpstr(folders, ==, cases[i].folders);
    g_assert_cmpstr(unknown, ==, cases[i].unknown);
  }
}

/* What no listing shows stands in folders that one does: they go only when they are empty, and never around a key. */
static void
test_hidden_things_stay(void)
{
  static const char *const left_out[] = { "./u/.ssh", NULL };
  g_autoptr(AzListing) source = listing(TOP);
  g_autoptr(AzListing) target
      = listing(TOP "d 755 1 1.0 1.0 2 2 8 ./u\nf 644 1 1.0 1.0 3 1 8 ./u/f\n"
                    "d 755 1 1.0 1.0 4 2 8 ./v\nd 755 1 1.0 1.0 5 2 8 ./v/w\nf 644 1 1.0 1.0 6 1 8 ./v/w/x\n");
  g_autoptr(AzComparison) found = az_compare(source, target, left_out, TRUE);
  g_autoptr(GPtrArray) whole = az_compare_to_go(found, TRUE), each = az_compare_to_go(found, FALSE);
  g_autofree char *tops = entry_names(whole), *all = entry_names(each);
  g_assert_cmpstr(tops, ==, "./u/f ./v");
  g_assert_cmpstr(all, ==, "./u/f ./v/w/x ./v/w ./v");
  g_assert_true(az_compare_is_around("./u", left_out));
  g_assert_false(az_compare_is_around("./v", left_out));
}

static void
test_sums_of_a_comparison(void)
{
  g_autoptr(AzListing) source = listing(TOP "f 644 100 1.5 1.0 2 1 8 ./big\nf 644 10 1.5 1.0 3 1 8 ./new\n");
  g_autoptr(AzListing) target = listing(TOP "f 644 60 1.5 1.0 2 1 8 ./big\nf 644 1 1.0 1.0 9 1 8 ./gone\n");
  g_autoptr(AzComparison) found = az_compare(source, target, NULL, TRUE);
  g_assert_cmpuint(found->bytes, ==, 110);
  g_assert_cmpuint(found->files, ==, 2);
  g_assert_cmpuint(found->largest, ==, 100);
  g_assert_cmpuint(found->old_bytes, ==, 60);
  g_assert_cmpuint(found->extra_files, ==, 1);
  g_assert_cmpuint(found->target_files, ==, 2);
}

static void
test_known_content_decides(void)
{
  g_autoptr(AzListing) source = listing(TOP "f 644 1 1.5 1.0 2 1 8 ./f\n"),
                       target = listing(TOP "f 644 1 1.5 1.0 2 1 8 ./f\n");
  az_listing_set_hash(source, "./f", "aa");
  az_listing_set_hash(target, "./f", "bb");
  g_autoptr(AzComparison) other = az_compare(source, target, NULL, TRUE);
  g_assert_cmpuint(other->copy->len, ==, 2);
  g_autofree char *words = az_compare_words(az_listing_find(source, "./f"), az_listing_find(target, "./f"));
  g_assert_cmpstr(words, ==, "other content on the target");
  az_listing_set_hash(target, "./f", "aa");
  g_autoptr(AzComparison) same = az_compare(source, target, NULL, TRUE);
  g_assert_cmpuint(same->copy->len + same->unknown->len, ==, 0);
}

/* ---- the answer of a machine ---- */

#define DIGEST "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
test_answers_are_whole_or_refused(void)
{
  static const char whole[] = "F\n" TREE "Z0 " DIGEST "\n" DIGEST "  ./a-b\nE\n";
  g_autoptr(GByteArray) raw = records(whole);
  g_autoptr(GError) error = NULL;
  AzScanAnswer answer;
  g_assert_true(az_scan_answer((const char *) raw->data, raw->len, &answer, &error));
  g_assert_false(answer.patch);
  g_assert_cmpuint(answer.length, ==, strlen(TREE));
  g_assert_cmpstr(answer.digest, ==, DIGEST);
  g_assert_cmpuint(answer.hashes_length, ==, strlen(DIGEST "  ./a-b\n"));
  for (guint length = 0; length < raw->len; length++) {
    g_autoptr(GError) cut = NULL;
    g_autofree char *copy = g_memdup2(raw->data, length); /* so that a sanitizer sees a read beyond it */
    g_assert_false(az_scan_answer(copy, length, &answer, &cut));
    g_assert_error(cut, AZLIN_ERROR, AZLIN_ERROR_SYNC);
  }
}

static void
test_what_was_stopped_is_refused(void)
{
  static const char *const ends[] = { "Z137 " DIGEST "\nE\n", "Z0\n200 " DIGEST "\nE\n", "Z " DIGEST "\nE\n" };
  for (guint i = 0; i < G_N_ELEMENTS(ends); i++) {
    g_autofree char *text = g_strconcat("F\n" TREE, ends[i], NULL);
    g_autoptr(GByteArray) raw = records(text);
    g_autoptr(GError) error = NULL;
    AzScanAnswer answer;
    g_assert_false(az_scan_answer((const char *) raw->data, raw->len, &answer, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_SYNC);
  }
}

static void
test_bombs_are_cut(void)
{
  g_autoptr(GByteArray) packed = g_byte_array_new();
  g_autofree char *zeros = g_malloc0(1 << 20);
  g_autoptr(GConverter) gzip = G_CONVERTER(g_zlib_compressor_new(G_ZLIB_COMPRESSOR_FORMAT_GZIP, 9));
  g_autoptr(GInputStream) memory = g_memory_input_stream_new_from_data(zeros, 1 << 20, NULL);
  g_autoptr(GInputStream) stream = g_converter_input_stream_new(memory, gzip);
  guint8 buffer[4096];
  for (gssize n; (n = g_input_stream_read(stream, buffer, sizeof buffer, NULL, NULL)) > 0;)
    g_byte_array_append(packed, buffer, (guint) n);
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) fits = az_scan_unpack((const char *) packed->data, packed->len, 1 << 20, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(g_bytes_get_size(fits), ==, 1 << 20);
  g_assert_null(az_scan_unpack((const char *) packed->data, packed->len, (1 << 20) - 1, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_SYNC);
  g_clear_error(&error);
  g_assert_null(az_scan_unpack("no gzip at all", 14, 1 << 20, &error));
  g_assert_nonnull(error);
}

static void
test_places_are_read(void)
{
  static const char text[] = "d\0/data\0\0/home/u\0 12345\0 rsync \0"
                             "2\0"
                             "1700000000000000000\0"
                             "    \0"
                             "0\0F";
  g_autoptr(GBytes) bytes = g_bytes_new_static(text, sizeof text - 1);
  gsize used = 0;
  g_autoptr(AzSyncPlace) place = az_sync_place_parse(bytes, &used);
  g_assert_nonnull(place);
  g_assert_cmpstr(place->folder, ==, "/data");
  g_assert_null(place->base);
  g_assert_cmpuint(place->free_bytes, ==, 12345);
  g_assert_cmpuint(place->cpus, ==, 2);
  g_assert_cmpstr(text + used, ==, "0");
  for (gsize length = 0; length < used; length++) {
    g_autoptr(GBytes) cut = g_bytes_new(text, length);
    g_assert_null(az_sync_place_parse(cut, &used));
  }
}

/* ---- hashes that are expected ---- */

#define TWO_FILES                                                                                                      \
  "d 755 0 1.0 1.0 1 2 0 .\n"                                                                                          \
  "f 644 3 1.0 1.0 2 1 8 ./a\n"                                                                                        \
  "f 644 3 1.0 1.0 3 1 8 ./b\n"

static void
test_expected_hashes_need_not_travel(void)
{
  g_autoptr(AzListing) source = listing(TWO_FILES), target = listing(TWO_FILES);
  g_autofree char *one = g_strnfill(64, '1'), *two = g_strnfill(64, '2');
  g_autofree char *all = g_strdup_printf("%s  ./b|%s  ./a|", one, two);
  g_autoptr(GError) error = NULL;
  AzScanAnswer answer = { .hashes = "=", .hashes_length = 2 };
  g_assert_true(az_listing_set_hash(source, "./b", one));
  g_assert_null(az_scan_expect(source, NULL)); /* one of them is not known */
  g_autoptr(GBytes) name = g_bytes_new_static("./b", 4);
  g_autoptr(GBytes) named = az_scan_expect(source, name);
  g_assert_cmpuint(g_bytes_get_size(named), ==, 64 + 2 + 4);
  g_assert_true(az_listing_set_hash(source, "./a", two));
  g_autoptr(GBytes) expected = az_scan_expect(source, NULL); /* sorted as the machine sorts them */
  g_strdelimit(all, "|", '\0');
  g_assert_cmpmem(g_bytes_get_data(expected, NULL), g_bytes_get_size(expected), all, 2 * (64 + 2 + 4));
  g_assert_true(az_scan_take_hashes(target, &answer, expected, &error));
  g_assert_cmpstr(az_listing_find(target, "./a")->hash, ==, two);
  g_assert_cmpstr(az_listing_find(target, "./b")->hash, ==, one);
  g_assert_false(az_scan_take_hashes(target, &answer, NULL, &error)); /* nothing was expected */
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_SYNC);
}

/* What the script says of the folder `path` when `known` is the digest of its list and `expected` that of its hashes;
 * `run`: whose list of hashes counts; the answer ends with "the end", where `after` is not "0", and so many blanks may
 * follow. Owned. */
static GBytes *
scan_to_end(const char *path, const char *known, const char *squeeze, const char *expected, const char *blanks,
            const char *run, const char *after)
{
  g_autoptr(GPtrArray) filter = az_exclude_filter(NULL, NULL);
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  const char *end = g_str_equal(after, "0") ? "" : "the end";
  const char *fixed[] = { "sh",    "-c", az_scan_script, "sh",     path,   "",  "0", "test", known,
                          squeeze, "a",  "10",           expected, blanks, run, end, after };
  for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
    g_ptr_array_add(argv, (gpointer) (guintptr) fixed[i]);
  g_ptr_array_extend(argv, filter, NULL, NULL);
  g_ptr_array_add(argv, NULL);
  g_autoptr(GSubprocessLauncher) launcher = g_subprocess_launcher_new(G_SUBPROCESS_FLAGS_STDOUT_PIPE);
  g_autofree char *home = g_path_get_dirname(path);
  g_autofree char *programs = g_strdup_printf("%s/bin:%s", home, g_getenv("PATH")); /* the test's own come first */
  g_subprocess_launcher_setenv(launcher, "HOME", home, TRUE);
  g_subprocess_launcher_setenv(launcher, "PATH", programs, TRUE);
  g_autoptr(GError) error = NULL;
  g_autoptr(GSubprocess) child = g_subprocess_launcher_spawnv(launcher, (const char *const *) argv->pdata, &error);
  GBytes *out = NULL;
  g_assert_no_error(error);
  g_assert_true(g_subprocess_communicate(child, NULL, NULL, &out, NULL, &error));
  g_assert_true(g_subprocess_get_successful(child));
  return out;
}

static GBytes *
scan_here(const char *path, const char *expected, const char *blanks, const char *run)
{
  return scan_to_end(path, "", "0", expected, blanks, run, "0");
}

/* Of what follows the place. */
static AzScanAnswer
answer_of(GBytes *out)
{
  gsize used = 0, length = 0;
  const char *bytes = g_bytes_get_data(out, &length);
  g_autoptr(AzSyncPlace) place = az_sync_place_parse(out, &used);
  g_autoptr(GError) error = NULL;
  AzScanAnswer answer = { 0 };
  g_assert_nonnull(place);
  az_scan_answer(bytes + used + 2, length - used - 2, &answer, &error);
  g_assert_no_error(error);
  return answer;
}

static void
remove_home(const char *home)
{
  g_autoptr(GSubprocess) rm = g_subprocess_new(G_SUBPROCESS_FLAGS_NONE, NULL, "rm", "-rf", home, NULL);
  g_assert_true(g_subprocess_wait_check(rm, NULL, NULL));
}

static void
test_a_machine_says_whether_it_found_them(void)
{
  g_autofree char *home = g_dir_make_tmp("azlin-listing-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename(home, "tree", NULL);
  g_autofree char *name = g_build_filename(folder, "a file", NULL);
  g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
  g_assert_true(g_file_set_contents(name, "abc", 3, NULL));
  g_autoptr(GBytes) first = scan_here(folder, "", "0", "");
  AzScanAnswer answer = answer_of(first);
  g_assert_cmpuint(answer.hashes_length, ==, 64 + 2 + sizeof "./a file");
  g_autofree char *digest
      = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *) answer.hashes, answer.hashes_length);
  g_autoptr(GBytes) again = scan_here(folder, digest, "5000", "");
  answer = answer_of(again);
  g_assert_cmpmem(answer.hashes, answer.hashes_length, "=", 2);
  g_assert_cmpuint(g_bytes_get_size(again), >=, 5000);
  g_assert_true(g_file_set_contents(name, "abd", 3, NULL));
  g_autoptr(GBytes) changed = scan_here(folder, digest, "0", "");
  answer = answer_of(changed);
  g_assert_cmpuint(answer.hashes_length, ==, 64 + 2 + sizeof "./a file");
  remove_home(home);
}

/* What follows the end is not part of the answer, packed or not, and not of the list that the machine keeps. Nothing
 * follows where it is not only changes that are told. */
static void
test_blanks_follow_the_answer(void)
{
  g_autofree char *home = g_dir_make_tmp("azlin-listing-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename(home, "tree", NULL);
  g_autofree char *kept = g_build_filename(home, ".local", "state", "azlin", "sync", "test", NULL);
  g_autofree char *known = g_strdup("");
  g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
  for (int round = 0; round < 4; round++) {
    gsize used = 0, length = 0, kept_length = 0;
    int packed = round & 1;
    g_autoptr(GError) error = NULL;
    g_autofree char *list = NULL;
    g_autoptr(GBytes) out = scan_to_end(folder, known, packed == 1 ? "1" : "0", "", "0", "", "5000");
    const char *bytes = g_bytes_get_data(out, &length);
    g_autoptr(AzSyncPlace) place = az_sync_place_parse(out, &used);
    gsize end = az_scan_length(bytes, length, "the end");
    g_assert_nonnull(place);
    g_assert_cmpuint(length - end, ==, strlen("the end") + (round < 2 ? 0 : 5000));
    bytes += used + 2;
    length = end - used - 2;
    g_autoptr(GBytes) plain = packed == 1 ? az_scan_unpack(bytes, length, 10000, &error) : g_bytes_new(bytes, length);
    AzScanAnswer answer;
    g_assert_no_error(error);
    g_assert_true(az_scan_answer(g_bytes_get_data(plain, NULL), g_bytes_get_size(plain), &answer, &error));
    g_assert_true(g_file_get_contents(kept, &list, &kept_length, NULL));
    g_autofree char *digest = g_compute_checksum_for_data(G_CHECKSUM_SHA256, (const guchar *) list, kept_length);
    g_assert_cmpstr(answer.digest, ==, digest);
    if (round == 1) {
      g_free(known);
      known = g_steal_pointer(&digest);
    }
  }
  remove_home(home);
}

/* What find has to say may come later than what it lists: the answer ends with the command then. */
static void
test_half_a_list_has_no_end(void)
{
  static const char find[] = "#!/bin/sh\nPATH=${PATH#*:}\nfind \"$@\"\nexit 1\n";
  g_autofree char *home = g_dir_make_tmp("azlin-listing-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename(home, "tree", NULL);
  g_autofree char *programs = g_build_filename(home, "bin", NULL);
  g_autofree char *program = g_build_filename(programs, "find", NULL);
  g_assert_cmpint(g_mkdir(folder, 0700), ==, 0);
  g_assert_cmpint(g_mkdir(programs, 0700), ==, 0);
  g_assert_true(g_file_set_contents_full(program, find, -1, G_FILE_SET_CONTENTS_NONE, 0700, NULL));
  g_autoptr(GBytes) out = scan_to_end(folder, "", "0", "", "0", "", "5000");
  gsize length = 0;
  const char *bytes = g_bytes_get_data(out, &length);
  g_assert_cmpint(answer_of(out).status, ==, 1);
  g_assert_cmpuint(az_scan_length(bytes, length, "the end"), ==, length);
  remove_home(home);
}

/* The hash that was made while a large file arrived counts for that very file as it was then, once, and for no other.
 */
static void
test_hashes_made_on_arrival(void)
{
  g_autofree char *home = g_dir_make_tmp("azlin-listing-XXXXXX", NULL);
  g_autofree char *folder = g_build_filename(home, "tree", NULL), *name = g_build_filename(folder, "large", NULL);
  g_autofree char *kept = g_build_filename(home, ".local/state/azlin/sync", NULL);
  g_autofree char *list = g_build_filename(kept, ".arrived.run-1", NULL);
  g_autofree char *content = g_strnfill(5 << 20, 'x'), *made = g_strnfill(64, '7');
  g_autofree char *true_one = g_compute_checksum_for_string(G_CHECKSUM_SHA256, content, 5 << 20);
  g_assert_cmpint(g_mkdir_with_parents(kept, 0700) | g_mkdir(folder, 0700), ==, 0);
  g_assert_true(g_file_set_contents(name, content, 5 << 20, NULL));
  for (guint i = 0; i < 4; i++) { /* as it is; that list is used up; the file has changed; the list is another run's */
    GStatBuf now;
    g_assert_cmpint(g_stat(name, &now), ==, 0);
    g_autofree char *line
        = g_strdup_printf("=%lu 5242880 %ld.%09ld %ld.%09ld %s\n", (gulong) now.st_ino, now.st_mtim.tv_sec,
                          now.st_mtim.tv_nsec, now.st_ctim.tv_sec, now.st_ctim.tv_nsec, made);
    if (i != 1)
      g_assert_true(g_file_set_contents(list, line, -1, NULL));
    if (i == 2)
      g_assert_cmpint(g_chmod(name, 0600), ==, 0);
    g_autoptr(GBytes) out = scan_here(folder, "", "0", i == 3 ? "run-2" : "run-1");
    AzScanAnswer answer = answer_of(out);
    g_assert_cmpuint(answer.hashes_length, >, 64);
    g_assert_cmpmem(answer.hashes, 64, i == 0 ? made : true_one, 64);
    g_assert_true(g_file_test(list, G_FILE_TEST_EXISTS) == (i == 3));
  }
  remove_home(home);
}

/* ---- patterns ---- */

static void
test_patterns(void)
{
  static const struct {
    const char *pattern, *name;
    gboolean matches;
  } rows[] = {
    { "*.log", "./a.log", TRUE },  { "*.log", "./d/a.log", TRUE },   { "*.log", "./a.logs", FALSE },
    { "/cache", "./cache", TRUE }, { "/cache", "./d/cache", FALSE }, { "a?c", "./abc", TRUE },
    { "a?c", "./a/c", FALSE },     { "**/x", "./x", TRUE },          { "d/**", "./d/e/f", TRUE },
    { "[a-c]x", "./bx", TRUE },    { "[!a-c]x", "./bx", FALSE },     { "d/***", "./d", TRUE },
    { "a.b", "./axb", FALSE },     { "(x)+", "./(x)+", TRUE },
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    gboolean only_folders = FALSE;
    g_autofree char *regex = az_exclude_regex(rows[i].pattern, &only_folders, NULL);
    g_autofree char *whole = g_strdup_printf("^%s$", regex);
    g_assert_cmpint(g_regex_match_simple(whole, rows[i].name, 0, 0), ==, rows[i].matches);
  }
  static const char *const bad[] = { "", "/", "a\\b", "a\nb", "[[:x:]]", "[a" };
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    gboolean only_folders = FALSE;
    g_autoptr(GError) error = NULL;
    g_assert_null(az_exclude_regex(bad[i], &only_folders, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  }
}

static char *
names_of(const AzListing *tree)
{
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < az_listing_size(tree); i++)
    g_string_append_printf(text, "%s%c:%s", i > 0 ? " " : "", az_listing_at(tree, i)->type,
                           az_listing_at(tree, i)->name);
  return g_strdup(text->str);
}

static void
test_news_join_a_list(void)
{
  g_autoptr(AzListing) old = listing(TREE);
  g_autoptr(AzListing) news = listing("f 600 9 -1.5 1.5 12 1 8 ./a-b\n"
                                      "f 644 1 1.5 1.5 19 1 8 ./z\n");
  g_autoptr(GPtrArray) gone = g_ptr_array_new();
  char hash[65];
  memset(hash, 'a', 64);
  hash[64] = 0;
  az_listing_set_hash(old, "./a/c", hash);
  hash[0] = 'b';
  az_listing_set_hash(news, "./a-b", hash);
  g_autoptr(AzListing) both = az_listing_merge(old, news, gone);
  g_autofree char *names = names_of(both);
  g_assert_cmpstr(names, ==, "d:. d:./a f:./a/c l:./a/link f:./a-b f:./z");
  const AzEntry *changed = az_listing_find(both, "./a-b");
  g_assert_cmpuint(changed->mode, ==, 0600);
  g_assert_cmpuint(changed->size, ==, 9);
  g_assert_cmpint(changed->mtime, ==, -500000000);
  g_assert_cmpstr(changed->hash, ==, hash);
  g_assert_cmpint(az_listing_find(both, "./a/c")->hash[0], ==, 'a');
  g_assert_cmpstr(az_listing_find(both, "./a/link")->link, ==, "to//there");
  g_ptr_array_add(gone, (gpointer) (guintptr) "./a");
  g_autoptr(AzListing) less = az_listing_merge(old, news, gone);
  g_autofree char *left = names_of(less);
  g_assert_cmpstr(left, ==, "d:. f:./a-b f:./z");
  g_ptr_array_set_size(gone, 0);
  g_autoptr(AzListing) file = listing("f 644 1 1.5 1.5 11 1 8 ./a\n");
  g_autoptr(AzListing) instead = az_listing_merge(old, file, gone);
  g_autofree char *flat = names_of(instead);
  g_assert_cmpstr(flat, ==, "d:. f:./a f:./a-b");
}

static void
test_frames_are_read_as_they_come(void)
{
  AzLiveFrames frames = { 0 };
  g_autoptr(GError) error = NULL;
  g_autoptr(GByteArray) bytes = g_byte_array_new();
  char kind = 0;
  g_assert_null(az_live_frames_next(&frames, &kind, &error));
  az_live_frames_add(bytes, 'd', "a\n\0b", 4);
  az_live_frames_add(bytes, 'z', NULL, 0);
  for (guint i = 0; i < bytes->len; i++) {
    az_live_frames_push(&frames, (const char *) bytes->data + i, 1);
    g_autoptr(GBytes) payload = az_live_frames_next(&frames, &kind, &error);
    g_assert_no_error(error);
    g_assert_true((payload != NULL) == (i == 7 || i == 11));
    if (payload == NULL)
      continue;
    g_assert_cmpint(kind, ==, i == 7 ? 'd' : 'z');
    g_assert_cmpuint(g_bytes_get_size(payload), ==, i == 7 ? 4 : 0);
  }
  az_live_frames_clear(&frames);
}

static void
test_what_is_no_frame_is_refused(void)
{
  static const char *const bad[]
      = { "Last login: today\n", "d\n", "d x\n", "dd 1\n1", "d -1\n", "d 99999999999\n", "\n", "d 1234567890123456" };
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    AzLiveFrames frames = { 0 };
    g_autoptr(GError) error = NULL;
    char kind = 0;
    az_live_frames_push(&frames, bad[i], strlen(bad[i]));
    g_assert_null(az_live_frames_next(&frames, &kind, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_SYNC);
    az_live_frames_clear(&frames);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/listing/records-are-read", test_records_are_read);
  g_test_add_func("/listing/foreign-records-are-refused", test_foreign_records_are_refused);
  g_test_add_func("/listing/patches-fit-or-are-refused", test_patches_fit_or_are_refused);
  g_test_add_func("/listing/hashes-are-kept-by-identity", test_hashes_are_kept_by_identity);
  g_test_add_func("/listing/comparisons", test_comparisons);
  g_test_add_func("/listing/hidden-things-stay", test_hidden_things_stay);
  g_test_add_func("/listing/sums-of-a-comparison", test_sums_of_a_comparison);
  g_test_add_func("/listing/known-content-decides", test_known_content_decides);
  g_test_add_func("/listing/answers-are-whole-or-refused", test_answers_are_whole_or_refused);
  g_test_add_func("/listing/what-was-stopped-is-refused", test_what_was_stopped_is_refused);
  g_test_add_func("/listing/bombs-are-cut", test_bombs_are_cut);
  g_test_add_func("/listing/places-are-read", test_places_are_read);
  g_test_add_func("/listing/expected-hashes-need-not-travel", test_expected_hashes_need_not_travel);
  g_test_add_func("/listing/a-machine-says-whether-it-found-them", test_a_machine_says_whether_it_found_them);
  g_test_add_func("/listing/hashes-made-on-arrival", test_hashes_made_on_arrival);
  g_test_add_func("/listing/patterns", test_patterns);
  g_test_add_func("/listing/news-join-a-list", test_news_join_a_list);
  g_test_add_func("/listing/blanks-follow-the-answer", test_blanks_follow_the_answer);
  g_test_add_func("/listing/half-a-list-has-no-end", test_half_a_list_has_no_end);
  g_test_add_func("/live/frames-are-read-as-they-come", test_frames_are_read_as_they_come);
  g_test_add_func("/live/what-is-no-frame-is-refused", test_what_is_no_frame_is_refused);
  return g_test_run();
}
