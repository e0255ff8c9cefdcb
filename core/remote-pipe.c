/* Two commands on two machines, the output of one fed to the other: azlin relays, and holds only a few MiB of it. */
#include "remote-private.h"

#include "byte-queue.h"
#include "process.h"

#include <signal.h>

/* What may be under way and wait in the queues, of all pipes together and of one. libssh has 1.28 MB for each beside
 * it, in buffers that it rounds up: 24 pipes that stand still hold 50 MB. 4 MiB are 50 MB/s at 80 ms. */
#define ALL_WINDOWS (12 * 1024 * 1024)
#define MAX_WINDOW (4 * 1024 * 1024)
#define MAX_ERR (64 * 1024)
/* What a limited pipe may send at once. */
#define BURST_MS 100

typedef struct {
  int refs; /* one of each run, one of whoever calls back */
  AzRemote *remote;
  AzlinOp *op;      /* NULL once it is finished or cut short */
  AzRun *from, *to; /* NULL once they have ended */
  int from_status, to_status;
  GString *from_err, *to_err;
  AzByteQueue queue;
  gsize window;    /* what may be under way and in the queue together */
  gsize max_queue; /* reading stops when more waits there */
  gboolean paused;
  guint64 sent, delivered;
  AzLineSplitter lines;
  guint32 bwlimit_kib;
  gint64 limited_at; /* monotonic: `allowed` was true then */
  double allowed;    /* bytes that may be sent now */
  AzTimer *timer;    /* of the limit */
  void (*moved)(guint64 bytes, gpointer data);
  void (*said)(const char *line, gpointer data);
  gpointer data;
} Pipe;

/* The source may send what the target has taken: it keeps the pace of the slower one, without a stop. */
static void
set_pace(Pipe *pipe)
{
  if (pipe->from != NULL)
    az_run_set_window(pipe->from, pipe->window - MIN(pipe->window, pipe->queue.length));
}

/* They share one bound of memory. */
static void
share_windows(AzRemote *remote)
{
  guint n = remote->pipes->len;
  for (guint i = 0; i < n; i++) {
    Pipe *pipe = g_ptr_array_index(remote->pipes, i);
    pipe->window = MIN(ALL_WINDOWS / n, MAX_WINDOW);
    pipe->max_queue = n <= 8 ? pipe->window : pipe->window / 2;
    set_pace(pipe);
  }
}

static void
pipe_unref(gpointer data)
{
  Pipe *pipe = data;
  if (--pipe->refs > 0)
    return;
  g_ptr_array_remove_fast(pipe->remote->pipes, pipe);
  share_windows(pipe->remote);
  az_timer_cancel(pipe->timer);
  az_byte_queue_clear(&pipe->queue);
  g_string_free(pipe->from_err, TRUE);
  g_string_free(pipe->to_err, TRUE);
  if (pipe->lines.rest != NULL)
    g_string_free(pipe->lines.rest, TRUE);
  g_free(pipe);
}

/* Ends what still runs; the caller holds a reference. */
static void
stop(Pipe *pipe)
{
  g_clear_pointer(&pipe->from, az_run_cancel);
  g_clear_pointer(&pipe->to, az_run_cancel);
}

static void
on_cancel(gpointer data)
{
  Pipe *pipe = data;
  pipe->refs++;
  pipe->op = NULL;
  stop(pipe);
  pipe_unref(pipe);
}

static void
move_on(Pipe *pipe, guint64 bytes)
{
  if (bytes <= pipe->delivered)
    return;
  pipe->delivered = bytes;
  if (pipe->moved != NULL && pipe->op != NULL)
    pipe->moved(bytes, pipe->data);
}

static GVariant *
result(const Pipe *pipe)
{
  g_autofree char *from_err = g_utf8_make_valid(pipe->from_err->str, (gssize) pipe->from_err->len);
  g_autofree char *to_err = g_utf8_make_valid(pipe->to_err->str, (gssize) pipe->to_err->len);
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "from_status", g_variant_new_int32(pipe->from_status));
  g_variant_builder_add(&builder, "{sv}", "to_status", g_variant_new_int32(pipe->to_status));
  g_variant_builder_add(&builder, "{sv}", "bytes", g_variant_new_uint64(pipe->delivered));
  g_variant_builder_add(&builder, "{sv}", "from_err", g_variant_new_string(from_err));
  g_variant_builder_add(&builder, "{sv}", "to_err", g_variant_new_string(to_err));
  return g_variant_builder_end(&builder);
}

static void
fail(Pipe *pipe, const GError *error)
{
  AzlinOp *op = g_steal_pointer(&pipe->op);
  if (op != NULL)
    az_op_fail(op, g_error_copy(error));
  stop(pipe);
}

static void
push_err(GString *text, const char *bytes, gsize length)
{
  gsize room = MAX_ERR - MIN(text->len, MAX_ERR);
  g_string_append_len(text, bytes, (gssize) MIN(room, length));
}

static void
on_from_output(gboolean is_stderr, const char *bytes, gsize length, gpointer data)
{
  Pipe *pipe = data;
  if (is_stderr) {
    push_err(pipe->from_err, bytes, length);
    return;
  }
  az_byte_queue_push(&pipe->queue, bytes, length);
  set_pace(pipe);
  if (!pipe->paused && pipe->queue.length > pipe->max_queue) {
    pipe->paused = TRUE;
    az_run_pause(pipe->from, TRUE);
  }
  if (pipe->to != NULL)
    az_run_feed(pipe->to);
}

static void
on_from_ended(int status, const GError *error, gpointer data)
{
  Pipe *pipe = data;
  pipe->from = NULL;
  pipe->from_status = status;
  if (error != NULL)
    fail(pipe, error);
  else if (pipe->to != NULL)
    az_run_feed(pipe->to);
}

static void
on_line(const char *line, gpointer data)
{
  Pipe *pipe = data;
  if (pipe->op != NULL)
    pipe->said(line, pipe->data);
}

static void
on_to_output(gboolean is_stderr, const char *bytes, gsize length, gpointer data)
{
  Pipe *pipe = data;
  if (is_stderr) {
    push_err(pipe->to_err, bytes, length);
    return;
  }
  if (pipe->said == NULL)
    return;
  pipe->refs++;
  az_line_splitter_push(&pipe->lines, bytes, length);
  pipe_unref(pipe);
}

static void
on_to_ended(int status, const GError *error, gpointer data)
{
  Pipe *pipe = data;
  gboolean all_sent = pipe->from == NULL && pipe->queue.length == 0;
  pipe->to = NULL;
  pipe->to_status = status;
  if (error != NULL) {
    fail(pipe, error);
    return;
  }
  if (pipe->from != NULL) /* as in a shell's pipe */
    pipe->from_status = 128 + SIGPIPE;
  if (pipe->said != NULL)
    az_line_splitter_end(&pipe->lines);
  if (all_sent && status == 0) /* the server tells of large pieces alone */
    move_on(pipe, pipe->sent);
  AzlinOp *op = g_steal_pointer(&pipe->op);
  if (op != NULL)
    az_op_finish_variant(op, result(pipe));
  stop(pipe);
}

static void
on_limit(gpointer data)
{
  Pipe *pipe = data;
  pipe->timer = NULL;
  if (pipe->to != NULL)
    az_run_feed(pipe->to);
}

/* How much of `length` bytes the limit lets pass now; when it lets none, the timer comes when it does. */
static gsize
limit(Pipe *pipe, gsize length)
{
  if (pipe->bwlimit_kib == 0)
    return length;
  AzClock *clock = pipe->remote->clock;
  double per_us = pipe->bwlimit_kib * 1024.0 / G_USEC_PER_SEC;
  double burst = per_us * BURST_MS * 1000;
  gint64 now = az_clock_monotonic(clock);
  pipe->allowed = MIN(burst, pipe->allowed + (double) (now - pipe->limited_at) * per_us);
  pipe->limited_at = now;
  if (pipe->allowed >= MIN(burst / 2, (double) length))
    return MIN(length, (gsize) pipe->allowed);
  if (pipe->timer == NULL)
    pipe->timer = az_clock_after(clock, BURST_MS / 2, on_limit, pipe);
  return 0;
}

static gssize
peek(const char **ret_bytes, gpointer data)
{
  Pipe *pipe = data;
  gsize length = az_byte_queue_peek(&pipe->queue, ret_bytes);
  if (length == 0)
    return pipe->from == NULL ? -1 : 0;
  return (gssize) limit(pipe, length);
}

static void
took(gsize length, gpointer data)
{
  Pipe *pipe = data;
  az_byte_queue_pop(&pipe->queue, length);
  set_pace(pipe);
  pipe->sent += length;
  pipe->allowed -= pipe->bwlimit_kib > 0 ? (double) length : 0;
  if (!pipe->paused || pipe->queue.length > pipe->max_queue / 2)
    return;
  pipe->paused = FALSE;
  if (pipe->from != NULL)
    az_run_pause(pipe->from, FALSE);
}

static void
delivered(guint64 bytes, gpointer data)
{
  Pipe *pipe = data;
  pipe->refs++;
  move_on(pipe, bytes);
  pipe_unref(pipe);
}

static gboolean
start(Pipe *pipe, const AzlinPipe *request, GError **error)
{
  AzRunRequest from = { .vm = request->from,
                        .argv = request->from_argv,
                        .input = request->from_input,
                        .bulk = TRUE,
                        .output = on_from_output,
                        .ended = on_from_ended,
                        .data = pipe,
                        .free = pipe_unref };
  AzRunRequest to = { .vm = request->to,
                      .argv = request->to_argv,
                      .bulk = TRUE,
                      .peek = peek,
                      .took = took,
                      .delivered = delivered,
                      .output = on_to_output,
                      .ended = on_to_ended,
                      .data = pipe,
                      .free = pipe_unref };
  pipe->from = az_run_new(pipe->remote, &from, error);
  if (pipe->from == NULL)
    return FALSE;
  pipe->refs++;
  pipe->to = az_run_new(pipe->remote, &to, error);
  if (pipe->to != NULL)
    pipe->refs++;
  return pipe->to != NULL;
}

void
az_remote_pipe(AzRemote *remote, const AzlinPipe *request, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  if (az_op_cancelled(op))
    return;
  Pipe *pipe = g_new0(Pipe, 1);
  *pipe = (Pipe){ .refs = 1,
                  .remote = remote,
                  .op = op,
                  .from_err = g_string_new(NULL),
                  .to_err = g_string_new(NULL),
                  .lines = { .on_line = on_line, .data = pipe },
                  .bwlimit_kib = request->bwlimit_kib,
                  .limited_at = az_clock_monotonic(remote->clock),
                  .moved = request->moved,
                  .said = request->said,
                  .data = request->data };
  g_ptr_array_add(remote->pipes, pipe);
  gboolean started = start(pipe, request, &error);
  share_windows(remote);
  if (started)
    az_op_on_cancel(op, on_cancel, pipe);
  else
    fail(pipe, error);
  pipe_unref(pipe);
}
