/* Starts and ends machines: a detached bubblewrap with sshd in it, polled until it answers or until it is gone. */
#include "power.h"
#include "option.h"
#include "layout.h"
#include "place.h"
#include "process.h"
#include <signal.h>

#define FIRST_POLL_MS 5
#define LAST_POLL_MS 50
#define KILL_MS 10000

typedef struct {
  Local *local;
  Machine *machine;
  AzlinOp *op;
  gint64 deadline;
  guint32 poll_ms;
  int outer; /* the wrapper; its end tells that the start failed */
  gboolean killed;
  Knock knock;
} Change;

static const AzlinHostApi *
api_of(Change *change)
{
  return change->local->host->api;
}

static Change *
change_new(Local *local, Machine *machine, AzlinOp *op, guint32 limit_ms)
{
  Change *change = g_new0(Change, 1);
  change->local = local;
  change->machine = machine;
  change->op = op;
  change->poll_ms = FIRST_POLL_MS;
  change->deadline = local->host->api->monotonic(local->host) + limit_ms * G_GINT64_CONSTANT(1000);
  knock_init(&change->knock);
  return change;
}

static void
change_end(Change *change, GError *error)
{
  AzlinOp *op = change->op;
  const AzlinHostApi *api = api_of(change);
  knock_clear(&change->knock);
  g_free(change);
  if (error != NULL)
    api->op_fail(op, error);
  else
    api->op_finish(op);
}

static gboolean
is_late(Change *change)
{
  return api_of(change)->monotonic(change->local->host) > change->deadline;
}

static void
poll_again(Change *change, AzlinDone done)
{
  AzlinOp *wait = api_of(change)->op_new(change->op, "wait for the machine", 0, done, change);
  guint32 ms = change->poll_ms;
  change->poll_ms = MIN(ms * 3 / 2 + 1, LAST_POLL_MS);
  api_of(change)->sleep(change->local->host, ms, wait);
}

static void
why_done(AzlinOp *op, gpointer data)
{
  Change *change = data;
  g_autofree char *said = local_said(api_of(change)->op_reply(op));
  change_end(change, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "machine %s does not come up on %s:%u: %s",
                                 change->machine->name, change->machine->address, change->machine->port, said));
}

/* The detached run has no output; the same command in the foreground, with a check of sshd's own, says what is wrong.
 */
static void
explain_failure(Change *change)
{
  process_kill_all(change->machine);
  g_auto(GStrv) argv = layout_command(change->local, change->machine, TRUE);
  AzlinExec request = { .size = sizeof request, .argv = (const char *const *) argv, .max_output = 64 * 1024 };
  AzlinOp *why = api_of(change)->op_new(change->op, "ask why", 5000, why_done, change);
  api_of(change)->exec(change->local->host, &request, why);
}

static void
answers(Change *change, int pid)
{
  GError *error = NULL;
  process_remember(change->machine, pid);
  change->machine->complete = TRUE;
  change->machine->intent = AZLIN_POWER_RUNNING;
  machine_save(change->machine, &error);
  change_end(change, error);
}

static void
start_polled(AzlinOp *op, gpointer data)
{
  Change *change = data;
  const GError *error = api_of(change)->op_error(op);
  if (error != NULL) {
    change_end(change, g_error_copy(error));
    return;
  }
  /* Its own answer, not that of a program that came to the address first: the machine's process has to live. */
  int pid = process_child_of(change->outer);
  gboolean answered = pid > 0 && knock_step(&change->knock, change->machine->address, change->machine->port);
  if (answered && process_alive(change->outer))
    answers(change, pid);
  else if (is_late(change) || !process_alive(change->outer))
    explain_failure(change);
  else
    poll_again(change, start_polled);
}

static void
spawned(AzlinOp *op, gpointer data)
{
  Change *change = data;
  const GError *error = api_of(change)->op_error(op);
  if (error != NULL) {
    change_end(change, g_error_copy(error));
    return;
  }
  change->outer = api_of(change)->op_reply(op)->pid;
  poll_again(change, start_polled);
}

static gboolean
prepare(Change *change, GError **error)
{
  Machine *machine = change->machine;
  if (!place_is_free(machine->address, machine->port)) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CAPACITY,
                "%s:%u, the address of machine %s, is taken by another program", machine->address, machine->port,
                machine->name);
    return FALSE;
  }
  /* Saved before the process exists: a record with an old number would call the new process dead. */
  machine->pid = 0;
  return layout_configure(machine, error) && machine_save(machine, error);
}

void
power_start(Local *local, Machine *machine, AzlinOp *op)
{
  Change *change = change_new(local, machine, op, option_uint(local->host, "start-timeout") * 1000);
  GError *error = NULL;
  int pid = process_of_machine(machine);
  if (pid > 0 && !place_is_free(machine->address, machine->port)) {
    answers(change, pid);
    return;
  }
  process_kill_all(machine);
  if (!local_check_programs(local, &error) || !prepare(change, &error)) {
    change_end(change, error);
    return;
  }
  g_auto(GStrv) argv = layout_command(local, machine, FALSE);
  AzlinExec request = { .size = sizeof request, .argv = (const char *const *) argv, .detach = TRUE };
  AzlinOp *spawn = local->host->api->op_new(op, "start the machine", 0, spawned, change);
  local->host->api->exec(local->host, &request, spawn);
}

static gboolean
is_gone(Machine *machine)
{
  /* A machine whose record is unreadable has no address: its process has to do. */
  return process_of_machine(machine) == 0
         && (machine->address == NULL || place_is_free(machine->address, machine->port));
}

static void
stop_polled(AzlinOp *op, gpointer data)
{
  Change *change = data;
  const GError *error = api_of(change)->op_error(op);
  Machine *machine = change->machine;
  if (error != NULL)
    change_end(change, g_error_copy(error));
  else if (is_gone(machine))
    change_end(change, NULL);
  else if (!is_late(change))
    poll_again(change, stop_polled);
  else if (!change->killed) {
    process_kill_all(machine);
    change->killed = TRUE;
    change->poll_ms = FIRST_POLL_MS;
    change->deadline = api_of(change)->monotonic(change->local->host) + KILL_MS * G_GINT64_CONSTANT(1000);
    poll_again(change, stop_polled);
  } else
    change_end(change,
               g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "machine %s does not end: something still %s",
                           machine->name, process_of_machine(machine) > 0 ? "runs in it" : "listens on its address"));
}

void
power_stop(Local *local, Machine *machine, AzlinOp *op)
{
  if (process_of_machine(machine) == 0) {
    process_kill_all(machine);
    local->host->api->op_finish(op);
    return;
  }
  Change *change = change_new(local, machine, op, option_uint(local->host, "stop-timeout") * 1000);
  process_signal(machine, SIGTERM);
  poll_again(change, stop_polled);
}
