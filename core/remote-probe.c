/* One probe of one machine: TCP, SSH with the pinned key, login with an echo; each step has a deadline of its own. */
#include "remote-private.h"

#include "evidence.h"
#include "record.h"

#include <string.h>
#include <sys/resource.h>

/* All probes of a large fleet start at once, so that silent machines do not queue behind each other; this bound only
 * keeps descriptors and memory finite. Deadlines start when the probe does. */
#define MAX_PROBES 1024
#define SPARE_DESCRIPTORS 64

typedef struct _Probe {
  AzRemote *remote;
  AzlinVm *vm;
  AzlinOp *op;       /* NULL once it is cut short */
  AzTimer *deadline; /* of the step */
  AzProbeLimits limits;
  gboolean running;
  AzSshStep step;
  gint64 began, step_began; /* monotonic */
  AzSshConn *conn;
  gboolean banner_only;
  char nonce[17];
  GString *echo;
  GPtrArray *evidence; /* the caller's */
} Probe;

static void start(Probe *probe);

static const char *const step_names[] = { "tcp", "ssh", "login" };

static const char *
outcome_name(AzSshOutcome outcome)
{
  switch (outcome) {
  case AZ_SSH_OK:
    return "ok";
  case AZ_SSH_REFUSED:
    return "refused";
  case AZ_SSH_TIMEOUT:
    return "timeout";
  case AZ_SSH_UNREACHABLE:
    return "unreachable";
  case AZ_SSH_CLOSED:
    return "closed";
  case AZ_SSH_AUTH_FAILED:
    return "auth_failed";
  case AZ_SSH_HOST_KEY_CHANGED:
    return "host_key_changed";
  case AZ_SSH_HOST_KEY_UNKNOWN:
    return "host_key_unknown";
  default:
    return "error";
  }
}

static void
record(Probe *probe, AzSshOutcome outcome, const char *detail)
{
  AzClock *clock = probe->remote->clock;
  double ms = (double) (az_clock_monotonic(clock) - probe->step_began) / 1000.0;
  const char *step = step_names[probe->step];
  if (probe->op != NULL) /* else nobody may own the list any more */
    g_ptr_array_add(probe->evidence,
                    az_evidence_new("here", step, outcome_name(outcome), detail, ms, az_clock_now(clock)));
}

static void
start_next(AzRemote *remote)
{
  Probe *next = g_queue_pop_head(&remote->probes_waiting);
  if (next != NULL)
    start(next);
}

static void
probe_free(Probe *probe)
{
  AzRemote *remote = probe->remote;
  az_timer_cancel(probe->deadline);
  if (probe->conn != NULL)
    remote->ssh->close(probe->conn);
  if (probe->running)
    remote->probes_running--;
  else
    g_queue_remove(&remote->probes_waiting, probe);
  az_clock_release(remote->clock);
  g_string_free(probe->echo, TRUE);
  az_vm_free(probe->vm);
  g_free(probe);
}

static void
finish(Probe *probe)
{
  AzRemote *remote = probe->remote;
  if (probe->op != NULL)
    az_op_finish(probe->op);
  probe_free(probe);
  start_next(remote);
}

static void
on_cancel(gpointer data)
{
  Probe *probe = data;
  probe->op = NULL;
  finish(probe);
}

static void
on_deadline(gpointer data)
{
  Probe *probe = data;
  probe->deadline = NULL;
  record(probe, AZ_SSH_TIMEOUT, probe->step == AZ_SSH_TCP ? "no answer in time" : "connected, but no answer in time");
  finish(probe);
}

/* A machine that is slow at every step must not take three times as long as a silent one. */
static guint32
limit_of(const Probe *probe, AzSshStep step)
{
  const AzProbeLimits *limits = &probe->limits;
  gint64 total_ms = (gint64) limits->tcp_ms + MAX(limits->ssh_ms, limits->login_ms);
  gint64 left_ms = total_ms - (az_clock_monotonic(probe->remote->clock) - probe->began) / 1000;
  guint32 own_ms = step == AZ_SSH_TCP ? limits->tcp_ms : step == AZ_SSH_LOGIN ? limits->login_ms : limits->ssh_ms;
  return (guint32) CLAMP(left_ms, 1, own_ms);
}

static void
begin_step(Probe *probe, AzSshStep step)
{
  probe->step = step;
  probe->step_began = az_clock_monotonic(probe->remote->clock);
  az_timer_cancel(probe->deadline);
  probe->deadline = az_clock_after(probe->remote->clock, limit_of(probe, step), on_deadline, probe);
}

static void
on_echo(gboolean is_stderr, const char *bytes, gsize length, gpointer data)
{
  Probe *probe = data;
  if (is_stderr || probe->echo->len + length > 4096)
    return;
  g_string_append_len(probe->echo, bytes, (gssize) length);
  /* what a login script prints before does not matter; no need to wait for the exit status either */
  if (strstr(probe->echo->str, probe->nonce) == NULL)
    return;
  record(probe, AZ_SSH_OK, NULL);
  finish(probe);
}

static void
on_echo_over(const AzSshExit *how, gpointer data)
{
  Probe *probe = data;
  g_autofree char *detail = g_strdup_printf("logged in, but echo did not answer (%s, status %d)",
                                            how->detail != NULL ? how->detail : "ended", how->status);
  record(probe, how->ended ? AZ_SSH_ERROR : AZ_SSH_CLOSED, detail);
  finish(probe);
}

static void
ask_echo(Probe *probe)
{
  const char *const argv[] = { "echo", probe->nonce, NULL };
  g_autofree char *text = az_remote_quote(argv);
  AzSshExec exec = { .command = text, .no_eof = TRUE, .output = on_echo, .finished = on_echo_over, .data = probe };
  probe->remote->ssh->exec(probe->conn, &exec);
}

static gboolean
on_trust(const char *host_key, gpointer data)
{
  Probe *probe = data;
  return az_remote_trust(probe->remote, probe->vm, host_key);
}

static void
on_event(AzSshStep step, AzSshOutcome outcome, const char *detail, gpointer data)
{
  Probe *probe = data;
  if (outcome != AZ_SSH_OK) {
    record(probe, outcome, detail);
    finish(probe);
    return;
  }
  if (step == AZ_SSH_LOGIN) { /* the echo belongs to the same step */
    ask_echo(probe);
    return;
  }
  record(probe, AZ_SSH_OK, NULL);
  if (step == AZ_SSH_KEX && (probe->limits.login_ms == 0 || probe->banner_only)) {
    finish(probe);
    return;
  }
  begin_step(probe, step + 1);
}

static void
start(Probe *probe)
{
  AzRemote *remote = probe->remote;
  remote->probes_running++;
  probe->running = TRUE;
  /* who answers to a name today is for the key to say */
  probe->banner_only = probe->limits.banner_only && g_hostname_is_ip_address(probe->vm->public_ip);
  AzSshConnect request = { .host = probe->vm->public_ip,
                           .port = az_remote_port(probe->vm),
                           .user = az_remote_user(remote, probe->vm),
                           .host_key = az_remote_pin(remote, probe->vm),
                           .key = remote->key,
                           .banner_only = probe->banner_only,
                           .trust = on_trust,
                           .event = on_event,
                           .data = probe };
  probe->began = az_clock_monotonic(remote->clock);
  begin_step(probe, AZ_SSH_TCP);
  probe->conn = remote->ssh->connect(&request);
}

/* The soft limit of 1024 descriptors is a convention for select(); the hard one is what this process may have. */
static guint
max_probes(void)
{
  static guint limit;
  struct rlimit files;
  if (limit > 0)
    return limit;
  limit = MAX_PROBES;
  if (getrlimit(RLIMIT_NOFILE, &files) != 0)
    return limit;
  rlim_t wanted = MIN(files.rlim_max, MAX_PROBES + SPARE_DESCRIPTORS);
  if (files.rlim_cur < wanted) {
    files.rlim_cur = wanted;
    setrlimit(RLIMIT_NOFILE, &files);
    getrlimit(RLIMIT_NOFILE, &files);
  }
  if (files.rlim_cur < MAX_PROBES + SPARE_DESCRIPTORS)
    limit = (guint) MAX(files.rlim_cur, 2 * SPARE_DESCRIPTORS) - SPARE_DESCRIPTORS;
  return limit;
}

void
az_remote_probe(AzRemote *remote, const AzlinVm *vm, const AzProbeLimits *limits, GPtrArray *evidence, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  if (az_op_cancelled(op))
    return;
  if (vm->public_ip == NULL || *vm->public_ip == '\0') {
    az_op_fail_new(op, AZLIN_ERROR_NETWORK, "%s (%s) has no address", vm->vm_name, vm->region);
    return;
  }
  if (!az_remote_open(remote, &error)) {
    az_op_fail(op, g_steal_pointer(&error));
    return;
  }
  Probe *probe = g_new0(Probe, 1);
  *probe = (Probe){ .remote = remote, .vm = az_vm_dup(vm), .op = op, .limits = *limits, .evidence = evidence };
  probe->echo = g_string_new(NULL);
  g_snprintf(probe->nonce, sizeof probe->nonce, "%08x%08x", g_random_int(), g_random_int());
  az_clock_hold(remote->clock);
  az_op_on_cancel(op, on_cancel, probe);
  if (remote->probes_running < max_probes())
    start(probe);
  else
    g_queue_push_tail(&remote->probes_waiting, probe);
}
