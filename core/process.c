/* Local processes: argv only, minimal environment, output capped, never a shell. */
#include "process.h"

#include "capture.h"
#include "process-input.h"

#include <errno.h>
#include <glib-unix.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define PIECE 16384
/* A grandchild may hold the pipes open after the child has ended; what it writes later is not the child's answer. */
#define DRAIN_MS 300
#define KILL_AFTER_MS 500

enum { OUT, ERR, N_PIPES };

typedef struct {
  AzlinOp *op; /* NULL once it is finished or cut short */
  AzClock *clock;
  char *name;
  GPid pid;
  gboolean exited;
  int status;
  int fds[N_PIPES];
  GSource *sources[N_PIPES];
  GSource *timer;        /* drain or kill, on real time whatever the clock */
  AzProcessInput *input; /* what it is told while it runs, or NULL */
  AzCapture capture;
  gboolean pushing; /* inside a callback of the caller: who cancels there must not free us */
} Child;

static void
close_pipe(Child *child, int which)
{
  if (child->sources[which] != NULL) {
    g_source_destroy(child->sources[which]);
    g_clear_pointer(&child->sources[which], g_source_unref);
  }
  if (child->fds[which] >= 0)
    close(child->fds[which]);
  child->fds[which] = -1;
}

static void
stop_timer(Child *child)
{
  if (child->timer == NULL)
    return;
  g_source_destroy(child->timer);
  g_clear_pointer(&child->timer, g_source_unref);
}

static void
start_timer(Child *child, guint ms, GSourceFunc func)
{
  stop_timer(child);
  child->timer = g_timeout_source_new(ms);
  g_source_set_callback(child->timer, func, child, NULL);
  g_source_attach(child->timer, g_main_context_get_thread_default());
}

static void
child_free(Child *child)
{
  for (int i = 0; i < N_PIPES; i++)
    close_pipe(child, i);
  stop_timer(child);
  az_process_input_free(child->input);
  az_clock_release(child->clock);
  az_capture_clear(&child->capture);
  g_free(child->name);
  g_free(child);
}

/* The op has its answer; the Child itself lives until the process is reaped. */
static void
answer(Child *child)
{
  AzlinOp *op = g_steal_pointer(&child->op);
  if (op == NULL)
    return;
  child->pushing = TRUE; /* a last line without a newline is delivered here */
  az_capture_finish(&child->capture, op, child->status, child->name);
  child->pushing = FALSE;
}

static void
maybe_end(Child *child)
{
  if (child->pushing || !child->exited)
    return;
  if (child->op != NULL && (child->fds[OUT] >= 0 || child->fds[ERR] >= 0))
    return;
  answer(child);
  child_free(child);
}

static gboolean
on_drain_over(gpointer data)
{
  Child *child = data;
  close_pipe(child, OUT);
  close_pipe(child, ERR);
  maybe_end(child);
  return G_SOURCE_REMOVE;
}

static gboolean
on_kill(gpointer data)
{
  Child *child = data;
  kill(-child->pid, SIGKILL);
  g_clear_pointer(&child->timer, g_source_unref);
  maybe_end(child);
  return G_SOURCE_REMOVE;
}

static void
stop_child(Child *child)
{
  for (int i = 0; i < N_PIPES; i++)
    close_pipe(child, i);
  if (child->exited)
    return;
  kill(-child->pid, SIGTERM);
  start_timer(child, KILL_AFTER_MS, on_kill);
}

static void
on_cancel(gpointer data)
{
  Child *child = data;
  child->op = NULL;
  stop_child(child);
  maybe_end(child);
}

static void
on_child_exit(GPid pid, int wait_status, gpointer data)
{
  Child *child = data;
  child->exited = TRUE;
  child->status = WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
  if (child->op != NULL)
    start_timer(child, DRAIN_MS, on_drain_over);
  else if (child->timer != NULL && kill(-pid, 0) == 0)
    return; /* stopped, but somebody of its group has not gone yet: on_kill() sees to it */
  maybe_end(child);
}

/* FALSE: the caller has cancelled, or the cap was passed. */
static gboolean
take(Child *child, int which, const char *bytes, gsize length)
{
  child->pushing = TRUE;
  gboolean fits = az_capture_push(&child->capture, which == ERR, bytes, length);
  child->pushing = FALSE;
  if (fits)
    return child->op != NULL;
  answer(child);
  stop_child(child);
  return FALSE;
}

static gboolean
on_readable(int fd, GIOCondition condition, gpointer data, int which)
{
  Child *child = data;
  char buffer[PIECE];
  ssize_t n = read(fd, buffer, sizeof buffer);
  if (n < 0 && (errno == EAGAIN || errno == EINTR))
    return G_SOURCE_CONTINUE;
  gboolean more = n > 0 && take(child, which, buffer, (gsize) n);
  if (!more)
    close_pipe(child, which);
  maybe_end(child); /* may free the child; a destroyed source ignores what is returned */
  return more;
}

static gboolean
on_out(int fd, GIOCondition condition, gpointer data)
{
  return on_readable(fd, condition, data, OUT);
}

static gboolean
on_err(int fd, GIOCondition condition, gpointer data)
{
  return on_readable(fd, condition, data, ERR);
}

static void
watch_pipe(Child *child, int which, GIOCondition condition, GUnixFDSourceFunc func)
{
  if (child->fds[which] < 0)
    return;
  g_unix_set_fd_nonblocking(child->fds[which], TRUE, NULL);
  child->sources[which] = g_unix_fd_source_new(child->fds[which], condition);
  g_source_set_callback(child->sources[which], G_SOURCE_FUNC(func), child, NULL);
  g_source_attach(child->sources[which], g_main_context_get_thread_default());
}

/* In the child between fork and exec: async-signal-safe calls alone. */
static void
set_up_child(gpointer data)
{
  gboolean detach = GPOINTER_TO_INT(data);
  if (detach)
    setsid();
  else
    setpgid(0, 0);
  if (!detach)
    prctl(PR_SET_PDEATHSIG, SIGKILL); /* azlin killed outright leaves no helper behind */
  signal(SIGPIPE, SIG_DFL);
  signal(SIGINT, SIG_DFL);
  signal(SIGTERM, SIG_DFL);
}

/* What one program needs beyond HOME, PATH and the language. */
static const char *const *
needed_variables(const char *program)
{
  static const char *const agent[] = { "SSH_AUTH_SOCK", NULL };
  static const char *const azure[]
      = { "AZURE_CONFIG_DIR", "TZ",       "HTTPS_PROXY",        "https_proxy",   "HTTP_PROXY", "http_proxy",
          "NO_PROXY",         "no_proxy", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE", NULL };
  static const char *const none[] = { NULL };
  g_autofree char *base = g_path_get_basename(program);
  if (g_str_has_prefix(base, "ssh") || g_str_equal(base, "rsync") || g_str_equal(base, "scp"))
    return agent;
  return g_str_equal(base, "az") ? azure : none;
}

static char **
keep_variables(char **env, const char *const *names)
{
  for (; *names != NULL; names++)
    if (g_getenv(*names) != NULL)
      env = g_environ_setenv(env, *names, g_getenv(*names), TRUE);
  return env;
}

static char **
minimal_environment(const char *program)
{
  static const char *const always[] = { "HOME", "LANG", "LC_ALL", NULL };
  const char *path = g_getenv("PATH");
  char **env
      = g_environ_setenv(NULL, "PATH", path != NULL ? path : "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", TRUE);
  return keep_variables(keep_variables(env, always), needed_variables(program));
}

static void
fail_start(AzlinOp *op, const char *program, const GError *error)
{
  gboolean missing = g_error_matches(error, G_SPAWN_ERROR, G_SPAWN_ERROR_NOENT);
  if (missing)
    az_op_fail_new(op, AZLIN_ERROR_NOT_FOUND, "the program '%s' is not installed on this host", program);
  else
    az_op_fail_new(op, AZLIN_ERROR_FAILED, "cannot start '%s': %s", program, error->message);
}

static void
run_detached(const AzlinExec *request, char **env, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  GPid pid = 0;
  /* without DO_NOT_REAP_CHILD GLib forks twice, so the process belongs to init and never becomes a zombie of ours */
  GSpawnFlags flags = G_SPAWN_SEARCH_PATH_FROM_ENVP | G_SPAWN_STDOUT_TO_DEV_NULL | G_SPAWN_STDERR_TO_DEV_NULL;
  gboolean ok = g_spawn_async_with_pipes_and_fds("/", request->argv, (const char *const *) env, flags, set_up_child,
                                                 GINT_TO_POINTER(TRUE), -1, -1, -1, NULL, NULL, 0, &pid, NULL, NULL,
                                                 NULL, &error);
  if (ok)
    az_op_finish_reply(op, 0, (int) pid, NULL, NULL);
  else
    fail_start(op, request->argv[0], error);
}

/* The whole input as a file in memory: nothing to feed, and no SIGPIPE from a child that does not read it. */
static int
input_file(GBytes *input, GError **error)
{
  gsize size, written = 0;
  const char *bytes = g_bytes_get_data(input, &size);
  int fd = memfd_create("azlin-input", MFD_CLOEXEC);
  while (fd >= 0 && written < size) {
    ssize_t n = write(fd, bytes + written, size - written);
    if (n < 0 && errno != EINTR)
      break;
    written += n > 0 ? (gsize) n : 0;
  }
  if (fd >= 0 && written == size && lseek(fd, 0, SEEK_SET) == 0)
    return fd;
  g_set_error(error, G_SPAWN_ERROR, G_SPAWN_ERROR_FAILED, "no room for its input: %s", g_strerror(errno));
  if (fd >= 0)
    close(fd);
  return -1;
}

/* The child's end of its standard input; < 0 and no error: it has none. */
static int
open_input(Child *child, const AzlinExec *request, GError **error)
{
  int fd = -1;
  if (!az_exec_is_interactive(request))
    return request->input != NULL ? input_file(request->input, error) : -1;
  child->input = az_process_input_new(request->input, &fd, error);
  return fd;
}

static gboolean
write_input(const char *bytes, gsize length, gpointer data)
{
  return az_process_input_write(data, bytes, length);
}

static void
close_input(gpointer data)
{
  az_process_input_close(data);
}

static gboolean
spawn(Child *child, const AzlinExec *request, char **env, GError **error)
{
  GSpawnFlags flags = G_SPAWN_SEARCH_PATH_FROM_ENVP | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_CLOEXEC_PIPES;
  g_autoptr(GError) problem = NULL;
  int input = open_input(child, request, &problem);
  if (problem != NULL) {
    g_propagate_error(error, g_steal_pointer(&problem));
    return FALSE;
  }
  gboolean ok = g_spawn_async_with_pipes_and_fds(NULL, request->argv, (const char *const *) env, flags, set_up_child,
                                                 GINT_TO_POINTER(FALSE), input, -1, -1, NULL, NULL, 0, &child->pid,
                                                 NULL, &child->fds[OUT], &child->fds[ERR], error);
  if (input >= 0)
    close(input);
  return ok;
}

gboolean
az_exec_is_interactive(const AzlinExec *request)
{
  /* a brick built before 1.3 has a shorter struct */
  return request->size > G_STRUCT_OFFSET(AzlinExec, interactive) && request->interactive;
}

void
az_process_run(const AzlinExec *request, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  if (az_op_cancelled(op))
    return;
  if (request->argv == NULL || request->argv[0] == NULL) {
    az_op_fail_new(op, AZLIN_ERROR_USAGE, "there is no command to run");
    return;
  }
  g_auto(GStrv) env = minimal_environment(request->argv[0]);
  if (request->detach) {
    run_detached(request, env, op);
    return;
  }
  Child *child = g_new0(Child, 1);
  *child = (Child){ .op = op, .clock = az_op_clock(op), .name = g_strdup(request->argv[0]), .fds = { -1, -1 } };
  az_capture_init(&child->capture, request);
  az_clock_hold(child->clock);
  if (!spawn(child, request, env, &error)) {
    fail_start(op, request->argv[0], error);
    child_free(child);
    return;
  }
  watch_pipe(child, OUT, G_IO_IN | G_IO_HUP, on_out);
  watch_pipe(child, ERR, G_IO_IN | G_IO_HUP, on_err);
  g_child_watch_add(child->pid, on_child_exit, child);
  AzOpInput input = { .write = write_input, .close = close_input, .data = child->input };
  if (child->input != NULL)
    az_op_take_input(op, &input);
  az_op_on_cancel(op, on_cancel, child);
}
