/* Reads, switches and deletes machines; each change is journalled first, so that recovery can carry it to its end. */
#include "task.h"
#include "machine.h"
#include "power.h"
#include "remove.h"
#include <string.h>

typedef struct {
  Local *local;
  AzlinOp *op;
  Machine *machine;
  AzlinPower want;
  gboolean journalled;
  guint64 intent_id;
} Task;

static Task *
task_new(Local *local, Machine *machine, AzlinPower want, AzlinOp *op)
{
  Task *task = g_new0(Task, 1);
  task->local = local;
  task->machine = machine;
  task->want = want;
  task->op = op;
  return task;
}

static gboolean
is_interrupted(const GError *error)
{
  return g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED)
         || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
}

static void
task_end(Task *task, GError *error)
{
  const AzlinHostApi *api = task->local->host->api;
  AzlinOp *op = task->op;
  AzlinVm *vm = error == NULL && task->machine != NULL ? machine_to_vm(task->local, task->machine) : NULL;
  /* What was interrupted stays announced: recovery carries it out. What failed has been reported and is over. */
  if (task->journalled && !is_interrupted(error))
    api->journal_done(task->local->host, task->intent_id);
  machine_free(task->machine);
  g_free(task);
  if (error != NULL)
    api->op_fail(op, error);
  else if (vm != NULL)
    api->op_finish_vm(op, vm);
  else
    api->op_finish(op);
  g_clear_pointer(&vm, api->vm_free);
}

static gboolean
announce(Task *task, const char *what, GError **error)
{
  GVariantDict undo;
  g_variant_dict_init(&undo, NULL);
  g_variant_dict_insert(&undo, "vm_name", "s", task->machine->name);
  g_variant_dict_insert(&undo, "want", "u", (guint32) task->want);
  g_autoptr(GVariant) facts = g_variant_ref_sink(g_variant_dict_end(&undo));
  const AzlinHostApi *api = task->local->host->api;
  task->journalled = api->journal_intent(task->local->host, task->op, what, facts, &task->intent_id, error);
  return task->journalled;
}

static void
switched(AzlinOp *op, gpointer data)
{
  Task *task = data;
  const GError *error = task->local->host->api->op_error(op);
  task_end(task, error != NULL ? g_error_copy(error) : NULL);
}

static void
stopped_for_restart(AzlinOp *op, gpointer data)
{
  Task *task = data;
  const AzlinHostApi *api = task->local->host->api;
  const GError *error = api->op_error(op);
  if (error != NULL)
    task_end(task, g_error_copy(error));
  else
    power_start(task->local, task->machine, api->op_new(task->op, "start", 0, switched, task));
}

static void
run_switch(Task *task, gboolean restart)
{
  GError *error = NULL;
  const AzlinHostApi *api = task->local->host->api;
  gboolean on = task->want == AZLIN_POWER_RUNNING;
  /* The request stands on disk before the process ends: an intended stop must never look like an outage,
   * not even the short one of a restart. */
  if (restart || !on)
    task->machine->intent = on ? AZLIN_POWER_STOPPED : task->want;
  if ((restart || !on) && !machine_save(task->machine, &error)) {
    task_end(task, error);
    return;
  }
  if (restart)
    power_stop(task->local, task->machine, api->op_new(task->op, "stop", 0, stopped_for_restart, task));
  else if (on)
    power_start(task->local, task->machine, api->op_new(task->op, "start", 0, switched, task));
  else
    power_stop(task->local, task->machine, api->op_new(task->op, "stop", 0, switched, task));
}

static void
begin_switch(Local *local, const AzlinVm *vm, AzlinPower want, gboolean restart, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Machine) machine = machine_load_for(local, vm, &error);
  if (machine == NULL || !machine_lock(machine, &error)) {
    local->host->api->op_fail(op, g_steal_pointer(&error));
    return;
  }
  Task *task = task_new(local, g_steal_pointer(&machine), want, op);
  if (announce(task, "vm-power", &error))
    run_switch(task, restart);
  else
    task_end(task, g_steal_pointer(&error));
}

void
task_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op)
{
  Local *local = self;
  if (want != AZLIN_POWER_UNKNOWN)
    begin_switch(local, vm, want, FALSE, op);
  else
    local->host->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "no such power state"));
}

void
task_restart(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  begin_switch(self, vm, AZLIN_POWER_RUNNING, TRUE, op);
}

void
task_get(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  Local *local = self;
  GError *error = NULL;
  g_autoptr(Machine) machine = machine_load_for(local, vm, &error);
  if (machine == NULL) {
    local->host->api->op_fail(op, error);
    return;
  }
  AzlinVm *live = machine_to_vm(local, machine);
  local->host->api->op_finish_vm(op, live);
  local->host->api->vm_free(live);
}

void
task_list(gpointer self, AzlinOp *op)
{
  Local *local = self;
  const AzlinHostApi *api = local->host->api;
  g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func((GDestroyNotify) api->vm_free);
  g_auto(GStrv) names = machine_names(local);
  for (gsize i = 0; names[i] != NULL; i++) {
    g_autoptr(GError) error = NULL;
    g_autoptr(Machine) machine = machine_load(local, names[i], &error);
    if (machine != NULL)
      g_ptr_array_add(vms, machine_to_vm(local, machine));
    else
      api->log(local->host, G_LOG_LEVEL_WARNING, "%s", error->message);
  }
  api->op_finish_vms(op, (const AzlinVm *const *) vms->pdata, vms->len);
}

static void
deleted(AzlinOp *op, gpointer data)
{
  Task *task = data;
  const GError *error = task->local->host->api->op_error(op);
  task_end(task, error != NULL ? g_error_copy(error) : NULL);
}

/* Takes `machine`. */
static void
begin_delete(Local *local, Machine *machine, gboolean announced, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  Task *task = task_new(local, machine, AZLIN_POWER_UNKNOWN, op);
  if (!announced && !announce(task, "vm-delete", &error)) {
    task_end(task, g_steal_pointer(&error));
    return;
  }
  /* Who looks at the machine while it goes must see a request, not an outage. */
  machine->intent = AZLIN_POWER_STOPPED;
  if (machine->id != NULL)
    machine_save(machine, NULL);
  task->machine = NULL;
  remove_machine(local, machine, local->host->api->op_new(op, "delete", 0, deleted, task));
}

/* NULL without an error: there is nothing (more) to delete. A namesake that was made later is not touched. */
static Machine *
find_for_delete(Local *local, const char *name, const char *id, GError **error)
{
  if (!machine_check_name(name, NULL))
    return NULL;
  g_autoptr(Machine) machine = machine_load(local, name, NULL);
  if (machine != NULL && id != NULL && id[0] != '\0' && strcmp(id, machine->id) != 0)
    return NULL;
  if (machine == NULL)
    machine = remove_find(local, name);
  gboolean exists = machine != NULL && g_file_test(machine->dir, G_FILE_TEST_IS_DIR);
  return exists && !machine_lock(machine, error) ? NULL : g_steal_pointer(&machine);
}

static void
delete_named(Local *local, const char *name, const char *id, gboolean announced, AzlinOp *op)
{
  GError *error = NULL;
  Machine *machine = find_for_delete(local, name, id, &error);
  if (error != NULL)
    local->host->api->op_fail(op, error);
  else if (machine == NULL)
    local->host->api->op_finish(op);
  else
    begin_delete(local, machine, announced, op);
}

void
task_delete(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  delete_named(self, vm->vm_name, vm->id, FALSE, op);
}

static void
recover_power(Local *local, const char *name, AzlinPower want, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(Machine) machine = machine_load(local, name, &error);
  if (machine == NULL && g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    local->host->api->op_finish(op);
  else if (machine == NULL || !machine_lock(machine, &error))
    local->host->api->op_fail(op, g_steal_pointer(&error));
  else
    run_switch(task_new(local, g_steal_pointer(&machine), want, op), FALSE);
}

static void
recover_create(Local *local, const char *name, AzlinOp *op)
{
  g_autoptr(Machine) machine = machine_load(local, name, NULL);
  /* A machine that has come up is left for the next run to adopt; half of one is of no use to anybody. */
  if (machine != NULL && machine->complete)
    local->host->api->op_finish(op);
  else
    delete_named(local, name, NULL, TRUE, op);
}

void
task_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op)
{
  Local *local = self;
  const char *name = NULL;
  guint32 want = AZLIN_POWER_UNKNOWN;
  g_variant_lookup(undo, "vm_name", "&s", &name);
  g_variant_lookup(undo, "want", "u", &want);
  if (!machine_check_name(name, NULL))
    local->host->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_STORAGE, "the journal names no machine"));
  else if (strcmp(what, "vm-create") == 0)
    recover_create(local, name, op);
  else if (strcmp(what, "vm-delete") == 0)
    delete_named(local, name, NULL, TRUE, op);
  else if (strcmp(what, "vm-power") == 0 && want > AZLIN_POWER_UNKNOWN && want <= AZLIN_POWER_DEALLOCATED)
    recover_power(local, name, (AzlinPower) want, op);
  else
    local->host->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_STORAGE, "unknown journal entry %s", what));
}
