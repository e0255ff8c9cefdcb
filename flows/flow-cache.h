/* The copy that this home keeps of records which many hosts share: brought up to date by every reading of them, and
 * read itself only by who changes nothing. */
#pragma once
#include "flow-support.h"

/* The place among [bricks] context, behind the first, that can be a copy; NULL = there is none. */
const AzlinContext *az_cache_place(AzEngine *engine, gpointer *ret_self);
/* Brings the copy up to what `stored` and `info` (of the first place) say, where those are shared; `op` finishes, or
 * fails with CONFIG: what stands in this home is not that copy, and nothing may be done with either. A copy that cannot
 * be written is a warning. Pause and cool-down of this home go with it (az_failover_share()). */
void az_cache_update(AzEngine *engine, const AzStored *stored, GVariant *info, AzlinOp *op);
