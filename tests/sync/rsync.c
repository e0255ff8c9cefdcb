/* The pure parts of sync-rsync: prediction, command line, parsers of rsync's output, what its exit codes mean. */
#include "../../plugins/sync-rsync/rsync.h"
#include <string.h>

static const AzlinVm source = { .size = sizeof source, .region = "eastus" };
static const AzlinVm target = { .size = sizeof target, .region = "westus2" };
static const RsyncOptions options = { .io_timeout_s = 60, .xattrs = TRUE };
static const RsyncSpeed speed = { .throughput_mib = 50, .files_per_second = 2000 };

static AzlinSyncJob
job_for(const char *path)
{
  return (AzlinSyncJob){ .size = sizeof(AzlinSyncJob), .source = &source, .target = &target, .path = path };
}

static GVariant *
grant_for(const char *host, const char *identity)
{
  GVariantDict grant;
  g_variant_dict_init(&grant, NULL);
  g_variant_dict_insert(&grant, "identity_file", "s", identity);
  g_variant_dict_insert(&grant, "known_hosts_file", "s", "/home/u/.local/state/azlin/known");
  g_variant_dict_insert(&grant, "user", "s", "azureuser");
  g_variant_dict_insert(&grant, "host", "s", host);
  g_variant_dict_insert(&grant, "port", "u", 2222);
  return g_variant_ref_sink(g_variant_dict_end(&grant));
}

static char *
command_line(const AzlinSyncJob *job)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) argv = rsync_command(job, &options, &error);
  g_assert_no_error(error);
  return g_strjoinv("\n", (char **) argv->pdata);
}

static double
seconds_for(guint64 bytes, guint64 files, guint32 bwlimit_kib, const AzlinSyncFacts *facts)
{
  AzlinSyncJob job = job_for("/data");
  job.bytes = bytes;
  job.files = files;
  job.bwlimit_kib = bwlimit_kib;
  job.facts = facts;
  return rsync_predict(&speed, &job, NULL);
}

static AzlinSyncFacts
nothing_known(void)
{
  return (
      AzlinSyncFacts){ .size = sizeof(AzlinSyncFacts), .rtt_source_ms = -1, .rtt_target_ms = -1, .rtt_between_ms = -1 };
}

static void
test_predicts_without_facts(void)
{
  AzlinSyncFacts facts = nothing_known();
  double setup = seconds_for(0, 0, 0, NULL);
  g_assert_cmpfloat(setup, >, 0);
  g_assert_cmpfloat(seconds_for(0, 0, 0, &facts), ==, setup);
  g_assert_cmpfloat_with_epsilon(seconds_for(100 << 20, 1, 0, NULL), setup + 2, 0.01);
  g_assert_cmpfloat_with_epsilon(seconds_for(100 << 20, 1, 1024, &facts), setup + 100, 0.01);
  g_assert_cmpfloat_with_epsilon(seconds_for(1 << 20, 200000, 0, NULL), setup + 100, 0.01);
  g_assert_cmpfloat(seconds_for(G_MAXUINT64, 1, 0, NULL), >, 1e9);
}

static void
test_predicts_from_what_was_measured(void)
{
  AzlinSyncFacts facts = nothing_known();
  double setup = seconds_for(0, 0, 0, NULL);
  facts.mib_per_second = 10;
  g_assert_cmpfloat_with_epsilon(seconds_for(100 << 20, 1, 0, &facts), setup + 10, 0.01);
  facts.rtt_source_ms = facts.rtt_target_ms = 80; /* 4 trips for the key, 12 for the login, as long as is known */
  g_assert_cmpfloat_with_epsilon(seconds_for(0, 0, 0, &facts), setup + 0.32 + 0.96, 0.01);
  facts.rtt_between_ms = 20;
  g_assert_cmpfloat_with_epsilon(seconds_for(0, 0, 0, &facts), setup + 0.32 + 0.24, 0.01);
  facts.mib_per_second = 1000; /* one connection has 2 MiB on its way at most */
  g_assert_cmpfloat_with_epsilon(seconds_for(1000 << 20, 1, 0, &facts), setup + 0.56 + 10, 0.1);
}

static void
test_predicts_a_delta(void)
{
  AzlinSyncFacts facts = nothing_known();
  g_autofree char *delta = NULL, *many = NULL, *whole = NULL;
  AzlinSyncJob job = job_for("/data");
  facts.mib_per_second = 10;
  double whole_seconds = seconds_for(500 << 20, 1, 0, &facts);
  facts.largest = facts.old_bytes = 500 << 20;
  double delta_seconds = seconds_for(500 << 20, 1, 0, &facts);
  g_assert_cmpfloat(delta_seconds, <, whole_seconds / 10);
  facts.largest = 1 << 20; /* many files overlap */
  g_assert_cmpfloat(seconds_for(500 << 20, 1, 0, &facts), <, delta_seconds);
  facts.old_bytes = G_MAXUINT64; /* a target that holds more than is to be copied */
  g_assert_cmpfloat(seconds_for(1000, 1, 0, &facts), <, 1);
  job.facts = &facts;
  job.bytes = 200000000;
  rsync_predict(&speed, &job, &delta);
  g_assert_nonnull(strstr(delta, "inside"));
  job.facts = NULL;
  rsync_predict(&speed, &job, &whole);
  g_assert_cmpstr(whole, ==, "one stream");
  job.files = 1000000;
  rsync_predict(&speed, &job, &many);
  g_assert_cmpstr(many, ==, "many small files");
}

static void
test_refuses_what_is_not_its_own(void)
{
  static const char *const exclude[] = { "*.log", NULL }, *const none[] = { NULL };
  AzlinSyncFacts facts = nothing_known();
  AzlinSyncJob job = job_for("/data");
  job.exclude = none;
  job.facts = &facts;
  g_assert_null(rsync_refusal(&job));
  facts.tools_source = " rsync ssh ";
  facts.tools_target = " rsync rrsync ";
  g_assert_null(rsync_refusal(&job));
  facts.tools_target = " rsync ";
  g_assert_nonnull(strstr(rsync_refusal(&job), "target"));
  facts.tools_source = " rrsync ";
  g_assert_nonnull(strstr(rsync_refusal(&job), "source"));
  facts.tools_source = facts.tools_target = NULL;
  facts.rtt_between_ms = -2;
  g_assert_nonnull(strstr(rsync_refusal(&job), "port"));
  job.facts = NULL;
  job.exclude = exclude;
  g_assert_nonnull(rsync_refusal(&job));
  job.exclude = NULL;
  job.dry_run = TRUE;
  g_assert_nonnull(rsync_refusal(&job));
  job.dry_run = FALSE;
  job.delete_extra = TRUE;
  g_assert_nonnull(rsync_refusal(&job));
}

static void
test_command_of_a_folder(void)
{
  AzlinSyncJob job = job_for("/home/azureuser/my project");
  g_autoptr(GVariant) grant = job.grant = grant_for("127.0.0.2", "/home/u/key");
  g_autofree char *plain = command_line(&job);
  g_assert_true(g_str_has_prefix(plain, "sh\n-c\n"));
  g_assert_nonnull(strstr(plain, "\nsh\n/home/u/key\nssh -F none -p 2222 -i /home/u/key "));
  g_assert_nonnull(strstr(plain, "\nenv\nLC_ALL=C\nrsync\n-aHS\n"));
  g_assert_true(g_str_has_suffix(plain, "\n--\n/home/azureuser/my project/\nazureuser@127.0.0.2:./"));
  g_assert_nonnull(strstr(plain, "StrictHostKeyChecking=yes"));
  g_assert_nonnull(strstr(plain, "BatchMode=yes"));
  g_assert_nonnull(strstr(plain, "\n--partial-dir=.azlin-partial\n"));
  g_assert_null(strstr(plain, "delete"));
  g_assert_null(strstr(plain, "--dry-run"));
  g_assert_null(strstr(plain, "bwlimit"));
  g_assert_null(strstr(plain, "ignore-times"));
  g_assert_null(strstr(plain, "--checksum"));
  g_assert_null(strstr(plain, "\n-z\n"));
}

static void
test_command_honours_every_option(void)
{
  RsyncOptions all = { .io_timeout_s = 7, .xattrs = FALSE, .compress = TRUE };
  AzlinSyncJob job = job_for("/data");
  g_autoptr(GVariant) grant = job.grant = grant_for("fe80::1", "/home/u/key");
  job.checksum = TRUE;
  job.bwlimit_kib = 512;
  g_autofree char *full = command_line(&job);
  g_assert_nonnull(strstr(full, "\n--bwlimit=512\n"));
  g_assert_nonnull(strstr(full, "\n--checksum\n"));
  g_assert_nonnull(strstr(full, "\n--xattrs\n"));
  g_assert_true(g_str_has_suffix(full, "azureuser@[fe80::1]:./"));
  g_autoptr(GPtrArray) argv = rsync_command(&job, &all, NULL);
  g_autofree char *other = g_strjoinv("\n", (char **) argv->pdata);
  g_assert_nonnull(strstr(other, "\n--timeout=7\n"));
  g_assert_nonnull(strstr(other, "\n-z\n"));
  g_assert_null(strstr(other, "xattrs"));
}

static void
test_command_of_a_file_and_of_a_list(void)
{
  AzlinSyncJob job = job_for("/data/one file");
  g_autoptr(GVariant) grant = job.grant = grant_for("127.0.0.2", "/home/u/key");
  job.single_file = TRUE;
  g_autofree char *file = command_line(&job);
  g_assert_true(g_str_has_suffix(file, "\n--\n/data/one file\nazureuser@127.0.0.2:./"));
  g_autoptr(GBytes) only = job.only = g_bytes_new_static("./one file", 11);
  job.checksum = TRUE; /* all that is named goes, whatever it looks like: nothing is to be compared */
  g_autofree char *list = command_line(&job);
  g_assert_nonnull(strstr(list, "\n--ignore-times\n--files-from=-\n--from0\n"));
  g_assert_null(strstr(list, "--checksum"));
  g_assert_true(g_str_has_suffix(list, "\n--\n/data/\nazureuser@127.0.0.2:./"));
  job.source_folder = "/mnt/where it really is";
  g_autofree char *canonical = command_line(&job);
  g_assert_true(g_str_has_suffix(canonical, "\n--\n/mnt/where it really is/\nazureuser@127.0.0.2:./"));
}

static void
test_names_leave_out_the_top(void)
{
  static const char names[] = ".\0./a\0./a/.\n", expected[] = "./a\0./a/.\n";
  g_autoptr(GBytes) only = g_bytes_new_static(names, sizeof names);
  g_autoptr(GBytes) given = rsync_names(only);
  g_assert_cmpmem(g_bytes_get_data(given, NULL), g_bytes_get_size(given), expected, sizeof expected);
}

static void
test_command_refuses_a_crooked_grant(void)
{
  static const char *const hosts[] = { "", "-oProxyCommand=x", "a b", "a'b", "a;b", "a\nb" };
  AzlinSyncJob job = job_for("/data");
  for (guint i = 0; i < G_N_ELEMENTS(hosts) + 1; i++) {
    g_autoptr(GError) error = NULL;
    gboolean crooked_key = i == G_N_ELEMENTS(hosts);
    g_autoptr(GVariant) grant = grant_for(crooked_key ? "127.0.0.1" : hosts[i], crooked_key ? "/key -oX" : "/key");
    job.grant = grant;
    g_assert_null(rsync_command(&job, &options, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  }
  job.grant = NULL;
  g_assert_null(rsync_command(&job, &options, NULL));
}

static void
test_compresses_where_the_link_is_slow(void)
{
  AzlinSyncFacts facts = nothing_known();
  AzlinSyncJob job = job_for("/data");
  g_autoptr(GVariant) here = job.grant = grant_for("127.0.0.9", "/key");
  g_assert_false(rsync_should_compress("auto", &job));
  g_assert_true(rsync_should_compress("yes", &job));
  g_autoptr(GVariant) there = job.grant = grant_for("203.0.113.5", "/key");
  g_assert_true(rsync_should_compress("auto", &job));
  g_assert_false(rsync_should_compress("no", &job));
  job.facts = &facts;
  g_assert_true(rsync_should_compress("auto", &job));
  facts.rtt_between_ms = 0.5; /* neighbours */
  g_assert_false(rsync_should_compress("auto", &job));
  job.bwlimit_kib = 512;
  g_assert_true(rsync_should_compress("auto", &job));
  job.bwlimit_kib = 0;
  facts.mib_per_second = 12; /* as measured */
  g_assert_true(rsync_should_compress("auto", &job));
  facts.mib_per_second = 900;
  facts.rtt_between_ms = 80; /* several connections carried that, one does not */
  g_assert_true(rsync_should_compress("auto", &job));
}

static void
test_parses_progress(void)
{
  static const struct {
    const char *line;
    guint64 bytes;
    guint percent;
    gint64 eta;
  } good[] = {
    { "              2   6%    0.00kB/s    0:00:00", 2, 6, 0 },
    { "      1234567  45%    1.23MB/s    0:00:12 (xfr#3, to-chk=5/10)", 1234567, 45, 12 },
    { "      1,234,567  45%    1.23MB/s    1:02:03 (xfr#3, ir-chk=5/10)", 1234567, 45, 3723 },
    { "      1.234.567  45%    1,23MB/s    0:00:12", 1234567, 45, 12 },
    { "      1'234'567  45%    1.23MB/s    0:00:12", 1234567, 45, 12 },
    { "      1\xc2\xa0"
      "234\xc2\xa0"
      "567 100%    1.23MB/s   ??:??:??",
      1234567, 100, -1 },
    { "      1\xe2\x80\xaf"
      "234\xe2\x80\xaf"
      "567 100%  99.99GB/s    0:00:00",
      1234567, 100, 0 },
  };
  static const char *const bad[] = { "",
                                     "sending incremental file list",
                                     "12",
                                     "12 ",
                                     "12 5",
                                     "12 500% 1kB/s 0:00:00",
                                     "a 5% 1kB/s 0:00:00",
                                     "sent 683 bytes  received 248 bytes",
                                     "5%",
                                     "1 5% nothing",
                                     "99999999999999999999999 5% 1kB/s 0:00:00",
                                     "1,23 5% 1kB/s" };
  RsyncProgress progress;
  for (guint i = 0; i < G_N_ELEMENTS(good); i++) {
    g_assert_true(rsync_parse_progress(good[i].line, &progress));
    g_assert_cmpuint(progress.bytes, ==, good[i].bytes);
    g_assert_cmpuint(progress.percent, ==, good[i].percent);
    g_assert_cmpint(progress.eta_seconds, ==, good[i].eta);
  }
  for (guint i = 0; i < G_N_ELEMENTS(bad); i++)
    g_assert_false(rsync_parse_progress(bad[i], &progress));
}

static void
test_parses_statistics(void)
{
  static const char *const lines[]
      = { "Number of files: 1,234 (reg: 1,000, dir: 234)", "Number of regular files transferred: 1,234",
          "Total file size: 99,999,999 bytes", "Total transferred file size: 12,345,678 bytes",
          "Total bytes sent: 4.321.000" };
  RsyncStats stats = { 0 };
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
    rsync_parse_stats(lines[i], &stats);
  g_assert_true(stats.seen);
  g_assert_cmpuint(stats.files, ==, 1234);
  g_assert_cmpuint(stats.bytes, ==, 12345678);
  g_assert_cmpuint(stats.bytes_sent, ==, 4321000);
  RsyncStats none = { 0 };
  g_assert_false(rsync_parse_stats("Total transferred file size: many", &none));
  g_assert_false(none.seen);
}

static RsyncVerdict
judge(int status, const char *err, GPtrArray *errors, GError **error)
{
  AzlinSyncJob job = job_for("/data");
  g_autoptr(GBytes) bytes = g_bytes_new(err, strlen(err));
  return rsync_judge(&job, status, bytes, errors, error);
}

static void
test_exit_23_keeps_the_words(void)
{
  g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GError) error = NULL;
  static const char words[] = "rsync: [sender] send_files failed to open \"/data/secret\": Permission denied (13)\n"
                              "rsync error: some files/attrs were not transferred (code 23) at main.c(1338)\n";
  g_assert_cmpint(judge(23, words, errors, &error), ==, RSYNC_INCOMPLETE);
  g_assert_no_error(error);
  g_assert_cmpuint(errors->len, ==, 2);
  g_assert_nonnull(strstr(errors->pdata[0], "could not be transferred"));
  g_assert_cmpstr(errors->pdata[1], ==, "send_files failed to open \"/data/secret\": Permission denied (13)");
}

static void
test_machines_without_xattrs_do_not_fail(void)
{
  static const char file_system[] = "rsync: [receiver] rsync_xal_set: lsetxattr(\"/data/a\",\"user.x\") failed: "
                                    "Operation not supported (95)\n"
                                    "rsync error: some files/attrs were not transferred (code 23) at main.c(1338)\n";
  static const char too_old[] = "extended attributes are not supported on this server\n"
                                "rsync error: syntax or usage error (code 1) at main.c(1)\n";
  g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
  g_autofree char *more = g_strconcat(file_system, "rsync: [sender] send_files failed to open \"b\"\n", NULL);
  g_assert_cmpint(judge(23, file_system, errors, NULL), ==, RSYNC_DONE);
  g_assert_cmpuint(errors->len, ==, 1);
  g_assert_cmpint(judge(23, more, errors, NULL), ==, RSYNC_INCOMPLETE);
  g_assert_cmpint(judge(23, "", errors, NULL), ==, RSYNC_INCOMPLETE);
  g_assert_cmpint(judge(1, too_old, errors, NULL), ==, RSYNC_WITHOUT_XATTRS);
  g_assert_cmpint(judge(12, too_old, errors, NULL), ==, RSYNC_WITHOUT_XATTRS);
}

static void
test_exit_codes_have_a_meaning(void)
{
  static const struct {
    int status;
    const char *err;
    AzlinError code;
    const char *says;
  } rows[] = {
    { 255, "ssh: connect to host 10.0.0.1 port 22: Connection refused\n", AZLIN_ERROR_SSH, "Connection refused" },
    { 255, "Host key verification failed.\n", AZLIN_ERROR_HOST_KEY, "pinned" },
    { 12, "", AZLIN_ERROR_SYNC, "connection" },
    { 30, "", AZLIN_ERROR_SYNC, "silent" },
    { 137, "", AZLIN_ERROR_SYNC, "killed on the source" },
    { 247, "", AZLIN_ERROR_SYNC, "killed on the target" },
    { 11, "rsync: [receiver] write failed on \"x\": No space left on device (28)\n", AZLIN_ERROR_STORAGE, "full" },
    { 11, "rsync: [receiver] mkstemp failed: Operation not permitted (1)\n", AZLIN_ERROR_FAILED, "not permitted" },
    { 127, "sh: rsync: not found\n", AZLIN_ERROR_NOT_SUPPORTED, "install" },
    { 99, "", AZLIN_ERROR_FAILED, "exit 99" },
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GError) error = NULL;
    g_assert_cmpint(judge(rows[i].status, rows[i].err, errors, &error), ==, RSYNC_FAILED);
    g_assert_error(error, AZLIN_ERROR, (int) rows[i].code);
    g_assert_nonnull(strstr(error->message, rows[i].says));
    g_assert_nonnull(strstr(error->message, "could not be transferred"));
  }
  g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
  g_assert_cmpint(judge(0, "noise\n", errors, NULL), ==, RSYNC_DONE);
  g_assert_cmpint(judge(24, "file has vanished: \"/x\"\n", errors, NULL), ==, RSYNC_INCOMPLETE);
}

static void
test_words_are_capped_and_made_safe(void)
{
  g_autoptr(GPtrArray) errors = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GString) words = g_string_new(NULL);
  for (guint i = 0; i < 5000; i++)
    g_string_append(words, "rsync: [sender] \xff broken\n");
  g_assert_cmpint(judge(23, words->str, errors, NULL), ==, RSYNC_INCOMPLETE);
  g_assert_cmpuint(errors->len, <, 30);
  g_assert_true(g_utf8_validate(errors->pdata[1], -1, NULL));
  g_assert_nonnull(strstr(errors->pdata[errors->len - 1], "4980 more"));
}

static void
test_knows_what_it_leaves_when_it_is_killed(void)
{
  static const char names[] = "./a\0./sub/.hidden\0./end.";
  g_autoptr(GByteArray) only = g_byte_array_new();
  g_autofree char *more = g_strnfill(240, 'x'), *all = g_strconcat("./", more, "more-that-rsync-cuts", NULL);
  g_autofree char *cut = g_strconcat("./.", more, "more-t.aB3dE6", NULL);
  g_byte_array_append(only, (const guint8 *) names, sizeof names);
  g_byte_array_append(only, (const guint8 *) all, (guint) strlen(all) + 1);
  const char *const left[] = { "./.a.uMhHMK", "./sub/.hidden.012345", "./.end.Ab0Cd1", cut };
  const char *const others[]
      = { "./a.uMhHMK", "./.b.uMhHMK", "./.a.uMhHM", "./.a.uMhHM_",      "./sub/.a.uMhHMK", "./.a.backups",
          "./.a",       "./.",         "./.uMhHMK",  "./.hidden.012345", "./..a.uMhHMK.x",  "./.aauMhHMK" };
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(g_steal_pointer(&only));
  g_autoptr(GPtrArray) strangers = g_ptr_array_new();
  for (guint i = 0; i < G_N_ELEMENTS(others); i++)
    g_ptr_array_add(strangers, (gpointer) (guintptr) others[i]);
  g_autoptr(GPtrArray) none = rsync_left_behind(bytes, strangers);
  g_assert_cmpuint(none->len, ==, 0);
  for (guint i = 0; i < G_N_ELEMENTS(left); i++)
    g_ptr_array_add(strangers, (gpointer) (guintptr) left[i]);
  g_autoptr(GPtrArray) found = rsync_left_behind(bytes, strangers);
  g_assert_cmpuint(found->len, ==, G_N_ELEMENTS(left));
  for (guint i = 0; i < found->len; i++)
    g_assert_cmpstr(found->pdata[i], ==, left[i]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/rsync/predicts-without-facts", test_predicts_without_facts);
  g_test_add_func("/rsync/predicts-from-what-was-measured", test_predicts_from_what_was_measured);
  g_test_add_func("/rsync/predicts-a-delta", test_predicts_a_delta);
  g_test_add_func("/rsync/refuses-what-is-not-its-own", test_refuses_what_is_not_its_own);
  g_test_add_func("/rsync/command-of-a-folder", test_command_of_a_folder);
  g_test_add_func("/rsync/command-honours-every-option", test_command_honours_every_option);
  g_test_add_func("/rsync/command-of-a-file-and-of-a-list", test_command_of_a_file_and_of_a_list);
  g_test_add_func("/rsync/command-refuses-a-crooked-grant", test_command_refuses_a_crooked_grant);
  g_test_add_func("/rsync/names-leave-out-the-top", test_names_leave_out_the_top);
  g_test_add_func("/rsync/compresses-where-the-link-is-slow", test_compresses_where_the_link_is_slow);
  g_test_add_func("/rsync/parses-progress", test_parses_progress);
  g_test_add_func("/rsync/parses-statistics", test_parses_statistics);
  g_test_add_func("/rsync/error-handling-exit-23", test_exit_23_keeps_the_words);
  g_test_add_func("/rsync/machines-without-xattrs-do-not-fail", test_machines_without_xattrs_do_not_fail);
  g_test_add_func("/rsync/exit-codes-have-a-meaning", test_exit_codes_have_a_meaning);
  g_test_add_func("/rsync/knows-what-it-leaves-when-it-is-killed", test_knows_what_it_leaves_when_it_is_killed);
  g_test_add_func("/rsync/words-are-capped-and-made-safe", test_words_are_capped_and_made_safe);
  return g_test_run();
}
