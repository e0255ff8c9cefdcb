/* Running one job to its end, for the commands that do something of their own with the result. */
#pragma once
#include "command.h"
/* Returns the exit code; -1 and `error` when the job was refused. */
int cmd_job_perform(const Invocation *invocation, Client *client, GVariant **ret_result, GError **error);
/* Prints the result in the format that was asked for; returns `exit_code`. */
int cmd_job_show(const Invocation *invocation, Client *client, GVariant *result, int exit_code);
