/* Making machines, and taking over those that exist. */
#pragma once
#include "local.h"

/* The vm_create slot; `self` is the Local. */
void create_machine(gpointer self, const AzlinVmSpec *spec, AzlinOp *op);
