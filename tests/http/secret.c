/* Secrets: in memory that no core file and no child has, gone when they are freed, redacted where text is shown. */
#include "secret.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

static void
test_process_is_closed(void)
{
  struct rlimit limit;
  g_assert_cmpint(prctl(PR_GET_DUMPABLE), ==, 1);
  g_autoptr(AzSecret) secret = az_secret_new("canary", -1);
  g_assert_cmpint(prctl(PR_GET_DUMPABLE), ==, 0);
  g_assert_cmpint(getrlimit(RLIMIT_CORE, &limit), ==, 0);
  g_assert_cmpuint(limit.rlim_cur, ==, 0);
  g_assert_cmpuint(limit.rlim_max, ==, 0);
}

/* The line of /proc/self/smaps that says how the kernel treats the pages of `address`. */
static char *
flags_of(const void *address)
{
  g_autofree char *text = NULL;
  gboolean inside = FALSE;
  g_assert_true(g_file_get_contents("/proc/self/smaps", &text, NULL, NULL));
  g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
  for (char **line = lines; *line != NULL; line++) {
    unsigned long start, end;
    if (sscanf(*line, "%lx-%lx ", &start, &end) == 2)
      inside = (guintptr) address >= start && (guintptr) address < end;
    if (inside && g_str_has_prefix(*line, "VmFlags:"))
      return g_strconcat(*line, " ", NULL);
  }
  return NULL;
}

static void
test_pages(void)
{
  gsize length;
  g_autoptr(AzSecret) secret = az_secret_new("canary", -1);
  const char *bytes = az_secret_peek(secret, &length);
  g_autofree char *flags = flags_of(bytes);
  g_assert_cmpmem(bytes, length + 1, "canary", 7);
  if (flags == NULL) {
    g_test_skip("this kernel does not say how it treats pages");
    return;
  }
  g_assert_nonnull(strstr(flags, " dd "));
  g_assert_nonnull(strstr(flags, " wf "));
}

static void
test_children_have_none(void)
{
  int status = -1;
  g_autoptr(AzSecret) secret = az_secret_new("canary", -1);
  pid_t pid = fork();
  if (pid == 0)
    _exit(az_secret_peek(secret, NULL)[0]);
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_true(WIFEXITED(status));
  g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

static void
test_no_core(void)
{
  int status = -1;
  g_autoptr(AzSecret) secret = az_secret_new("canary", -1);
  pid_t pid = fork();
  if (pid == 0) {
    signal(SIGSEGV, SIG_DFL);
    raise(SIGSEGV);
    _exit(1);
  }
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_true(WIFSIGNALED(status));
  g_assert_false(WCOREDUMP(status));
}

static void
test_wiped(void)
{
  char buffer[] = "canary";
  g_autoptr(GBytes) bytes = g_bytes_new("canary", 6);
  az_secret_wipe(buffer, sizeof buffer);
  az_secret_wipe_bytes(bytes);
  az_secret_wipe_bytes(NULL);
  g_assert_cmpmem(buffer, 7, "\0\0\0\0\0\0", 7);
  g_assert_cmpmem(g_bytes_get_data(bytes, NULL), 6, "\0\0\0\0\0\0", 6);
}

static void
test_sizes(void)
{
  static const gsize sizes[] = { 0, 1, 4095, 4096, 4097, 65536 };
  for (guint i = 0; i < G_N_ELEMENTS(sizes); i++) {
    gsize length;
    g_autofree char *text = g_strnfill(sizes[i], 'x');
    g_autoptr(AzSecret) secret = az_secret_new(text, (gssize) sizes[i]);
    AzSecret *again = az_secret_ref(secret);
    az_secret_unref(again);
    g_assert_cmpstr(az_secret_peek(secret, &length), ==, text);
    g_assert_cmpuint(length, ==, sizes[i]);
  }
}

static void
test_redact(void)
{
  g_autoptr(AzSecret) secret = az_secret_new("can", -1), other = az_secret_new("can", 3), empty = az_secret_new("", 0);
  g_autofree char *one = az_secret_redact(secret, "a can of cans");
  g_autofree char *none = az_secret_redact(NULL, "a can");
  g_autofree char *same = az_secret_redact(empty, "a can");
  g_assert_cmpstr(one, ==, "a *** of ***s");
  g_assert_cmpstr(none, ==, "a can");
  g_assert_cmpstr(same, ==, "a can");
  g_assert_true(az_secret_equal(secret, other));
  g_assert_false(az_secret_equal(secret, empty));
  g_assert_false(az_secret_equal(secret, NULL));
  g_assert_true(az_secret_equal(NULL, NULL));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/secret/process-is-closed", test_process_is_closed); /* first: it sees the process before */
  g_test_add_func("/secret/pages", test_pages);
  g_test_add_func("/secret/children-have-none", test_children_have_none);
  g_test_add_func("/secret/no-core", test_no_core);
  g_test_add_func("/secret/wiped", test_wiped);
  g_test_add_func("/secret/sizes", test_sizes);
  g_test_add_func("/secret/redact", test_redact);
  return g_test_run();
}
