/* A command over SSH as an op: its output is captured or cut into lines, its input may be spoken bit by bit. */
#include "remote-private.h"

#include "byte-queue.h"
#include "capture.h"
#include "process.h"

#include <string.h>

#define MARKED_MS 60000u /* what a command may still do once its op has ended */

typedef struct {
  AzClock *clock;
  AzRun *run;  /* NULL once it has ended */
  AzlinOp *op; /* NULL once it is finished or cut short */
  char *name;
  char *mark; /* the op ends where this stands on stdout, or NULL */
  AzCapture capture;
  AzByteQueue input;
  gboolean closed;  /* no more input comes */
  AzTimer *timer;   /* NULL until the op has ended at the mark: what comes then is for nobody */
  gboolean pushing; /* inside a callback of the caller: who cancels there must not free us */
} Exec;

static void
exec_free(gpointer data)
{
  Exec *exec = data;
  az_timer_cancel(exec->timer);
  az_capture_clear(&exec->capture);
  az_byte_queue_clear(&exec->input);
  g_free(exec->name);
  g_free(exec->mark);
  g_free(exec);
}

static void
finish(Exec *exec, int status)
{
  AzlinOp *op = g_steal_pointer(&exec->op);
  exec->pushing = TRUE; /* a last line without a newline is delivered here */
  az_capture_finish(&exec->capture, op, status, exec->name);
  exec->pushing = FALSE;
}

static void
on_too_long(gpointer data)
{
  Exec *exec = data;
  exec->timer = NULL;
  az_run_cancel(exec->run);
}

/* The last `length` bytes of the output are new. */
static gboolean
has_mark(const Exec *exec, gsize length)
{
  if (exec->mark == NULL)
    return FALSE;
  const GByteArray *out = exec->capture.out;
  gsize size = strlen(exec->mark), from = out->len - MIN(out->len, length + size - 1);
  return memmem(out->data + from, out->len - from, exec->mark, size) != NULL;
}

static void
on_output(gboolean is_stderr, const char *bytes, gsize length, gpointer data)
{
  Exec *exec = data;
  if (exec->timer != NULL)
    return;
  exec->pushing = TRUE;
  gboolean fits = az_capture_push(&exec->capture, is_stderr, bytes, length);
  exec->pushing = FALSE;
  gboolean over = !fits || exec->op == NULL;
  gboolean marked = !over && !is_stderr && has_mark(exec, length);
  if (marked)
    exec->timer = az_clock_after(exec->clock, MARKED_MS, on_too_long, exec);
  if (exec->op != NULL && (over || marked))
    finish(exec, 0);
  if (over)
    az_run_cancel(exec->run);
}

static void
on_ended(int status, const GError *error, gpointer data)
{
  Exec *exec = data;
  exec->run = NULL;
  if (exec->op != NULL && error != NULL)
    az_op_fail(g_steal_pointer(&exec->op), g_error_copy(error));
  else if (exec->op != NULL)
    finish(exec, status);
}

static void
on_cancel(gpointer data)
{
  Exec *exec = data;
  exec->op = NULL;
  if (!exec->pushing) /* else whoever is pushing sees that the op is gone */
    az_run_cancel(exec->run);
}

static gssize
peek(const char **ret_bytes, gpointer data)
{
  const Exec *exec = data;
  gsize length = az_byte_queue_peek(&exec->input, ret_bytes);
  return length == 0 && exec->closed ? -1 : (gssize) length;
}

static void
took(gsize length, gpointer data)
{
  Exec *exec = data;
  az_byte_queue_pop(&exec->input, length);
}

static gboolean
write_more(const char *bytes, gsize length, gpointer data)
{
  Exec *exec = data;
  if (exec->run == NULL || exec->closed)
    return FALSE;
  az_byte_queue_push(&exec->input, bytes, length);
  az_run_feed(exec->run);
  return TRUE;
}

static void
close_input(gpointer data)
{
  Exec *exec = data;
  exec->closed = TRUE;
  if (exec->run != NULL)
    az_run_feed(exec->run);
}

void
az_remote_exec_until(AzRemote *remote, const AzlinExec *request, const char *mark, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  if (az_op_cancelled(op))
    return;
  gboolean interactive = az_exec_is_interactive(request);
  Exec *exec = g_new0(Exec, 1);
  exec->clock = remote->clock;
  exec->op = op;
  exec->name = g_strdup_printf("%s on %s", request->argv[0], request->vm->vm_name);
  exec->mark = g_strdup(mark);
  az_capture_init(&exec->capture, request);
  AzRunRequest run = { .vm = request->vm,
                       .argv = request->argv,
                       .input = request->input,
                       .peek = interactive ? peek : NULL,
                       .took = took,
                       .output = on_output,
                       .ended = on_ended,
                       .data = exec,
                       .free = exec_free };
  exec->run = az_run_new(remote, &run, &error);
  if (exec->run == NULL) {
    exec_free(exec);
    az_op_fail(op, g_steal_pointer(&error));
    return;
  }
  AzOpInput input = { .write = write_more, .close = close_input, .data = exec };
  if (interactive)
    az_op_take_input(op, &input);
  az_op_on_cancel(op, on_cancel, exec);
}

void
az_remote_exec(AzRemote *remote, const AzlinExec *request, AzlinOp *op)
{
  az_remote_exec_until(remote, request, NULL, op);
}
