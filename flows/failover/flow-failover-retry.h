/* Fences that a switch could not confirm: tried again until they are. */
#pragma once
#include "flow-failover-state.h"

#define AZ_FENCE_FAST_ATTEMPTS 10
#define AZ_FENCE_FAST_S 5
#define AZ_FENCE_SLOW_S 60

/* Seconds from one attempt to the next: a few fast ones, then every minute; 0 = no fence is pending. */
guint32 az_failover_fence_wait_s(const AzFailoverState *state);
/* One attempt at every pending fence, one machine after the other: power off, else isolate. What is sure now, and a
 * machine that is gone from the records, leaves the state; each success is audited. op_variant u: how many are pending
 * still. Fails when the state or the records cannot be read, and with LOCKED while another azlin is at it. */
void az_failover_fence_retry(AzEngine *engine, AzlinOp *op);
