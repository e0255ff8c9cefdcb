/* Tags of simulated machines: merged into what stands, after as long as the script says. */
#include "sim.h"
#include "tagset.h"

typedef struct {
  Sim *sim;
  AzlinOp *op;
  char *name, *id;
  GVariant *set;
  char **unset;
  GError *error; /* the fate of the call */
} Tagging;

GVariant *
sim_first_tags(GVariant *asked)
{
  return tagset_of_new(asked);
}

static gboolean
write_tags(Tagging *tagging, GError **error)
{
  Sim *sim = tagging->sim;
  AzlinVm named = { .size = sizeof named, .vm_name = tagging->name, .id = tagging->id };
  const SimVm *found = sim_find(sim, &named, error);
  if (found == NULL)
    return FALSE;
  g_autoptr(SimVm) vm = sim_vm_dup(found);
  GVariant *tags = tagset_merge(found->tags, tagging->set, (const char *const *) tagging->unset);
  g_clear_pointer(&vm->tags, g_variant_unref);
  vm->tags = tags;
  return world_put(sim->world, sim_now(sim), vm, error);
}

static void
time_passed(AzlinOp *op, gpointer data)
{
  Tagging *tagging = data;
  const AzlinHostApi *api = tagging->sim->host->api;
  const GError *cut = api->op_error(op);
  GError *error = cut != NULL ? g_error_copy(cut) : g_steal_pointer(&tagging->error);
  if (error != NULL || !write_tags(tagging, &error))
    api->op_fail(tagging->op, error);
  else
    api->op_finish(tagging->op);
  g_clear_error(&tagging->error);
  g_variant_unref(tagging->set);
  g_strfreev(tagging->unset);
  g_free(tagging->name);
  g_free(tagging->id);
  g_free(tagging);
}

void
sim_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op)
{
  Sim *sim = self;
  GError *error = NULL;
  Fate fate = { 0 };
  g_autoptr(GVariant) sunk = g_variant_ref_sink(set);
  if (!sim_ready(sim, &error) || !sim_fate(sim, RULE_TAG, vm->region, vm->vm_name, 0, &fate, &error)) {
    sim->host->api->op_fail(op, error);
    return;
  }
  Tagging *tagging = g_new0(Tagging, 1);
  *tagging = (Tagging){ .sim = sim, .op = op, .name = g_strdup(vm->vm_name), .id = g_strdup(vm->id) };
  tagging->set = g_steal_pointer(&sunk);
  tagging->unset = g_strdupv((char **) (gpointer) (guintptr) unset);
  tagging->error = fate.error;
  if (fate.hang)
    tagging->error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT, "the simulated cloud never answers");
  sim_sleep(sim, op, fate.hang ? G_MAXUINT32 / 1000 : fate.seconds, time_passed, tagging);
}
