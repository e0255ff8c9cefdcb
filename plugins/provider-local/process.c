/* Finds and signals the process that is a machine, by what the kernel says about it and not by its number alone. */
#include "process.h"
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

typedef struct {
  int parent;
  char state;
  guint64 start_ticks;
} Stat;

static gboolean
read_stat(int pid, Stat *ret_stat)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/stat", pid);
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL))
    return FALSE;
  /* The name in parentheses may hold anything, so count fields from the last one. */
  const char *rest = strrchr(text, ')');
  if (rest == NULL)
    return FALSE;
  g_auto(GStrv) fields = g_strsplit(rest + 1, " ", 0);
  if (g_strv_length(fields) < 21)
    return FALSE;
  ret_stat->state = fields[1][0];
  ret_stat->parent = atoi(fields[2]);
  ret_stat->start_ticks = g_ascii_strtoull(fields[20], NULL, 10);
  return TRUE;
}

gboolean
process_alive(int pid)
{
  Stat stat;
  return pid > 0 && read_stat(pid, &stat) && stat.state != 'Z' && stat.state != 'X';
}

static char *
read_boot_id(void)
{
  char *text = NULL;
  if (!g_file_get_contents("/proc/sys/kernel/random/boot_id", &text, NULL, NULL))
    return g_strdup("");
  return g_strchomp(text);
}

static gboolean
is_machine(Machine *machine, int pid)
{
  Stat stat;
  if (pid <= 0 || !read_stat(pid, &stat) || stat.state == 'Z' || stat.state == 'X')
    return FALSE;
  g_autofree char *boot_id = read_boot_id();
  return stat.start_ticks == machine->start_ticks && g_strcmp0(boot_id, machine->boot_id) == 0;
}

static GArray *
all_pids(void)
{
  GArray *pids = g_array_new(FALSE, FALSE, sizeof(int));
  g_autoptr(GDir) dir = g_dir_open("/proc", 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    int pid = g_ascii_isdigit(name[0]) ? atoi(name) : 0;
    if (pid > 0)
      g_array_append_val(pids, pid);
  }
  return pids;
}

static gboolean
is_live_child(int pid, int outer)
{
  Stat stat;
  return read_stat(pid, &stat) && stat.parent == outer && stat.state != 'Z' && stat.state != 'X';
}

int
process_child_by_scan(int outer)
{
  g_autoptr(GArray) pids = all_pids();
  for (guint i = 0; i < pids->len; i++)
    if (is_live_child(g_array_index(pids, int, i), outer))
      return g_array_index(pids, int, i);
  return 0;
}

int
process_child_of(int outer)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/task/%d/children", outer, outer);
  g_autofree char *text = NULL;
  if (!g_file_get_contents(path, &text, NULL, NULL))
    return process_alive(outer) ? process_child_by_scan(outer) : 0;
  g_auto(GStrv) pids = g_strsplit(text, " ", 0);
  for (gsize i = 0; pids[i] != NULL; i++)
    if (atoi(pids[i]) > 0 && is_live_child(atoi(pids[i]), outer))
      return atoi(pids[i]);
  return 0;
}

static gboolean
has_argument(int pid, const char *word)
{
  g_autofree char *path = g_strdup_printf("/proc/%d/cmdline", pid);
  g_autofree char *text = NULL;
  gsize length = 0;
  if (!g_file_get_contents(path, &text, &length, NULL))
    return FALSE;
  for (const char *p = text; p < text + length; p += strlen(p) + 1)
    if (strcmp(p, word) == 0)
      return TRUE;
  return FALSE;
}

/* The wrapper is known by the machine's tree among its arguments: only one machine of this host has that. */
static int
find_wrapper(Machine *machine)
{
  g_autofree char *tree = machine_path(machine, "root");
  g_autoptr(GArray) pids = all_pids();
  for (guint i = 0; i < pids->len; i++) {
    int pid = g_array_index(pids, int, i);
    if (has_argument(pid, tree) && has_argument(pid, "--as-pid-1"))
      return pid;
  }
  return 0;
}

int
process_of_machine(Machine *machine)
{
  if (machine->pid > 0)
    return is_machine(machine, machine->pid) ? machine->pid : 0;
  int outer = find_wrapper(machine);
  int inner = outer > 0 ? process_child_of(outer) : 0;
  if (inner > 0)
    process_remember(machine, inner);
  return inner;
}

void
process_remember(Machine *machine, int pid)
{
  Stat stat = { 0 };
  machine->pid = read_stat(pid, &stat) ? pid : 0;
  machine->start_ticks = stat.start_ticks;
  g_free(machine->boot_id);
  machine->boot_id = read_boot_id();
}

static void
signal_checked(int pid, int signal, gboolean (*check)(Machine *, int), Machine *machine)
{
  int fd = pidfd_open(pid, 0);
  if (fd < 0)
    return;
  /* Checked after the descriptor is ours: it can no longer come to mean another process. */
  if (check(machine, pid))
    pidfd_send_signal(fd, signal, NULL, 0);
  close(fd);
}

void
process_signal(Machine *machine, int signal)
{
  int pid = process_of_machine(machine);
  if (pid > 0)
    signal_checked(pid, signal, is_machine, machine);
}

static gboolean
is_any(Machine *machine, int pid)
{
  return TRUE;
}

static gboolean
is_wrapper(Machine *machine, int pid)
{
  g_autofree char *tree = machine_path(machine, "root");
  return has_argument(pid, tree);
}

void
process_kill_all(Machine *machine)
{
  process_signal(machine, SIGKILL);
  if (machine->pid > 0 && machine->complete)
    return;
  /* No process on record: a wrapper may be about to start one, so its children go first, and it is looked for again. */
  int outer;
  for (guint round = 0; round < 8 && (outer = find_wrapper(machine)) > 0; round++) {
    int inner = process_child_of(outer);
    if (inner > 0)
      signal_checked(inner, SIGKILL, is_any, machine);
    signal_checked(outer, SIGKILL, is_wrapper, machine);
  }
}
