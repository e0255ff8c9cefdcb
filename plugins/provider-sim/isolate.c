/* Cuts simulated machines off their network and lets them back, after as long as the script says. */
#include "sim.h"

#define SECONDS 2 /* what two security rules take in a cloud */

typedef struct {
  Sim *sim;
  AzlinOp *op;
  char *name, *id;
  gboolean on;
  GError *error; /* the fate of the call */
} Isolation;

static gboolean
write_isolation(Isolation *isolation, GError **error)
{
  Sim *sim = isolation->sim;
  AzlinVm named = { .size = sizeof named, .vm_name = isolation->name, .id = isolation->id };
  const SimVm *found = sim_find(sim, &named, error);
  if (found == NULL)
    return FALSE;
  if (found->isolated == isolation->on)
    return TRUE;
  g_autoptr(SimVm) vm = sim_vm_dup(found);
  vm->isolated = isolation->on;
  return world_put(sim->world, sim_now(sim), vm, error);
}

static void
time_passed(AzlinOp *op, gpointer data)
{
  Isolation *isolation = data;
  const AzlinHostApi *api = isolation->sim->host->api;
  const GError *cut = api->op_error(op);
  GError *error = cut != NULL ? g_error_copy(cut) : g_steal_pointer(&isolation->error);
  if (error != NULL || !write_isolation(isolation, &error))
    api->op_fail(isolation->op, error);
  else
    api->op_finish(isolation->op);
  g_clear_error(&isolation->error);
  g_free(isolation->name);
  g_free(isolation->id);
  g_free(isolation);
}

void
sim_isolate(gpointer self, const AzlinVm *vm, gboolean on, AzlinOp *op)
{
  Sim *sim = self;
  GError *error = NULL;
  Fate fate = { 0 };
  const SimVm *found = sim_find(sim, vm, &error);
  if (found == NULL || !sim_fate(sim, RULE_ISOLATE, found->region, found->name, SECONDS, &fate, &error)) {
    sim->host->api->op_fail(op, error);
    return;
  }
  Isolation *isolation = g_new0(Isolation, 1);
  *isolation = (Isolation){ .sim = sim, .op = op, .on = on, .error = fate.error };
  isolation->name = g_strdup(vm->vm_name);
  isolation->id = g_strdup(vm->id);
  if (fate.hang)
    isolation->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT, "the simulated cloud never answers");
  sim_sleep(sim, op, fate.hang ? G_MAXUINT32 / 1000 : fate.seconds, time_passed, isolation);
}
