/* The process that is a machine: found, checked against pid reuse, signalled. */
#pragma once
#include "machine.h"

/* The process whose end is the machine's end, 0 when there is none. Looks through /proc when the record does not know.
 */
int process_of_machine(Machine *machine);
/* The child of the wrapper `outer`, 0 when it has none (yet). Asks the kernel for its children, or, where that keeps no
 * list of them, all processes for their parent. */
int process_child_of(int outer);
int process_child_by_scan(int outer);
gboolean process_alive(int pid);
/* Writes pid, start time and boot into the record (not saved). */
void process_remember(Machine *machine, int pid);
/* SIGTERM or SIGKILL, to the machine's process only: never to one that took over its number. */
void process_signal(Machine *machine, int signal);
/* Ends the wrapper as well, also one that has not come to start its machine. */
void process_kill_all(Machine *machine);
