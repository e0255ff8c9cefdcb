/* A failover that a crash cut off: what was committed is finished, what was not is undone. */
#include "flow-failover.h"
#include "flow-epoch.h"
#include "flow-failover-note.h"
#include "flow-lease.h"

#define LOCK_TTL_S 120
#define LOCK_MS 10000
#define UNDO_MS 125000
#define NOTE_MS 10000

typedef struct {
  AzEngine *engine;
  AzlinOp *op;
  guint64 epoch, epoch_now, token; /* token 0: the lock is not held */
  char *from, *to, *primary;
  gboolean ran, power_asked, isolation_asked, deallocate;
  const AzJournalEntry *entry; /* borrowed */
  AzlinVm *source, *target;    /* as stored now; NULL = gone */
} Recovery;

static const AzlinCoordinator *
coordinator(Recovery *recovery, gpointer *ret_self, GError **error)
{
  return az_engine_lookup(recovery->engine, AZLIN_KIND_COORDINATOR, NULL, ret_self, error);
}

static void
on_released(AzlinOp *op, gpointer data)
{
  if (az_op_error(op) != NULL)
    g_info("lock not released, it runs out by itself: %s", az_op_error(op)->message);
}

static void
release(Recovery *recovery)
{
  gpointer self = NULL;
  const AzlinCoordinator *brick = coordinator(recovery, &self, NULL);

  if (brick != NULL && recovery->token != 0)
    brick->release(self, "failover", recovery->token,
                   az_op_new_root(az_engine_clock(recovery->engine), "release", LOCK_MS, NULL, on_released, NULL));
}

static void
recovery_free(Recovery *recovery)
{
  release(recovery);
  g_free(recovery->from);
  g_free(recovery->to);
  g_free(recovery->primary);
  g_clear_pointer(&recovery->source, az_vm_free);
  g_clear_pointer(&recovery->target, az_vm_free);
  g_free(recovery);
}

static void
fail(Recovery *recovery, const GError *error)
{
  az_op_fail(recovery->op, g_error_copy(error));
  recovery_free(recovery);
}

static void
end(Recovery *recovery, const char *outcome)
{
  GVariantDict facts;
  g_autoptr(GError) error = NULL;
  AzAudit *audit = az_engine_audit(recovery->engine, &error);

  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "outcome", "s", outcome);
  g_variant_dict_insert(&facts, "source_region", "s", recovery->from);
  g_variant_dict_insert(&facts, "target_region", "s", recovery->to);
  g_variant_dict_insert(&facts, "primary", "s", recovery->primary);
  g_variant_dict_insert(&facts, "epoch", "t", recovery->epoch_now);
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_dict_end(&facts));
  if (audit == NULL || !az_audit_write(audit, "failover.recovered", value, &error))
    g_warning("audit log: %s", error->message);
  az_op_finish_variant(recovery->op, g_variant_new_string(outcome));
  recovery_free(recovery);
}

static void
on_forward(AzlinOp *op, gpointer data)
{
  end(data, "finished: the switch had been committed");
}

static void
on_deallocated(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;

  if (az_op_error(op) != NULL) {
    fail(recovery, az_op_error(op));
    return;
  }
  az_epoch_write(recovery->engine, recovery->target, recovery->epoch_now,
                 az_op_new(recovery->op, "epoch", NOTE_MS, on_forward, recovery));
}

static void
go_forward(Recovery *recovery)
{
  AzSwitchNote note;
  g_autoptr(GError) error = NULL;

  if (az_failover_note_of_entry(recovery->entry, &note) && !az_failover_note_switch(recovery->engine, &note, &error)) {
    fail(recovery, error);
    return;
  }
  if (recovery->deallocate && recovery->source != NULL)
    az_flow_vm_power(recovery->engine, recovery->op, recovery->source, AZLIN_POWER_DEALLOCATED, UNDO_MS, on_deallocated,
                     recovery);
  else
    az_epoch_write(recovery->engine, recovery->target, recovery->epoch_now,
                   az_op_new(recovery->op, "epoch", NOTE_MS, on_forward, recovery));
}

static void
on_running(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;

  if (az_op_error(op) != NULL)
    fail(recovery, az_op_error(op));
  else
    end(recovery, "undone: the source runs again");
}

static void
go_back(Recovery *recovery)
{
  gboolean off = recovery->power_asked && recovery->ran;

  if (recovery->source != NULL && (off || recovery->isolation_asked))
    az_failover_unfence(recovery->engine, recovery->source, recovery->isolation_asked, off,
                        az_op_new(recovery->op, "unfence", UNDO_MS, on_running, recovery));
  else
    end(recovery, "undone: nothing had been changed");
}

static void
on_info(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  const char *primary = "";

  if (az_op_error(op) != NULL) {
    fail(recovery, az_op_error(op));
    return;
  }
  g_variant_lookup(az_op_variant(op), "epoch", "t", &recovery->epoch_now);
  g_variant_lookup(az_op_variant(op), "primary", "&s", &primary);
  recovery->primary = g_strdup(primary);
  /* The context, not the journal, says whether the commit came through: the crash may have hit in between. */
  if (recovery->epoch_now == recovery->epoch + 1 && g_str_equal(primary, recovery->to) && recovery->target != NULL)
    go_forward(recovery);
  else if (recovery->epoch_now == recovery->epoch && g_str_equal(primary, recovery->from))
    go_back(recovery);
  else
    end(recovery, "superseded: the primary was moved since; nothing is touched");
}

static void
on_list(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  gpointer self = NULL;
  gsize n = 0;
  g_autoptr(GError) error = NULL;

  if (az_op_error(op) != NULL) {
    fail(recovery, az_op_error(op));
    return;
  }
  const AzlinVm *const *vms = az_op_vms(op, &n);
  for (gsize i = 0; i < n; i++) {
    if (g_str_equal(vms[i]->region, recovery->from))
      recovery->source = az_vm_dup(vms[i]);
    if (g_str_equal(vms[i]->region, recovery->to))
      recovery->target = az_vm_dup(vms[i]);
  }
  const AzlinContext *context = az_engine_lookup(recovery->engine, AZLIN_KIND_CONTEXT, NULL, &self, &error);
  if (context == NULL)
    fail(recovery, error);
  else
    context->info(self, az_op_expect(az_op_new(recovery->op, "info", AZ_CONTEXT_MS, on_info, recovery), "a{sv}"));
}

static void
on_locked(AzlinOp *op, gpointer data)
{
  Recovery *recovery = data;
  gpointer self = NULL;
  g_autoptr(GError) error = az_lease_refusal(op, NULL);

  if (error != NULL) {
    fail(recovery, error);
    return;
  }
  recovery->token = g_variant_get_uint64(az_op_variant(op));
  az_lease_keep(recovery->engine, recovery->op, "failover", LOCK_TTL_S, recovery->token);
  const AzlinContext *context = az_engine_lookup(recovery->engine, AZLIN_KIND_CONTEXT, NULL, &self, &error);
  if (context == NULL)
    fail(recovery, error);
  else
    context->list(self, az_op_expect(az_op_new(recovery->op, "list", AZ_CONTEXT_MS, on_list, recovery), AZ_OP_VMS));
}

void
az_failover_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op)
{
  gpointer self = NULL;
  g_autoptr(GError) error = NULL;
  Recovery *recovery = g_new0(Recovery, 1);

  *recovery = (Recovery){ .engine = engine, .op = op, .entry = entry };
  if (!g_variant_lookup(entry->undo, "from", "s", &recovery->from)
      || !g_variant_lookup(entry->undo, "to", "s", &recovery->to)
      || !g_variant_lookup(entry->undo, "epoch", "t", &recovery->epoch)) {
    az_op_fail_new(op, AZLIN_ERROR_STORAGE, "Journal entry %" G_GUINT64_FORMAT " of a failover lacks its regions",
                   entry->id);
    recovery_free(recovery);
    return;
  }
  g_variant_lookup(entry->undo, "ran", "b", &recovery->ran);
  g_variant_lookup(entry->undo, "power-asked", "b", &recovery->power_asked);
  g_variant_lookup(entry->undo, "isolation-asked", "b", &recovery->isolation_asked);
  g_variant_lookup(entry->undo, "deallocate", "b", &recovery->deallocate);
  const AzlinCoordinator *brick = coordinator(recovery, &self, &error);
  if (brick == NULL)
    fail(recovery, error);
  else
    brick->acquire(self, "failover", LOCK_TTL_S, az_op_new(op, "lock", LOCK_MS, on_locked, recovery));
}
