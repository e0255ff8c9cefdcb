/* Starting and ending the process that is a machine. */
#pragma once
#include "machine.h"

/* Brings the machine up and waits until its SSH server answers; at once when it runs. The record must be locked and
 * outlive `op`; it is saved with the new process. */
void power_start(Local *local, Machine *machine, AzlinOp *op);
/* Ends the machine and waits until neither process nor listener is left; at once when it is off. */
void power_stop(Local *local, Machine *machine, AzlinOp *op);
