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
  GPtrArray *pipes; /* of those that run, remote-pipe.c */
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

typedef struct _AzRun AzRun; /* one command on one machine */
typedef struct {
  const AzlinVm *vm;
  const char *const *argv;
  GBytes *input; /* or NULL */
  gboolean bulk; /* it moves much: it gets a connection without another such one, while there are not too many */
  /* as in AzSshExec; the first three may be NULL */
  gssize (*peek)(const char **ret_bytes, gpointer data);
  void (*took)(gsize length, gpointer data);
  void (*delivered)(guint64 bytes, gpointer data);
  void (*output)(gboolean is_stderr, const char *bytes, gsize length, gpointer data);
  /* Once; the run is gone after it. `error` stays the caller's. */
  void (*ended)(int status, const GError *error, gpointer data);
  gpointer data;
  GDestroyNotify free; /* of `data`, when the run goes, also without ended() */
} AzRunRequest;
/* Never calls back before it has returned. NULL: the request is wrong, or there is no way to the machine; `data` stays
 * the caller's then. */
AzRun *az_run_new(AzRemote *remote, const AzRunRequest *request, GError **error);
void az_run_cancel(AzRun *run); /* ended() does not come */
void az_run_feed(AzRun *run);   /* peek() has something now */
void az_run_pause(AzRun *run, gboolean pause);
void az_run_set_window(AzRun *run, gsize bytes); /* how much of its output may be under way */
