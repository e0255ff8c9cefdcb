/* The settings of the double, as the control endpoint and the command line set them. */
#pragma once
#include "double.h"

json_t *settings_new(void);
/* Takes what is in `changes` over; FALSE and `ret_error` (owned) for a name that does not exist. "faults", "seed",
 * "resources" and other commands are left to control.c. */
gboolean settings_known(const char *name);
void settings_merge(json_t *settings, const char *name, json_t *value);
/* How long an operation takes: "create.virtualMachines" before "create". Milliseconds. */
gint64 settings_duration(const Double *world, const char *act, const char *type);
/* Latency of one call, milliseconds: a number, or [least, most]. */
guint settings_latency(Double *world);
