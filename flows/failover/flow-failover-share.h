/* Pause and cool-down of all homes that share their records. */
#pragma once
#include "engine-private.h"

#define AZ_FAILOVER_SHARE_MS 15000 /* the place gives up sooner, and says why */

/* Brings this home's failover.json up to what the others told of pause and cool-down, or tells them what is newer here;
 * at once done where nothing is shared. `op` fails when the place where it is told cannot be asked (NETWORK and what a
 * context fails with) or the file cannot be read or written. */
void az_failover_share(AzEngine *engine, AzlinOp *op);
