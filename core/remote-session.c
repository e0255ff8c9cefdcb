/* Commands over SSH: one session per machine is opened on first need, shared by several commands, closed when idle. */
#include "remote-private.h"

#include "capture.h"
#include "record.h"

#include <string.h>

#define CONNECT_MS 15000
#define IDLE_MS 30000
/* sshd's MaxSessions is 10 by default */
#define MAX_COMMANDS 8
/* One SSH packet holds at most 256 KiB; more belongs on standard input. */
#define MAX_COMMAND_BYTES (128 * 1024)

typedef struct _Session Session;

typedef struct {
  AzRemote *remote;
  Session *session; /* NULL while it has none */
  AzlinVm *vm;
  AzlinOp *op; /* NULL once it is finished or cut short */
  char *name;
  char *text;
  GBytes *input;
  AzCapture capture;
  AzSshCommand *command;
  gboolean pushing; /* inside a callback of the caller: who cancels there must not free us */
  gboolean second;  /* a session that died while it was idle is worth one more try */
} Task;

struct _Session {
  AzPool *pool;
  char *key; /* user@host:port and pin: what must agree for a session to be shared */
  AzlinVm *vm;
  AzSshConn *conn;
  gboolean ready, used, lost;
  GPtrArray *waiting, *running; /* of Task */
  AzTimer *timer;               /* until it is ready: the deadline; without tasks: the idle time */
  AzSshStep step;
};

struct _AzPool {
  AzRemote *remote;
  GHashTable *sessions; /* key -> GPtrArray of Session */
};

static void submit(Task *task);

static void
task_free(Task *task)
{
  az_clock_release(task->remote->clock);
  az_capture_clear(&task->capture);
  g_clear_pointer(&task->input, g_bytes_unref);
  az_vm_free(task->vm);
  g_free(task->name);
  g_free(task->text);
  g_free(task);
}

static void
task_fail(Task *task, GError *error)
{
  if (task->op != NULL)
    az_op_fail(task->op, error);
  else
    g_error_free(error);
  task_free(task);
}

/* Off its pool's table and closed; tasks must be gone already. */
static void
session_free(Session *session)
{
  AzPool *pool = session->pool;
  GPtrArray *same = g_hash_table_lookup(pool->sessions, session->key);
  g_ptr_array_remove_fast(same, session);
  if (same->len == 0)
    g_hash_table_remove(pool->sessions, session->key);
  az_timer_cancel(session->timer);
  if (session->conn != NULL)
    pool->remote->ssh->close(session->conn);
  g_ptr_array_unref(session->waiting);
  g_ptr_array_unref(session->running);
  az_vm_free(session->vm);
  g_free(session->key);
  g_free(session);
}

static void
on_idle(gpointer data)
{
  Session *session = data;
  session->timer = NULL;
  session_free(session);
}

static void
set_timer(Session *session, guint32 ms, void (*func)(gpointer))
{
  az_timer_cancel(session->timer);
  session->timer = ms > 0 ? az_clock_after(session->pool->remote->clock, ms, func, session) : NULL;
}

static void
rest_if_idle(Session *session)
{
  if (session->waiting->len == 0 && session->running->len == 0)
    set_timer(session, IDLE_MS, on_idle);
}

/* Ends the session; what has not begun gets a second session if this one had worked before, else the error. */
static void
session_lost(Session *session, AzSshOutcome outcome, const char *detail)
{
  g_autoptr(GPtrArray) waiting = g_steal_pointer(&session->waiting);
  gboolean was_used = session->used;
  AzSshStep step = session->step;
  session->waiting = g_ptr_array_new();
  session_free(session);
  for (guint i = 0; i < waiting->len; i++) {
    Task *task = g_ptr_array_index(waiting, i);
    task->session = NULL;
    if (was_used && !task->second) {
      task->second = TRUE;
      submit(task);
    } else {
      task_fail(task, az_remote_error(task->vm, step, outcome, detail));
    }
  }
}

static void
on_deadline(gpointer data)
{
  Session *session = data;
  session->timer = NULL;
  session_lost(session, AZ_SSH_TIMEOUT,
               session->step == AZ_SSH_TCP ? "no connection within 15 s" : "no login within 15 s");
}

static void
on_output(gboolean is_stderr, const char *bytes, gsize length, gpointer data)
{
  Task *task = data;
  task->pushing = TRUE;
  gboolean fits = az_capture_push(&task->capture, is_stderr, bytes, length);
  task->pushing = FALSE;
  if (fits && task->op != NULL)
    return;
  Session *session = task->session;
  session->pool->remote->ssh->cancel(task->command);
  g_ptr_array_remove_fast(session->running, task);
  if (task->op != NULL)
    az_capture_finish(&task->capture, task->op, 0, task->name);
  task_free(task);
  rest_if_idle(session);
}

static void start_waiting(Session *session);

static void
finish_task(Task *task, const AzSshExit *how)
{
  if (task->op == NULL || how->ended) {
    AzlinOp *op = g_steal_pointer(&task->op);
    task->pushing = TRUE;
    if (op != NULL)
      az_capture_finish(&task->capture, op, how->status, task->name);
    task_free(task);
    return;
  }
  if (!how->started && !task->second) {
    task->second = TRUE;
    submit(task);
    return;
  }
  task_fail(task, az_remote_error(task->vm, AZ_SSH_SESSION, AZ_SSH_CLOSED, how->detail));
}

static void
on_finished(const AzSshExit *how, gpointer data)
{
  Task *task = data;
  Session *session = task->session;
  task->command = NULL;
  task->session = NULL;
  g_ptr_array_remove_fast(session->running, task);
  session->used = TRUE;
  session->lost = how->lost;
  /* before the task: its op's end may start another command here */
  if (how->ended) {
    start_waiting(session);
    rest_if_idle(session);
  }
  finish_task(task, how);
}

static void
start_waiting(Session *session)
{
  while (session->ready && session->waiting->len > 0 && session->running->len < MAX_COMMANDS) {
    Task *task = g_ptr_array_steal_index(session->waiting, 0);
    AzSshExec exec
        = { .command = task->text, .input = task->input, .output = on_output, .finished = on_finished, .data = task };
    g_ptr_array_add(session->running, task);
    task->command = session->pool->remote->ssh->exec(session->conn, &exec);
  }
}

static gboolean
on_trust(const char *host_key, gpointer data)
{
  Session *session = data;
  return az_remote_trust(session->pool->remote, session->vm, host_key);
}

static void
on_event(AzSshStep step, AzSshOutcome outcome, const char *detail, gpointer data)
{
  Session *session = data;
  session->step = step;
  if (outcome != AZ_SSH_OK) {
    session_lost(session, outcome, detail);
    return;
  }
  if (step != AZ_SSH_LOGIN)
    return;
  session->ready = TRUE;
  set_timer(session, 0, NULL);
  start_waiting(session);
  rest_if_idle(session);
}

static char *
session_key(AzRemote *remote, const AzlinVm *vm)
{
  const char *pin = az_remote_pin(remote, vm);
  return g_strdup_printf("%s@%s:%u %s", az_remote_user(remote, vm), vm->public_ip, az_remote_port(vm),
                         pin != NULL ? pin : "");
}

static Session *
session_new(AzPool *pool, const AzlinVm *vm, GPtrArray *same, const char *key)
{
  AzRemote *remote = pool->remote;
  Session *session = g_new0(Session, 1);
  session->pool = pool;
  session->key = g_strdup(key);
  session->vm = az_vm_dup(vm);
  session->waiting = g_ptr_array_new();
  session->running = g_ptr_array_new();
  g_ptr_array_add(same, session);
  AzSshConnect request = { .host = vm->public_ip,
                           .port = az_remote_port(vm),
                           .user = az_remote_user(remote, vm),
                           .host_key = az_remote_pin(remote, vm),
                           .key = remote->key,
                           .trust = on_trust,
                           .event = on_event,
                           .data = session };
  session->conn = remote->ssh->connect(&request);
  set_timer(session, CONNECT_MS, on_deadline);
  return session;
}

static Session *
session_for(AzPool *pool, const AzlinVm *vm)
{
  g_autofree char *key = session_key(pool->remote, vm);
  GPtrArray *same = g_hash_table_lookup(pool->sessions, key);
  if (same == NULL) {
    same = g_ptr_array_new();
    g_hash_table_insert(pool->sessions, g_strdup(key), same);
  }
  for (guint i = 0; i < same->len; i++) {
    Session *session = g_ptr_array_index(same, i);
    if (!session->lost && session->waiting->len + session->running->len < MAX_COMMANDS)
      return session;
  }
  return session_new(pool, vm, same, key);
}

static void
submit(Task *task)
{
  Session *session = session_for(task->remote->pool, task->vm);
  task->session = session;
  g_ptr_array_add(session->waiting, task);
  if (session->ready) {
    set_timer(session, 0, NULL);
    start_waiting(session);
  }
}

static void
on_cancel(gpointer data)
{
  Task *task = data;
  task->op = NULL;
  if (task->pushing)
    return; /* whoever is pushing sees that the op is gone */
  Session *session = task->session;
  if (task->command != NULL)
    session->pool->remote->ssh->cancel(task->command);
  if (!g_ptr_array_remove_fast(session->running, task))
    g_ptr_array_remove(session->waiting, task);
  task_free(task);
  if (session->ready)
    rest_if_idle(session);
  else if (session->waiting->len == 0)
    session_free(session); /* nobody waits for this connection any more */
}

void
az_remote_exec(AzRemote *remote, const AzlinExec *request, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  const AzlinVm *vm = request->vm;
  if (az_op_cancelled(op))
    return;
  g_autofree char *text = az_remote_quote(request->argv);
  if (*text == '\0' || strlen(text) > MAX_COMMAND_BYTES) {
    az_op_fail_new(op, AZLIN_ERROR_USAGE, "a remote command must have 1 to %d bytes", MAX_COMMAND_BYTES);
    return;
  }
  if (vm->public_ip == NULL || *vm->public_ip == '\0') {
    az_op_fail_new(op, AZLIN_ERROR_NETWORK, "%s (%s) has no address", vm->vm_name, vm->region);
    return;
  }
  if (!az_remote_open(remote, &error)) {
    az_op_fail(op, g_steal_pointer(&error));
    return;
  }
  Task *task = g_new0(Task, 1);
  *task = (Task){ .remote = remote, .op = op, .vm = az_vm_dup(vm), .text = g_steal_pointer(&text) };
  task->name = g_strdup_printf("%s on %s", request->argv[0], vm->vm_name);
  task->input = request->input != NULL ? g_bytes_ref(request->input) : NULL;
  az_capture_init(&task->capture, request);
  az_clock_hold(remote->clock);
  submit(task);
  az_op_on_cancel(op, on_cancel, task);
}

AzPool *
az_pool_new(AzRemote *remote)
{
  AzPool *pool = g_new0(AzPool, 1);
  pool->remote = remote;
  pool->sessions = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify) g_ptr_array_unref);
  return pool;
}

static void
drop_tasks(GPtrArray *tasks)
{
  for (guint i = 0; i < tasks->len; i++)
    task_free(g_ptr_array_index(tasks, i));
  g_ptr_array_set_size(tasks, 0);
}

void
az_pool_free(AzPool *pool)
{
  GHashTableIter iter;
  gpointer same;
  g_autoptr(GPtrArray) all = g_ptr_array_new();
  g_hash_table_iter_init(&iter, pool->sessions);
  while (g_hash_table_iter_next(&iter, NULL, &same))
    g_ptr_array_extend(all, same, NULL, NULL);
  for (guint i = 0; i < all->len; i++) {
    Session *session = g_ptr_array_index(all, i);
    drop_tasks(session->waiting);
    drop_tasks(session->running);
    session_free(session);
  }
  g_hash_table_unref(pool->sessions);
  g_free(pool);
}
