/* Puts what was seen before the failover brick and keeps its decision. */
#include "flow-failover.h"
#include "flow-failover-lookout.h"
#include "flow-failover-options.h"

void
az_failover_decision_clear(AzlinDecision *decision)
{
  for (guint i = 0; decision->weights != NULL && i < decision->weights->len; i++)
    az_vm_set(&g_array_index(decision->weights, AzlinWeight, i).what, NULL);
  g_clear_pointer(&decision->weights, g_array_unref);
  g_clear_pointer(&decision->ranking, g_ptr_array_unref);
  g_clear_pointer(&decision->reason, g_free);
  g_clear_pointer(&decision->what_would_change, g_free);
  *decision = (AzlinDecision){ .size = sizeof *decision };
}

gboolean
az_failover_decide(AzEngine *engine, AzLookout *lookout, const char *region, AzlinDecision *decision, GError **error)
{
  gpointer self = NULL;
  const AzStored *stored = az_lookout_stored(lookout);
  const AzDetector *detector = az_lookout_detector(lookout);
  const AzlinHealth *source = az_lookout_health(lookout, region);
  const AzlinFailover *brick = az_engine_lookup(engine, AZLIN_KIND_FAILOVER, NULL, &self, error);
  if (brick == NULL || source == NULL)
    return FALSE;
  g_autoptr(GArray) seen = az_detector_vantages(detector, region, az_clock_monotonic(az_engine_clock(engine)));
  g_autofree const AzlinVantage **vantages = g_new0(const AzlinVantage *, seen->len + 1);
  g_autoptr(GPtrArray) others = g_ptr_array_new();
  for (guint i = 0; i < seen->len; i++)
    vantages[i] = &g_array_index(seen, AzlinVantage, i);
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    const AzlinHealth *health = az_lookout_health(lookout, vm->region);
    if (health != NULL && !g_str_equal(vm->region, region))
      g_ptr_array_add(others, (gpointer) (guintptr) health);
  }
  g_ptr_array_add(others, NULL);
  AzlinDecisionInput input = { .size = sizeof input,
                               .source = source,
                               .others = (const AzlinHealth *const *) others->pdata,
                               .vantages = vantages,
                               .mode = az_failover_option_mode(engine),
                               .now = az_clock_now(az_engine_clock(engine)),
                               .self_score = az_detector_self_score(detector),
                               .blind = az_detector_blind(detector) };
  az_failover_decision_clear(decision);
  brick->decide(self, &input, decision);
  return TRUE;
}
