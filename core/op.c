/* The operation tree: every asynchronous step is an op with a deadline, a parent, progress and exactly one result. */
#include "op.h"

#include "record.h"

/* Ended ops stay readable for this many successors, so that a brick which finishes one twice or far too late hits a
 * tombstone and not freed memory. */
#define TOMBSTONES 4096

typedef enum { ACTIVE, FINISHED, CUT_SHORT, BURIED } OpState;

typedef struct {
  void (*func)(gpointer);
  gpointer data;
} CancelHook;

struct _AzlinOp {
  AzClock *clock;
  AzlinOp *parent;
  GPtrArray *children; /* borrowed: a child leaves when it is buried */
  char *label;
  guint32 timeout_ms;
  gint64 deadline; /* monotonic microseconds, 0 = none of its own */
  AzTimer *timer;
  AzOpSink sink; /* root only */
  AzlinDone done;
  gpointer data;
  OpState state;
  const char *expected; /* static */
  GArray *hooks;        /* of CancelHook */
  GError *error;
  AzlinVm *vm;
  GPtrArray *vms; /* of AzlinVm, NULL-terminated */
  GVariant *variant;
  AzlinReply reply;
  AzlinHttpReply *http;
  AzOpPriority priority;
  AzOpInput input;
  AzlinFence *fence;
};

static GQueue tombstones = G_QUEUE_INIT;
static guint late_finishes;

static void end_op(AzlinOp *op, OpState how, GError *error);

static void
http_reply_free(AzlinHttpReply *reply)
{
  g_strfreev((char **) (guintptr) reply->headers);
  g_clear_pointer(&reply->body, g_bytes_unref);
  g_free(reply);
}

static void
fence_free(AzlinFence *fence)
{
  g_free((char *) (guintptr) fence->coordinator);
  g_free((char *) (guintptr) fence->key);
  g_free(fence);
}

static void
clear_results(AzlinOp *op)
{
  g_clear_pointer(&op->fence, fence_free);
  g_clear_error(&op->error);
  g_clear_pointer(&op->vm, az_vm_free);
  g_clear_pointer(&op->vms, g_ptr_array_unref);
  g_clear_pointer(&op->variant, g_variant_unref);
  g_clear_pointer(&op->reply.out, g_bytes_unref);
  g_clear_pointer(&op->reply.err, g_bytes_unref);
  g_clear_pointer(&op->http, http_reply_free);
  g_clear_pointer(&op->hooks, g_array_unref);
  g_clear_pointer(&op->children, g_ptr_array_unref);
}

static void
bury(AzlinOp *op)
{
  for (guint i = 0; op->children != NULL && i < op->children->len; i++)
    ((AzlinOp *) g_ptr_array_index(op->children, i))->parent = NULL;
  if (op->parent != NULL && op->parent->children != NULL)
    g_ptr_array_remove_fast(op->parent->children, op);
  op->parent = NULL;
  op->state = BURIED;
  clear_results(op);
  g_queue_push_tail(&tombstones, op);
  if (g_queue_get_length(&tombstones) > TOMBSTONES) {
    AzlinOp *oldest = g_queue_pop_head(&tombstones);
    g_free(oldest->label);
    g_free(oldest);
  }
}

static gboolean
deliver(gpointer data)
{
  AzlinOp *op = data;
  if (op->done != NULL)
    op->done(op, op->data);
  bury(op);
  return G_SOURCE_REMOVE;
}

/* `done` always comes from the main loop: a caller never sees it before its own call has returned. */
static void
deliver_later(AzlinOp *op)
{
  g_autoptr(GSource) source = g_idle_source_new();
  g_source_set_priority(source, G_PRIORITY_DEFAULT);
  g_source_set_callback(source, deliver, op, NULL);
  g_source_attach(source, g_main_context_get_thread_default());
}

static void
run_cancel_hooks(AzlinOp *op)
{
  g_autoptr(GArray) hooks = g_steal_pointer(&op->hooks);
  for (guint i = 0; hooks != NULL && i < hooks->len; i++) {
    CancelHook *hook = &g_array_index(hooks, CancelHook, i);
    hook->func(hook->data);
  }
}

static void
cut_children(AzlinOp *op, const GError *error)
{
  for (guint i = 0; op->children != NULL && i < op->children->len; i++) {
    AzlinOp *child = g_ptr_array_index(op->children, i);
    if (child->state != ACTIVE)
      continue;
    const char *why = error != NULL ? error->message : "the operation it belonged to has ended";
    end_op(child, CUT_SHORT, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "cancelled: %s", why));
  }
}

static gboolean
is_record(const AzlinVm *vm)
{
  return vm != NULL && vm->region != NULL && *vm->region != '\0' && vm->vm_name != NULL && *vm->vm_name != '\0';
}

static gboolean
meets_expectation(const AzlinOp *op)
{
  if (op->expected == NULL)
    return TRUE;
  if (g_str_equal(op->expected, AZ_OP_REPLY))
    return op->reply.out != NULL;
  if (g_str_equal(op->expected, AZ_OP_VM))
    return is_record(op->vm);
  if (!g_str_equal(op->expected, AZ_OP_VMS))
    return op->variant != NULL && g_variant_is_of_type(op->variant, G_VARIANT_TYPE(op->expected));
  for (guint i = 0; op->vms != NULL && i < op->vms->len; i++)
    if (!is_record(g_ptr_array_index(op->vms, i)))
      return FALSE;
  return op->vms != NULL;
}

/* Takes `error`; NULL = success with whatever results were stored. */
static void
end_op(AzlinOp *op, OpState how, GError *error)
{
  if (op->state != ACTIVE) {
    /* after a deadline or cancel a brick's own finish is expected; after its first finish it is a defect of the brick
     */
    if (op->state == FINISHED || op->state == BURIED)
      g_debug("operation '%s' was finished again; ignored", op->label);
    late_finishes++;
    g_clear_error(&error);
    return;
  }
  if (how == FINISHED && error == NULL && !meets_expectation(op))
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "%s: the brick answered with something else than it must",
                        op->label);
  op->state = how;
  op->error = error;
  az_timer_cancel(g_steal_pointer(&op->timer));
  if (how == CUT_SHORT)
    run_cancel_hooks(op);
  cut_children(op, error);
  deliver_later(op);
}

static void
on_deadline(gpointer data)
{
  AzlinOp *op = data;
  op->timer = NULL;
  end_op(op, CUT_SHORT,
         g_error_new(AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT, "%s: timeout after %g s", op->label, op->timeout_ms / 1000.0));
}

static AzlinOp *
make_op(AzClock *clock, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data)
{
  AzlinOp *op = g_new0(AzlinOp, 1);
  op->clock = clock;
  op->label = g_strdup(label != NULL ? label : "operation");
  op->timeout_ms = timeout_ms;
  op->done = done;
  op->data = data;
  op->reply.size = sizeof op->reply;
  if (timeout_ms > 0) {
    op->timer = az_clock_after(clock, timeout_ms, on_deadline, op);
    op->deadline = az_clock_monotonic(clock) + (gint64) timeout_ms * 1000;
  }
  return op;
}

AzlinOp *
az_op_new_root(AzClock *clock, const char *label, guint32 timeout_ms, const AzOpSink *sink, AzlinDone done,
               gpointer data)
{
  AzlinOp *op = make_op(clock, label, timeout_ms, done, data);
  if (sink != NULL)
    op->sink = *sink;
  return op;
}

AzlinOp *
az_op_new(AzlinOp *parent, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data)
{
  AzlinOp *op = make_op(parent->clock, label, timeout_ms, done, data);
  if (parent->state == BURIED) {
    end_op(op, CUT_SHORT, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "cancelled: %s has ended", parent->label));
    return op;
  }
  op->parent = parent;
  op->priority = parent->priority;
  if (parent->children == NULL)
    parent->children = g_ptr_array_new();
  g_ptr_array_add(parent->children, op);
  if (parent->state != ACTIVE)
    end_op(op, CUT_SHORT, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "cancelled: %s has ended", parent->label));
  return op;
}

AzlinOp *
az_op_expect(AzlinOp *op, const char *what)
{
  op->expected = what;
  return op;
}

void
az_op_finish(AzlinOp *op)
{
  end_op(op, FINISHED, NULL);
}

void
az_op_finish_vm(AzlinOp *op, const AzlinVm *vm)
{
  if (vm == NULL) {
    az_op_fail_new(op, AZLIN_ERROR_FAILED, "%s: the brick gave no machine", op->label);
    return;
  }
  if (op->state == ACTIVE)
    op->vm = az_vm_dup(vm);
  end_op(op, FINISHED, NULL);
}

void
az_op_finish_vms(AzlinOp *op, const AzlinVm *const *vms, gsize n)
{
  if (op->state == ACTIVE) {
    op->vms = g_ptr_array_new_full(n + 1, (GDestroyNotify) az_vm_free);
    for (gsize i = 0; vms != NULL && i < n; i++)
      if (vms[i] != NULL)
        g_ptr_array_add(op->vms, az_vm_dup(vms[i]));
  }
  end_op(op, FINISHED, NULL);
}

void
az_op_finish_variant(AzlinOp *op, GVariant *value)
{
  g_autoptr(GVariant) sunk = value == NULL ? NULL : g_variant_ref_sink(value);
  if (op->state == ACTIVE)
    op->variant = g_steal_pointer(&sunk);
  end_op(op, FINISHED, NULL);
}

static void
store_reply(AzlinOp *op, int status, int pid, GBytes *out, GBytes *err)
{
  op->reply.status = status;
  op->reply.pid = pid;
  op->reply.out = out != NULL ? g_bytes_ref(out) : g_bytes_new_static("", 0);
  op->reply.err = err != NULL ? g_bytes_ref(err) : g_bytes_new_static("", 0);
}

void
az_op_finish_reply(AzlinOp *op, int status, int pid, GBytes *out, GBytes *err)
{
  if (op->state == ACTIVE)
    store_reply(op, status, pid, out, err);
  end_op(op, FINISHED, NULL);
}

void
az_op_finish_http(AzlinOp *op, const AzlinHttpReply *reply)
{
  if (op->state == ACTIVE) {
    op->http = g_memdup2(reply, sizeof *reply);
    op->http->size = sizeof *op->http;
    op->http->headers = (const char *const *) g_strdupv((char **) (guintptr) reply->headers);
    op->http->body = reply->body != NULL ? g_bytes_ref(reply->body) : g_bytes_new_static("", 0);
  }
  end_op(op, FINISHED, NULL);
}

void
az_op_fail(AzlinOp *op, GError *error)
{
  if (error == NULL)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "%s failed and gave no reason", op->label);
  if (!g_utf8_validate(error->message, -1,
                       NULL)) { /* what a brick passes on may be any bytes; JSON and D-Bus take text */
    g_autofree char *bytes = error->message;
    error->message = g_utf8_make_valid(bytes, -1);
  }
  end_op(op, FINISHED, error);
}

void
az_op_fail_new(AzlinOp *op, AzlinError code, const char *format, ...)
{
  va_list args;
  va_start(args, format);
  az_op_fail(op, g_error_new_valist(AZLIN_ERROR, (int) code, format, args));
  va_end(args);
}

void
az_op_forward(AzlinOp *from, AzlinOp *to)
{
  if (from->error != NULL) {
    az_op_fail(to, g_error_copy(from->error));
    return;
  }
  if (to->state == ACTIVE) {
    to->vm = from->vm != NULL ? az_vm_dup(from->vm) : NULL;
    to->vms = from->vms != NULL ? g_ptr_array_ref(from->vms) : NULL;
    to->variant = from->variant != NULL ? g_variant_ref(from->variant) : NULL;
    if (from->reply.out != NULL)
      store_reply(to, from->reply.status, from->reply.pid, from->reply.out, from->reply.err);
  }
  end_op(to, FINISHED, NULL);
}

const GError *
az_op_error(AzlinOp *op)
{
  return op->error;
}

const AzlinVm *
az_op_vm(AzlinOp *op)
{
  return op->vm;
}

const AzlinVm *const *
az_op_vms(AzlinOp *op, gsize *n)
{
  static const AzlinVm *const none[] = { NULL };
  if (n != NULL)
    *n = op->vms != NULL ? op->vms->len : 0;
  return op->vms != NULL && op->vms->len > 0 ? (const AzlinVm *const *) op->vms->pdata : none;
}

GPtrArray *
az_op_share_vms(AzlinOp *op)
{
  return op->vms != NULL ? g_ptr_array_ref(op->vms) : g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
}

GVariant *
az_op_variant(AzlinOp *op)
{
  return op->variant;
}

const AzlinReply *
az_op_reply(AzlinOp *op)
{
  return op->reply.out != NULL ? &op->reply : NULL;
}

const AzlinHttpReply *
az_op_http(AzlinOp *op)
{
  return op->http;
}

void
az_op_set_priority(AzlinOp *op, AzOpPriority priority)
{
  op->priority = priority;
}

AzOpPriority
az_op_priority(AzlinOp *op)
{
  return op->priority;
}

void
az_op_set_fence(AzlinOp *op, const char *coordinator, const char *key, guint64 token)
{
  g_clear_pointer(&op->fence, fence_free);
  op->fence = g_new(AzlinFence, 1);
  *op->fence = (AzlinFence){
    .size = sizeof *op->fence, .coordinator = g_strdup(coordinator), .key = g_strdup(key), .token = token
  };
}

const AzlinFence *
az_op_fence(AzlinOp *op)
{
  while (op != NULL && op->fence == NULL)
    op = op->parent;
  return op != NULL ? op->fence : NULL;
}

gboolean
az_op_cancelled(AzlinOp *op)
{
  return op->state != ACTIVE;
}

void
az_op_cancel(AzlinOp *op, const char *why)
{
  if (op->state == ACTIVE)
    end_op(op, CUT_SHORT,
           g_error_new(AZLIN_ERROR, AZLIN_ERROR_CANCELLED, "%s", why != NULL ? why : "cancelled by the user"));
}

void
az_op_on_cancel(AzlinOp *op, void (*func)(gpointer), gpointer data)
{
  CancelHook hook = { func, data };
  if (op->state != ACTIVE) {
    func(data);
    return;
  }
  if (op->hooks == NULL)
    op->hooks = g_array_new(FALSE, FALSE, sizeof(CancelHook));
  g_array_append_val(op->hooks, hook);
}

void
az_op_take_input(AzlinOp *op, const AzOpInput *input)
{
  op->input = *input;
}

gboolean
az_op_write(AzlinOp *op, const char *bytes, gsize length)
{
  return op->state == ACTIVE && op->input.write != NULL && op->input.write(bytes, length, op->input.data);
}

void
az_op_close(AzlinOp *op)
{
  if (op->state == ACTIVE && op->input.close != NULL)
    op->input.close(op->input.data);
}

AzlinOp *
az_op_new_detached(AzlinOp *op, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data)
{
  const AzlinOp *root = op;
  while (root->parent != NULL)
    root = root->parent;
  AzlinOp *detached = root->sink.detached != NULL ? root->sink.detached(label, timeout_ms, done, data, root->sink.data)
                                                  : az_op_new_root(op->clock, label, timeout_ms, NULL, done, data);
  detached->priority = op->priority;
  return detached;
}

/* The sink of the tree, or NULL when `op` has ended: what comes late must not reach a job that is over. */
static const AzOpSink *
find_sink(AzlinOp *op)
{
  AzlinOp *root = op;
  if (op->state != ACTIVE)
    return NULL;
  while (root->parent != NULL)
    root = root->parent;
  return &root->sink;
}

void
az_op_progress(AzlinOp *op, guint64 done, guint64 total, const char *text)
{
  const AzOpSink *sink = find_sink(op);
  if (sink != NULL && sink->progress != NULL)
    sink->progress(op, done, total, text, sink->data);
}

void
az_op_region(AzlinOp *op, const char *region, const AzlinVm *vm, const GError *error)
{
  const AzOpSink *sink = find_sink(op);
  if (sink != NULL && sink->region != NULL)
    sink->region(op, region, vm, error, sink->data);
}

void
az_op_region_started(AzlinOp *op, const char *region, const char *text)
{
  const AzOpSink *sink = find_sink(op);
  if (sink != NULL && sink->region_started != NULL)
    sink->region_started(op, region, text, sink->data);
}

gint64
az_op_deadline(AzlinOp *op)
{
  gint64 first = 0;
  for (; op != NULL; op = op->parent)
    if (op->deadline != 0 && (first == 0 || op->deadline < first))
      first = op->deadline;
  return first;
}

void
az_op_warn(AzlinOp *op, const char *format, ...)
{
  va_list args;
  const AzlinOp *root = op;
  va_start(args, format);
  g_autofree char *text = g_strdup_vprintf(format, args);
  va_end(args);
  while (root->parent != NULL)
    root = root->parent;
  if (root->sink.warning != NULL)
    root->sink.warning(text, root->sink.data);
  else
    g_warning("%s", text);
}

AzClock *
az_op_clock(AzlinOp *op)
{
  return op->clock;
}

const char *
az_op_label(AzlinOp *op)
{
  return op->label;
}

guint
az_op_late_finishes(void)
{
  return late_finishes;
}
