/* Removing machines. */
#pragma once
#include "machine.h"

/* Ends the machine and removes its folder, however large; takes `machine`, which is locked. */
void remove_machine(Local *local, Machine *machine, AzlinOp *op);
/* The same for a machine that was only just begun, without waiting. FALSE: something is left, for remove_machine(). */
gboolean remove_at_once(Local *local, Machine *machine);
/* A record-less folder, or one whose record is unreadable, as a machine that can be removed; NULL when there is none.
 */
Machine *remove_find(Local *local, const char *name);
