/* The least that shows an SSH server at work: a connection, and the line it greets with. */
#pragma once
#include "transport-ssh.h"

typedef struct _AzBanner AzBanner;
/* Connects to a numeric address and reads until a line begins with "SSH-". `event` as of AzSshConnect: TCP, then KEX,
 * each once; nothing after an outcome other than OK, and never from inside this call. Deadlines are the caller's. NULL:
 * that is no numeric address. */
AzBanner *az_banner_read(const char *address, guint16 port,
                         void (*event)(AzSshStep step, AzSshOutcome outcome, const char *detail, gpointer data),
                         gpointer data);
/* Ends it at once and silently. */
void az_banner_free(AzBanner *banner);
