/* regions refresh --share: the records of this home go where several hosts share theirs, and nothing is overwritten. */
#pragma once
#include "flow-support.h"

void az_share_run(AzJob *job, AzlinOp *root);
