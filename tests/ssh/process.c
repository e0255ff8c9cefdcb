/* Local processes: status, streams, caps, cancel of the whole group, detached ones; and quoting for remote shells. */
#include "fixture.h"

#include "process.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

static AzClock *clock_of_test;

static void
run_argv(const char *const *argv, GBytes *input, gsize max_output, guint32 timeout_ms, Wait *wait)
{
  World world = { .clock = clock_of_test };
  AzlinExec request = { .size = sizeof request, .argv = argv, .input = input, .max_output = max_output };
  az_process_run(&request, wait_new(&world, timeout_ms, wait));
  wait_for(wait);
}

static void
run_script(const char *script, guint32 timeout_ms, Wait *wait)
{
  const char *const argv[] = { "sh", "-c", script, NULL };
  run_argv(argv, NULL, 0, timeout_ms, wait);
}

static void
test_streams(void)
{
  Wait wait;
  run_script("echo out; echo err >&2; exit 3", 0, &wait);
  g_assert_no_error(wait.error);
  g_autofree char *out = bytes_text(wait.out);
  g_autofree char *err = bytes_text(wait.err);
  g_assert_cmpstr(out, ==, "out\n");
  g_assert_cmpstr(err, ==, "err\n");
  g_assert_cmpint(wait.status, ==, 3);
  wait_clear(&wait);
  run_script("kill -TERM $$", 0, &wait);
  g_assert_cmpint(wait.status, ==, 128 + SIGTERM);
  wait_clear(&wait);
}

static void
test_input(void)
{
  Wait wait;
  gsize size = 3 * 1024 * 1024;
  g_autoptr(GBytes) input = g_bytes_new_take(g_strnfill(size, 'x'), size);
  const char *const cat[] = { "cat", NULL };
  const char *const ignore[] = { "true", NULL };
  run_argv(cat, input, 4 * 1024 * 1024, 0, &wait);
  g_assert_true(g_bytes_equal(wait.out, input));
  wait_clear(&wait);
  run_argv(ignore, input, 0, 0, &wait); /* no SIGPIPE from a child that does not read */
  g_assert_no_error(wait.error);
  wait_clear(&wait);
}

static void
test_cap(void)
{
  Wait wait;
  const char *const yes[] = { "yes", NULL };
  run_argv(yes, NULL, 5000, 0, &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  wait_clear(&wait);
}

static void
test_missing(void)
{
  Wait wait;
  const char *const argv[] = { "azlin-no-such-program", NULL };
  run_argv(argv, NULL, 0, 0, &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
  g_assert_nonnull(strstr(wait.error->message, "azlin-no-such-program"));
  wait_clear(&wait);
}

static void
test_environment(void)
{
  Wait wait;
  g_setenv("AZLIN_TEST_SECRET", "canary", TRUE);
  run_script("env", 0, &wait);
  g_autofree char *out = bytes_text(wait.out);
  g_assert_null(strstr(out, "canary"));
  g_assert_nonnull(strstr(out, "PATH="));
  wait_clear(&wait);
}

static gboolean
is_dead(gpointer data)
{
  g_autofree char *file = g_strdup_printf("/proc/%d/stat", *(int *) data);
  g_autofree char *text = NULL;
  return !g_file_get_contents(file, &text, NULL, NULL) || strstr(text, ") Z ") != NULL;
}

/* The grandchild dies with its parent: the deadline ends the whole group. */
static void
test_group_is_killed(void)
{
  Wait wait;
  g_autofree char *dir = fixture_dir("process");
  g_autofree char *file = g_build_filename(dir, "pid", NULL);
  g_autofree char *text = NULL;
  const char *const argv[]
      = { "sh", "-c", "sh -c 'trap \"\" TERM; echo $$ > \"$0\"; sleep 60' \"$0\" & wait", file, NULL };
  run_argv(argv, NULL, 0, 1000, &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  wait_clear(&wait);
  g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
  int pid = atoi(text);
  g_assert_cmpint(pid, >, 0);
  fixture_until(is_dead, &pid); /* although it ignores TERM */
}

/* A grandchild that keeps the pipes open does not keep the op. */
static void
test_pipes_held_open(void)
{
  Wait wait;
  gint64 began = g_get_monotonic_time();
  run_script("sleep 20 & echo started", 0, &wait);
  g_assert_no_error(wait.error);
  g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
  wait_clear(&wait);
}

static void
test_detach(void)
{
  Wait wait;
  World world = { .clock = clock_of_test };
  const char *const argv[] = { "sleep", "60", NULL };
  const char *const missing[] = { "azlin-no-such-program", NULL };
  AzlinExec request = { .size = sizeof request, .argv = argv, .detach = TRUE };
  AzlinOp *op = wait_new(&world, 0, &wait);
  int pid = 0;
  az_process_run(&request, op);
  pid = az_op_reply(op)->pid;
  wait_for(&wait);
  g_assert_no_error(wait.error);
  g_assert_cmpint(pid, >, 0);
  g_assert_cmpint(getsid(pid), ==, pid);
  g_autofree char *link = g_strdup_printf("/proc/%d/fd/1", pid);
  g_autofree char *target = g_file_read_link(link, NULL);
  g_assert_cmpstr(target, ==, "/dev/null");
  kill(pid, SIGKILL);
  fixture_until(is_dead, &pid);
  wait_clear(&wait);
  request.argv = missing;
  az_process_run(&request, wait_new(&world, 0, &wait));
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
  wait_clear(&wait);
}

typedef struct {
  AzlinOp *op;
  guint lines;
} Canceller;

static void
cancel_at_second(const char *line, gpointer data)
{
  Canceller *canceller = data;
  if (++canceller->lines == 2)
    az_op_cancel(canceller->op, "seen enough");
}

static void
test_cancel_from_line(void)
{
  Wait wait;
  World world = { .clock = clock_of_test };
  Canceller canceller = { 0 };
  const char *const argv[] = { "yes", NULL };
  AzlinExec request = { .size = sizeof request, .argv = argv, .on_line = cancel_at_second, .line_data = &canceller };
  canceller.op = wait_new(&world, 0, &wait);
  az_process_run(&request, canceller.op);
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
  wait_clear(&wait);
}

static char *
random_word(GRand *rand)
{
  gsize length = (gsize) g_rand_int_range(rand, 0, 40);
  static const char nasty[] = "'\"\\$`!*?[]{}()<>|&;~# \t\n\r=%^-";
  char *word = g_malloc0(length + 1);
  for (gsize i = 0; i < length; i++)
    word[i] = g_rand_boolean(rand) ? nasty[g_rand_int_range(rand, 0, sizeof nasty - 1)]
                                   : (char) g_rand_int_range(rand, 1, 256);
  return word;
}

/* The command string, read by a real shell, gives back the words byte for byte. */
static void
check_shell(const char *shell, const char *const *words)
{
  Wait wait;
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  g_autoptr(GByteArray) wanted = g_byte_array_new();
  g_ptr_array_add(all, (gpointer) (gsize) "printf");
  g_ptr_array_add(all, (gpointer) (gsize) "%s\\0");
  for (; *words != NULL; words++) {
    g_ptr_array_add(all, (gpointer) (gsize) *words);
    g_byte_array_append(wanted, (const guint8 *) *words, (guint) strlen(*words) + 1);
  }
  g_ptr_array_add(all, NULL);
  g_autofree char *command = az_remote_quote((const char *const *) all->pdata);
  const char *const argv[] = { shell, "-c", command, NULL };
  run_argv(argv, NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  gsize size;
  const char *got = g_bytes_get_data(wait.out, &size);
  g_assert_cmpmem(got, size, wanted->data, wanted->len);
  wait_clear(&wait);
}

static void
test_quoting(void)
{
  static const char *const shells[] = { "sh", "dash", "bash" };
  g_autoptr(GRand) rand = g_rand_new_with_seed((guint32) g_test_rand_int());
  for (int round = 0; round < 60; round++) {
    g_autoptr(GPtrArray) words = g_ptr_array_new_with_free_func(g_free);
    int n = g_rand_int_range(rand, 1, 12);
    for (int i = 0; i < n; i++)
      g_ptr_array_add(words, random_word(rand));
    g_ptr_array_add(words, NULL);
    check_shell(shells[round % 3], (const char *const *) words->pdata);
  }
  const char *const plain[] = { "", "-n", "~", "a=b", "if", "$(reboot)", "a\nb", "'", "''", NULL };
  for (guint i = 0; i < G_N_ELEMENTS(shells); i++)
    check_shell(shells[i], plain);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  clock_of_test = az_clock_new_real();
  g_test_add_func("/process/streams", test_streams);
  g_test_add_func("/process/input", test_input);
  g_test_add_func("/process/cap", test_cap);
  g_test_add_func("/process/missing", test_missing);
  g_test_add_func("/process/environment", test_environment);
  g_test_add_func("/process/group-is-killed", test_group_is_killed);
  g_test_add_func("/process/pipes-held-open", test_pipes_held_open);
  g_test_add_func("/process/detach", test_detach);
  g_test_add_func("/process/cancel-from-line", test_cancel_from_line);
  g_test_add_func("/process/quoting", test_quoting);
  int result = g_test_run();
  az_clock_free(clock_of_test);
  return result;
}
