/* Tags of machines on this host: they stand in the record and are merged into it under the machine's lock. */
#include "machine.h"
#include "tagset.h"
#include "task.h"

void
task_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op)
{
  Local *local = self;
  GError *error = NULL;
  g_autoptr(GVariant) sunk = g_variant_ref_sink(set);
  g_autoptr(Machine) machine = machine_load_for(local, vm, &error);
  gboolean mine = machine != NULL && machine_lock(machine, &error);
  /* Read again under the lock: what another azlin wrote meanwhile must not be undone. */
  g_autoptr(Machine) now = mine ? machine_load_for(local, vm, &error) : NULL;
  if (now != NULL) {
    GVariant *tags = tagset_merge(now->tags, sunk, unset);
    g_clear_pointer(&now->tags, g_variant_unref);
    now->tags = tags;
  }
  if (now != NULL && machine_save(now, &error))
    local->host->api->op_finish(op);
  else
    local->host->api->op_fail(op, error);
}
