/* What a machine consists of: its tree, the files shown to it read-only, and the command that runs it. */
#pragma once
#include "machine.h"

/* Makes folders and links that are missing; harmless when all is there. */
gboolean layout_make(Machine *machine, GError **error);
/* Writes passwd, group, shadow and sshd_config from the record; done again at each start. */
gboolean layout_configure(Machine *machine, GError **error);
/* Lets `public_key` (one line) log in; keeps the lines that are there. */
gboolean layout_admit_key(Machine *machine, const char *public_key, GError **error);
/* Reads the host key's public half as "ssh-ed25519 AAAA..." into the record. */
gboolean layout_read_host_key(Machine *machine, GError **error);
char *layout_host_key_path(Machine *machine);

/* bwrap ... sshd, NULL-terminated; `check_only` = sshd -t, to learn why a machine does not come up. */
char **layout_command(Local *local, Machine *machine, gboolean check_only);

/* Removes a folder and all below it, without following links; FALSE when something is left. */
gboolean layout_remove_tree(const char *dir);
