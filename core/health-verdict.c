/* What the evidence about one machine says: a pure function. */
#include "health.h"

#include "record.h"

static gboolean
is(const AzlinEvidence *one, const char *probe, const char *outcome)
{
  return one != NULL && g_strcmp0(one->probe, probe) == 0 && (outcome == NULL || g_strcmp0(one->outcome, outcome) == 0);
}

static const AzlinEvidence *
find(const AzlinEvidence *const *evidence, const char *probe)
{
  for (; evidence != NULL && *evidence != NULL; evidence++) {
    if (is(*evidence, probe, NULL) && g_strcmp0((*evidence)->vantage, "here") == 0)
      return *evidence;
  }
  return NULL;
}

static const char *
detail_of(const AzlinEvidence *one)
{
  return one != NULL && one->detail != NULL ? one->detail : "no detail";
}

/* A machine that is off by itself, or whose power state is unknown: what the network says. */
static AzlinFailure
judge_tcp(const AzlinEvidence *tcp, char **ret_detail)
{
  if (is(tcp, "tcp", "refused")) {
    *ret_detail = g_strdup_printf("Connection refused on the SSH port (%s)", detail_of(tcp));
    return AZLIN_FAILURE_SSH_CONNECTION_FAILED;
  }
  if (is(tcp, "tcp", "timeout")) {
    *ret_detail
        = g_strdup_printf("Connection timeout: the machine does not answer on the network (%s)", detail_of(tcp));
    return AZLIN_FAILURE_NETWORK_UNREACHABLE;
  }
  if (is(tcp, "tcp", "unreachable")) {
    *ret_detail = g_strdup_printf("The machine is unreachable (%s)", detail_of(tcp));
    return AZLIN_FAILURE_NETWORK_UNREACHABLE;
  }
  if (is(tcp, "tcp", "closed")) {
    *ret_detail = g_strdup_printf("The connection was reset while it was made (%s)", detail_of(tcp));
    return AZLIN_FAILURE_SSH_CONNECTION_FAILED;
  }
  *ret_detail = g_strdup_printf("Nothing conclusive was seen (%s)", detail_of(tcp));
  return AZLIN_FAILURE_UNKNOWN;
}

/* TCP works: key exchange or login do not. "error" is trouble of ours or an answer that proves nothing. */
static AzlinFailure
judge_session(const AzlinEvidence *step, char **ret_detail)
{
  if (is(step, step->probe, "host_key_changed")) {
    *ret_detail = g_strdup_printf("The host key is not the pinned one (%s)", detail_of(step));
    return AZLIN_FAILURE_HOST_KEY_CHANGED;
  }
  if (is(step, step->probe, "host_key_unknown")) { /* it lives, but nothing more can be said without a pin */
    *ret_detail = g_strdup_printf("No host key is pinned (%s)", detail_of(step));
    return AZLIN_FAILURE_UNKNOWN;
  }
  if (is(step, step->probe, "auth_failed")) {
    *ret_detail = g_strdup_printf("The login was refused (%s)", detail_of(step));
    return AZLIN_FAILURE_AUTH_FAILED;
  }
  if (is(step, step->probe, "closed")) { /* somebody took the connection to do so: overload, or a restart */
    *ret_detail = g_strdup_printf("The SSH server closes new connections: it is overloaded or restarting (%s)",
                                  detail_of(step));
    return AZLIN_FAILURE_PERFORMANCE_DEGRADED;
  }
  *ret_detail = g_strdup_printf("SSH does not work although the port is open: %s %s (%s)", step->probe, step->outcome,
                                detail_of(step));
  return AZLIN_FAILURE_SSH_CONNECTION_FAILED;
}

static gboolean
failed(const AzlinEvidence *step)
{
  return step != NULL && !is(step, step->probe, "ok");
}

static AzlinFailure
judge_login(const AzlinEvidence *login, double slow_ms, char **ret_detail)
{
  if (slow_ms <= 0 || login->ms <= slow_ms)
    return AZLIN_FAILURE_NONE;
  *ret_detail = g_strdup_printf("A login takes %.0f ms, more than %.0f ms", login->ms, slow_ms);
  return AZLIN_FAILURE_PERFORMANCE_DEGRADED;
}

AzlinFailure
az_health_verdict(const AzlinEvidence *const *evidence, AzlinPower power, AzlinStopCause cause, double slow_ms,
                  char **ret_detail)
{
  g_autofree char *detail = NULL;
  const AzlinEvidence *tcp = find(evidence, "tcp");
  const AzlinEvidence *ssh = find(evidence, "ssh");
  const AzlinEvidence *login = find(evidence, "login");
  AzlinFailure failure;
  gboolean off = power == AZLIN_POWER_STOPPED || power == AZLIN_POWER_DEALLOCATED;
  if (is(login, "login", "ok")) { /* a login is worth more than what a provider remembers */
    failure = judge_login(login, slow_ms, &detail);
  } else if (off && cause != AZLIN_STOP_ENDED) {
    failure = power == AZLIN_POWER_STOPPED ? AZLIN_FAILURE_VM_STOPPED : AZLIN_FAILURE_VM_DEALLOCATED;
    detail = g_strdup_printf("VM is %s%s", az_power_to_string(power),
                             cause == AZLIN_STOP_REQUESTED ? " on request" : "; the provider does not say why");
  } else if (failed(ssh) || failed(login)) {
    failure = judge_session(failed(ssh) ? ssh : login, &detail);
  } else {
    failure = judge_tcp(tcp, &detail);
  }
  if (ret_detail != NULL)
    *ret_detail = g_steal_pointer(&detail);
  return failure;
}
