/* The operation tree: every asynchronous step is an op with a deadline, a parent, progress and exactly one result. */
#pragma once
#include "azlin-plugin.h"
#include "clock.h"

/* Where results that leave a tree early go: one sink per root op, set by the job that owns it. */
typedef struct {
  void (*progress)(AzlinOp *op, guint64 done, guint64 total, const char *text, gpointer data);
  void (*region_started)(AzlinOp *op, const char *region, const char *text, gpointer data);
  void (*region)(AzlinOp *op, const char *region, const AzlinVm *vm, const GError *error, gpointer data);
  AzlinOp *(*detached)(const char *label, guint32 timeout_ms, AzlinDone done, gpointer done_data, gpointer data);
  void (*warning)(const char *text, gpointer data);
  gpointer data;
} AzOpSink;

/* A tree's root. `timeout_ms` 0 = no deadline. The op ends through az_op_finish*() and is freed after `done` returned.
 */
AzlinOp *az_op_new_root(AzClock *clock, const char *label, guint32 timeout_ms, const AzOpSink *sink, AzlinDone done,
                        gpointer data);
/* A child: ends CANCELLED when its parent ends or is cancelled, TIMED_OUT at its own deadline. Its `done` always runs
 * exactly once, also then; a brick that finishes it later is ignored. `timeout_ms` 0 = only the parent's deadline. */
AzlinOp *az_op_new(AzlinOp *parent, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data);
/* An op beside the tree of `op`: it goes on when that tree is cancelled or has ended, and whoever owns the tree waits
 * for it. For undoing what was begun. `timeout_ms` must not be 0. Not after `done` of `op` has returned. */
AzlinOp *az_op_new_detached(AzlinOp *op, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data);

/* What a brick must answer with: AZ_OP_REPLY, AZ_OP_VM, AZ_OP_VMS (records with region and vm_name) or the type of a
 * GVariant ("t", "a{sv}"). Finished with anything else, the op fails instead: `done` reads what it expects, or an
 * error. Returns `op`.
 */
AzlinOp *az_op_expect(AzlinOp *op, const char *what);
#define AZ_OP_VM "(vm)"
#define AZ_OP_VMS "(vms)"
#define AZ_OP_REPLY "(reply)"

void az_op_finish(AzlinOp *op);
void az_op_finish_vm(AzlinOp *op, const AzlinVm *vm);
void az_op_finish_vms(AzlinOp *op, const AzlinVm *const *vms, gsize n);
void az_op_finish_variant(AzlinOp *op, GVariant *value);
void az_op_finish_reply(AzlinOp *op, int status, int pid, GBytes *out, GBytes *err); /* takes no reference of its own */
/* `reply` is copied; its body may be NULL */
void az_op_finish_http(AzlinOp *op, const AzlinHttpReply *reply);
void az_op_fail(AzlinOp *op, GError *error); /* takes `error` */
void az_op_fail_new(AzlinOp *op, AzlinError code, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Copies result or error of `from` (inside its `done`) onto `to`. */
void az_op_forward(AzlinOp *from, AzlinOp *to);

const GError *az_op_error(AzlinOp *op);
const AzlinVm *az_op_vm(AzlinOp *op);
const AzlinVm *const *az_op_vms(AzlinOp *op, gsize *n);
/* The same as an array of AzlinVm that outlives the op: of ten thousand a copy is not for nothing. */
GPtrArray *az_op_share_vms(AzlinOp *op);
GVariant *az_op_variant(AzlinOp *op);
const AzlinReply *az_op_reply(AzlinOp *op);
const AzlinHttpReply *az_op_http(AzlinOp *op);

/* Whose requests go first where a rate budget is short; children take over what their parent has when they are made. */
typedef enum { AZ_PRIORITY_LIST, AZ_PRIORITY_DEPLOY, AZ_PRIORITY_FAILOVER } AzOpPriority;
void az_op_set_priority(AzlinOp *op, AzOpPriority priority);
AzOpPriority az_op_priority(AzlinOp *op);

/* The lease under which `op` and all below it act, ops that are made already too; replaces an earlier one. */
void az_op_set_fence(AzlinOp *op, const char *coordinator, const char *key, guint64 token);
const AzlinFence *az_op_fence(AzlinOp *op); /* of `op` or the nearest above it; NULL = none; borrowed */

gboolean az_op_cancelled(AzlinOp *op); /* cancelled, timed out or finished: go on with nothing new */
void az_op_cancel(AzlinOp *op, const char *why);
void az_op_on_cancel(AzlinOp *op, void (*func)(gpointer), gpointer data);
/* Whoever works on `op` takes more standard input for it while it is active. */
typedef struct {
  gboolean (*write)(const char *bytes, gsize length, gpointer data); /* FALSE: it takes no more */
  void (*close)(gpointer data);
  gpointer data;
} AzOpInput;
void az_op_take_input(AzlinOp *op, const AzOpInput *input);
gboolean az_op_write(AzlinOp *op, const char *bytes, gsize length); /* FALSE: it has ended, or takes none */
void az_op_close(AzlinOp *op);                                      /* the end of it */
void az_op_progress(AzlinOp *op, guint64 done, guint64 total, const char *text);
void az_op_region(AzlinOp *op, const char *region, const AzlinVm *vm, const GError *error);
void az_op_region_started(AzlinOp *op, const char *region, const char *text);
/* Tells whoever owns the tree, and the people before it; also from within the op's `done`. */
void az_op_warn(AzlinOp *op, const char *format, ...) G_GNUC_PRINTF(2, 3);
AzClock *az_op_clock(AzlinOp *op);
gint64 az_op_deadline(AzlinOp *op); /* the first of its tree's that binds it, az_clock_monotonic(); 0 = none */
const char *az_op_label(AzlinOp *op);

/* Finishes that came late or twice since the start; for tests and `azlin --verbose`. */
guint az_op_late_finishes(void);
