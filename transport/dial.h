/* A TCP connect that never blocks: numeric address or name, each address of the name in turn. */
#pragma once
#include "transport-ssh.h"

typedef struct _Dial Dial;

/* `done`: the connected, non-blocking socket, which the receiver then owns; or -1 with the outcome. Not called from
 * inside dial_start(); the Dial is gone after it. */
Dial *dial_start(const char *host, guint16 port,
                 void (*done)(int fd, AzSshOutcome outcome, const char *detail, gpointer data), gpointer data);
void dial_cancel(Dial *dial);
/* What an errno of a socket says of the machine behind it. */
AzSshOutcome dial_outcome(int error);
