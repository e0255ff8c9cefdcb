/* Applies the script: which rule decides a call, and what has happened to a machine up to now. */
#include "sim.h"
#include <string.h>

static const char *
sentence(AzlinError code)
{
  if (code == AZLIN_ERROR_CAPACITY)
    return "the requested size is not available in this region at the moment (SkuNotAvailable)";
  if (code == AZLIN_ERROR_THROTTLED)
    return "too many requests (429)";
  if (code == AZLIN_ERROR_PERMISSION)
    return "the client has no authorization for this action (AuthorizationFailed)";
  if (code == AZLIN_ERROR_NETWORK)
    return "the management endpoint cannot be reached";
  if (code == AZLIN_ERROR_TIMED_OUT)
    return "the operation timed out";
  return "the simulated cloud refuses as its script says";
}

/* Rules that a count or chance has used up let the next one speak. */
static gboolean
is_due(Sim *sim, const Rule *rule, const char *vm_name)
{
  guint32 used = world_used(sim->world, rule->key);
  if (rule->count > 0 && used >= rule->count)
    return FALSE;
  if (rule->probability >= 1)
    return TRUE;
  g_autofree char *tries = g_strdup_printf("try %s %s", rule->key, vm_name);
  guint32 attempt = world_used(sim->world, tries);
  world_use(sim->world, sim_now(sim), tries, NULL);
  return script_chance(sim->seed, rule->key, vm_name, attempt) < rule->probability;
}

gboolean
sim_fate(Sim *sim, RuleKind kind, const char *region, const char *vm_name, double seconds, Fate *ret_fate,
         GError **error)
{
  *ret_fate = (Fate){ .seconds = seconds };
  for (guint i = 0; i < sim->rules->len; i++) {
    const Rule *rule = g_ptr_array_index(sim->rules, i);
    if (!rule_matches(rule, kind, sim_now(sim), region, vm_name))
      continue;
    if (rule->action == DO_SECONDS) {
      double chance = rule->to_s > rule->from_s ? script_chance(sim->seed, rule->key, vm_name, 0) : 0;
      ret_fate->seconds = rule->from_s + chance * (rule->to_s - rule->from_s);
      continue;
    }
    if (!is_due(sim, rule, vm_name))
      continue;
    if (rule->count > 0 && !world_use(sim->world, sim_now(sim), rule->key, error))
      return FALSE;
    ret_fate->hang = rule->action == DO_HANG;
    ret_fate->seconds = rule->from_s;
    if (rule->action == DO_FAIL)
      ret_fate->error = g_error_new(AZLIN_ERROR, rule->code, "%s: %s", region, sentence(rule->code));
    return TRUE;
  }
  return TRUE;
}

static void
happen(SimVm *vm, const Rule *rule)
{
  vm->silent = rule->action == DO_VANISH;
  vm->cause = AZLIN_STOP_REQUESTED;
  if (rule->action == DO_START)
    vm->power = AZLIN_POWER_RUNNING;
  else if (rule->action == DO_DEALLOCATE)
    vm->power = AZLIN_POWER_DEALLOCATED;
  else
    vm->power = AZLIN_POWER_STOPPED;
  if (rule->action == DO_KILL || rule->action == DO_VANISH)
    vm->cause = AZLIN_STOP_ENDED;
}

/* Every event happens once to every machine that it fits, when both its time has come and the machine is up. */
static gboolean
settle(Sim *sim, const char *name, GError **error)
{
  for (guint i = 0; i < sim->rules->len; i++) {
    const Rule *rule = g_ptr_array_index(sim->rules, i);
    SimVm *vm = world_find(sim->world, name);
    if (vm == NULL || vm->ready_at > sim_now(sim))
      return TRUE;
    if (!rule_matches(rule, RULE_MACHINE, sim_now(sim), vm->region, vm->name))
      continue;
    g_autofree char *key = g_strdup_printf("%s %s", rule->key, vm->id);
    if (world_used(sim->world, key) > 0)
      continue;
    if (!world_use(sim->world, sim_now(sim), key, error))
      return FALSE;
    g_autoptr(SimVm) changed = sim_vm_dup(vm);
    happen(changed, rule);
    gboolean done = rule->action == DO_REMOVE ? world_remove(sim->world, sim_now(sim), name, error)
                                              : world_put(sim->world, sim_now(sim), changed, error);
    if (!done)
      return FALSE;
  }
  return TRUE;
}

SimVm *
sim_find(Sim *sim, const AzlinVm *vm, GError **error)
{
  if (!sim_ready(sim, error) || !settle(sim, vm->vm_name, error))
    return NULL;
  SimVm *found = world_find(sim->world, vm->vm_name);
  gboolean same = found != NULL && (vm->id == NULL || vm->id[0] == '\0' || strcmp(vm->id, found->id) == 0);
  if (!same)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "there is no machine %s", vm->vm_name);
  return same ? found : NULL;
}
