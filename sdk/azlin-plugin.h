/* The only azlin header that a brick includes: records, the op currency, the host table, one interface per kind. */
/* SPDX-License-Identifier: MIT
 *
 * Rules of the ABI
 *  - Every struct that crosses begins with its size; fields and slots are only appended. A NULL slot means
 *    "not supported".
 *  - Calls come on the engine's thread and must never block. Asynchronous work has one currency, the AzlinOp:
 *    whoever receives an op finishes it exactly once with one of the op_finish functions. A second finish is ignored
 *    and logged; an op that nobody finishes ends at its deadline. So a brick cannot hang or confuse the engine.
 *  - Records are borrowed for the length of a call; what must live longer is copied with vm_dup().
 *  - Strings are UTF-8; times are microseconds since the Unix epoch; durations say their unit in the name. */
#pragma once
#include <gio/gio.h>
G_BEGIN_DECLS

#define AZLIN_ABI_MAJOR 1u /* part of the symbol's name: another major is simply not found */
#define AZLIN_ABI_MINOR 6u /* the engine takes plugins whose minor is at most its own */

typedef struct _AzlinHost AzlinHost; /* one brick's view of the engine */
typedef struct _AzlinOp AzlinOp;     /* one running operation: deadline, cancel, progress, exactly one result */

typedef enum {
  AZLIN_KIND_PROVIDER = 1,
  AZLIN_KIND_DEPLOYER,
  AZLIN_KIND_FAILOVER,
  AZLIN_KIND_SYNC,
  AZLIN_KIND_CONTEXT,
  AZLIN_KIND_COORDINATOR
} AzlinKind;

#define AZLIN_ERROR (g_quark_from_static_string("azlin-error-quark"))
typedef enum { /* one row of the taxonomy (core/error.c) and of docs/errors.md each */
               AZLIN_ERROR_FAILED,
               AZLIN_ERROR_NETWORK,
               AZLIN_ERROR_CAPACITY,
               AZLIN_ERROR_PERMISSION,
               AZLIN_ERROR_TIMED_OUT,
               AZLIN_ERROR_SSH,
               AZLIN_ERROR_AUTH,
               AZLIN_ERROR_HOST_KEY,
               AZLIN_ERROR_SYNC,
               AZLIN_ERROR_PARTIAL,
               AZLIN_ERROR_USAGE,
               AZLIN_ERROR_CONFIG,
               AZLIN_ERROR_THROTTLED,
               AZLIN_ERROR_NOT_FOUND,
               AZLIN_ERROR_EXISTS,
               AZLIN_ERROR_NOT_SUPPORTED,
               AZLIN_ERROR_POLICY,
               AZLIN_ERROR_LOCKED,
               AZLIN_ERROR_FENCED,
               AZLIN_ERROR_DECLINED,
               AZLIN_ERROR_CANCELLED,
               AZLIN_ERROR_STORAGE,
               AZLIN_N_ERRORS
} AzlinError;

typedef enum { AZLIN_POWER_UNKNOWN, AZLIN_POWER_RUNNING, AZLIN_POWER_STOPPED, AZLIN_POWER_DEALLOCATED } AzlinPower;
typedef enum {
  AZLIN_STOP_UNKNOWN,   /* the provider cannot say why the machine is off */
  AZLIN_STOP_REQUESTED, /* somebody asked for it: intent, never an outage */
  AZLIN_STOP_ENDED      /* the machine ended by itself; the provider has no request on record */
} AzlinStopCause;
typedef enum { /* strings: "network_unreachable", ... as in the functional specification; AUTH and HOST_KEY added */
               AZLIN_FAILURE_NONE,
               AZLIN_FAILURE_NETWORK_UNREACHABLE,
               AZLIN_FAILURE_SSH_CONNECTION_FAILED,
               AZLIN_FAILURE_VM_STOPPED,
               AZLIN_FAILURE_VM_DEALLOCATED,
               AZLIN_FAILURE_PERFORMANCE_DEGRADED,
               AZLIN_FAILURE_UNKNOWN,
               AZLIN_FAILURE_AUTH_FAILED,
               AZLIN_FAILURE_HOST_KEY_CHANGED
} AzlinFailure;
typedef enum { AZLIN_MODE_HYBRID, AZLIN_MODE_AUTO, AZLIN_MODE_MANUAL } AzlinMode;

/* ---- records ---- */

typedef struct { /* what a provider is asked to make */
  gsize size;
  const char *region, *vm_name, *resource_group, *vm_size, *image;
  const char *ssh_user, *ssh_public_key; /* one authorized_keys line without a newline */
  GVariant *tags;                        /* a{ss} or NULL */
  const char *zone;                      /* availability zone, or NULL = wherever the region has room; since 1.1 */
} AzlinVmSpec;

typedef struct { /* one machine of one region; the stored record */
  gsize size;
  const char *region, *vm_name, *public_ip, *resource_group, *provider, *id;
  const char *ssh_user, *host_key; /* host_key: "ssh-ed25519 AAAA..." as pinned, or NULL */
  guint32 ssh_port;
  gboolean is_primary;
  gint64 created_at, last_health_check; /* 0 = never */
  const char *status;                   /* last known: "ok", "down", "stopped", "unknown" */
  GVariant *tags;                       /* a{ss} or NULL */
  AzlinPower power;                     /* live fields, filled by the provider, never stored */
  AzlinStopCause stop_cause;
  /* since 1.1, live too: what the platform says of the hardware under it ("available", "unavailable", NULL = it does
   * not say), why, and when announced maintenance begins (0 = none is announced) */
  const char *platform, *platform_detail;
  gint64 maintenance_at;
} AzlinVm;

/* The stored fields of AzlinVm with their names in JSON: every codec (records.c, context-file) expands this one list.
 */
#define AZLIN_VM_FIELDS(STRING, UINT, BOOL, TIME, TAGS)                                                                \
  STRING(region)                                                                                                       \
  STRING(vm_name)                                                                                                      \
  STRING(public_ip) UINT(ssh_port) STRING(ssh_user) STRING(resource_group) STRING(provider) STRING(id)                 \
      STRING(host_key) TIME(created_at) TIME(last_health_check) BOOL(is_primary) STRING(status) TAGS(tags)

typedef struct { /* how one probe of one vantage ended */
  gsize size;
  const char *vantage; /* "here", or the region whose machine was asked */
  const char *probe;   /* "power", "tcp", "ssh", "login", "platform" (what the provider says of its own hardware) */
  const char *outcome; /* "ok", "refused", "timeout", "unreachable", "closed", "auth_failed", "host_key_changed",
                          "host_key_unknown" (none is pinned), "running", "stopped", "deallocated",
                          "unavailable" (of "platform"), "error" */
  const char *detail;  /* one sentence for people, or NULL */
  double ms;           /* duration, milliseconds */
  gint64 at;
} AzlinEvidence;

typedef struct {
  gsize size;
  const AzlinVm *vm; /* as stored, with power and stop_cause as just read */
  gboolean healthy;
  AzlinFailure failure;
  double response_time_ms; /* login round trip; < 0 = none */
  const char *detail;
  const AzlinEvidence *const *evidence; /* ends NULL */
} AzlinHealth;

typedef struct { /* what one vantage has seen of the suspect; input of decide() */
  gsize size;
  const char *vantage;
  gboolean was_up;        /* its last stored verdict was UP: without it the vantage does not count */
  gboolean self_check_ok; /* it reached another machine by the same kind of probe in this window */
  gboolean fresh_success; /* it saw life in this window: vetoes automation */
  gboolean refused;       /* the last probe was answered by a reset: no pause explains that */
  guint32 dark_probes;    /* consecutive failures up to now */
  double dark_seconds;    /* from the beginning of the first to the end of the last of them */
  double healed_rate;     /* since 1.2: how often it was dark for long and healed by itself, per ten minutes, as azlin
                           * has measured it; 0 = too little history */
} AzlinVantage;

typedef struct {
  gsize size;
  const AzlinHealth *source;
  const AzlinHealth *const *others;    /* all other regions, ends NULL */
  const AzlinVantage *const *vantages; /* ends NULL */
  AzlinMode mode;
  gint64 now;
  /* since 1.2 */
  guint32 self_score;       /* trouble of this host itself, 0 = none to 8: late timers, timeouts, control probes lost */
  gboolean blind;           /* every region looks dead from here: the observer is */
  const double *data_age_s; /* for each of `others`, in their order: seconds since the last verified sync from the
                             * source; < 0 = none is known. NULL = nothing is known of any */
} AzlinDecisionInput;

typedef struct {    /* one line of the explanation */
  const char *what; /* "vantage here: 7 of 7 dark for 36 s" */
  double weight;    /* log-odds */
} AzlinWeight;

typedef struct { /* filled by decide(); strings are made with g_strdup, weights hold AzlinWeight; the engine frees */
  gsize size;
  gboolean should_auto_failover;
  gboolean more_evidence_helps; /* not settled yet: probe again after `wait_seconds` */
  double wait_seconds;
  double confidence; /* 0..1 */
  AzlinFailure failure;
  char *reason;
  char *what_would_change;
  GArray *weights;    /* of AzlinWeight, `what` owned */
  GPtrArray *ranking; /* of char*: "westus2: healthy, 45 ms", best target first; the region is the text before ':' */
  /* since 1.2: a static word: the failure's ("network_unreachable", ...), "healthy", "unreachable_from_me",
   * "observer_blind", "maintenance"; NULL = as `failure` says */
  const char *verdict;
} AzlinDecision;

typedef struct {
  gsize size;
  const AzlinVmSpec *const *specs; /* ends NULL; one per region; they live until the op has ended */
  guint32 max_concurrent, region_timeout_s;
  gboolean
      no_capacity_retry; /* the engine goes elsewhere when a region has no room: waiting is not wanted; since 1.1 */
} AzlinDeployPlan;

typedef struct { /* what was found out about a copy before it is planned; since 1.3 */
  gsize size;
  guint64 largest;   /* bytes of the largest file to copy */
  guint64 old_bytes; /* what the target holds in older versions of what is to be copied: a delta could use it */
  guint32 n_targets; /* how many machines get it in this run */
  /* round trips in ms; < 0 = unknown. Between: from source to target over TCP; -2 = that port is shut */
  double rtt_source_ms, rtt_target_ms, rtt_between_ms;
  double mib_per_second;                   /* between the two, as last measured; <= 0 = never */
  guint32 cpus_source, cpus_target;        /* 0 = unknown */
  const char *tools_source, *tools_target; /* " rsync rrsync curl zstd ": those that are there, blanks around each */
} AzlinSyncFacts;

typedef struct {
  gsize size;
  const AzlinVm *source, *target;
  const char *path;     /* absolute directory, checked by the engine */
  guint64 bytes, files; /* of all that `only` names, or of the whole path without it */
  /* delete_extra, dry_run, max_delete, exclude: the engine does that itself since 1.3 and leaves them empty */
  gboolean delete_extra, dry_run, checksum; /* checksum: without `only`, sizes and times do not show what differs */
  guint32 bwlimit_kib;                      /* KiB/s, 0 = none */
  guint32 max_delete;
  const char *const *exclude;
  GVariant *grant;      /* a{sv} of ssh_grant(); NULL in score() */
  gboolean single_file; /* `path` is one regular file; the grant is for its folder */
  GBytes *only; /* what to copy: NUL-terminated names ("./a/b", "." too) below the folder, each by itself (of a folder
                 * mode and times), parents before what they hold; NULL = all that differs */
  /* since 1.3 */
  const char *run; /* [a-z0-9-]{1,63}, its own for each path, source and run: names what stands while a copy works */
  const char *source_folder, *target_folder; /* canonical; both exist; names are relative to them */
  const AzlinSyncFacts *facts;               /* or NULL */
} AzlinSyncJob;

typedef struct {
  gsize size;
  const AzlinVm *vm;       /* NULL = a process on this host, else a command over SSH */
  const char *const *argv; /* NULL-terminated; the engine quotes it for the remote shell */
  GBytes *input;           /* standard input or NULL */
  gsize max_output;        /* cap on stdout, bytes; 0 = 1 MiB; more is an error */
  gboolean detach;         /* local only: own session, no pipes, survives azlin; reply comes once it has started */
  void (*on_line)(const char *line,
                  gpointer data); /* each line of stdout ('\n' or '\r' ends it) as it comes; then out is empty */
  gpointer line_data;             /* must live until the op has finished */
  gboolean interactive;           /* standard input stays open after `input`: exec_write(), exec_close(); since 1.3 */
} AzlinExec;

typedef struct { /* two commands on two machines, the output of one fed to the other through azlin; since 1.3 */
  gsize size;
  const AzlinVm *from, *to;
  const char *const *from_argv, *const *to_argv;
  GBytes *from_input;                            /* standard input of the first, or NULL */
  guint32 bwlimit_kib;                           /* KiB/s, 0 = none */
  void (*moved)(guint64 bytes, gpointer data);   /* so many in all have been taken by the second; or NULL */
  void (*said)(const char *line, gpointer data); /* each line that the second prints; or NULL */
  gpointer data;                                 /* must live until the op has finished */
} AzlinPipe;

typedef struct {
  gsize size;
  int status; /* exit code; 128 + n when a signal ended it */
  int pid;    /* detach only */
  GBytes *out, *err;
} AzlinReply;

typedef struct { /* whose token a request carries, and the one place it may go to; since 1.1 */
  gsize size;
  const char *origin;       /* scheme, host and port that may see the token: "https://management.azure.com" */
  const char *authority;    /* where service principals ask for it: "https://login.microsoftonline.com" */
  const char *scope;        /* "https://management.azure.com/.default" */
  const char *subscription; /* for a command-line login that knows several; or NULL */
} AzlinIdentity;

typedef struct { /* whom to trust over https, and as whom to come: PEM files; since 1.5 */
  gsize size;
  const char *ca_file;                     /* of authorities, trusted instead of all others; or NULL */
  const char *certificate_file, *key_file; /* both or none; read anew for each request */
} AzlinTls;

typedef struct { /* one HTTP request; the engine retries it by class, paces it and caps what comes back; since 1.1 */
  gsize size;
  const char *method;            /* "GET", ... */
  const char *url;               /* absolute; http: for a loopback host alone */
  const AzlinIdentity *identity; /* NULL = no token; with one, a URL of another origin is refused unsent */
  const char *const *headers;    /* name, value, ..., NULL; or NULL. Never Authorization */
  GBytes *body;                  /* or NULL */
  const char *content_type;      /* NULL = application/json when there is a body */
  const char *account;           /* requests of one account share a rate budget; NULL = unpaced */
  gboolean once;                 /* its effect may not come twice: never sent again after it may have arrived */
  gsize max_body;                /* cap on the decoded answer, bytes; 0 = 8 MiB; more is an error */
  gboolean single; /* one attempt, whatever comes of it: the caller asks elsewhere, or again; since 1.4 */
  const AzlinTls *tls; /* NULL = [http] ca-file, and no certificate; since 1.5 */
} AzlinHttp;

typedef struct {
  gsize size;
  int status;
  const char *const *headers; /* lower-case name, value, ..., NULL */
  GBytes *body;               /* decoded; a JSON one is valid UTF-8 and nests at most 64 deep, or the op has failed */
  /* since 1.2: what Retry-After and its like ask for, a date by the server's clock; -1 = nothing */
  gint64 retry_after_ms;
} AzlinHttpReply;

typedef struct { /* the lease under which an operation acts; since 1.5 */
  gsize size;
  const char *coordinator; /* the brick that gave it: tokens of two of them say nothing of each other */
  const char *key;
  guint64 token;
} AzlinFence;

/* ---- what the engine gives ---- */

typedef void (*AzlinDone)(AzlinOp *op, gpointer data);

typedef struct {
  gsize size;
  /* this brick's view */
  void (*log)(AzlinHost *, GLogLevelFlags, const char *fmt, ...) G_GNUC_PRINTF(3, 4);
  GVariant *(*option)(AzlinHost *,
                      const char *name); /* owned; type- and range-checked; never NULL for a declared name */
  const char *(*state_dir)(AzlinHost *); /* 0700 folder, this brick's alone, under $AZLIN_HOME; made on demand */
  const char *(*home_dir)(AzlinHost *);  /* $AZLIN_HOME itself */
  gint64 (*now)(AzlinHost *);            /* wall time, microseconds; virtual under provider-sim */
  gint64 (*monotonic)(AzlinHost *);      /* CLOCK_BOOTTIME, microseconds; virtual under provider-sim */
  gconstpointer (*lookup)(AzlinHost *, AzlinKind, const char *name /* NULL = the selected one */, gpointer *self);
  AzlinVm *(*vm_dup)(const AzlinVm *);
  void (*vm_free)(AzlinVm *);

  /* ops: make a child, give it to an asynchronous call, read its result in `done`; it is freed after `done` returns */
  AzlinOp *(*op_new)(AzlinOp *parent, const char *label, guint32 timeout_ms /* 0 = the parent's */, AzlinDone done,
                     gpointer data);
  gboolean (*op_cancelled)(AzlinOp *);
  void (*op_cancel)(AzlinOp *, const char *why);
  void (*op_on_cancel)(AzlinOp *, void (*func)(gpointer), gpointer data); /* for work that is not itself an op */
  void (*op_progress)(AzlinOp *, guint64 done, guint64 total, const char *text);
  void (*op_region)(AzlinOp *, const char *region, const AzlinVm *,
                    const GError *); /* one region's result, streamed at once */
  void (*op_region_started)(AzlinOp *, const char *region, const char *text);
  void (*op_finish)(AzlinOp *);
  void (*op_finish_vm)(AzlinOp *, const AzlinVm *);                  /* copied */
  void (*op_finish_vms)(AzlinOp *, const AzlinVm *const *, gsize n); /* copied */
  void (*op_finish_variant)(AzlinOp *, GVariant *);                  /* sinks a floating reference */
  void (*op_fail)(AzlinOp *, GError *);                              /* takes the error */
  const GError *(*op_error)(AzlinOp *); /* NULL = success; the four below are valid in `done` */
  const AzlinVm *(*op_vm)(AzlinOp *);
  const AzlinVm *const *(*op_vms)(AzlinOp *, gsize *n);
  GVariant *(*op_variant)(AzlinOp *); /* borrowed */
  const AzlinReply *(*op_reply)(AzlinOp *);

  /* the world: each finishes its op */
  void (*exec)(AzlinHost *, const AzlinExec *,
               AzlinOp *); /* op_reply; a command that ran is success whatever its status */
  void (*sleep)(AzlinHost *, guint32 ms, AzlinOp *);
  void (*health)(AzlinHost *, const AzlinVm *, AzlinOp *); /* op_variant: a{sv} of the health record */
  int (*retry_delay_ms)(const GError *, guint32 attempt);  /* taxonomy: delay before attempt + 1, or < 0 = give up */

  /* journal: durable before it returns; FALSE = nothing may be done. `undo` is handed to recover() after a crash */
  gboolean (*journal_intent)(AzlinHost *, AzlinOp *, const char *what, GVariant *undo /* a{sv} */, guint64 *ret_id,
                             GError **error);
  void (*journal_done)(AzlinHost *, guint64 id);

  /* for providers that answer vm_exec themselves; `out` and `err` stay the caller's */
  void (*op_finish_reply)(AzlinOp *, int status, int pid, GBytes *out, GBytes *err);

  /* since 1.1 */
  void (*http)(AzlinHost *, const AzlinHttp *, AzlinOp *); /* op_http; an answer is success whatever its status */
  const AzlinHttpReply *(*op_http)(AzlinOp *);             /* valid in `done` */
  /* adds facts to an open intent, durable before it returns; recover() sees the last value of each key */
  gboolean (*journal_update)(AzlinHost *, guint64 id, GVariant *facts /* a{sv} */, GError **error);
  /* an op beside the tree of `op`, for undoing what was begun: it goes on when that tree is cancelled or ends, and
   * azlin waits for it; `timeout_ms` must not be 0 */
  AzlinOp *(*op_new_detached)(AzlinOp *op, const char *label, guint32 timeout_ms, AzlinDone done, gpointer data);
  void (*error_add_step)(GError *, const char *fmt, ...) G_GNUC_PRINTF(2, 3); /* a next step for people */

  /* since 1.2 */
  gboolean (*op_urgent)(AzlinOp *); /* a failover waits for it: whoever is switched off gets no time to agree */

  /* since 1.3 */
  /* more standard input for the command of an `interactive` exec that was given `op`, in order, queued without bound:
   * for lines, not for data. FALSE: the command has ended. */
  gboolean (*exec_write)(AzlinOp *op, const char *bytes, gsize length);
  void (*exec_close)(AzlinOp *op); /* end of its standard input */
  /* variant a{sv}: from_status i, to_status i, bytes t, from_err s, to_err s (valid UTF-8, capped); commands that ran
   * are success whatever their status. The first is ended when the second ends early; from_status is 141 then, as of
   * SIGPIPE. The end of its input is no sign of success for the second: it comes too when the first fails or is lost. */
  void (*pipe)(AzlinHost *, const AzlinPipe *, AzlinOp *);
  /* A key from job->source to job->target that admits one thing alone: rrsync -wo target_folder, or with `receiver`
   * that script, run by sh with $1 = target_folder and $2 = job->run and the connection as its standard input and
   * output. Variant as for job->grant. The engine takes it back when the op of the transfer has ended. The op ends when
   * the key is made; where the two are far apart it may still be on its way to the target, which admits it before a
   * login as OpenSSH does it comes to its key: who is denied at first tries again. */
  void (*sync_grant)(AzlinHost *, const AzlinSyncJob *, const char *receiver, AzlinOp *);

  /* since 1.5 */
  /* the lease that the flow holds which `op` belongs to, NULL = it holds none; lives as long as `op`. Who writes where
   * that coordinator keeps its leases compares the token in the same transaction, and fails with FENCED. */
  const AzlinFence *(*op_fence)(AzlinOp *);
} AzlinHostApi;
struct _AzlinHost {
  const AzlinHostApi *api; /* private fields follow */
};

/* Tags of machines; since 1.1. A provider puts the first two on all that it makes. All of them are hints: who may write
 * tags may write any of them, so nothing that a key or a lock decides is read from them. */
#define AZLIN_TAG_MANAGED "azlin:managed"             /* "true": azlin made it */
#define AZLIN_TAG_OP "azlin:op"                       /* uuid of the creation */
#define AZLIN_TAG_REGION "azlin:region"               /* the region of its record */
#define AZLIN_TAG_HOME "azlin:home"                   /* which home of azlin it was made from */
#define AZLIN_TAG_CREATED "azlin:created_at"          /* ISO 8601, UTC */
#define AZLIN_TAG_TYPE "azlin:vm_type"                /* its size, as the provider calls it */
#define AZLIN_TAG_PRIMARY "azlin:primary"             /* "true" or "false" */
#define AZLIN_TAG_EPOCH "azlin:epoch"                 /* of the move that made it so; of two primaries the higher one */
#define AZLIN_TAG_PRIMARY_SINCE "azlin:primary_since" /* ISO 8601, UTC */

/* ---- one interface per kind; every op is finished exactly once by the brick ---- */

typedef struct { /* one cloud, one machine at a time, no policy */
  gsize size;
  void (*vm_create)(gpointer self, const AzlinVmSpec *,
                    AzlinOp *);                              /* op_vm; adopts a machine of that name that exists */
  void (*vm_get)(gpointer self, const AzlinVm *, AzlinOp *); /* op_vm with live power; NOT_FOUND when gone */
  void (*vm_power)(gpointer self, const AzlinVm *, AzlinPower want, AzlinOp *); /* op_vm */
  void (*vm_restart)(gpointer self, const AzlinVm *, AzlinOp *);                /* op_vm */
  void (*vm_delete)(gpointer self, const AzlinVm *, AzlinOp *);                 /* finish; gone already = success */
  void (*vm_list)(gpointer self, AzlinOp *);                                    /* op_vms: all that azlin made */
  /* optional: machines without a network. NULL = the engine uses sockets and SSH. */
  void (*vm_exec)(gpointer self, const AzlinVm *, const AzlinExec *, AzlinOp *);
  void (*vm_probe)(gpointer self, const AzlinVm *suspect, const AzlinVm *from /* NULL = here */,
                   AzlinOp *); /* variant (ss): outcome, detail */
  gboolean virtual_time;       /* the engine runs on a virtual clock while this provider is selected */
  /* since 1.1, all optional */
  /* merges `set` (a{ss}) into the machine's tags and takes `unset` (names, ends NULL, or NULL) away; others stay. Names
   * are compared without case. Finish without a result; NOT_FOUND when the machine is gone, USAGE for a name or value
   * that the cloud does not take: nothing is cut to fit. NULL: the provider's machines carry no tags. */
  void (*vm_tag)(gpointer self, const AzlinVm *, GVariant *set, const char *const *unset, AzlinOp *);
  /* before the first write: whether all these machines together fit. Variant aa{sv}, one per spec in their order:
   * ok b; when not: code s ("SkuNotAvailable", ...), message s, steps as (optional: next steps; an
   * empty one = nothing else is worth suggesting) */
  void (*preflight)(gpointer self, const AzlinVmSpec *const *specs /* ends NULL */, AzlinOp *);
  /* where else a machine that found no room would fit, checked like a preflight, best first: other sizes, then zones,
   * then `regions` (ends NULL). Variant aa{sv}: region s, vm_size s, zone s ("" = none), reason s */
  void (*alternatives)(gpointer self, const AzlinVmSpec *, const char *const *regions, AzlinOp *);
  /* since 1.2, optional: cuts the machine off its network from outside (`on`), or lets it back; nothing on the machine
   * helps. Finish once it is in force; done already = success; NOT_FOUND when it is gone. */
  void (*vm_isolate)(gpointer self, const AzlinVm *, gboolean on, AzlinOp *);
} AzlinProvider;

typedef struct { /* fan-out policy; results leave through op_region() */
  gsize size;
  void (*deploy)(gpointer self, const AzlinDeployPlan *, AzlinOp *);
} AzlinDeployer;

typedef struct { /* decide() is pure: no I/O, no clock, no state beyond its options; simulations call it on several
                    threads */
  gsize size;
  void (*decide)(gpointer self, const AzlinDecisionInput *, AzlinDecision *out);
} AzlinFailover;

typedef struct {
  gsize size;
  /* predicted seconds, or < 0 = cannot do this job; strategy=auto takes the smallest; ret_reason is g_strdup'ed */
  double (*score)(gpointer self, const AzlinSyncJob *, char **ret_reason);
  /* variant a{sv}: files_synced t, bytes_transferred t, errors as, incomplete b (something was left out, the rest is
   * done), note s (optional: a remark for people). The op fails when nothing of the path can be relied on. */
  void (*transfer)(gpointer self, const AzlinSyncJob *, AzlinOp *);
  /* since 1.3 */
  gboolean asks_for_key; /* by sync_grant(), when it needs one; FALSE: every job comes with one for rsync */
  /* optional: one path of one source to several targets at once, an op for each job as of transfer() */
  void (*transfer_all)(gpointer self, const AzlinSyncJob *const *jobs, AzlinOp *const *ops, gsize n);
  /* since 1.6, optional: of `names` (of char*, as in `only`; on the target now, and before neither there nor on the
   * source) those that a transfer of `job` leaves when it is killed there; they go to the trash. Elements borrowed,
   * container owned; NULL = none. */
  GPtrArray *(*left_behind)(gpointer self, const AzlinSyncJob *job, GPtrArray *names);
} AzlinSync;

typedef struct { /* where region records live; every call is atomic and durable when it finishes */
  gsize size;
  void (*list)(gpointer self, AzlinOp *); /* op_vms: primary first, then by region name */
  void (*put)(gpointer self, const AzlinVm *,
              AzlinOp *); /* add or update by region; never moves the primary while one stands */
  void (*forget)(gpointer self, const char *region, AzlinOp *);
  /* compare-and-swap: the primary must still be `from` ("" = none) and the epoch `epoch`; on success epoch + 1 is
   * stored with it. variant t: the new epoch; FENCED when somebody was faster. `to` = "" leaves no primary. */
  void (*set_primary)(gpointer self, const char *from, const char *to, guint64 epoch, AzlinOp *);
  void (*info)(gpointer self, AzlinOp *); /* variant a{sv}: epoch t, generation t, primary s, path s; source s of a
                                           * place that many hosts share, since 1.5 */
  /* status and last_health_check of all these in one write; a region that is gone, or has another vm_name now, is left
   * alone. NULL = this place does not keep them. */
  void (*put_status)(gpointer self, const AzlinVm *const *vms, gsize n, AzlinOp *);
  void (*put_all)(gpointer self, const AzlinVm *const *vms, gsize n,
                  AzlinOp *); /* put() of several in one write; or NULL */
  /* since 1.1, optional: the epoch is at least so much from now on. For records made anew: what a fence has seen of the
   * ones before must not be newer than what comes now. */
  void (*raise_epoch)(gpointer self, guint64 epoch, AzlinOp *);
  /* since 1.5, optional: makes this place a copy of another that many hosts share: exactly these records, the primary
   * among them, and what `info` (a{sv}) of that place says: epoch, generation, source; in one write, and none when it is
   * that copy already. EXISTS: what stands here is neither a copy of `source` nor the same; FENCED: it was at a later
   * epoch. info() says of a copy: copy_of s, the source. Whatever else changes it ends its being one. */
  void (*mirror)(gpointer self, const AzlinVm *const *vms, gsize n, GVariant *info, AzlinOp *);
  /* since 1.5, optional, of a place that many hosts share: keeps one short text for each of them, by its name; and hands
   * out those of all, variant a{ss}. What each is working on; nothing is decided by it. */
  void (*publish)(gpointer self, const char *name, const char *text, AzlinOp *);
  void (*published)(gpointer self, AzlinOp *);
} AzlinContext;

typedef struct { /* who may act: leases with a rising fence token */
  gsize size;
  /* variant t: the token. LOCKED = held by another; any other error, NETWORK first of all = nobody can tell who holds
   * it. A lease that cannot be renewed is lost before another can have it. */
  void (*acquire)(gpointer self, const char *key, guint32 ttl_s, AzlinOp *);
  void (*renew)(gpointer self, const char *key, guint64 token, AzlinOp *); /* FENCED = lost, or never held */
  void (*release)(gpointer self, const char *key, guint64 token, AzlinOp *);
  /* since 1.4, optional: finishes when leases can be had, fails with what stands in the way; changes nothing. NULL:
   * nothing can. */
  void (*check)(gpointer self, AzlinOp *);
  /* since 1.5, optional, all three or none: who else is there. NULL: nobody can know, and one works alone. */
  /* This process is there as `name` ([A-Za-z0-9._-], 64 bytes at most) for `ttl_s` from now, and `facts` (UTF-8, up to
   * AZLIN_FACTS_MAX bytes) is what others read of it; repeated in time, it stays, with what it says then. Variant t: a
   * number that rises with each that comes, and changes when this one was away in between. LOCKED: another process is
   * there under that name. */
  void (*announce)(gpointer self, const char *name, const char *facts, guint32 ttl_s, AzlinOp *);
  /* All that are there now. Variant a(sts): name, number, facts; what others wrote, unchecked but for UTF-8 and size. */
  void (*members)(gpointer self, AzlinOp *);
  void (*leave)(gpointer self, const char *name, AzlinOp *); /* now, not with its time */
} AzlinCoordinator;
#define AZLIN_FACTS_MAX 8192u

/* ---- the descriptor: data only, so that no code of the plugin matters before it was checked ---- */

typedef struct {
  const char *name, *type; /* GVariant type: "s", "as", "b", "u", "d", "t" */
  const char *def;         /* default in the config file's spelling; NULL = empty */
  const char *min, *max;   /* numbers only; NULL = no bound */
  const char *help;        /* one line */
} AzlinOption;

typedef struct {
  gsize size;
  AzlinKind kind;
  const char *name, *summary;
  const AzlinOption *options;                                   /* ends {0}; or NULL */
  gboolean (*init)(AzlinHost *, gpointer *ret_self, GError **); /* no I/O; FALSE: the brick stays out, reason shown */
  void (*free)(gpointer self);                                  /* after its last op has finished */
  /* after a crash: finish or undo what journal_intent(what, undo) announced; finishing the op closes the record.
   * NULL is allowed for a brick that never writes intents. */
  void (*recover)(gpointer self, const char *what, GVariant *undo, AzlinOp *);
  gconstpointer iface;
} AzlinBrick;

typedef struct {
  gsize size;
  guint32 abi_major, abi_minor;
  const char *id, *version, *license;
  const AzlinBrick *const *bricks; /* ends NULL */
} AzlinPlugin;

#define AZLIN_PLUGIN_SYMBOL "azlin_plugin_v1"
#define AZLIN_PLUGIN_DEFINE(_id, _version, _license, ...)                                                              \
  __attribute__((visibility("default"))) extern const AzlinPlugin azlin_plugin_v1;                                     \
  const AzlinPlugin azlin_plugin_v1 = {                                                                                \
    sizeof(AzlinPlugin),                                                                                               \
    AZLIN_ABI_MAJOR,                                                                                                   \
    AZLIN_ABI_MINOR,                                                                                                   \
    _id,                                                                                                               \
    _version,                                                                                                          \
    _license,                                                                                                          \
    (const AzlinBrick *const[]){ __VA_ARGS__, NULL },                                                                  \
  };
G_END_DECLS
