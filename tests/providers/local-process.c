/* The process lookups of provider-local against processes of this test. */
#include "process.h"
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

static int
start_child(void)
{
  int pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  return pid;
}

static void
test_child(void)
{
  g_assert_cmpint(process_child_of(getpid()), ==, 0);
  int pid = start_child();
  g_assert_cmpint(process_child_of(getpid()), ==, pid);
  g_assert_cmpint(process_child_by_scan(getpid()), ==, pid);
  g_assert_true(process_alive(pid));
  kill(pid, SIGKILL);
  siginfo_t info;
  g_assert_cmpint(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), ==, 0);
  g_assert_false(process_alive(pid)); /* a zombie does not live */
  g_assert_cmpint(process_child_of(getpid()), ==, 0);
  g_assert_cmpint(process_child_by_scan(getpid()), ==, 0);
  waitpid(pid, NULL, 0);
  g_assert_false(process_alive(pid));
  g_assert_cmpint(process_child_of(pid), ==, 0);
}

static void
test_only_the_same_process_is_signalled(void)
{
  g_autoptr(Machine) machine = g_new0(Machine, 1);
  machine->lock_fd = -1;
  int pid = start_child();
  process_remember(machine, pid);
  g_assert_cmpint(process_of_machine(machine), ==, pid);
  machine->start_ticks++;
  g_assert_cmpint(process_of_machine(machine), ==, 0);
  process_signal(machine, SIGKILL);
  g_assert_true(process_alive(pid));
  machine->start_ticks--;
  g_autofree char *boot = g_steal_pointer(&machine->boot_id);
  machine->boot_id = g_strdup("another boot");
  g_assert_cmpint(process_of_machine(machine), ==, 0);
  g_free(machine->boot_id);
  machine->boot_id = g_steal_pointer(&boot);
  process_signal(machine, SIGKILL);
  int status;
  g_assert_cmpint(waitpid(pid, &status, 0), ==, pid);
  g_assert_true(WIFSIGNALED(status));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/local-process/child", test_child);
  g_test_add_func("/local-process/same-process", test_only_the_same_process_is_signalled);
  return g_test_run();
}
