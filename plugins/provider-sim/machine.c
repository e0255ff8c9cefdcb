/* Makes, reads, switches and deletes simulated machines, taking as long and failing as the script says. */
#include "sim.h"
#include "option.h"
#include <string.h>

typedef struct {
  Sim *sim;
  AzlinOp *op;
  char *name;
  char *id; /* NULL: whichever has the name */
  AzlinPower want;
  gboolean creating, deleting, journalled, forced;
  guint64 intent_id;
  GError *error; /* the fate of the call */
} Action;

static Action *
action_new(Sim *sim, const char *name, AzlinOp *op)
{
  Action *action = g_new0(Action, 1);
  action->sim = sim;
  action->op = op;
  action->name = g_strdup(name);
  return action;
}

static void
action_end(Action *action, GError *error)
{
  Sim *sim = action->sim;
  const AzlinHostApi *api = sim->host->api;
  AzlinOp *op = action->op;
  const SimVm *found = action->deleting ? NULL : world_find(sim->world, action->name);
  AzlinVm *vm = error == NULL && found != NULL ? sim_to_vm(sim, found) : NULL;
  if (action->journalled)
    api->journal_done(sim->host, action->intent_id);
  g_clear_error(&action->error);
  g_free(action->name);
  g_free(action->id);
  g_free(action);
  if (error != NULL)
    api->op_fail(op, error);
  else if (vm != NULL)
    api->op_finish_vm(op, vm);
  else
    api->op_finish(op);
  g_clear_pointer(&vm, api->vm_free);
}

/* ---- making ---- */

static void
made(AzlinOp *op, gpointer data)
{
  Action *action = data;
  Sim *sim = action->sim;
  const GError *cut = sim->host->api->op_error(op);
  GError *error = cut != NULL ? g_error_copy(cut) : g_steal_pointer(&action->error);
  SimVm *vm = world_find(sim->world, action->name);
  if (error == NULL && vm == NULL)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "machine %s was deleted while it was made", action->name);
  /* Half a machine is of no use: what cannot be made is taken away, as a real provider has to. */
  if (error != NULL && vm != NULL && action->journalled)
    world_remove(sim->world, sim_now(sim), action->name, NULL);
  if (error == NULL) {
    g_autoptr(SimVm) up = sim_vm_dup(vm);
    up->ready_at = 0;
    up->power = AZLIN_POWER_RUNNING;
    up->cause = AZLIN_STOP_UNKNOWN;
    up->silent = FALSE;
    world_put(sim->world, sim_now(sim), up, &error);
  }
  action_end(action, error);
}

static char *
fake_host_key(Sim *sim, const char *name, const char *id)
{
  g_autofree char *seed = g_strdup_printf("%u %s %s", sim->seed, name, id);
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  /* The wire form of an ed25519 key: two counted strings. */
  guint8 blob[51] = "\0\0\0\013ssh-ed25519\0\0\0\040";
  gsize length = 32;
  g_checksum_update(sum, (const guchar *) seed, -1);
  g_checksum_get_digest(sum, blob + 19, &length);
  g_autofree char *text = g_base64_encode(blob, sizeof blob);
  return g_strconcat("ssh-ed25519 ", text, NULL);
}

static gboolean
has_address(GPtrArray *machines, const char *address)
{
  for (guint i = 0; i < machines->len; i++)
    if (strcmp(((const SimVm *) g_ptr_array_index(machines, i))->address, address) == 0)
      return TRUE;
  return FALSE;
}

/* 198.18.0.0/15 is set aside for benchmarks: no simulated address can belong to anybody. */
static char *
new_address(Sim *sim, const AzlinVmSpec *spec)
{
  g_autoptr(GPtrArray) machines = world_machines(sim->world);
  char *address = NULL;
  for (guint32 attempt = 0; attempt < 100 && (address == NULL || has_address(machines, address)); attempt++) {
    guint32 number = (guint32) (script_chance(0, spec->vm_name, spec->region, attempt) * (1 << 17));
    g_free(address);
    address = g_strdup_printf("198.%u.%u.%u", 18 + (number >> 16), number >> 8 & 255, number & 255);
  }
  return address;
}

static SimVm *
new_machine(Sim *sim, const AzlinVmSpec *spec)
{
  SimVm *vm = g_new0(SimVm, 1);
  vm->name = g_strdup(spec->vm_name);
  vm->region = g_strdup(spec->region);
  vm->resource_group = g_strdup(spec->resource_group != NULL ? spec->resource_group : "");
  vm->ssh_user = g_strdup(spec->ssh_user != NULL ? spec->ssh_user : "azureuser");
  vm->id = g_uuid_string_random();
  vm->host_key = fake_host_key(sim, vm->name, vm->id);
  vm->address = new_address(sim, spec);
  vm->port = 22;
  vm->created_at = sim->host->api->now(sim->host);
  vm->power = AZLIN_POWER_RUNNING;
  vm->tags = sim_first_tags(spec->tags);
  return vm;
}

/* A cloud that never answers: time passes until the caller's deadline, or for weeks when there is none. */
static void
await_fate(Action *action, Fate *fate, AzlinDone done)
{
  action->error = fate->error;
  if (fate->hang)
    action->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT, "the simulated cloud never answers");
  sim_sleep(action->sim, action->op, fate->hang ? G_MAXUINT32 / 1000 : fate->seconds, done, action);
}

static gboolean
announce(Action *action, const char *what, GError **error)
{
  GVariantDict undo;
  g_variant_dict_init(&undo, NULL);
  g_variant_dict_insert(&undo, "vm_name", "s", action->name);
  g_variant_dict_insert(&undo, "want", "u", (guint32) action->want);
  g_autoptr(GVariant) facts = g_variant_ref_sink(g_variant_dict_end(&undo));
  const AzlinHostApi *api = action->sim->host->api;
  action->journalled = api->journal_intent(action->sim->host, action->op, what, facts, &action->intent_id, error);
  return action->journalled;
}

/* The cloud has taken the request: the machine exists from here on, though it is not up. */
static gboolean
begin_machine(Action *action, const AzlinVmSpec *spec, const Fate *fate, GError **error)
{
  Sim *sim = action->sim;
  if (!announce(action, "vm-create", error))
    return FALSE;
  g_autoptr(SimVm) vm = new_machine(sim, spec);
  vm->ready_at = fate->hang ? G_MAXINT64 : sim_now(sim) + (gint64) (fate->seconds * G_USEC_PER_SEC);
  return world_put(sim->world, sim_now(sim), vm, error);
}

static double
seconds_until(Sim *sim, gint64 when)
{
  return MAX(0, when - sim_now(sim)) / (double) G_USEC_PER_SEC;
}

static void
create_new(Action *action, const AzlinVmSpec *spec)
{
  Sim *sim = action->sim;
  GError *error = NULL;
  Fate fate;
  if (!sim_fate(sim, RULE_CREATE, spec->region, spec->vm_name, option_uint(sim->host, "create-seconds"), &fate, &error)
      || !begin_machine(action, spec, &fate, &error)) {
    g_clear_error(&fate.error);
    action_end(action, error);
    return;
  }
  await_fate(action, &fate, made);
}

static void
adopt(Action *action, const SimVm *vm)
{
  Sim *sim = action->sim;
  gboolean on = vm->power == AZLIN_POWER_RUNNING;
  double wait = on ? seconds_until(sim, vm->ready_at) : option_uint(sim->host, "power-seconds");
  if (on && vm->ready_at <= sim_now(sim))
    action_end(action, NULL);
  else
    sim_sleep(sim, action->op, wait, made, action);
}

void
sim_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  Sim *sim = self;
  GError *error = NULL;
  AzlinVm named = { .size = sizeof named, .vm_name = spec->vm_name };
  if (spec->vm_name == NULL || spec->region == NULL || spec->vm_name[0] == '\0')
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "a machine needs a name and a region");
  const SimVm *vm = error == NULL ? sim_find(sim, &named, &error) : NULL;
  if (vm != NULL && strcmp(vm->region, spec->region) != 0)
    error
        = g_error_new(AZLIN_ERROR, AZLIN_ERROR_EXISTS, "machine %s exists already, in region %s", vm->name, vm->region);
  if (vm == NULL && g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    g_clear_error(&error);
  if (error != NULL)
    sim->host->api->op_fail(op, error);
  else if (vm != NULL)
    adopt(action_new(sim, spec->vm_name, op), vm);
  else
    create_new(action_new(sim, spec->vm_name, op), spec);
}

/* ---- reading ---- */

static void
got(AzlinOp *op, gpointer data)
{
  Action *action = data;
  Sim *sim = action->sim;
  const GError *cut = sim->host->api->op_error(op);
  GError *error = cut != NULL ? g_error_copy(cut) : g_steal_pointer(&action->error);
  AzlinVm named = { .size = sizeof named, .vm_name = action->name, .id = action->id };
  if (error == NULL)
    sim_find(sim, &named, &error);
  action_end(action, error);
}

void
sim_get(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  Sim *sim = self;
  GError *error = NULL;
  Fate fate = { 0 };
  if (!sim_ready(sim, &error) || !sim_fate(sim, RULE_GET, vm->region, vm->vm_name, 0, &fate, &error)) {
    sim->host->api->op_fail(op, error);
    return;
  }
  Action *action = action_new(sim, vm->vm_name, op);
  action->id = g_strdup(vm->id);
  await_fate(action, &fate, got);
}

static int
by_name(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

void
sim_list(gpointer self, AzlinOp *op)
{
  Sim *sim = self;
  GError *error = NULL;
  const AzlinHostApi *api = sim->host->api;
  if (!sim_ready(sim, &error)) {
    api->op_fail(op, error);
    return;
  }
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  g_autoptr(GPtrArray) machines = world_machines(sim->world);
  for (guint i = 0; i < machines->len; i++)
    g_ptr_array_add(names, g_strdup(((const SimVm *) g_ptr_array_index(machines, i))->name));
  g_ptr_array_sort(names, by_name);
  g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func((GDestroyNotify) api->vm_free);
  for (guint i = 0; i < names->len; i++) {
    AzlinVm named = { .size = sizeof named, .vm_name = g_ptr_array_index(names, i) };
    const SimVm *vm = sim_find(sim, &named, NULL);
    if (vm != NULL)
      g_ptr_array_add(vms, sim_to_vm(sim, vm));
  }
  api->op_finish_vms(op, (const AzlinVm *const *) vms->pdata, vms->len);
}

/* ---- switching and deleting ---- */

static void
changed(AzlinOp *op, gpointer data)
{
  Action *action = data;
  Sim *sim = action->sim;
  const GError *cut = sim->host->api->op_error(op);
  GError *error = cut != NULL ? g_error_copy(cut) : g_steal_pointer(&action->error);
  SimVm *vm = error == NULL ? world_find(sim->world, action->name) : NULL;
  if (vm != NULL && action->deleting)
    world_remove(sim->world, sim_now(sim), action->name, &error);
  else if (vm != NULL) {
    g_autoptr(SimVm) new = sim_vm_dup(vm);
    new->power = action->want;
    new->cause = action->want == AZLIN_POWER_RUNNING ? AZLIN_STOP_UNKNOWN : AZLIN_STOP_REQUESTED;
    new->silent = action->want != AZLIN_POWER_RUNNING;
    new->ready_at = 0;
    world_put(sim->world, sim_now(sim), new, &error);
  }
  action_end(action, error);
}

static void
change(Action *action, RuleKind kind, const SimVm *vm, const char *what)
{
  g_autofree char *region = g_strdup(vm->region);
  Sim *sim = action->sim;
  GError *error = NULL;
  Fate fate = { .seconds = option_uint(sim->host, "power-seconds") };
  if ((!action->forced && !announce(action, what, &error))
      || !sim_fate(sim, kind, region, action->name, fate.seconds, &fate, &error)) {
    action_end(action, error);
    return;
  }
  await_fate(action, &fate, changed);
}

static void
switch_power(Sim *sim, const AzlinVm *vm, AzlinPower want, gboolean forced, AzlinOp *op)
{
  GError *error = NULL;
  const SimVm *found = want == AZLIN_POWER_UNKNOWN ? NULL : sim_find(sim, vm, &error);
  if (found == NULL) {
    if (error == NULL)
      error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "no such power state");
    sim->host->api->op_fail(op, error);
    return;
  }
  Action *action = action_new(sim, vm->vm_name, op);
  action->want = want;
  action->forced = forced;
  change(action, RULE_POWER, found, "vm-power");
}

void
sim_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op)
{
  switch_power(self, vm, want, FALSE, op);
}

void
sim_restart(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  switch_power(self, vm, AZLIN_POWER_RUNNING, FALSE, op);
}

static void
delete_machine(Sim *sim, const AzlinVm *vm, gboolean forced, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  const SimVm *found = sim_find(sim, vm, &error);
  if (found == NULL && g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    sim->host->api->op_finish(op);
  else if (found == NULL)
    sim->host->api->op_fail(op, g_steal_pointer(&error));
  else {
    Action *action = action_new(sim, vm->vm_name, op);
    action->deleting = TRUE;
    action->forced = forced;
    change(action, RULE_DELETE, found, "vm-delete");
  }
}

void
sim_delete(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  delete_machine(self, vm, FALSE, op);
}

void
sim_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op)
{
  Sim *sim = self;
  g_autoptr(GError) error = NULL;
  AzlinVm named = { .size = sizeof named };
  guint32 want = AZLIN_POWER_UNKNOWN;
  if (!g_variant_lookup(undo, "vm_name", "&s", &named.vm_name)) {
    sim->host->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_STORAGE, "the journal names no machine"));
    return;
  }
  g_variant_lookup(undo, "want", "u", &want);
  const SimVm *vm = sim_find(sim, &named, &error);
  /* A machine that came up is left for the next run to adopt, a half-made one goes. */
  gboolean whole = vm != NULL && strcmp(what, "vm-create") == 0 && vm->ready_at == 0;
  if (vm == NULL && !g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    sim->host->api->op_fail(op, g_steal_pointer(&error));
  else if (vm == NULL || whole)
    sim->host->api->op_finish(op);
  else if (strcmp(what, "vm-power") == 0 && want <= AZLIN_POWER_DEALLOCATED)
    switch_power(sim, &named, (AzlinPower) want, TRUE, op);
  else
    delete_machine(sim, &named, TRUE, op);
}
