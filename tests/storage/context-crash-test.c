/* SIGKILL in the middle of a change: at every system call of it, and at random instants of a busy writer. */
#include "brick-host.h"
#include <errno.h>
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

extern const AzlinPlugin azlin_plugin_v1;

#define RANDOM_KILLS 200

static void
expect_no_leftovers(BrickHost *host)
{
  const char *const known[] = { "config.json", "config.json.good", "config.json.1", "config.lock" };
  GDir *dir = g_dir_open(host->home, 0, NULL);
  const char *name;
  while ((name = g_dir_read_name(dir)) != NULL) {
    gboolean expected = FALSE;
    for (guint i = 0; i < G_N_ELEMENTS(known); i++)
      expected = expected || g_str_equal(name, known[i]);
    if (!expected)
      g_test_message("left over: %s", name);
    g_assert_true(expected);
  }
  g_dir_close(dir);
}

static void
fill(BrickHost *host)
{
  g_auto(Reply) one = context_add(host, "eastus", "1.1.1.1", TRUE);
  g_auto(Reply) two = context_add(host, "westus2", "2.2.2.2", FALSE);
  g_assert_no_error(one.error);
  g_assert_no_error(two.error);
}

/* ---- at every system call ---- */

typedef gboolean (*Change)(BrickHost *host);

static gboolean
move_primary(BrickHost *host)
{
  g_auto(Reply) reply = context_set_primary(host, "eastus", "westus2", 1);
  return reply.error == NULL;
}

static gboolean
put_region(BrickHost *host)
{
  g_auto(Reply) reply = context_add(host, "uksouth", "3.3.3.3", FALSE);
  return reply.error == NULL;
}

static pid_t
start_traced(const char *home, Change change)
{
  pid_t child = fork();
  if (child != 0)
    return child;
  BrickHost *host = brick_host_new(&azlin_plugin_v1, home);
  if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
    _exit(77);
  raise(SIGSTOP);
  _exit(change(host) ? 0 : 1);
}

static gboolean
can_trace(void)
{
  int status = 0;
  pid_t child = fork();
  if (child == 0)
    _exit(ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0 ? 0 : 77);
  waitpid(child, &status, 0);
  return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* Lets the child make `stops` entries and exits of system calls, then kills it. FALSE: it ended before. */
static gboolean
kill_after(pid_t child, guint stops)
{
  int status = 0;
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_assert_true(WIFSTOPPED(status));
  for (guint i = 0; i < stops; i++) {
    g_assert_cmpint(ptrace(PTRACE_SYSCALL, child, NULL, NULL), ==, 0);
    g_assert_cmpint(waitpid(child, &status, 0), ==, child);
    if (!WIFSTOPPED(status)) {
      g_assert_cmpint(status, ==, 0);
      return FALSE;
    }
  }
  kill(child, SIGKILL);
  while (waitpid(child, &status, 0) == child && !WIFSIGNALED(status))
    continue;
  return TRUE;
}

static void
check_moved_or_not(BrickHost *host)
{
  g_autofree char *primary = context_primary(host);
  guint64 epoch = context_epoch(host);
  g_assert_true((g_str_equal(primary, "eastus") && epoch == 1) || (g_str_equal(primary, "westus2") && epoch == 2));
  g_auto(Reply) list = context_list(host);
  g_assert_no_error(list.error);
  g_assert_cmpuint(list.vms->len, ==, 2);
}

static void
check_put_or_not(BrickHost *host)
{
  g_autofree char *primary = context_primary(host);
  g_autoptr(AzlinVm) vm = context_get(host, "uksouth");
  g_assert_cmpstr(primary, ==, "eastus");
  if (vm != NULL)
    g_assert_cmpstr(vm->public_ip, ==, "3.3.3.3");
}

static void
kill_everywhere(Change change, void (*check)(BrickHost *host))
{
  guint kills = 0;
  gboolean more = TRUE;
  if (!can_trace()) {
    g_test_skip("tracing is forbidden here");
    return;
  }
  for (guint stops = 0; more; stops++) {
    BrickHost *host = brick_host_new(&azlin_plugin_v1, NULL);
    fill(host);
    more = kill_after(start_traced(host->home, change), stops);
    kills += more ? 1 : 0;
    BrickHost *after = brick_host_new(&azlin_plugin_v1, host->home);
    check(after);
    expect_no_leftovers(after);
    g_assert_cmpstr(after->log->str, ==, "");
    /* What stands is a base for the next change. */
    g_auto(Reply) next = context_add(after, "northeurope", "4.4.4.4", FALSE);
    g_assert_no_error(next.error);
    brick_host_free(after);
    brick_host_remove_home(host);
    brick_host_free(host);
  }
  g_test_message("%u instants", kills);
  g_assert_cmpuint(kills, >, 40);
}

static void
set_primary_killed_at_every_syscall(void)
{
  kill_everywhere(move_primary, check_moved_or_not);
}

static void
put_killed_at_every_syscall(void)
{
  kill_everywhere(put_region, check_put_or_not);
}

/* ---- at random instants ---- */

/* Moves the primary to and fro and reports each epoch that was acknowledged. */
static void
write_forever(const char *home, int report)
{
  BrickHost *host = brick_host_new(&azlin_plugin_v1, home);
  for (;;) {
    g_autofree char *primary = context_primary(host);
    guint64 epoch = context_epoch(host);
    const char *to = g_str_equal(primary, "eastus") ? "westus2" : "eastus";
    g_auto(Reply) reply = context_set_primary(host, primary, to, epoch);
    if (reply.error != NULL)
      _exit(1);
    epoch = g_variant_get_uint64(reply.variant);
    if (write(report, &epoch, sizeof epoch) != sizeof epoch)
      _exit(1);
  }
}

static guint64
kill_one_writer(BrickHost *host, guint delay_us)
{
  int ends[2];
  guint64 epoch = 0, acknowledged = 0;
  int status = 0;
  g_assert_cmpint(pipe(ends), ==, 0);
  pid_t child = fork();
  if (child == 0) {
    close(ends[0]);
    write_forever(host->home, ends[1]);
  }
  close(ends[1]);
  /* From the first acknowledged change on, so that each kill meets a writer at work. */
  if (read(ends[0], &epoch, sizeof epoch) == sizeof epoch)
    acknowledged = epoch;
  g_usleep(delay_us);
  kill(child, SIGKILL);
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  g_assert_true(WIFSIGNALED(status));
  while (read(ends[0], &epoch, sizeof epoch) == sizeof epoch)
    acknowledged = epoch;
  close(ends[0]);
  return acknowledged;
}

static void
writer_killed_at_random(void)
{
  BrickHost *host = brick_host_new(&azlin_plugin_v1, NULL);
  fill(host);
  for (guint i = 0; i < RANDOM_KILLS; i++) {
    guint64 acknowledged = kill_one_writer(host, (guint) g_test_rand_int_range(0, 5000));
    guint primaries = 0;
    g_assert_cmpuint(acknowledged, >, 0);
    g_auto(Reply) list = context_list(host);
    g_assert_no_error(list.error);
    for (guint k = 0; k < list.vms->len; k++)
      primaries += ((AzlinVm *) g_ptr_array_index(list.vms, k))->is_primary ? 1 : 0;
    g_assert_cmpuint(primaries, ==, 1);
    /* At most the one change that was under way may stand beyond what was acknowledged. */
    g_assert_cmpuint(context_epoch(host), >=, acknowledged);
    g_assert_cmpuint(context_epoch(host), <=, acknowledged + 1);
    expect_no_leftovers(host);
  }
  g_assert_cmpstr(host->log->str, ==, "");
  brick_host_remove_home(host);
  brick_host_free(host);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/context/set_primary-killed-at-every-syscall", set_primary_killed_at_every_syscall);
  g_test_add_func("/context/put-killed-at-every-syscall", put_killed_at_every_syscall);
  g_test_add_func("/context/writer-killed-at-random", writer_killed_at_random);
  return g_test_run();
}
