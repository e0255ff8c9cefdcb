/* Running one job to its end, for the commands that do something of their own with the result. */
#pragma once
#include "command.h"
/* Runs the command's job; a result goes to `then`, whose value is the exit code. Without one the error is printed. */
/* Shows a job of a service until it ends, or whoever looks has seen enough; returns the exit code. */
int cmd_job_follow(const Invocation *invocation, Client *client, guint64 number);
int cmd_job_run_then(const Invocation *invocation,
                     int (*then)(const Invocation *invocation, Client *client, GVariant *result, int exit_code));
/* Prints the result in the format that was asked for; returns `exit_code`. */
int cmd_job_show(const Invocation *invocation, Client *client, GVariant *result, int exit_code);
