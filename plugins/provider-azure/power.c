/* Switching a machine: the request, then what Azure shows of it; off is only what the instance view calls off. */
#include "arm.h"
#include "record.h"

#define LOOK_MS 2000     /* between two looks */
#define CONFIRM_LOOKS 10 /* after the operation has ended */

typedef struct {
  Azure *azure;
  AzlinOp *op;
  AzlinVm *known;
  AzureNames *names;
  AzlinPower want;
  const char *action; /* last part of the request's path */
  GError *refused;    /* a 409: it may be what was wanted already */
  guint looks;        /* without what is wanted, since all requests have ended */
  guint requests;     /* under way */
  gboolean cut;       /* power was cut after the time to shut down */
  gboolean watching;  /* a look, or the pause before it, is under way */
  guint pending;      /* callbacks to come; the last one frees */
} Switch;

static void look(Switch *change);
static void look_later(Switch *change);

static const AzlinHostApi *
api_of(Switch *change)
{
  return change->azure->api;
}

static gboolean
is_over(Switch *change)
{
  return api_of(change)->op_cancelled(change->op);
}

static void
leave(Switch *change)
{
  if (--change->pending > 0)
    return;
  api_of(change)->vm_free(change->known);
  g_clear_pointer(&change->names, azure_names_free);
  g_clear_error(&change->refused);
  g_free(change);
}

static void
fail(Switch *change, GError *error)
{
  api_of(change)->op_fail(change->op, error);
}

/* ---- what Azure shows ---- */

static gboolean
is_reached(const Switch *change, AzlinPower power)
{
  if (change->want == AZLIN_POWER_STOPPED) /* deallocated is more than was asked for */
    return power == AZLIN_POWER_STOPPED || power == AZLIN_POWER_DEALLOCATED;
  return power == change->want;
}

static void
judge(Switch *change, const AzlinVm *vm)
{
  static const char *const WORDS[] = { "in between", "running", "stopped", "deallocated" };
  gboolean asked = change->requests == 0; /* and answered */
  if (is_reached(change, vm->power))
    api_of(change)->op_finish_vm(change->op, vm);
  else if (asked && change->refused != NULL)
    fail(change, g_steal_pointer(&change->refused));
  else if (asked && ++change->looks >= CONFIRM_LOOKS)
    fail(change, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure has finished, but still shows machine %s %s",
                             change->names->vm_name, WORDS[vm->power]));
  else
    look_later(change);
}

static gboolean
passes(const ArmReply *reply)
{
  return g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_NETWORK)
         || g_error_matches(reply->error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT) || reply->status >= 500;
}

static void
on_look(const ArmReply *reply, gpointer data)
{
  Switch *change = data;
  g_auto(AzureRecord) record = { 0 };
  change->watching = FALSE;
  if (is_over(change)) {
    leave(change);
    return;
  }
  if (reply->error != NULL && passes(reply) && change->looks++ < CONFIRM_LOOKS)
    look_later(change);
  else if (reply->error != NULL)
    fail(change, g_error_copy(reply->error));
  else if (!azure_record_read(&record, reply->body, change->known))
    fail(change, g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure answered with something that is not machine %s",
                             change->names->vm_name));
  else
    judge(change, &record.vm);
  leave(change);
}

static void
look(Switch *change)
{
  g_autofree char *path = g_strdup_printf("%s?$expand=instanceView", change->names->vm);
  ArmCall call = { .method = "GET", .path = path, .version = ARM_COMPUTE };
  change->watching = TRUE;
  change->pending++;
  arm_call(change->azure, change->op, &call, on_look, change);
}

static void
on_pause(AzlinOp *child, gpointer data)
{
  Switch *change = data;
  change->watching = FALSE;
  if (api_of(change)->op_error(child) == NULL && !is_over(change))
    look(change);
  leave(change);
}

static void
look_later(Switch *change)
{
  change->watching = TRUE;
  change->pending++;
  AzlinOp *child = api_of(change)->op_new(change->op, "wait for the machine", 0, on_pause, change);
  api_of(change)->sleep(change->azure->host, LOOK_MS, child);
}

/* ---- the request ---- */

static void
on_answer(Switch *change, const ArmReply *reply, gboolean is_first)
{
  change->requests--;
  if (is_over(change)) {
    leave(change);
    return;
  }
  if (reply->error != NULL && reply->status == 409 && is_first)
    change->refused = g_error_copy(reply->error);
  else if (reply->error != NULL && reply->status != 409 && !(is_first && change->cut))
    fail(change, g_error_copy(reply->error)); /* cutting the power preempts the shutdown, which then fails */
  if (!is_over(change) && !change->watching)
    look(change);
  leave(change);
}

static void
on_switched(const ArmReply *reply, gpointer data)
{
  on_answer(data, reply, TRUE);
}

static void
on_cut(const ArmReply *reply, gpointer data)
{
  on_answer(data, reply, FALSE);
}

static void
request(Switch *change, const char *action, ArmDone done)
{
  g_autofree char *path = g_strdup_printf("%s/%s", change->names->vm, action);
  ArmCall call = { .method = "POST", .path = path, .version = ARM_COMPUTE };
  change->requests++;
  change->pending++;
  arm_run(change->azure, change->op, &call, NULL, done, change);
}

static void
on_grace_over(AzlinOp *child, gpointer data)
{
  Switch *change = data;
  gboolean ended = is_over(change) || api_of(change)->op_error(child) != NULL || change->requests == 0;
  if (!ended) {
    change->cut = TRUE;
    request(change, "powerOff?skipShutdown=true", on_cut);
  }
  leave(change);
}

/* How long the guest may take to shut down. Who fences has no time for that, and does not trust the guest. */
static guint32
grace_seconds(Switch *change)
{
  g_autoptr(GVariant) option = api_of(change)->option(change->azure->host, "stop-timeout");
  return api_of(change)->op_urgent(change->op) ? 0 : g_variant_get_uint32(option);
}

/* A guest that hangs gets its time, then the power goes. Off is looked for meanwhile, since the operation itself may be
 * asked about every ten seconds only. */
static void
power_off(Switch *change)
{
  guint32 seconds = grace_seconds(change);
  request(change, seconds > 0 ? "powerOff" : "powerOff?skipShutdown=true", on_switched);
  look_later(change);
  if (seconds == 0)
    return;
  change->pending++;
  AzlinOp *child = api_of(change)->op_new(change->op, "let it shut down", 0, on_grace_over, change);
  api_of(change)->sleep(change->azure->host, seconds * 1000, child);
}

static void
on_ready(Azure *azure, const GError *problem, gpointer data)
{
  Switch *change = data;
  g_autoptr(GError) error = problem != NULL ? g_error_copy(problem) : NULL;
  if (error == NULL)
    change->names = azure_names_of_vm(azure, change->known, &error);
  if (error != NULL)
    fail(change, g_steal_pointer(&error));
  else if (change->want == AZLIN_POWER_STOPPED)
    power_off(change);
  else
    request(change, change->action, on_switched);
  leave(change);
}

static void
begin(Azure *azure, const AzlinVm *vm, AzlinPower want, const char *action, AzlinOp *op)
{
  Switch *change = g_new0(Switch, 1);
  *change = (Switch){ .azure = azure, .op = op, .want = want, .action = action, .pending = 1 };
  change->known = azure->api->vm_dup(vm);
  azure_ready(azure, op, on_ready, change);
}

void
azure_vm_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op)
{
  static const char *const ACTIONS[] = { NULL, "start", "powerOff", "deallocate" };
  Azure *azure = self;
  if (want <= AZLIN_POWER_UNKNOWN || want > AZLIN_POWER_DEALLOCATED)
    azure->api->op_fail(
        op, g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_USAGE, "a machine can be started, stopped or deallocated"));
  else
    begin(azure, vm, want, ACTIONS[want], op);
}

void
azure_vm_restart(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  begin(self, vm, AZLIN_POWER_RUNNING, "restart", op);
}
