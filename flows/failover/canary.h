/* A small file in the ssh user's home, written on the primary and carried along by every sync: its age on another
 * machine is how much would be lost there. */
#pragma once
#include "flow-support.h"

#define AZ_CANARY_FILE ".azlin-canary" /* in the home, which sync copies by default */

/* One line that says when it was made and proves that it is whole; `nonce` is any short word without blanks. */
char *az_canary_make(gint64 now, const char *nonce);
/* When it was made (microseconds since the Unix epoch); 0 = it is none, or not whole. */
gint64 az_canary_read(const char *line);

/* Puts `line` on `vm` in place of what stands there. */
void az_canary_put(AzEngine *engine, const AzlinVm *vm, const char *line, AzlinOp *op);
/* Reads it back; op_variant s: the line, "" = none stands there. */
void az_canary_get(AzEngine *engine, const AzlinVm *vm, AzlinOp *op);
