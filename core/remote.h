/* Machines over SSH: pinned host keys, one session per machine reused, commands, probes; libssh is loaded on first use.
 */
#pragma once
#include "audit.h"
#include "config.h"
#include "op.h"
#include "paths.h"
typedef struct _AzRemote AzRemote;
AzRemote *az_remote_new(AzClock *clock, AzConfig *config, AzPaths *paths, AzAudit *audit);
void az_remote_free(AzRemote *remote);

/* Trust keys of machines without a pinned one, as [ssh] accept-new does (`--accept-new` of a command). */
void az_remote_set_accept_new(AzRemote *remote, gboolean accept_new);
/* The key that was trusted first in this process for a machine without a pin, so that it can be stored; or NULL. */
const char *az_remote_trusted_key(AzRemote *remote, const AzlinVm *vm);

/* The one function that turns an argv into the command string that SSH carries; any bytes but NUL. Owned. */
char *az_remote_quote(const char *const *argv);
/* The user's key pair: [ssh] key-file, or $AZLIN_HOME/keys/id_ed25519, made on first need (said on stderr by the CLI
 * through `ret_made`). `ret_public` is one authorized_keys line. */
gboolean
az_remote_ensure_key(AzRemote *remote, char **ret_private_path, char **ret_public, gboolean *ret_made, GError **error);
/* Runs request->argv on request->vm; op_reply. Errors: NETWORK, SSH, AUTH, HOST_KEY, TIMED_OUT. */
void az_remote_exec(AzRemote *remote, const AzlinExec *request, AzlinOp *op);
/* The same, for what takes no line and no input that is spoken, but `op` ends with status 0 as soon as `mark` has come
 * on stdout; the reply has it, and may have more, which counts for max_output. The command goes on for a minute at
 * most, and nobody hears of it any more: neither of its status nor of what it has yet to say on stderr. */
void az_remote_exec_until(AzRemote *remote, const AzlinExec *request, const char *mark, AzlinOp *op);
/* Runs two commands and feeds the output of the first to the second; variant as of AzlinHostApi.pipe. Errors: as of
 * az_remote_exec(). */
void az_remote_pipe(AzRemote *remote, const AzlinPipe *request, AzlinOp *op);

/* A command that stays and is spoken to both ways: what it prints comes as it comes, what it says on stderr is lost. */
typedef struct _AzTalk AzTalk;
typedef struct {
  const AzlinVm *vm;
  const char *const *argv;
  void (*heard)(const char *bytes, gsize length, gpointer data); /* may end the talk */
  /* Once; the talk is gone after it. `error` (as of az_remote_exec(), the caller's) or the status that it ended with.
   */
  void (*ended)(int status, const GError *error, gpointer data);
  gpointer data;
} AzTalkRequest;
/* Calls nothing back before it has returned. NULL: the request is wrong, or there is no way to the machine. */
AzTalk *az_remote_talk(AzRemote *remote, const AzTalkRequest *request, GError **error);
void az_talk_say(AzTalk *talk, const char *bytes, gsize length); /* copied, in order, queued without bound */
/* Ends the command at once (its input ends, TERM comes) and frees the talk; ended() does not come. Not inside ended().
 */
void az_talk_end(AzTalk *talk);

/* The smallest round trip to the machine that any connection of this process has seen, in ms; < 0 = unknown. */
double az_remote_rtt_ms(AzRemote *remote, const AzlinVm *vm);
/* Much will be sent to the machine soon: its connection, or the one that is being made, is prepared for that. */
void az_remote_warm(AzRemote *remote, const AzlinVm *vm);
/* Until release(), connections to the machine that commands have opened stay open, and each command on them costs one
 * round trip and not two. Calls nest. */
void az_remote_hold(AzRemote *remote, const AzlinVm *vm);
void az_remote_release(AzRemote *remote, const AzlinVm *vm);

/* The probe of one machine, each step with a deadline of its own; appends one AzlinEvidence (evidence.h) per step that
 * ran to `evidence`, which must live until `op` has ended: tcp, ssh (banner + kex + pinned key), login (auth + echo
 * nonce). A fresh connection each time; a failed probe is a result, not an error. */
typedef struct {
  /* of each step, together at most tcp_ms plus the longer of the other two; login_ms 0: banner and key alone */
  guint32 tcp_ms, ssh_ms, login_ms;
  gboolean banner_only; /* neither key nor login, where the address is numeric */
} AzProbeLimits;
void
az_remote_probe(AzRemote *remote, const AzlinVm *vm, const AzProbeLimits *limits, GPtrArray *evidence, AzlinOp *op);

/* A per-job key: made on `from` (the private half never leaves it), admitted on `to` for one thing alone until `ttl_s`
 * from now: rrsync -wo `dir`, or with `receiver` (a script; kept in the job's folder of `to` until it is revoked) that,
 * run by sh with $1 = `dir` and $2 = `run` ([a-z0-9-], at most 63). Variant a{sv}: id s, identity_file s,
 * known_hosts_file s (paths on `from`), user s, host s, port u. `dir` is made where it is missing. `id`: [A-Za-z0-9-],
 * at most 64. When it fails, revoke as well: something may stand on either end. `made`, or NULL, ends with the same
 * variant while the key is still on its way to `to`: for who takes longer to knock there, and waits for `op` before it
 * revokes. */
void az_remote_grant(AzRemote *remote, const AzlinVm *from, const AzlinVm *to, const char *id, const char *dir,
                     const char *receiver, const char *run, guint32 ttl_s, AzlinOp *made, AzlinOp *op);
/* Cleans both ends; what is gone already is success. Fails when an end could not be reached, after the other one was
 * cleaned: the caller keeps its journal record and tries again. */
void az_remote_revoke(AzRemote *remote, const AzlinVm *from, const AzlinVm *to, const char *id, AzlinOp *op);
