/* The pure parts of sync-rsync: prediction, command line, parsers of rsync's output, what its exit codes mean. */
#include "../../plugins/sync-rsync/rsync.h"
#include <string.h>

static const AzlinVm source = { .size = sizeof source, .region = "eastus" };
static const AzlinVm target = { .size = sizeof target, .region = "westus2" };
static const RsyncOptions options = { .io_timeout_s = 60 };

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

static void
test_predicts(void)
{
  const RsyncSpeed speed = { .throughput_mib = 50, .files_per_second = 2000 };
  g_autofree char *small = NULL, *many = NULL;
  double nothing = rsync_predict(&speed, 0, 0, 0, &small);
  g_assert_cmpfloat(nothing, >, 0);
  g_assert_cmpstr(small, ==, "small files");
  g_assert_cmpfloat(rsync_predict(&speed, 99000000, 10, 0, NULL), <, rsync_predict(&speed, 101000000, 10, 0, NULL));
  g_assert_cmpfloat_with_epsilon(rsync_predict(&speed, 100 << 20, 1, 0, NULL), 3.0, 0.01);
  g_assert_cmpfloat_with_epsilon(rsync_predict(&speed, 100 << 20, 1, 1024, NULL), 101.0, 0.01);
  g_assert_cmpfloat_with_epsilon(rsync_predict(&speed, 1 << 20, 200000, 0, &many), 101.0, 0.01);
  g_assert_cmpstr(many, ==, "many small files");
  g_assert_cmpfloat(rsync_predict(&speed, G_MAXUINT64, 1, 0, NULL), >, 1e9);
}

static void
test_command_of_a_folder(void)
{
  AzlinSyncJob job = job_for("/home/azureuser/my project");
  g_autoptr(GVariant) grant = job.grant = grant_for("127.0.0.2", "/home/u/key");
  g_autofree char *plain = command_line(&job);
  g_assert_true(g_str_has_prefix(plain, "sh\n-c\n"));
  g_assert_nonnull(strstr(plain, "\nsh\n/home/u/key\nenv\nLC_ALL=C\nrsync\n"));
  g_assert_true(g_str_has_suffix(plain, "\n--\n/home/azureuser/my project/\nazureuser@127.0.0.2:./"));
  g_assert_nonnull(strstr(plain, "ssh -F none -p 2222 -i /home/u/key "));
  g_assert_nonnull(strstr(plain, "StrictHostKeyChecking=yes"));
  g_assert_nonnull(strstr(plain, "BatchMode=yes"));
  g_assert_nonnull(strstr(plain, "\n--partial-dir=.azlin-partial\n"));
  g_assert_null(strstr(plain, "delete"));
  g_assert_null(strstr(plain, "--dry-run"));
  g_assert_null(strstr(plain, "bwlimit"));
}

static void
test_command_honours_every_option(void)
{
  static const char *const exclude[] = { "*.log", "+ odd", NULL };
  AzlinSyncJob job = job_for("/data");
  g_autoptr(GVariant) grant = job.grant = grant_for("fe80::1", "/home/u/key");
  job.delete_extra = job.checksum = TRUE;
  job.max_delete = 7;
  job.bwlimit_kib = 512;
  job.exclude = exclude;
  g_autofree char *full = command_line(&job);
  g_assert_nonnull(strstr(full, "\n--delete-delay\n--max-delete=7\n"));
  g_assert_nonnull(strstr(full, "\n--bwlimit=512\n"));
  g_assert_nonnull(strstr(full, "\n--filter=- *.log\n--filter=- + odd\n"));
  g_assert_nonnull(strstr(full, "\n--checksum\n"));
  g_assert_true(g_str_has_suffix(full, "azureuser@[fe80::1]:./"));
  job.dry_run = TRUE;
  g_autofree char *dry = command_line(&job);
  g_assert_nonnull(strstr(dry, "\n--dry-run\n"));
  g_assert_null(strstr(dry, "partial-dir="));
}

static void
test_command_of_a_file_and_of_a_list(void)
{
  AzlinSyncJob job = job_for("/data/one file");
  g_autoptr(GVariant) grant = job.grant = grant_for("127.0.0.2", "/home/u/key");
  job.single_file = job.delete_extra = TRUE;
  g_autofree char *file = command_line(&job);
  g_assert_true(g_str_has_suffix(file, "\n--\n/data/one file\nazureuser@127.0.0.2:./"));
  g_assert_null(strstr(file, "delete"));
  g_autoptr(GBytes) only = job.only = g_bytes_new_static("./one file", 11);
  g_autofree char *list = command_line(&job);
  g_assert_nonnull(strstr(list, "\n--files-from=-\n--from0\n"));
  g_assert_true(g_str_has_suffix(list, "\n--\n/data/\nazureuser@127.0.0.2:./"));
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
  job.dry_run = TRUE;
  g_autofree char *onto_nothing = command_line(&job);
  g_assert_true(g_str_has_prefix(onto_nothing, "env\nLC_ALL=C\nrsync\n"));
  g_assert_true(g_str_has_suffix(onto_nothing, "\n/nonexistent/azlin/"));
}

static void
test_compresses_between_hosts_only(void)
{
  AzlinSyncJob job = job_for("/data");
  g_autoptr(GVariant) here = job.grant = grant_for("127.0.0.9", "/key");
  g_assert_false(rsync_should_compress("auto", &job));
  g_assert_true(rsync_should_compress("yes", &job));
  g_autoptr(GVariant) there = job.grant = grant_for("203.0.113.5", "/key");
  g_assert_true(rsync_should_compress("auto", &job));
  g_assert_false(rsync_should_compress("no", &job));
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
      = { "Number of files: 1,234 (reg: 1,000, dir: 234)", "Number of deleted files: 3 (reg: 2, dir: 1)",
          "Number of regular files transferred: 1,234",    "Total file size: 99,999,999 bytes",
          "Total transferred file size: 12,345,678 bytes", "Total bytes sent: 4.321.000" };
  RsyncStats stats = { 0 };
  for (guint i = 0; i < G_N_ELEMENTS(lines); i++)
    rsync_parse_stats(lines[i], &stats);
  g_assert_true(stats.seen);
  g_assert_cmpuint(stats.files, ==, 1234);
  g_assert_cmpuint(stats.bytes, ==, 12345678);
  g_assert_cmpuint(stats.bytes_sent, ==, 4321000);
  g_assert_cmpuint(stats.deleted, ==, 3);
  RsyncStats none = { 0 };
  g_assert_false(rsync_parse_stats("Total transferred file size: many", &none));
  g_assert_false(none.seen);
}

static void
test_parses_items(void)
{
  gboolean deletes = FALSE, is_file = FALSE;
  g_assert_true(rsync_parse_item("azlin:*deleting   a/b", &deletes, &is_file));
  g_assert_true(deletes && is_file);
  g_assert_true(rsync_parse_item("azlin:*deleting   a/", &deletes, &is_file));
  g_assert_true(deletes && !is_file);
  g_assert_true(rsync_parse_item("azlin:<f+++++++++ *deleting", &deletes, &is_file));
  g_assert_false(deletes);
  g_assert_false(rsync_parse_item("*deleting   a/b", &deletes, &is_file));
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

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/rsync/predicts", test_predicts);
  g_test_add_func("/rsync/command-of-a-folder", test_command_of_a_folder);
  g_test_add_func("/rsync/command-honours-every-option", test_command_honours_every_option);
  g_test_add_func("/rsync/command-of-a-file-and-of-a-list", test_command_of_a_file_and_of_a_list);
  g_test_add_func("/rsync/command-refuses-a-crooked-grant", test_command_refuses_a_crooked_grant);
  g_test_add_func("/rsync/compresses-between-hosts-only", test_compresses_between_hosts_only);
  g_test_add_func("/rsync/parses-progress", test_parses_progress);
  g_test_add_func("/rsync/parses-statistics", test_parses_statistics);
  g_test_add_func("/rsync/parses-items", test_parses_items);
  g_test_add_func("/rsync/error-handling-exit-23", test_exit_23_keeps_the_words);
  g_test_add_func("/rsync/exit-codes-have-a-meaning", test_exit_codes_have_a_meaning);
  g_test_add_func("/rsync/words-are-capped-and-made-safe", test_words_are_capped_and_made_safe);
  return g_test_run();
}
