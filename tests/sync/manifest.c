/* Manifests: real find, sort and sha256sum on hostile trees, the parsers on hostile answers, excludes against rsync. */
#include "manifest.h"
#include "azlin-plugin.h"
#include <gio/gio.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char *root; /* a fresh folder per test */

static void
put(const char *name, const char *content)
{
  g_autofree char *path = g_build_filename(root, name, NULL);
  g_autofree char *folder = g_path_get_dirname(path);
  g_assert_cmpint(g_mkdir_with_parents(folder, 0755), ==, 0);
  g_assert_true(g_file_set_contents(path, content, -1, NULL));
}

static GBytes *
run(const char *const *argv, GBytes *input)
{
  g_autoptr(GError) error = NULL;
  GSubprocessFlags flags = G_SUBPROCESS_FLAGS_STDOUT_PIPE | G_SUBPROCESS_FLAGS_STDERR_PIPE;
  g_autoptr(GSubprocess) process = g_subprocess_newv(argv, flags | (input ? G_SUBPROCESS_FLAGS_STDIN_PIPE : 0), &error);
  g_assert_no_error(error);
  g_autoptr(GBytes) err = NULL;
  GBytes *out = NULL;
  g_assert_true(g_subprocess_communicate(process, input, NULL, &out, &err, &error));
  return out;
}

static AzManifestNames *
list_names(const char *start, guint from, guint to, const char *const *patterns)
{
  g_autofree char *first = g_strdup_printf("%u", from), *last = g_strdup_printf("%u", to);
  const char *fixed[] = { "sh", "-c", az_manifest_names_script, "sh", root, start, first, last };
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) argv = g_ptr_array_new();
  g_autoptr(GPtrArray) filter = az_manifest_filter(patterns, &error);
  g_assert_no_error(error);
  for (guint i = 0; i < G_N_ELEMENTS(fixed); i++)
    g_ptr_array_add(argv, (gpointer) (guintptr) fixed[i]);
  for (guint i = 0; i < filter->len; i++)
    g_ptr_array_add(argv, filter->pdata[i]);
  g_ptr_array_add(argv, NULL);
  g_autoptr(GBytes) out = run((const char *const *) argv->pdata, NULL);
  AzManifestNames *names = az_manifest_names_parse(out, &error);
  g_assert_no_error(error);
  return names;
}

static AzManifest *
probe(GBytes *names)
{
  const char *argv[] = { "sh", "-c", az_manifest_probe_script, "sh", root, NULL };
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) out = run(argv, names);
  AzManifest *manifest = az_manifest_parse(out, &error);
  g_assert_no_error(error);
  return manifest;
}

static const char *const hostile[] = { "a b",  "new\nline",   ";rm -rf x", "$(id)", "`id`", "-rf", "--", "bad\xff\xfe",
                                       "'q\"", "back\\slash", "*",         "\\012", "E",    "Z",   "(",  "!" };

static void
make_hostile_tree(void)
{
  for (guint i = 0; i < G_N_ELEMENTS(hostile); i++)
    put(hostile[i], hostile[i]);
  g_autofree char *link = g_build_filename(root, "link\n", NULL);
  g_autofree char *empty = g_build_filename(root, "empty", NULL);
  g_assert_cmpint(symlink("to \n nowhere", link), ==, 0);
  g_assert_cmpint(g_mkdir(empty, 0750), ==, 0);
}

static void
test_reads_a_hostile_tree(void)
{
  make_hostile_tree();
  g_autoptr(AzManifestNames) names = list_names(".", 1, 1000, NULL);
  g_assert_cmpuint(names->n_names, ==, G_N_ELEMENTS(hostile) + 3);
  g_assert_cmpuint(names->total, ==, names->n_names);
  g_autoptr(AzManifest) manifest = probe(names->names);
  g_assert_cmpuint(az_manifest_size(manifest), ==, names->n_names);
  for (guint i = 0; i < G_N_ELEMENTS(hostile); i++) {
    g_autofree char *name = g_strconcat("./", hostile[i], NULL);
    g_autofree char *digest = g_compute_checksum_for_string(G_CHECKSUM_SHA256, hostile[i], -1);
    const AzManifestEntry *entry = az_manifest_lookup(manifest, name);
    g_assert_nonnull(entry);
    g_assert_cmpint(entry->type, ==, 'f');
    g_assert_cmpuint(entry->size, ==, strlen(hostile[i]));
    g_assert_cmpstr(entry->sha256, ==, digest);
  }
  g_assert_cmpstr(az_manifest_lookup(manifest, "./link\n")->link, ==, "to \n nowhere");
  g_assert_cmpint(az_manifest_lookup(manifest, "./empty")->type, ==, 'd');
  g_assert_cmpuint(az_manifest_lookup(manifest, "./empty")->mode, ==, 0750);
  g_assert_null(az_manifest_lookup(manifest, "./link\n")->sha256);
}

static void
test_names_come_in_batches(void)
{
  make_hostile_tree();
  g_autoptr(AzManifestNames) all = list_names(".", 1, 1000, NULL);
  g_autoptr(GByteArray) joined = g_byte_array_new();
  for (guint from = 1; from <= all->n_names; from += 4) {
    gsize length = 0;
    g_autoptr(AzManifestNames) part = list_names(".", from, from + 3, NULL);
    const guint8 *bytes = g_bytes_get_data(part->names, &length);
    g_assert_cmpuint(part->n_names, <=, 4);
    g_assert_cmpuint(part->total, ==, all->total);
    g_assert_cmpstr(part->digest, ==, all->digest);
    g_byte_array_append(joined, bytes, (guint) length);
  }
  g_autoptr(GBytes) bytes = g_bytes_new(joined->data, joined->len);
  g_assert_true(g_bytes_equal(bytes, all->names));
  put("one more", "x");
  g_autoptr(AzManifestNames) later = list_names(".", 1, 4, NULL);
  g_assert_cmpstr(later->digest, !=, all->digest);
}

static void
test_one_file_is_a_tree(void)
{
  put("-only\n", "x");
  put("other", "y");
  g_autoptr(AzManifestNames) names = list_names("./-only\n", 1, 10, NULL);
  g_assert_cmpuint(names->n_names, ==, 1);
  g_autoptr(AzManifest) manifest = probe(names->names);
  g_assert_nonnull(az_manifest_lookup(manifest, "./-only\n"));
}

static void
expect_torn(const char *bytes, gsize length)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GBytes) answer = g_bytes_new(bytes, length);
  g_autoptr(AzManifest) manifest = az_manifest_parse(answer, &error);
  g_assert_null(manifest);
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_SYNC);
}

static void
test_refuses_a_torn_answer(void)
{
  static const char whole[] = "Ef 644 3 1700000000.5 ./a\0L\0Ed 755 0 1.0 .\0L\0Z";
  g_autoptr(GBytes) bytes = g_bytes_new(whole, sizeof whole);
  g_autoptr(AzManifest) manifest = az_manifest_parse(bytes, NULL);
  g_assert_nonnull(manifest);
  g_assert_cmpint(az_manifest_lookup(manifest, "./a")->mtime, ==, 1700000000);
  for (gsize length = 0; length < sizeof whole; length++)
    expect_torn(whole, length);
  static const char *const bad[]
      = { "Ef 9 3 1.0 ./a", "Ef 644 -3 1.0 ./a", "Ef 644 3 1.0 /etc", "Ef 644 3 1.0 ..a", "E", "L",
          "nonsense",       "Ef 77777 1 1.0 ./a" };
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GString) text = g_string_new(bad[i]);
    g_string_append_len(text, "\0Z\0", 3);
    expect_torn(text->str, text->len);
  }
  g_autoptr(GBytes) no_trailer = g_bytes_new_static("./a\0./b\0", 8);
  g_assert_null(az_manifest_names_parse(no_trailer, NULL));
}

static GPtrArray *
compare(const char *source, gsize source_length, const char *target, gsize target_length, const char *name)
{
  g_autoptr(GBytes) a = g_bytes_new(source, source_length), b = g_bytes_new(target, target_length);
  g_autoptr(GBytes) names = g_bytes_new(name, strlen(name) + 1);
  g_autoptr(AzManifest) here = az_manifest_parse(a, NULL), there = az_manifest_parse(b, NULL);
  g_assert_nonnull(here);
  g_assert_nonnull(there);
  GPtrArray *differences = g_ptr_array_new_with_free_func((GDestroyNotify) az_manifest_difference_free);
  az_manifest_compare(names, here, there, differences);
  return differences;
}

#define SUM_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SUM_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
#define COMPARE(a, b) compare(a, sizeof(a), b, sizeof(b), "./a")

static void
test_compares_every_attribute(void)
{
  static const char base[] = "Ef 644 3 5.0 ./a\0L\0" SUM_A "  ./a\0Z";
  static const struct {
    const char *answer;
    gsize length;
    const char *what;
  } others[] = {
#define OTHER(text, what) { text, sizeof(text), what }
    OTHER("Z", "not on the target"),
    OTHER("Ed 755 0 5.0 ./a\0L\0Z", "type"),
    OTHER("Ef 600 3 5.0 ./a\0L\0" SUM_A "  ./a\0Z", "mode 0644, on the target 0600"),
    OTHER("Ef 644 4 5.0 ./a\0L\0" SUM_A "  ./a\0Z", "bytes"),
    OTHER("Ef 644 3 5.0 ./a\0L\0" SUM_B "  ./a\0Z", "content"),
    OTHER("Ef 644 3 5.0 ./a\0L\0Z", "cannot be read on the target"),
    OTHER("Ef 644 3 6.0 ./a\0L\0" SUM_A "  ./a\0Z", "time"),
  };
  g_autoptr(GPtrArray) same = COMPARE(base, base);
  g_assert_cmpuint(same->len, ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS(others); i++) {
    g_autoptr(GPtrArray) found = compare(base, sizeof base, others[i].answer, others[i].length, "./a");
    g_assert_cmpuint(found->len, ==, 1);
    g_assert_nonnull(strstr(((AzManifestDifference *) found->pdata[0])->what, others[i].what));
  }
  g_autoptr(GPtrArray) vanished = COMPARE("Z", base);
  g_assert_nonnull(strstr(((AzManifestDifference *) vanished->pdata[0])->what, "vanished"));
  g_autoptr(GPtrArray) links = COMPARE("El 777 1 5.0 ./a\0Lx\0Z", "El 777 1 9.0 ./a\0Ly\0Z");
  g_assert_cmpuint(links->len, ==, 1);
  g_autoptr(GPtrArray) folders = COMPARE("Ed 755 0 5.0 ./a\0L\0Z", "Ed 755 9 9.0 ./a\0L\0Z");
  g_assert_cmpuint(folders->len, ==, 0);
}

static void
test_an_unreadable_source_is_no_match(void)
{
  static const char unreadable[] = "Ef 644 3 5.0 ./a\0L\0Z";
  g_autoptr(GPtrArray) found = COMPARE(unreadable, unreadable);
  g_assert_cmpuint(found->len, ==, 1);
}

static void
test_shows_names_safely(void)
{
  g_autofree char *plain = az_manifest_show_name("./d/\xc3\xa9");
  g_autofree char *foreign = az_manifest_show_name("./a\xff\n\x1b\\");
  g_assert_cmpstr(plain, ==, "d/\xc3\xa9");
  g_assert_cmpstr(foreign, ==, "a\\377\\012\\033\\134");
}

static void
test_refuses_patterns(void)
{
  static const char *const bad[] = { "", "/", "a\nb", "a\\*b", "[", "[]", "[a", "[[:alpha:]]", "[+-9]" };
  gboolean folders = FALSE;
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_null(az_manifest_exclude_regex(bad[i], &folders, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  }
  g_assert_null(az_manifest_exclude_exactly("a*b/.ssh"));
  g_assert_null(az_manifest_exclude_exactly(""));
}

static int
by_bytes(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

/* What rsync itself would send with this exclude, sorted like the names script. */
static char *
rsync_names(const char *pattern)
{
  g_autofree char *from = g_strconcat(root, "/", NULL), *none = g_strconcat(root, ".none", NULL);
  g_autofree char *filter = g_strconcat("--filter=- ", pattern, NULL);
  const char *argv[] = { "rsync", "-rlptn", "--info=nonreg0", "--out-format=%n", filter, "--", from, none, NULL };
  gsize length = 0;
  g_autoptr(GBytes) out = run(argv, NULL);
  const char *text = g_bytes_get_data(out, &length);
  g_autofree char *copy = g_strndup(text, length);
  g_auto(GStrv) lines = g_strsplit(copy, "\n", -1);
  g_autoptr(GPtrArray) names = g_ptr_array_new();
  for (guint i = 0; lines[i] != NULL; i++) {
    gsize last = strlen(lines[i]);
    if (last == 0 || g_str_has_prefix(lines[i], "created directory"))
      continue;
    if (lines[i][last - 1] == '/')
      lines[i][last - 1] = 0;
    g_ptr_array_add(names, lines[i]);
  }
  g_ptr_array_sort(names, by_bytes);
  g_ptr_array_add(names, NULL);
  return g_strjoinv("\n", (char **) names->pdata);
}

static char *
our_names(const char *pattern)
{
  const char *patterns[] = { pattern, NULL };
  gsize length = 0;
  g_autoptr(AzManifestNames) names = list_names(".", 1, 1000, patterns);
  const char *bytes = g_bytes_get_data(names->names, &length);
  g_autoptr(GPtrArray) list = g_ptr_array_new();
  for (gsize i = 0; i < length; i += strlen(bytes + i) + 1)
    g_ptr_array_add(list, (gpointer) (guintptr) (bytes[i + 1] == 0 ? "." : bytes + i + 2));
  g_ptr_array_add(list, NULL);
  return g_strjoinv("\n", (char **) list->pdata);
}

static void
test_excludes_as_rsync_does(void)
{
  static const char *const files[] = { "a.log",
                                       "b.txt",
                                       "cache/x",
                                       "cache/deep/y.log",
                                       "src/cache/z",
                                       "src/a.log",
                                       "src/cache.c",
                                       "deep/er/src/a.log",
                                       "x[1]",
                                       "x1",
                                       "x2",
                                       "a+b",
                                       "a.b",
                                       "aXb",
                                       "node_modules/p/q",
                                       "src/node_modules",
                                       "build/out/o",
                                       "src/build/out/o",
                                       "{a}",
                                       "a|b",
                                       "^a$" };
  static const char *const patterns[]
      = { "*.log",         "/a.log",     "cache",     "cache/",      "/cache/", "src/*.log", "/src/*.log",
          "**/a.log",      "src/**",     "src/***",   "/src/***",    "x?",      "x[12]",     "x[!1]",
          "a+b",           "a.b",        "build/out", "/build/out/", "de*/er",  "**/out/o",  "deep/**/a.log",
          "node_modules/", "*",          "/*",        "nothing",     "{a}",     "a|b",       "^a$",
          "a?b",           "src/**.log", "b*",        "/**/cache",   "**.c",    "*/*.log" };
  for (guint i = 0; i < G_N_ELEMENTS(files); i++)
    put(files[i], "x");
  for (guint i = 0; i < G_N_ELEMENTS(patterns); i++) {
    g_autofree char *theirs = rsync_names(patterns[i]), *ours = our_names(patterns[i]);
    if (strcmp(theirs, ours) != 0)
      g_test_message("pattern %s:\n%s\n--- ours\n%s", patterns[i], theirs, ours);
    g_assert_cmpstr(ours, ==, theirs);
  }
}

static void
in_fresh_folder(gconstpointer data)
{
  g_autofree char *base = g_strdup(g_getenv("AZLIN_TEST_DIR"));
  g_assert_nonnull(base);
  g_assert_cmpint(g_mkdir_with_parents(base, 0700), ==, 0);
  root = g_build_filename(base, "manifest-XXXXXX", NULL);
  g_assert_nonnull(g_mkdtemp(root));
  ((void (*)(void))(guintptr) data)();
  const char *argv[] = { "rm", "-rf", "--", root, NULL };
  g_bytes_unref(run(argv, NULL));
  g_clear_pointer(&root, g_free);
}

#define ADD(name, func) g_test_add_data_func("/manifest/" name, (gconstpointer) (guintptr) (func), in_fresh_folder)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  ADD("reads-a-hostile-tree", test_reads_a_hostile_tree);
  ADD("names-come-in-batches", test_names_come_in_batches);
  ADD("one-file-is-a-tree", test_one_file_is_a_tree);
  ADD("refuses-a-torn-answer", test_refuses_a_torn_answer);
  ADD("compares-every-attribute", test_compares_every_attribute);
  ADD("an-unreadable-source-is-no-match", test_an_unreadable_source_is_no_match);
  ADD("shows-names-safely", test_shows_names_safely);
  ADD("refuses-patterns", test_refuses_patterns);
  ADD("excludes-as-rsync-does", test_excludes_as_rsync_does);
  return g_test_run();
}
