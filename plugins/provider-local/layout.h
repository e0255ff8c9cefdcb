/* What a machine consists of: its tree, the files shown to it read-only, and the command that runs it. */
#pragma once
#include "machine.h"

/* Makes folders and links that are missing. Only before the first start: afterwards the tree is the machine's own. */
gboolean layout_make(Machine *machine, GError **error);
/* Writes passwd, group, shadow and sshd_config from the record; done again at each start. */
gboolean layout_configure(Machine *machine, GError **error);
/* bwrap ... sshd, NULL-terminated; `check_only` = sshd -t, to learn why a machine does not come up. */
char **layout_command(Local *local, Machine *machine, gboolean check_only);

/* Removes a folder and all below it, without following links; FALSE when something is left. */
gboolean layout_remove_tree(const char *dir);
