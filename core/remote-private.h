/* What the files of the remote side share: the SSH module, the key, pins, and the pool of sessions. */
#pragma once
#include "remote.h"
#include "transport-ssh.h"

typedef struct _AzPool AzPool;

struct _AzRemote {
  AzClock *clock;
  AzConfig *config;
  AzPaths *paths;
  AzAudit *audit;
  gboolean accept_new;
  const AzTransportSsh *ssh; /* NULL until az_remote_open() */
  AzSshKey *key;             /* NULL: ssh-agent */
  GHashTable *trusted;       /* "host:port" -> key that was trusted first */
  AzPool *pool;
  guint probes_running;
  GQueue probes_waiting; /* of Probe, remote-probe.c */
};

/* Loads module and key once. FALSE: neither a usable key nor an agent to fall back to is an AUTH error. */
gboolean az_remote_open(AzRemote *remote, GError **error);
/* What the server must show: the stored pin, else what was trusted before in this process, else NULL. */
const char *az_remote_pin(AzRemote *remote, const AzlinVm *vm);
/* Trust-on-first-use for a machine without a pin: only where allowed, and only once it stands in the audit log. */
gboolean az_remote_trust(AzRemote *remote, const AzlinVm *vm, const char *host_key);
guint16 az_remote_port(const AzlinVm *vm);
const char *az_remote_user(AzRemote *remote, const AzlinVm *vm);
/* What a failed step means for a command that needed it. */
GError *az_remote_error(const AzlinVm *vm, AzSshStep step, AzSshOutcome outcome, const char *detail);

AzPool *az_pool_new(AzRemote *remote);
void az_pool_free(AzPool *pool);
