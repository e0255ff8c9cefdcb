/* Health of one machine: power state and the SSH probe side by side, each with its own deadline, then the verdict. */
#include "health.h"

#include "evidence.h"

#include <string.h>

#define EVENTS 1000u /* of the audit log, from its end, that are looked through for intent */

typedef struct {
  AzEngine *engine;
  AzlinVm *vm; /* as stored; power and cause as soon as they are known */
  AzlinOp *op;
  guint pending;
  gboolean by_ssh; /* not by the provider's own vm_probe */
  gboolean (*is_known)(const AzlinHealth *health);
  gint64 began;        /* monotonic */
  GPtrArray *evidence; /* of AzlinEvidence */
} Check;

static void
add_evidence(Check *check, const char *probe, const char *outcome, const char *detail)
{
  AzClock *clock = az_engine_clock(check->engine);
  double ms = (double) (az_clock_monotonic(clock) - check->began) / 1000.0;
  g_ptr_array_add(check->evidence, az_evidence_new("here", probe, outcome, detail, ms, az_clock_now(clock)));
}

static void
add_platform(Check *check, const AzlinVm *live)
{
  AzClock *clock = az_engine_clock(check->engine);
  double ms = (double) (az_clock_monotonic(clock) - check->began) / 1000.0;
  AzlinEvidence *platform = az_evidence_of_platform(live, ms, az_clock_now(clock));
  if (platform != NULL)
    g_ptr_array_add(check->evidence, platform);
}

static double
login_ms(const AzlinEvidence *const *evidence)
{
  for (; *evidence != NULL; evidence++) {
    if (g_strcmp0((*evidence)->probe, "login") == 0 && g_strcmp0((*evidence)->outcome, "ok") == 0)
      return (*evidence)->ms;
  }
  return -1;
}

/* One more key in an a{sv}. */
static GVariant *
with_host_key(GVariant *health, const char *host_key)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(health);
  GVariantDict dict;
  g_variant_dict_init(&dict, sunk);
  g_variant_dict_insert(&dict, "host_key", "s", host_key);
  return g_variant_dict_end(&dict);
}

/* NULL: the caller has no use for it. */
static GVariant *
judge(Check *check)
{
  g_autofree char *detail = NULL;
  g_ptr_array_add(check->evidence, NULL);
  const AzlinEvidence *const *evidence = (const AzlinEvidence *const *) check->evidence->pdata;
  double slow_ms = az_config_double(az_engine_config(check->engine), "health", "slow-ms");
  AzlinHealth health = { .size = sizeof health, .vm = check->vm, .evidence = evidence };
  health.failure = az_health_verdict(evidence, check->vm->power, check->vm->stop_cause, slow_ms, &detail);
  health.healthy = health.failure == AZLIN_FAILURE_NONE;
  health.response_time_ms = login_ms(evidence);
  health.detail = detail;
  if (check->is_known != NULL && check->is_known(&health))
    return NULL;
  GVariant *value = az_health_to_variant(&health);
  gboolean pinned = check->vm->host_key != NULL && *check->vm->host_key != '\0';
  const char *trusted
      = pinned || !check->by_ssh ? NULL : az_remote_trusted_key(az_engine_remote(check->engine), check->vm);
  return trusted != NULL ? with_host_key(value, trusted) : value;
}

static void
one_done(Check *check)
{
  if (--check->pending > 0)
    return;
  if (!az_op_cancelled(check->op))
    az_op_finish_variant(check->op, judge(check));
  g_ptr_array_unref(check->evidence);
  az_vm_free(check->vm);
  g_free(check);
}

AzlinStopCause
az_health_intent(AzEngine *engine, const AzlinVm *vm, char **ret_detail)
{
  AzAudit *audit = az_engine_audit(engine, NULL);
  g_autoptr(GVariant) events = audit != NULL ? az_audit_show(audit, EVENTS, NULL) : NULL;
  return az_intent_of(events, vm, ret_detail);
}

/* The provider does not say why it is off: azlin may know. Owned detail, or NULL. */
static char *
settle_cause(Check *check)
{
  AzlinVm *vm = check->vm;
  char *detail = NULL;
  gboolean off = vm->power == AZLIN_POWER_STOPPED || vm->power == AZLIN_POWER_DEALLOCATED;
  if (off && vm->stop_cause == AZLIN_STOP_UNKNOWN)
    vm->stop_cause = az_health_intent(check->engine, vm, &detail);
  return detail;
}

static void
take_live(Check *check, const AzlinVm *live)
{
  AzlinVm *vm = check->vm;
  vm->power = live->power;
  vm->stop_cause = live->stop_cause;
  vm->maintenance_at = live->maintenance_at;
  az_vm_set(&vm->platform, live->platform);
  az_vm_set(&vm->platform_detail, live->platform_detail);
  g_autofree char *detail = settle_cause(check);
  if (live->power != AZLIN_POWER_UNKNOWN)
    add_evidence(check, "power", az_power_to_string(live->power), detail);
  add_platform(check, live);
}

static void
on_power(AzlinOp *op, gpointer data)
{
  Check *check = data;
  const GError *error = az_op_error(op);
  const AzlinVm *live = az_op_vm(op);
  if (error != NULL || live == NULL) {
    gboolean late = g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
    add_evidence(check, "power", late ? "timeout" : "error", error != NULL ? error->message : "no answer");
  } else {
    take_live(check, live);
  }
  one_done(check);
}

static void
on_probe(AzlinOp *op, gpointer data)
{
  Check *check = data;
  const GError *error = az_op_error(op);
  if (error != NULL)
    add_evidence(check, "tcp", "error", error->message);
  one_done(check);
}

/* Which step a provider's one-word answer belongs to. */
static const char *
step_of(const char *outcome)
{
  static const char *const in_tcp[] = { "refused", "timeout", "unreachable", "error", NULL };
  static const char *const in_ssh[] = { "closed", "host_key_changed", NULL };
  if (g_strv_contains(in_tcp, outcome))
    return "tcp";
  return g_strv_contains(in_ssh, outcome) ? "ssh" : "login";
}

static void
on_vm_probe(AzlinOp *op, gpointer data)
{
  Check *check = data;
  const GError *error = az_op_error(op);
  GVariant *answer = az_op_variant(op);
  const char *outcome, *detail;
  if (error == NULL && answer != NULL && g_variant_is_of_type(answer, G_VARIANT_TYPE("(ss)"))) {
    g_variant_get(answer, "(&s&s)", &outcome, &detail);
    add_evidence(check, step_of(outcome), outcome, detail);
  } else {
    gboolean late = g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
    const char *why = error != NULL ? error->message : "the probe gave no answer";
    add_evidence(check, "tcp", late ? "timeout" : "error", late ? "nothing answered in time" : why);
  }
  one_done(check);
}

static void
start_probe(Check *check, const AzlinProvider *provider, gpointer self, const AzHealthLimits *limits)
{
  AzEngine *engine = check->engine;
  if (provider != NULL && provider->vm_probe != NULL) {
    guint32 steps = limits->tcp_ms + MAX(limits->ssh_ms, limits->login_ms);
    guint32 total = limits->probe_ms > 0 ? limits->probe_ms : steps;
    provider->vm_probe(self, check->vm, NULL, az_op_new(check->op, "probe", total, on_vm_probe, check));
    return;
  }
  const AzProbeLimits steps = { limits->tcp_ms, limits->ssh_ms, limits->login_ms, limits->banner_only };
  check->by_ssh = TRUE;
  az_remote_probe(az_engine_remote(engine), check->vm, &steps, check->evidence,
                  az_op_new(check->op, "probe", 0, on_probe, check));
}

static void
start_power(Check *check, const AzlinProvider *provider, gpointer self, guint32 limit_ms, GError *error)
{
  AzlinOp *power = az_op_new(check->op, "power state", limit_ms, on_power, check);
  if (provider != NULL)
    provider->vm_get(self, check->vm, power);
  else
    az_op_fail(power, error != NULL ? g_error_copy(error) : NULL);
}

void
az_health_check_within(AzEngine *engine, const AzlinVm *vm, const AzHealthLimits *limits, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  gpointer self = NULL;
  if (az_op_cancelled(op))
    return;
  const AzlinProvider *provider = az_engine_provider_of(engine, vm, &self, &error);
  Check *check = g_new0(Check, 1);
  *check = (Check){ .engine = engine,
                    .vm = az_vm_dup(vm),
                    .op = op,
                    .pending = limits->power_ms > 0 ? 2 : 1,
                    .is_known = limits->is_known };
  check->vm->power = AZLIN_POWER_UNKNOWN; /* what the record says of it is old */
  check->vm->stop_cause = AZLIN_STOP_UNKNOWN;
  check->vm->maintenance_at = 0;
  check->began = az_clock_monotonic(az_engine_clock(engine));
  check->evidence = az_evidence_list();
  if (limits->power_ms > 0)
    start_power(check, provider, self, limits->power_ms, error);
  start_probe(check, provider, self, limits);
}

static guint32
limit_ms(AzEngine *engine, const char *name)
{
  return (guint32) (az_config_double(az_engine_config(engine), "health", name) * 1000.0);
}

void
az_health_check(AzEngine *engine, const AzlinVm *vm, AzlinOp *op)
{
  const AzHealthLimits limits = { .tcp_ms = limit_ms(engine, "tcp-timeout"),
                                  .ssh_ms = limit_ms(engine, "ssh-timeout"),
                                  .login_ms = limit_ms(engine, "login-timeout"),
                                  .power_ms = limit_ms(engine, "power-timeout") };
  az_health_check_within(engine, vm, &limits, op);
}
