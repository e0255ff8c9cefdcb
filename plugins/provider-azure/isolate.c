/* Cutting a machine off its network, from outside: its own security group put with two rules that deny everything, and
 * read back until Azure shows them. */
#include "isolation.h"
#include "arm.h"
#include "pieces.h"

#define LOOK_MS 1000   /* between two looks */
#define MAX_LOOKS 120  /* a group that others change all the time is given up */
#define SETTLE_LOOKS 5 /* after an answer, before the same is put again */
#define MAX_WRITES 3

typedef struct {
  Azure *azure;
  AzlinOp *op;
  AzlinVm *known;
  AzureNames *names;
  gboolean on;
  gboolean writing, watching;
  json_t *group, *nic; /* as just read; NULL = not there */
  GError *problem;     /* of reading them */
  GError *no_flush;    /* why Azure does not judge anew the flows that stand; NULL = it does, or was not asked yet */
  guint answers;       /* of a look, to come */
  guint looks, quiet, writes;
  guint pending; /* callbacks to come; the last one frees */
} Isolation;

static void look(Isolation *isolation);

static const AzlinHostApi *
api_of(Isolation *isolation)
{
  return isolation->azure->api;
}

static gboolean
is_over(Isolation *isolation)
{
  return api_of(isolation)->op_cancelled(isolation->op);
}

static void
forget_sight(Isolation *isolation)
{
  json_decref(isolation->group);
  json_decref(isolation->nic);
  isolation->group = isolation->nic = NULL;
  g_clear_error(&isolation->problem);
}

static void
leave(Isolation *isolation)
{
  if (--isolation->pending > 0)
    return;
  api_of(isolation)->vm_free(isolation->known);
  g_clear_pointer(&isolation->names, azure_names_free);
  forget_sight(isolation);
  g_clear_error(&isolation->no_flush);
  g_free(isolation);
}

static void
fail(Isolation *isolation, GError *error)
{
  api_of(isolation)->op_fail(isolation->op, error);
}

/* ---- a machine that is not as azlin made it ---- */

static GError *
not_ours(Isolation *isolation)
{
  const char *name = isolation->names->vm_name;
  GError *error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED,
                              "machine %s cannot be isolated: the security group %s-nsg that azlin made is not the one "
                              "of its interface",
                              name, name);
  api_of(isolation)->error_add_step(error, "Isolate it with the security group that it has, or stop it: azlin vm stop");
  return error;
}

static void
on_machine(const ArmReply *reply, gpointer data)
{
  Isolation *isolation = data;
  if (is_over(isolation)) {
    leave(isolation);
    return;
  }
  if (reply->error != NULL)
    fail(isolation, g_error_copy(reply->error)); /* NOT_FOUND: it is gone */
  else if (isolation->on)
    fail(isolation, not_ours(isolation));
  else
    api_of(isolation)->op_finish(isolation->op); /* no rule of azlin's stands in its way */
  leave(isolation);
}

/* That its rules are not there says nothing of the machine: only its own absence is taken for that. */
static void
ask_machine(Isolation *isolation)
{
  ArmCall call = { .method = "GET", .path = isolation->names->vm, .version = ARM_COMPUTE };
  isolation->pending++;
  arm_call(isolation->azure, isolation->op, &call, on_machine, isolation);
}

/* ---- one look ---- */

static void
on_pause(AzlinOp *child, gpointer data)
{
  Isolation *isolation = data;
  isolation->watching = FALSE;
  if (api_of(isolation)->op_error(child) == NULL && !is_over(isolation))
    look(isolation);
  leave(isolation);
}

static void
look_later(Isolation *isolation)
{
  if (isolation->watching)
    return;
  isolation->watching = TRUE;
  isolation->pending++;
  AzlinOp *child = api_of(isolation)->op_new(isolation->op, "wait for the security group", 0, on_pause, isolation);
  api_of(isolation)->sleep(isolation->azure->host, LOOK_MS, child);
}

/* Where Azure takes the group only without judging standing flows anew, new ones are kept out all the same. */
static gboolean
may_be_flush(Isolation *isolation, const ArmReply *reply)
{
  return isolation->on && isolation->no_flush == NULL && (reply->status == 400 || reply->status == 409);
}

static void
on_written(const ArmReply *reply, gpointer data)
{
  Isolation *isolation = data;
  isolation->writing = FALSE;
  isolation->quiet = 0;
  if (is_over(isolation)) {
    leave(isolation);
    return;
  }
  gboolean passes = reply->status == 404 || arm_busy_seconds(reply->status, reply->code) > 0;
  if (reply->error == NULL) {
    if (!isolation->watching)
      look(isolation);
  } else if (passes || may_be_flush(isolation, reply)) { /* nothing was written: on from what is there then */
    if (!passes)
      isolation->no_flush = g_error_copy(reply->error);
    isolation->writes--;
    look_later(isolation);
  } else {
    fail(isolation, g_error_copy(reply->error));
  }
  leave(isolation);
}

static void
write_group(Isolation *isolation)
{
  ArmCall call = { .method = "PUT",
                   .path = isolation->names->rules,
                   .version = ARM_NETWORK,
                   .body = azure_isolation_body(isolation->group, isolation->on, isolation->no_flush == NULL),
                   .fleeting = TRUE,
                   .no_final = TRUE };
  isolation->writing = TRUE;
  isolation->writes++;
  isolation->quiet = 0;
  isolation->pending++;
  arm_run(isolation->azure, isolation->op, &call, NULL, on_written, isolation);
}

static void
go_on(Isolation *isolation)
{
  gboolean due = !isolation->writing && (isolation->writes == 0 || ++isolation->quiet > SETTLE_LOOKS);
  if (++isolation->looks > MAX_LOOKS || (due && isolation->writes == MAX_WRITES)) {
    fail(isolation,
         g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                     "Azure does not show the security group of %s as azlin has put it", isolation->names->vm_name));
    return;
  }
  if (due)
    write_group(isolation);
  look_later(isolation);
}

static void
finish(Isolation *isolation)
{
  if (isolation->no_flush != NULL)
    api_of(isolation)->log(isolation->azure->host, G_LOG_LEVEL_WARNING,
                           "%s is isolated, but Azure does not cut connections that stand already: %s",
                           isolation->names->vm_name, isolation->no_flush->message);
  api_of(isolation)->op_finish(isolation->op);
}

static void
blocked(Isolation *isolation, const char *rule)
{
  g_autofree char *shown = arm_clean(rule);
  GError *error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED,
                              "machine %s cannot be isolated: the rule '%s' lets traffic through ahead of all others",
                              isolation->names->vm_name, shown);
  api_of(isolation)->error_add_step(error, "Give that rule a priority behind 100: az network nsg rule update");
  fail(isolation, error);
}

static gboolean
is_as_made(Isolation *isolation)
{
  const json_t *nic = isolation->nic;
  gboolean attached = arm_same_id(arm_string(nic, "properties.networkSecurityGroup.id", ""), isolation->names->rules)
                      && arm_same_id(arm_string(nic, "properties.virtualMachine.id", ""), isolation->names->vm);
  /* Lifting it needs the group alone: that it has come off the interface meanwhile is no reason to leave the rules. */
  return azure_owner_of(isolation->group, NULL) == AZURE_OURS && (attached || !isolation->on);
}

static void
judge(Isolation *isolation)
{
  const char *blocker = "";
  if (isolation->problem != NULL) {
    fail(isolation, g_steal_pointer(&isolation->problem));
    return;
  }
  if (!is_as_made(isolation)) {
    ask_machine(isolation);
    return;
  }
  AzureIsolationStep step = azure_isolation_step(isolation->group, isolation->on, &blocker);
  if (step == AZURE_ISOLATION_DONE)
    finish(isolation);
  else if (step == AZURE_ISOLATION_BLOCKED)
    blocked(isolation, blocker);
  else if (step == AZURE_ISOLATION_WRITE)
    go_on(isolation);
  else if (++isolation->looks <= MAX_LOOKS)
    look_later(isolation);
  else
    fail(isolation, g_error_new(AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT, "the security group of %s is still being changed",
                                isolation->names->vm_name));
}

static void
one_seen(Isolation *isolation, const ArmReply *reply, json_t **ret_seen)
{
  if (reply->error != NULL && reply->status != 404 && isolation->problem == NULL)
    isolation->problem = g_error_copy(reply->error);
  else if (reply->error == NULL)
    *ret_seen = json_deep_copy(reply->body);
  if (--isolation->answers == 0) {
    isolation->watching = FALSE;
    if (!is_over(isolation))
      judge(isolation);
    forget_sight(isolation);
  }
  leave(isolation);
}

static void
on_group(const ArmReply *reply, gpointer data)
{
  Isolation *isolation = data;
  one_seen(isolation, reply, &isolation->group);
}

static void
on_nic(const ArmReply *reply, gpointer data)
{
  Isolation *isolation = data;
  one_seen(isolation, reply, &isolation->nic);
}

/* Both side by side: the rules count only where the machine's interface is behind them. */
static void
look(Isolation *isolation)
{
  ArmCall group = { .method = "GET", .path = isolation->names->rules, .version = ARM_NETWORK };
  ArmCall nic = { .method = "GET", .path = isolation->names->nic, .version = ARM_NETWORK };
  isolation->watching = TRUE;
  isolation->answers = 2;
  isolation->pending += 2;
  arm_call(isolation->azure, isolation->op, &group, on_group, isolation);
  arm_call(isolation->azure, isolation->op, &nic, on_nic, isolation);
}

/* ---- the beginning ---- */

static void
on_ready(Azure *azure, const GError *problem, gpointer data)
{
  Isolation *isolation = data;
  g_autoptr(GError) error = problem != NULL ? g_error_copy(problem) : NULL;
  if (error == NULL)
    isolation->names = azure_names_of_vm(azure, isolation->known, &error);
  if (error != NULL)
    fail(isolation, g_steal_pointer(&error));
  else
    look(isolation);
  leave(isolation);
}

void
azure_vm_isolate(gpointer self, const AzlinVm *vm, gboolean on, AzlinOp *op)
{
  Azure *azure = self;
  Isolation *isolation = g_new0(Isolation, 1);
  *isolation = (Isolation){ .azure = azure, .op = op, .on = on, .pending = 1 };
  isolation->known = azure->api->vm_dup(vm);
  azure_ready(azure, op, on_ready, isolation);
}
