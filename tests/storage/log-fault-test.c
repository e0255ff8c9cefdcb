/* Journal and audit log when the disk fails or is full: no intent is taken for durable that is not. */
#include "audit.h"
#include "journal.h"
#include "small-disk.h"
#include <errno.h>
#include <fcntl.h>
#include <glib/gstdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int fail_with; /* errno of the next fdatasync or write; 0 = none */
static gboolean fail_write;

int __real_fdatasync(int fd);
int __wrap_fdatasync(int fd);
ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);

int
__wrap_fdatasync(int fd)
{
  if (fail_with == 0 || fail_write)
    return __real_fdatasync(fd);
  errno = fail_with;
  fail_with = 0;
  return -1;
}

/* Half of it arrives, as on a disk that has just become full. */
ssize_t
__wrap_write(int fd, const void *bytes, size_t length)
{
  if (fail_with == 0 || !fail_write)
    return __real_write(fd, bytes, length);
  if (length > 1)
    return __real_write(fd, bytes, length / 2);
  errno = fail_with;
  fail_with = 0;
  return -1;
}

static char *
fresh_folder(void)
{
  const char *scratch = g_getenv("AZLIN_TEST_DIR");
  char *folder = g_build_filename(scratch != NULL ? scratch : g_get_tmp_dir(), "log-XXXXXX", NULL);
  g_mkdir_with_parents(scratch != NULL ? scratch : g_get_tmp_dir(), 0700);
  g_assert_nonnull(g_mkdtemp(folder));
  return folder;
}

static guint
count_open(const char *path)
{
  AzJournal *journal = az_journal_open(path, NULL);
  g_autoptr(GPtrArray) open = az_journal_open_entries(journal, NULL);
  az_journal_close(journal);
  return open->len;
}

static gboolean
intend(AzJournal *journal, GError **error)
{
  guint64 id = 0;
  return az_journal_intent(journal, "provider-local", "create", NULL, &id, error);
}

static void
failed_sync_is_never_trusted_again(void)
{
  g_autofree char *folder = fresh_folder();
  g_autofree char *path = g_build_filename(folder, "journal.log", NULL);
  AzJournal *journal = az_journal_open(path, NULL);
  g_autoptr(GError) first = NULL;
  g_autoptr(GError) second = NULL;
  g_assert_true(intend(journal, NULL));
  fail_with = EIO;
  fail_write = FALSE;
  g_assert_false(intend(journal, &first));
  g_assert_error(first, AZLIN_ERROR, AZLIN_ERROR_STORAGE);
  g_assert_false(intend(journal, &second));
  g_assert_error(second, AZLIN_ERROR, AZLIN_ERROR_STORAGE);
  az_journal_close(journal);
  g_assert_cmpuint(count_open(path), ==, 1);
  g_unlink(path);
  g_rmdir(folder);
}

static void
half_a_write_is_taken_back(void)
{
  g_autofree char *folder = fresh_folder();
  g_autofree char *path = g_build_filename(folder, "journal.log", NULL);
  AzJournal *journal = az_journal_open(path, NULL);
  g_autoptr(GError) error = NULL;
  g_assert_true(intend(journal, NULL));
  fail_with = ENOSPC;
  fail_write = TRUE;
  g_assert_false(intend(journal, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE);
  g_assert_nonnull(strstr(error->message, "No space left"));
  g_assert_true(intend(journal, NULL));
  az_journal_close(journal);
  g_assert_cmpuint(count_open(path), ==, 2);
  g_unlink(path);
  g_rmdir(folder);
}

/* ---- a full disk, for real ---- */

/* 0 = right, 77 = mounting is forbidden, else what went wrong. */
static int
try_full_disk(const char *folder)
{
  if (!small_disk_mount(folder, "256k"))
    return 77;
  g_autofree char *path = g_build_filename(folder, "journal.log", NULL);
  g_autoptr(GError) error = NULL;
  guint64 id = 0;
  AzJournal *journal = az_journal_open(path, NULL);
  if (!az_journal_intent(journal, "a", "b", NULL, &id, NULL))
    return 2;
  small_disk_fill(folder);
  /* What closes an intent fits into the space set aside; what opens one is refused before anything is done. */
  if (!az_journal_done(journal, id, NULL))
    return 3;
  if (az_journal_intent(journal, "a", "b", NULL, &id, &error))
    return 4;
  if (!g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE))
    return 5;
  return count_open(path) == 0 ? 0 : 6;
}

static void
full_disk(void)
{
  int status = 0;
  g_autofree char *folder = fresh_folder();
  pid_t child = fork();
  if (child == 0)
    _exit(try_full_disk(folder));
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_rmdir(folder);
  g_assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77)
    g_test_skip("mounting a small disk is forbidden here");
  else
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/log/failed-sync-is-never-trusted-again", failed_sync_is_never_trusted_again);
  g_test_add_func("/log/half-a-write-is-taken-back", half_a_write_is_taken_back);
  g_test_add_func("/log/full-disk", full_disk);
  return g_test_run();
}
