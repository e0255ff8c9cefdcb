/* vm status, start, stop, restart, deallocate, delete: the power state of one region's machine. */
#include "error.h"
#include "flow-deletion.h"
#include "flow-support.h"
#include "flow-vm-return.h"
#include "health.h"
#include "record.h"

#define VM_TIMEOUT_MS 600000

typedef enum { ACT_STATUS, ACT_START, ACT_STOP, ACT_RESTART, ACT_DEALLOCATE, ACT_DELETE } Act;

typedef struct {
  const char *audit;    /* name of the record; NULL = none is kept */
  const char *doing;    /* "Stopping" */
  const char *done;     /* "stopped" */
  const char *question; /* NULL = asks nothing */
  AzlinPower want;
  const char *status; /* stored afterwards */
} Row;

static const Row rows[] = {
  [ACT_STATUS] = { NULL },
  [ACT_START] = { "vm.start", "Starting", "running", NULL, AZLIN_POWER_RUNNING, "unknown" },
  [ACT_STOP] = { "vm.stop", "Stopping", "stopped", "Stop %s in %s?", AZLIN_POWER_STOPPED, "stopped" },
  [ACT_RESTART] = { "vm.restart", "Restarting", "running", NULL, AZLIN_POWER_RUNNING, "unknown" },
  [ACT_DEALLOCATE]
  = { "vm.deallocate", "Deallocating", "deallocated", "Deallocate %s in %s?", AZLIN_POWER_DEALLOCATED, "stopped" },
  [ACT_DELETE]
  = { "vm.delete", "Deleting", "deleted", "Delete %s in %s and everything on it?", AZLIN_POWER_UNKNOWN, NULL },
};

typedef struct {
  AzJob *job;
  Act act;
  AzStored *stored;
  const AzlinVm *vm;
  AzlinVm *after; /* as the provider shows it */
  guint64 note;   /* of az_deletion_begin(); 0 = none */
} Power;

static void
power_free(gpointer data)
{
  Power *power = data;
  g_clear_pointer(&power->stored, az_stored_unref);
  g_clear_pointer(&power->after, az_vm_free);
  g_free(power);
}

static void
finish(Power *power, const char *state, const char *primary)
{
  GVariantDict result;
  const AzlinVm *vm = power->vm;
  g_variant_dict_init(&result, NULL);
  g_variant_dict_insert(&result, "region", "s", vm->region);
  g_variant_dict_insert_value(&result, "vm_name", az_variant_str(vm->vm_name));
  g_variant_dict_insert_value(&result, "public_ip",
                              az_variant_str(power->after ? power->after->public_ip : vm->public_ip));
  g_variant_dict_insert(&result, "power_state", "s", state);
  g_variant_dict_insert_value(&result, "primary", az_variant_str(primary));
  if (power->act == ACT_STATUS) {
    g_autofree char *maintenance = az_time_to_string(power->after->maintenance_at);
    g_variant_dict_insert(&result, "stop_cause", "s", az_stop_cause_to_string(power->after->stop_cause));
    g_variant_dict_insert_value(&result, "maintenance_at", az_variant_str(maintenance));
  }
  az_job_finish(power->job, 0, g_variant_dict_end(&result));
}

/* ---- after the act ---- */

static void
on_state_after_delete(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  g_autoptr(AzStored) owned = stored;
  Power *power = data;
  az_flow_primary_files(job, stored, power->stored->primary);
  if (*power->stored->primary && *stored->primary == '\0')
    az_job_message(job, "warn", NULL, "It was the primary region; none stands now");
  finish(power, "deleted", stored->primary);
}

static void
on_forgotten(AzlinOp *op, gpointer data)
{
  Power *power = data;
  if (az_op_error(op)) {
    az_job_fail(power->job, g_error_copy(az_op_error(op)));
    return;
  }
  az_deletion_end(az_job_engine(power->job), power->note, NULL);
  az_stored_read(power->job, az_job_root(power->job), on_state_after_delete, power);
}

static void
on_status_stored(AzlinOp *op, gpointer data)
{
  Power *power = data;
  if (az_op_error(op))
    az_job_fail(power->job, g_error_copy(az_op_error(op)));
  else
    finish(power, rows[power->act].done, power->stored->primary);
}

/* A start may bring a new address: that goes into the record; a status alone is written without touching the rest. */
static void
store_after(Power *power)
{
  AzEngine *engine = az_job_engine(power->job);
  AzlinOp *root = az_job_root(power->job);
  const AzlinVm *live = power->after, *old = power->vm;
  gboolean moved
      = live && live->public_ip
        && (g_strcmp0(live->public_ip, old->public_ip) != 0 || (live->ssh_port && live->ssh_port != old->ssh_port));
  g_autoptr(AzlinVm) record = az_vm_dup(old);
  az_vm_set(&record->status, rows[power->act].status);
  if (!moved) {
    const AzlinVm *one = record;
    az_flow_put_status(engine, root, &one, 1, on_status_stored, power);
    return;
  }
  az_vm_set(&record->public_ip, live->public_ip);
  record->ssh_port = live->ssh_port ? live->ssh_port : old->ssh_port;
  az_flow_put(engine, root, record, on_status_stored, power);
}

static void
on_returned(AzlinOp *op, gpointer data)
{
  Power *power = data;
  if (az_op_cancelled(az_job_root(power->job)))
    return;
  if (az_op_error(op))
    az_job_fail(power->job, g_error_copy(az_op_error(op)));
  else
    store_after(power);
}

static void
on_acted(AzlinOp *op, gpointer data)
{
  Power *power = data;
  AzJob *job = power->job;
  const Row *row = &rows[power->act];
  if (az_op_error(op)) {
    az_flow_audit_vm(job, row->audit, power->vm, az_op_error(op)->message);
    if (power->act == ACT_DELETE)
      az_deletion_end(az_job_engine(job), power->note, az_op_error(op));
    az_job_fail(job, g_error_copy(az_op_error(op)));
    return;
  }
  az_flow_audit_vm(job, row->audit, power->vm, "done");
  az_job_message(job, "ok", NULL, "%s is %s", power->vm->vm_name, row->done);
  if (power->act == ACT_DELETE) {
    az_flow_forget_verdicts(az_job_engine(job), power->vm->region);
    az_flow_forget(az_job_engine(job), az_job_root(job), power->vm->region, on_forgotten, power);
    return;
  }
  if (az_op_vm(op))
    power->after = az_vm_dup(az_op_vm(op));
  if (row->want != AZLIN_POWER_RUNNING) {
    store_after(power);
    return;
  }
  az_vm_return(job, power->stored, power->after ? power->after : power->vm,
               az_op_new(az_job_root(job), "return", 0, on_returned, power));
}

/* ---- the act ---- */

static void
act(Power *power)
{
  AzJob *job = power->job;
  AzEngine *engine = az_job_engine(job);
  AzlinOp *root = az_job_root(job);
  const Row *row = &rows[power->act];
  az_job_message(job, "step", NULL, "%s %s in %s", row->doing, power->vm->vm_name, power->vm->region);
  /* before the machine goes: whoever finds it off must be able to read that it was meant */
  az_flow_audit_vm(job, row->audit, power->vm, "requested");
  if (power->act == ACT_DELETE)
    power->note = az_deletion_begin(engine, power->vm);
  if (power->act == ACT_RESTART)
    az_flow_vm_reboot(engine, root, power->vm, VM_TIMEOUT_MS, on_acted, power);
  else if (power->act == ACT_DELETE)
    az_flow_vm_erase(engine, root, power->vm, VM_TIMEOUT_MS, on_acted, power);
  else
    az_flow_vm_power(engine, root, power->vm, row->want, VM_TIMEOUT_MS, on_acted, power);
}

static void
on_answer(AzJob *job, gboolean yes, gpointer data)
{
  if (yes)
    act(data);
  else
    az_job_fail(job, g_error_new(AZLIN_ERROR, AZLIN_ERROR_DECLINED, "Not confirmed; nothing was changed"));
}

/* ---- the state, without an act ---- */

/* Why it is off, for people; owned, NULL = it runs, or nobody knows. The provider is asked first, then azlin's memory.
 */
static char *
why_off(Power *power)
{
  AzlinVm *live = power->after;
  char *why = NULL;
  if (live->power != AZLIN_POWER_STOPPED && live->power != AZLIN_POWER_DEALLOCATED)
    return NULL;
  if (live->stop_cause == AZLIN_STOP_UNKNOWN)
    live->stop_cause = az_health_intent(az_job_engine(power->job), power->vm, &why);
  if (why)
    return why;
  if (live->stop_cause == AZLIN_STOP_UNKNOWN)
    return NULL;
  return g_strdup(live->stop_cause == AZLIN_STOP_REQUESTED ? "on request" : "it ended by itself");
}

static void
say_live(Power *power)
{
  const AzlinVm *live = power->after;
  g_autofree char *why = why_off(power);
  g_autofree char *maintenance = az_time_to_string(live->maintenance_at);
  g_autofree char *reason = why ? g_strdup_printf(" (%s)", why) : g_strdup("");
  az_job_message(power->job, "ok", NULL, "%s in %s is %s%s", power->vm->vm_name, power->vm->region,
                 az_power_to_string(live->power), reason);
  if (live->platform_detail)
    az_job_message(power->job, "detail", NULL, "Platform: %s", live->platform_detail);
  if (maintenance)
    az_job_message(power->job, "warn", NULL, "Maintenance: announced for %s", maintenance);
}

static void
on_live(AzlinOp *op, gpointer data)
{
  Power *power = data;
  if (az_op_error(op)) {
    az_job_fail(power->job, g_error_copy(az_op_error(op)));
    return;
  }
  power->after = az_vm_dup(az_op_vm(op));
  say_live(power);
  finish(power, az_power_to_string(power->after->power), power->stored->primary);
}

static void
vm_ready(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data)
{
  Power *power = g_new0(Power, 1);
  GError *error = NULL;
  *power = (Power){ .job = job, .act = (Act) GPOINTER_TO_INT(data), .stored = stored };
  az_job_set_data(job, power, power_free);
  power->vm = az_stored_require(stored, az_job_engine(job), az_job_arg_string(job, "region"), &error);
  if (!power->vm) {
    az_job_fail(job, error);
    return;
  }
  if (power->act == ACT_STATUS) {
    az_flow_vm_get(az_job_engine(job), root, power->vm, 60000, on_live, power);
    return;
  }
  if (!rows[power->act].question) {
    act(power);
    return;
  }
  GString *question = g_string_new(rows[power->act].question);
  g_string_replace(question, "%s", power->vm->vm_name, 1);
  g_string_replace(question, "%s", power->vm->region, 1);
  if (g_str_equal(power->vm->region, stored->primary))
    g_string_append(question, " It is the primary region.");
  g_autofree char *text = g_string_free(question, FALSE);
  az_job_ask(job, text, on_answer, power);
}

static gboolean
check_region(AzEngine *engine, GVariant *args, GError **error)
{
  const char *region = NULL;
  if (g_variant_lookup(args, "region", "&s", &region) && *region)
    return TRUE;
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "Name the region");
  return FALSE;
}

static const AzFlag plain_flags[] = {
  { "region", 'r', "s", "REGION", "the machine's region" },
  { 0 },
};

static const AzFlag asking_flags[] = {
  { "region", 'r', "s", "REGION", "the machine's region" },
  { "yes", 'y', "b", NULL, "do not ask" },
  { 0 },
};

static const AzFlag status_flags[] = {
  { "region", 'r', "s", "REGION", "the machine's region (default: the primary)" },
  { 0 },
};

#define VM_FLOW(name, text, act_id, check_func, flag_table, help_text)                                                 \
  static void run_##name(AzJob *job, AzEngine *engine, GVariant *args, AzlinOp *root)                                  \
  {                                                                                                                    \
    az_stored_read(job, root, vm_ready, GINT_TO_POINTER(act_id));                                                      \
  }                                                                                                                    \
  const AzFlow az_flow_vm_##name = { .kind = { .kind = text, .help = help_text, .flags = flag_table },                 \
                                     .check = check_func,                                                              \
                                     .run = run_##name,                                                                \
                                     .priority = AZ_PRIORITY_DEPLOY };

VM_FLOW(status, "vm-status", ACT_STATUS, NULL, status_flags, "Show the power state of a machine")
VM_FLOW(start, "vm-start", ACT_START, check_region, plain_flags, "Start a machine")
VM_FLOW(stop, "vm-stop", ACT_STOP, check_region, asking_flags, "Stop a machine")
VM_FLOW(restart, "vm-restart", ACT_RESTART, check_region, plain_flags, "Restart a machine")
VM_FLOW(deallocate, "vm-deallocate", ACT_DEALLOCATE, check_region, asking_flags, "Stop a machine and release it")
VM_FLOW(delete, "vm-delete", ACT_DELETE, check_region, asking_flags, "Delete a machine and take its region out")
