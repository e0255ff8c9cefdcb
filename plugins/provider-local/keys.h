/* The keys of a machine: its own, and those that may log in. */
#pragma once
#include "machine.h"

/* Lets `public_key` (one line) log in; keeps the lines that are there. */
gboolean keys_admit_key(Machine *machine, const char *public_key, GError **error);
/* Reads the host key's public half as "ssh-ed25519 AAAA..." into the record. */
gboolean keys_read_host_key(Machine *machine, GError **error);
char *keys_host_key_path(Machine *machine);
