/* A superseded primary that is started again. */
#pragma once
#include "flow-support.h"

/* `vm` has just been started: where a failover had cut it off, or could not confirm its fence, writes the present epoch
 * on it and lets it back onto its network. Nothing to do for any other machine. When it cannot be told, it is cut off
 * (again) and `op` fails. */
void az_vm_return(AzJob *job, const AzStored *stored, const AzlinVm *vm, AzlinOp *op);
