/* A superseded primary that is started again: it is told who leads before it is let back onto its network for good. */
#include "flow-vm-return.h"
#include "flow-epoch.h"
#include "flow-failover-note.h"

#define TELL_MS 10000
#define TELL_GAP_MS 3000
#define TELL_LIMIT_US (90 * G_USEC_PER_SEC) /* a machine boots meanwhile */
#define ISOLATE_MS 60000

typedef struct {
  AzJob *job;
  AzEngine *engine;
  AzlinVm *vm;
  guint64 epoch;
  gboolean isolated, opened; /* cut off as far as is known; let back to be told */
  gint64 started;
  GError *error;
  AzlinOp *op;
} Return;

static void tell(Return *back);

static void
return_end(Return *back)
{
  if (az_op_cancelled(back->op))
    g_clear_error(&back->error);
  else if (back->error != NULL)
    az_op_fail(back->op, g_steal_pointer(&back->error));
  else
    az_op_finish(back->op);
  az_vm_free(back->vm);
  g_clear_error(&back->error);
  g_free(back);
}

static void
note_returned(Return *back)
{
  GVariantDict facts;

  if (!az_failover_note_returned(back->engine, back->vm->region, &back->error)) {
    return_end(back);
    return;
  }
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", back->vm->region);
  g_variant_dict_insert(&facts, "vm_name", "s", back->vm->vm_name);
  g_variant_dict_insert(&facts, "epoch", "t", back->epoch);
  az_flow_audit(back->job, "failover.returned", g_variant_dict_end(&facts));
  az_job_message(back->job, "ok", NULL, "%s is told that it is not primary any more (epoch %" G_GUINT64_FORMAT ")",
                 back->vm->region, back->epoch);
  return_end(back);
}

static void
on_let_back(AzlinOp *op, gpointer data)
{
  Return *back = data;

  if (az_op_cancelled(back->op)) {
    return_end(back);
    return;
  }
  if (az_op_error(op) == NULL || g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED)) {
    note_returned(back);
    return;
  }
  back->error = g_error_copy(az_op_error(op));
  return_end(back);
}

static void
told(Return *back)
{
  if (back->isolated && !back->opened)
    az_flow_vm_isolate(back->engine, back->op, back->vm, FALSE, ISOLATE_MS, on_let_back, back);
  else
    note_returned(back);
}

/* ---- it could not be told ---- */

static void
on_cut_off(AzlinOp *op, gpointer data)
{
  Return *back = data;

  if (!az_op_cancelled(back->op) && az_op_error(op) != NULL)
    az_job_message(back->job, "warn", NULL, "%s is on its network and may serve as it was: %s", back->vm->region,
                   az_op_error(op)->message);
  return_end(back);
}

static void
give_up(Return *back, const GError *why)
{
  back->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                            "%s runs, but could not be told that it is not primary any more: %s", back->vm->region,
                            why->message);
  if (back->isolated)
    az_flow_vm_isolate(back->engine, back->op, back->vm, TRUE, ISOLATE_MS, on_cut_off, back);
  else
    return_end(back);
}

static void
on_gap(AzlinOp *op, gpointer data)
{
  Return *back = data;

  if (az_op_cancelled(back->op))
    return_end(back);
  else
    tell(back); /* the gap ends by its deadline */
}

static void
on_opened(AzlinOp *op, gpointer data)
{
  Return *back = data;

  if (az_op_cancelled(back->op)) {
    return_end(back);
    return;
  }
  if (az_op_error(op) != NULL && !g_error_matches(az_op_error(op), AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED)) {
    back->error = g_error_copy(az_op_error(op));
    return_end(back);
    return;
  }
  back->opened = TRUE;
  tell(back);
}

/* Cut off it cannot be reached, and only the machine itself can keep its epoch: so it is let back for as long as it
 * takes to tell it, and cut off again where that fails. Nobody is led to it meanwhile: the records name the primary. */
static void
on_told(AzlinOp *op, gpointer data)
{
  Return *back = data;

  if (az_op_cancelled(back->op)) {
    return_end(back);
    return;
  }
  if (az_op_error(op) == NULL) {
    told(back);
    return;
  }
  if (back->isolated && !back->opened) {
    az_flow_vm_isolate(back->engine, back->op, back->vm, FALSE, ISOLATE_MS, on_opened, back);
    return;
  }
  if (az_clock_monotonic(az_engine_clock(back->engine)) - back->started < TELL_LIMIT_US)
    az_op_new(back->op, "gap", TELL_GAP_MS, on_gap, back);
  else
    give_up(back, az_op_error(op));
}

static void
tell(Return *back)
{
  az_epoch_supersede(back->engine, back->vm, back->epoch,
                     az_op_new(back->op, "tell the epoch", TELL_MS, on_told, back));
}

void
az_vm_return(AzJob *job, const AzStored *stored, const AzlinVm *vm, AzlinOp *op)
{
  AzEngine *engine = az_job_engine(job);
  g_autoptr(GError) error = NULL;
  g_autoptr(AzFailoverState) state = az_failover_state_load(engine, &error);

  if (state == NULL) {
    az_op_fail(op, g_steal_pointer(&error));
    return;
  }
  gboolean isolated = az_failover_is_isolated(state, vm->region);
  if (g_str_equal(vm->region, stored->primary) || (!isolated && az_failover_fence_of(state, vm->region) == NULL)) {
    az_op_finish(op);
    return;
  }
  Return *back = g_new0(Return, 1);
  *back = (Return){ .job = job,
                    .engine = engine,
                    .vm = az_vm_dup(vm),
                    .epoch = stored->epoch,
                    .isolated = isolated,
                    .started = az_clock_monotonic(az_engine_clock(engine)),
                    .op = op };
  tell(back);
}
