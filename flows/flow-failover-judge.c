/* Puts what was seen before the failover brick and keeps its decision. */
#include "flow-failover.h"
#include "flow-failover-options.h"

double
az_failover_interval(AzFailover *run)
{
  return az_failover_option_rules(run->engine).primary_interval_s;
}

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
az_failover_decide(AzFailover *run, GError **error)
{
  gpointer self = NULL;
  const AzlinFailover *brick = az_engine_lookup(run->engine, AZLIN_KIND_FAILOVER, NULL, &self, error);
  g_autofree const AzlinHealth **others = g_new0(const AzlinHealth *, run->others->len + 1);
  g_autofree const AzlinVantage **vantages = g_new0(const AzlinVantage *, run->sights->len + 1);

  if (brick == NULL)
    return FALSE;
  for (guint i = 0; i < run->others->len; i++)
    others[i] = az_health_copy_get(g_ptr_array_index(run->others, i));
  for (guint i = 0; i < run->sights->len; i++)
    vantages[i] = &g_array_index(run->sights, AzSight, i).seen;
  AzlinDecisionInput input = { .size = sizeof input,
                               .source = az_health_copy_get(run->source_health),
                               .others = others,
                               .vantages = vantages,
                               .mode = az_failover_option_mode(run->engine),
                               .now = az_clock_now(az_engine_clock(run->engine)) };
  az_failover_decision_clear(&run->decision);
  brick->decide(self, &input, &run->decision);
  return TRUE;
}
