/* The sync flow: paths of one machine to one or all of the others, verified; sums up what every target got. */
#include "flow-sync.h"

void
az_sync_run(AzJob *job, AzEngine *engine, const AzlinVm *source, const AzlinVm *target, const char *const *paths,
            AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "sync is not built yet");
}

void
az_sync_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op)
{
  az_op_fail_new(op, AZLIN_ERROR_NOT_SUPPORTED, "sync is not built yet");
}
