/* The least that shows an SSH server at work: the line that it greets with. */
#pragma once
#include "transport-ssh.h"

typedef struct _Banner Banner;

/* Reads from the connected, non-blocking `fd`, which stays the caller's, until a line begins with "SSH-". `done`: once,
 * and not from inside this call; the Banner is gone then. */
Banner *banner_start(int fd, void (*done)(AzSshOutcome outcome, const char *detail, gpointer data), gpointer data);
void banner_cancel(Banner *banner);
