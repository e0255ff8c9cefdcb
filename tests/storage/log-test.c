/* Journal and audit log on disk: chains, torn ends, tampering, owners that died, processes side by side. */
#include "audit.h"
#include "journal.h"
#include "record.h"
#include <fcntl.h>
#include <glib/gstdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct {
  char *folder, *path;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
  const char *scratch = g_getenv("AZLIN_TEST_DIR");
  fixture->folder = g_build_filename(scratch != NULL ? scratch : g_get_tmp_dir(), "log-XXXXXX", NULL);
  g_mkdir_with_parents(scratch != NULL ? scratch : g_get_tmp_dir(), 0700);
  g_assert_nonnull(g_mkdtemp(fixture->folder));
  fixture->path = g_build_filename(fixture->folder, "file.log", NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
  GDir *dir = g_dir_open(fixture->folder, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *path = g_build_filename(fixture->folder, name, NULL);
    g_remove(path);
  }
  g_dir_close(dir);
  g_rmdir(fixture->folder);
  g_free(fixture->folder);
  g_free(fixture->path);
}

static char *
read_text(const char *path)
{
  char *text = NULL;
  g_autoptr(GError) error = NULL;
  g_file_get_contents(path, &text, NULL, &error);
  g_assert_no_error(error);
  return text;
}

static void
write_text(const char *path, const char *text)
{
  g_autoptr(GError) error = NULL;
  g_file_set_contents(path, text, -1, &error);
  g_assert_no_error(error);
}

static void
add_bytes(const char *path, const char *bytes, gsize length)
{
  int fd = open(path, O_WRONLY | O_APPEND);
  g_assert_cmpint(write(fd, bytes, length), ==, (gssize) length);
  close(fd);
}

/* ---- log file ---- */

static void
join(guint64 line, const char *json, gpointer data)
{
  g_string_append_printf(data, "%" G_GUINT64_FORMAT ":%s ", line, json);
}

static void
expect_records(AzLogfile *file, const char *wanted, guint64 bad_line)
{
  g_autoptr(GString) all = g_string_new(NULL);
  g_autoptr(GError) error = NULL;
  guint64 bad = 0;
  az_logfile_foreach(file, join, all, &bad, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(all->str, ==, wanted);
  g_assert_cmpuint(bad, ==, bad_line);
}

static void
append(AzLogfile *file, const char *json)
{
  g_autoptr(GError) error = NULL;
  az_logfile_append(file, json, &error);
  g_assert_no_error(error);
}

static void
logfile_appends_and_reads(Fixture *fixture, gconstpointer data)
{
  g_autoptr(AzLogfile) file = az_logfile_open(fixture->path, NULL);
  expect_records(file, "", 0);
  append(file, "{\"a\":1}");
  append(file, "{\"b\":2}");
  g_autoptr(AzLogfile) other = az_logfile_open(fixture->path, NULL);
  append(other, "{\"c\":3}");
  append(file, "{\"d\":4}");
  expect_records(file, "1:{\"a\":1} 2:{\"b\":2} 3:{\"c\":3} 4:{\"d\":4} ", 0);
  g_assert_false(az_logfile_append(file, "two\nlines", NULL));
}

static void
logfile_torn_tail_is_set_aside(Fixture *fixture, gconstpointer data)
{
  const struct {
    const char *bytes;
    gsize length;
  } tails[] = { { "0123", 4 }, { "\0\0\0\0\0\0", 6 }, { "garbage\n", 8 }, { "\n\n", 2 } };
  for (guint i = 0; i < G_N_ELEMENTS(tails); i++) {
    g_autoptr(AzLogfile) file = az_logfile_open(fixture->path, NULL);
    g_autofree char *aside = g_strdup_printf("%s.corrupt-%u", fixture->path, i + 1);
    append(file, "{}");
    add_bytes(fixture->path, tails[i].bytes, tails[i].length);
    g_autoptr(AzLogfile) next = az_logfile_open(fixture->path, NULL);
    g_test_expect_message("azlin", G_LOG_LEVEL_WARNING, "*unfinished record*");
    append(next, "{}");
    g_test_assert_expected_messages();
    g_autofree char *kept = NULL;
    gsize length = 0;
    g_assert_true(g_file_get_contents(aside, &kept, &length, NULL));
    g_assert_cmpmem(kept, length, tails[i].bytes, tails[i].length);
    g_assert_cmpint(g_unlink(fixture->path), ==, 0);
  }
}

static void
logfile_every_torn_length(Fixture *fixture, gconstpointer data)
{
  g_autofree char *aside = g_strconcat(fixture->path, ".corrupt-1", NULL);
  g_autoptr(AzLogfile) first = az_logfile_open(fixture->path, NULL);
  append(first, "{\"a\":1}");
  g_autofree char *one = read_text(fixture->path);
  append(first, "{\"b\":2}");
  g_autofree char *two = read_text(fixture->path);
  for (gsize cut = strlen(one) + 1; cut < strlen(two); cut++) {
    g_autofree char *torn = g_strndup(two, cut);
    write_text(fixture->path, torn);
    g_autoptr(AzLogfile) file = az_logfile_open(fixture->path, NULL);
    g_test_expect_message("azlin", G_LOG_LEVEL_WARNING, "*unfinished record*");
    append(file, "{\"c\":3}");
    g_test_assert_expected_messages();
    expect_records(file, "1:{\"a\":1} 2:{\"c\":3} ", 0);
    g_assert_cmpint(g_unlink(aside), ==, 0);
  }
}

static void
logfile_damage_in_the_middle_hides_nothing(Fixture *fixture, gconstpointer data)
{
  g_autoptr(AzLogfile) file = az_logfile_open(fixture->path, NULL);
  append(file, "{\"a\":1}");
  append(file, "{\"b\":2}");
  append(file, "{\"c\":3}");
  g_autofree char *text = read_text(fixture->path);
  *strstr(text, "\"b\":2") = 'X';
  write_text(fixture->path, text);
  g_autoptr(AzLogfile) again = az_logfile_open(fixture->path, NULL);
  append(again, "{\"d\":4}");
  expect_records(again, "1:{\"a\":1} 3:{\"c\":3} 4:{\"d\":4} ", 2);
}

static void
logfile_reset_is_seen_by_others(Fixture *fixture, gconstpointer data)
{
  g_autoptr(AzLogfile) one = az_logfile_open(fixture->path, NULL);
  g_autoptr(AzLogfile) two = az_logfile_open(fixture->path, NULL);
  append(one, "{\"a\":1}");
  append(two, "{\"b\":2}");
  g_assert_true(az_logfile_reset(one, NULL));
  append(two, "{\"c\":3}");
  append(one, "{\"d\":4}");
  expect_records(two, "1:{\"c\":3} 2:{\"d\":4} ", 0);
}

static void
logfile_many_processes(Fixture *fixture, gconstpointer data)
{
  enum { PROCESSES = 8, EACH = 50 };
  guint64 bad = 0;
  for (guint p = 0; p < PROCESSES; p++) {
    if (fork() > 0)
      continue;
    g_autoptr(AzLogfile) file = az_logfile_open(fixture->path, NULL);
    gboolean ok = file != NULL;
    for (guint i = 0; ok && i < EACH; i++)
      ok = az_logfile_append(file, "{\"x\":1}", NULL);
    _exit(ok ? 0 : 1);
  }
  for (guint p = 0; p < PROCESSES; p++) {
    int status = 0;
    g_assert_cmpint(wait(&status), >, 0);
    g_assert_cmpint(status, ==, 0);
  }
  g_autoptr(AzLogfile) file = az_logfile_open(fixture->path, NULL);
  g_autoptr(GString) all = g_string_new(NULL);
  g_assert_true(az_logfile_foreach(file, join, all, &bad, NULL));
  g_assert_cmpuint(bad, ==, 0);
  g_autofree char *last = g_strdup_printf("%u:", PROCESSES * EACH);
  g_assert_nonnull(strstr(all->str, last));
}

/* ---- journal ---- */

static guint64
intend(AzJournal *journal, const char *what, const char *undo)
{
  guint64 id = 0;
  g_autoptr(GError) error = NULL;
  az_journal_intent(journal, "provider-local", what, g_variant_new_parsed(undo), &id, &error);
  g_assert_no_error(error);
  return id;
}

static void
journal_keeps_types_and_merges_updates(Fixture *fixture, gconstpointer data)
{
  AzJournal *journal = az_journal_open(fixture->path, NULL);
  guint64 id = intend(journal, "create", "{'port': <uint32 22>, 'name': <'vm'>, 'paths': <['a', 'b']>}");
  g_assert_true(az_journal_update(journal, id, g_variant_new_parsed("{'step': <'fenced'>, 'name': <'vm2'>}"), NULL));
  g_autoptr(GPtrArray) open = az_journal_open_entries(journal, NULL);
  g_assert_cmpuint(open->len, ==, 1);
  AzJournalEntry *entry = g_ptr_array_index(open, 0);
  g_autoptr(GVariantDict) dict = g_variant_dict_new(entry->undo);
  guint32 port = 0;
  const char *name = NULL, *step = NULL;
  g_auto(GStrv) paths = NULL;
  g_assert_true(g_variant_dict_lookup(dict, "port", "u", &port));
  g_assert_true(g_variant_dict_lookup(dict, "name", "&s", &name));
  g_assert_true(g_variant_dict_lookup(dict, "step", "&s", &step));
  g_assert_true(g_variant_dict_lookup(dict, "paths", "^as", &paths));
  g_assert_cmpuint(port, ==, 22);
  g_assert_cmpstr(name, ==, "vm2");
  g_assert_cmpstr(step, ==, "fenced");
  g_assert_cmpstr(paths[1], ==, "b");
  g_assert_cmpstr(entry->owner, ==, "provider-local");
  g_assert_cmpstr(entry->what, ==, "create");
  g_assert_cmpuint(entry->id, ==, id);
  g_assert_true(entry->alive);
  az_journal_close(journal);
}

static void
journal_done_closes(Fixture *fixture, gconstpointer data)
{
  AzJournal *journal = az_journal_open(fixture->path, NULL);
  guint64 first = intend(journal, "a", "@a{sv} {}");
  guint64 second = intend(journal, "b", "@a{sv} {}");
  guint64 third = intend(journal, "c", "@a{sv} {}");
  g_assert_true(az_journal_done(journal, second, NULL));
  g_assert_true(az_journal_done(journal, second, NULL));
  g_autoptr(GPtrArray) open = az_journal_open_entries(journal, NULL);
  g_assert_cmpuint(open->len, ==, 2);
  g_assert_cmpuint(((AzJournalEntry *) g_ptr_array_index(open, 0))->id, ==, first);
  g_assert_cmpuint(((AzJournalEntry *) g_ptr_array_index(open, 1))->id, ==, third);
  az_journal_close(journal);
}

static void
journal_knows_dead_owners(Fixture *fixture, gconstpointer data)
{
  int status = 0;
  pid_t child = fork();
  if (child == 0) {
    AzJournal *mine = az_journal_open(fixture->path, NULL);
    guint64 id = 0;
    gboolean ok = az_journal_intent(mine, "flow-deploy", "x", NULL, &id, NULL);
    _exit(ok ? 0 : 1);
  }
  siginfo_t info;
  g_assert_cmpint(waitid(P_PID, (id_t) child, &info, WEXITED | WNOWAIT), ==, 0);
  AzJournal *journal = az_journal_open(fixture->path, NULL);
  g_autoptr(GPtrArray) zombie = az_journal_open_entries(journal, NULL);
  g_assert_cmpuint(zombie->len, ==, 1);
  g_assert_false(((AzJournalEntry *) g_ptr_array_index(zombie, 0))->alive);
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_assert_cmpint(status, ==, 0);
  g_autoptr(GPtrArray) gone = az_journal_open_entries(journal, NULL);
  AzJournalEntry *entry = g_ptr_array_index(gone, 0);
  g_assert_false(entry->alive);
  g_assert_cmpint(entry->pid, ==, child);
  az_journal_close(journal);
}

/* The same process id with another start time, or of an earlier boot, is somebody else. */
static void
journal_pid_reuse_is_not_alive(Fixture *fixture, gconstpointer data)
{
  const char *const fields[] = { "\"start\":", "\"boot\":\"" };
  for (guint i = 0; i < G_N_ELEMENTS(fields); i++) {
    AzJournal *journal = az_journal_open(fixture->path, NULL);
    intend(journal, "a", "@a{sv} {}");
    az_journal_close(journal);
    g_autofree char *text = read_text(fixture->path);
    g_autoptr(GString) json = g_string_new(strchr(text, ' ') + 1);
    g_string_truncate(json, json->len - 1);
    char *at = strstr(json->str, fields[i]) + strlen(fields[i]);
    *at = *at == '1' ? '2' : '1';
    g_assert_cmpint(g_unlink(fixture->path), ==, 0);
    g_autoptr(AzLogfile) file = az_logfile_open(fixture->path, NULL);
    append(file, json->str);
    AzJournal *again = az_journal_open(fixture->path, NULL);
    g_autoptr(GPtrArray) open = az_journal_open_entries(again, NULL);
    g_assert_cmpuint(open->len, ==, 1);
    g_assert_false(((AzJournalEntry *) g_ptr_array_index(open, 0))->alive);
    az_journal_close(again);
    g_assert_cmpint(g_unlink(fixture->path), ==, 0);
  }
}

static void
journal_shortens_only_when_all_is_done(Fixture *fixture, gconstpointer data)
{
  g_autofree char *big = g_strnfill(8000, 'x');
  g_autofree char *undo = g_strdup_printf("{'big': <'%s'>}", big);
  AzJournal *journal = az_journal_open(fixture->path, NULL);
  guint64 kept = intend(journal, "kept", "@a{sv} {}");
  for (guint i = 0; i < 20; i++)
    g_assert_true(az_journal_done(journal, intend(journal, "big", undo), NULL));
  g_autoptr(GPtrArray) open = az_journal_open_entries(journal, NULL);
  g_assert_cmpuint(open->len, ==, 1);
  g_assert_true(az_journal_done(journal, kept, NULL));
  az_journal_close(journal);
  AzJournal *next = az_journal_open(fixture->path, NULL);
  g_autofree char *text = read_text(fixture->path);
  g_assert_cmpuint(strlen(text), ==, 0);
  intend(next, "after", "@a{sv} {}");
  g_autoptr(GPtrArray) after = az_journal_open_entries(next, NULL);
  g_assert_cmpuint(after->len, ==, 1);
  az_journal_close(next);
}

static void
ignore_message(const char *domain, GLogLevelFlags level, const char *text, gpointer data)
{
}

/* Any damage in one place: no crash, a warning, and at most the lines it touches and the one after are lost. */
static void
journal_random_damage(Fixture *fixture, gconstpointer data)
{
  AzJournal *first = az_journal_open(fixture->path, NULL);
  for (guint i = 0; i < 10; i++)
    intend(first, "a", "{'name': <'vm'>}");
  az_journal_close(first);
  g_autofree char *original = read_text(fixture->path);
  g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL);
  guint handler = g_log_set_handler("azlin", G_LOG_LEVEL_WARNING, ignore_message, NULL);
  for (guint i = 0; i < 500; i++) {
    g_autoptr(GString) text = g_string_new(original);
    gsize at = (gsize) g_test_rand_int_range(0, (gint32) text->len);
    gboolean cut = g_test_rand_int_range(0, 4) == 0;
    guint whole = 0;
    text->str[at] = (char) g_test_rand_int_range(0, 256);
    if (cut)
      g_string_truncate(text, at);
    for (const char *c = original; c < original + at; c++)
      whole += *c == '\n' ? 1 : 0;
    g_assert_cmpint(truncate(fixture->path, 0), ==, 0);
    add_bytes(fixture->path, text->str, text->len);
    AzJournal *journal = az_journal_open(fixture->path, NULL);
    g_autoptr(GPtrArray) open = az_journal_open_entries(journal, NULL);
    g_assert_cmpuint(open->len, >=, cut ? whole : 7);
    guint64 id = intend(journal, "b", "@a{sv} {}");
    g_autoptr(GPtrArray) more = az_journal_open_entries(journal, NULL);
    g_assert_cmpuint(more->len, ==, open->len + 1);
    g_assert_cmpuint(((AzJournalEntry *) g_ptr_array_index(more, open->len))->id, ==, id);
    az_journal_close(journal);
  }
  g_log_remove_handler("azlin", handler);
  g_log_set_always_fatal(G_LOG_FATAL_MASK | G_LOG_LEVEL_CRITICAL | G_LOG_LEVEL_WARNING);
}

/* ---- audit ---- */

static void
audit_write(AzAudit *audit, guint n)
{
  for (guint i = 0; i < n; i++) {
    g_autoptr(GError) error = NULL;
    az_audit_write(audit, "vm.stop", g_variant_new_parsed("{'region': <'eastus'>, 'number': <%u>}", i), &error);
    g_assert_no_error(error);
  }
}

static gboolean
audit_valid(const char *path, guint64 *ret_bad_line)
{
  AzAudit *audit = az_audit_open(path, NULL);
  g_autoptr(GError) error = NULL;
  gboolean valid = TRUE;
  g_autoptr(GVariant) verdict = az_audit_verify(audit, &error);
  g_assert_no_error(error);
  g_assert_true(g_variant_lookup(verdict, "valid", "b", &valid));
  g_assert_true(g_variant_lookup(verdict, "bad_line", "t", ret_bad_line));
  az_audit_close(audit);
  return valid;
}

static void
audit_shows_what_was_written(Fixture *fixture, gconstpointer data)
{
  AzAudit *audit = az_audit_open(fixture->path, NULL);
  guint64 bad = 0;
  audit_write(audit, 5);
  g_autoptr(GVariant) all = az_audit_show(audit, 0, NULL);
  g_autoptr(GVariant) last = az_audit_show(audit, 2, NULL);
  g_assert_cmpuint(g_variant_n_children(all), ==, 5);
  g_assert_cmpuint(g_variant_n_children(last), ==, 2);
  g_autofree char *json = az_json_from_variant(last, 0);
  g_assert_nonnull(strstr(json, "\"what\":\"vm.stop\""));
  g_assert_nonnull(strstr(json, "\"number\":3"));
  g_assert_nonnull(strstr(json, "\"uid\":"));
  g_assert_true(audit_valid(fixture->path, &bad));
  az_audit_close(audit);
}

enum { RECORDS = 8 };

/* Every tampering with every record; `how` edits the lines in place. */
static void
expect_detected(Fixture *fixture, void (*how)(GPtrArray *lines, guint index))
{
  AzAudit *audit = az_audit_open(fixture->path, NULL);
  audit_write(audit, RECORDS);
  az_audit_close(audit);
  g_autofree char *original = read_text(fixture->path);
  for (guint i = 0; i < RECORDS; i++) {
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) split = g_strsplit(original, "\n", -1);
    guint64 bad = 0;
    for (guint k = 0; k < RECORDS; k++)
      g_ptr_array_add(lines, g_strconcat(split[k], "\n", NULL));
    how(lines, i);
    g_ptr_array_add(lines, NULL);
    g_autofree char *text = g_strjoinv(NULL, (char **) lines->pdata);
    write_text(fixture->path, text);
    if (audit_valid(fixture->path, &bad))
      g_error("not detected at record %u", i + 1);
    g_assert_cmpuint(bad, >=, i + 1);
    g_assert_cmpuint(bad, <=, i + 2);
    write_text(fixture->path, original);
    g_assert_true(audit_valid(fixture->path, &bad));
  }
}

static void
flip_text(GPtrArray *lines, guint index)
{
  char *line = g_ptr_array_index(lines, index);
  *strstr(line, "eastus") ^= 1;
}

static void
flip_hash(GPtrArray *lines, guint index)
{
  char *line = g_ptr_array_index(lines, index);
  *line = *line == '0' ? '1' : '0';
}

static void
delete_record(GPtrArray *lines, guint index)
{
  g_ptr_array_remove_index(lines, index);
}

static void
swap_records(GPtrArray *lines, guint index)
{
  guint other = index + 1 < RECORDS ? index + 1 : index - 1;
  gpointer held = lines->pdata[index];
  lines->pdata[index] = lines->pdata[other];
  lines->pdata[other] = held;
}

static void
repeat_record(GPtrArray *lines, guint index)
{
  g_ptr_array_insert(lines, (int) index, g_strdup(g_ptr_array_index(lines, index)));
}

static void
audit_flip_is_detected(Fixture *fixture, gconstpointer data)
{
  expect_detected(fixture, flip_text);
}

static void
audit_flipped_hash_is_detected(Fixture *fixture, gconstpointer data)
{
  expect_detected(fixture, flip_hash);
}

static void
audit_delete_is_detected(Fixture *fixture, gconstpointer data)
{
  expect_detected(fixture, delete_record);
}

static void
audit_repeat_is_detected(Fixture *fixture, gconstpointer data)
{
  expect_detected(fixture, repeat_record);
}

static void
audit_reorder_is_detected(Fixture *fixture, gconstpointer data)
{
  AzAudit *audit = az_audit_open(fixture->path, NULL);
  guint64 bad = 0;
  audit_write(audit, RECORDS);
  az_audit_close(audit);
  g_autofree char *original = read_text(fixture->path);
  for (guint i = 0; i < RECORDS; i++) {
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
    g_auto(GStrv) split = g_strsplit(original, "\n", -1);
    for (guint k = 0; k < RECORDS; k++)
      g_ptr_array_add(lines, g_strconcat(split[k], "\n", NULL));
    swap_records(lines, i);
    g_ptr_array_add(lines, NULL);
    g_autofree char *text = g_strjoinv(NULL, (char **) lines->pdata);
    write_text(fixture->path, text);
    g_assert_false(audit_valid(fixture->path, &bad));
  }
}

/* A changed last record is not taken for a torn write: it still shows after more was written. */
static void
audit_tampering_survives_later_records(Fixture *fixture, gconstpointer data)
{
  AzAudit *audit = az_audit_open(fixture->path, NULL);
  guint64 bad = 0;
  audit_write(audit, 3);
  az_audit_close(audit);
  g_autofree char *text = read_text(fixture->path);
  *g_strrstr(text, "eastus") = 'E';
  write_text(fixture->path, text);
  AzAudit *again = az_audit_open(fixture->path, NULL);
  audit_write(again, 3);
  az_audit_close(again);
  g_assert_false(audit_valid(fixture->path, &bad));
  g_assert_cmpuint(bad, ==, 3);
}

#define ADD(name) g_test_add("/log/" #name, Fixture, NULL, set_up, name, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  ADD(logfile_appends_and_reads);
  ADD(logfile_torn_tail_is_set_aside);
  ADD(logfile_every_torn_length);
  ADD(logfile_damage_in_the_middle_hides_nothing);
  ADD(logfile_reset_is_seen_by_others);
  ADD(logfile_many_processes);
  ADD(journal_keeps_types_and_merges_updates);
  ADD(journal_done_closes);
  ADD(journal_knows_dead_owners);
  ADD(journal_pid_reuse_is_not_alive);
  ADD(journal_shortens_only_when_all_is_done);
  ADD(journal_random_damage);
  ADD(audit_shows_what_was_written);
  ADD(audit_flip_is_detected);
  ADD(audit_flipped_hash_is_detected);
  ADD(audit_delete_is_detected);
  ADD(audit_repeat_is_detected);
  ADD(audit_reorder_is_detected);
  ADD(audit_tampering_survives_later_records);
  return g_test_run();
}
