/* Puts what was seen before the failover brick and keeps its decision. */
#include "flow-failover.h"

#define DEFAULT_INTERVAL_S 5

/* A value of the selected failover brick's own options, or NULL. */
static GVariant *
option(AzFailover *run, const char *name, const GVariantType *type)
{
  AzConfig *config = az_engine_config(run->engine);
  g_autofree char *group = g_strconcat("failover.", az_config_string(config, "bricks", "failover"), NULL);
  g_autoptr(GVariant) value = az_config_get(config, group, name);

  return value != NULL && g_variant_is_of_type(value, type) ? g_steal_pointer(&value) : NULL;
}

static AzlinMode
configured_mode(AzFailover *run)
{
  g_autoptr(GVariant) value = option(run, "mode", G_VARIANT_TYPE_STRING);
  const char *mode = value != NULL ? g_variant_get_string(value, NULL) : "";

  if (g_str_equal(mode, "auto"))
    return AZLIN_MODE_AUTO;
  return g_str_equal(mode, "manual") ? AZLIN_MODE_MANUAL : AZLIN_MODE_HYBRID;
}

double
az_failover_interval(AzFailover *run)
{
  g_autoptr(GVariant) value = option(run, "primary-interval", G_VARIANT_TYPE_UINT32);

  return value != NULL ? g_variant_get_uint32(value) : DEFAULT_INTERVAL_S;
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
                               .mode = configured_mode(run),
                               .now = az_clock_now(az_engine_clock(run->engine)) };
  az_failover_decision_clear(&run->decision);
  brick->decide(self, &input, &run->decision);
  return TRUE;
}
