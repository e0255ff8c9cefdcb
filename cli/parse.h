/* Command line to invocation. */
#pragma once
#include "command.h"
/* FALSE and `error` (bad usage, with a next step) when the line makes no sense; what was understood so far stays in
 * `ret_invocation`, so that the error can be told in the format that was asked for. */
gboolean parse_line(int argc, char **argv, Invocation *ret_invocation, GError **error);
void invocation_clear(Invocation *invocation);
