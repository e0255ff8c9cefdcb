/* Puts what was seen before the failover brick and keeps its decision. */
#include "flow-failover.h"
#include "flow-failover-decision.h"
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

typedef struct {
  GArray *seen;      /* of AzlinVantage */
  GPtrArray *list;   /* the same, of pointers; ends NULL */
  GPtrArray *others; /* of AzlinHealth, ends NULL */
  GArray *ages;      /* of double, one for each of these */
} Evidence;

static void
evidence_clear(Evidence *evidence)
{
  g_array_unref(evidence->seen);
  g_array_unref(evidence->ages);
  g_ptr_array_unref(evidence->list);
  g_ptr_array_unref(evidence->others);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Evidence, evidence_clear)

static void
collect(AzEngine *engine, AzLookout *lookout, const char *region, Evidence *evidence)
{
  const AzStored *stored = az_lookout_stored(lookout);

  for (guint i = 0; i < evidence->seen->len; i++)
    g_ptr_array_add(evidence->list, &g_array_index(evidence->seen, AzlinVantage, i));
  g_ptr_array_add(evidence->list, NULL);
  for (guint i = 0; i < stored->vms->len; i++) {
    const AzlinVm *vm = g_ptr_array_index(stored->vms, i);
    const AzlinHealth *health = az_lookout_health(lookout, vm->region);
    if (health == NULL || g_str_equal(vm->region, region))
      continue;
    double age = az_lookout_data_age(lookout, region, vm->region);
    g_ptr_array_add(evidence->others, (gpointer) (guintptr) health);
    g_array_append_val(evidence->ages, age);
  }
  g_ptr_array_add(evidence->others, NULL);
}

gboolean
az_failover_decide(AzEngine *engine, AzLookout *lookout, const char *region, AzlinDecision *decision,
                   GVariant **ret_input, GError **error)
{
  gpointer self = NULL;
  const AzDetector *detector = az_lookout_detector(lookout);
  const AzlinHealth *source = az_lookout_health(lookout, region);
  const AzlinFailover *brick = az_engine_lookup(engine, AZLIN_KIND_FAILOVER, NULL, &self, error);
  if (brick == NULL || source == NULL)
    return FALSE;
  g_auto(Evidence) evidence = { .seen = az_lookout_vantages(lookout, region),
                                .list = g_ptr_array_new(),
                                .others = g_ptr_array_new(),
                                .ages = g_array_new(FALSE, TRUE, sizeof(double)) };
  collect(engine, lookout, region, &evidence);
  AzlinDecisionInput input = { .size = sizeof input,
                               .source = source,
                               .others = (const AzlinHealth *const *) evidence.others->pdata,
                               .vantages = (const AzlinVantage *const *) evidence.list->pdata,
                               .mode = az_failover_option_mode(engine),
                               .now = az_clock_now(az_engine_clock(engine)),
                               .self_score = az_detector_self_score(detector),
                               .blind = az_detector_blind(detector),
                               .data_age_s = (const double *) (gpointer) evidence.ages->data };
  az_failover_decision_clear(decision);
  brick->decide(self, &input, decision);
  if (ret_input != NULL)
    *ret_input = g_variant_ref_sink(az_decision_input_to_variant(&input));
  return TRUE;
}
