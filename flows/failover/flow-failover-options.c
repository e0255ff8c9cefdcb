/* Options of the selected failover brick, typed. */
#include "flow-failover-options.h"

static GVariant *
option(AzEngine *engine, const char *name, const char *type)
{
  AzConfig *config = az_engine_config(engine);
  g_autofree char *group = g_strconcat("failover.", az_config_string(config, "bricks", "failover"), NULL);
  g_autoptr(GVariant) value = az_config_get(config, group, name);
  return value != NULL && g_variant_is_of_type(value, G_VARIANT_TYPE(type)) ? g_steal_pointer(&value) : NULL;
}

guint32
az_failover_option_uint(AzEngine *engine, const char *name, guint32 fallback)
{
  g_autoptr(GVariant) value = option(engine, name, "u");
  return value != NULL ? g_variant_get_uint32(value) : fallback;
}

static double
option_double(AzEngine *engine, const char *name, double fallback)
{
  g_autoptr(GVariant) value = option(engine, name, "d");
  return value != NULL ? g_variant_get_double(value) : fallback;
}

char *
az_failover_option_string(AzEngine *engine, const char *name, const char *fallback)
{
  g_autoptr(GVariant) value = option(engine, name, "s");
  return value != NULL ? g_variant_dup_string(value, NULL) : g_strdup(fallback);
}

char **
az_failover_option_strv(AzEngine *engine, const char *name)
{
  g_autoptr(GVariant) value = option(engine, name, "as");
  return value != NULL ? g_variant_dup_strv(value, NULL) : g_new0(char *, 1);
}

GHashTable *
az_failover_option_set(AzEngine *engine, const char *name)
{
  g_autofree char **words = az_failover_option_strv(engine, name);
  GHashTable *set = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  for (guint i = 0; words[i] != NULL; i++)
    g_hash_table_add(set, words[i]);
  return set;
}

AzlinMode
az_failover_option_mode(AzEngine *engine)
{
  g_autofree char *mode = az_failover_option_string(engine, "mode", "hybrid");
  if (g_str_equal(mode, "auto"))
    return AZLIN_MODE_AUTO;
  return g_str_equal(mode, "manual") ? AZLIN_MODE_MANUAL : AZLIN_MODE_HYBRID;
}

guint32
az_failover_option_cool_down_s(AzEngine *engine)
{
  return az_failover_option_uint(engine, "cool-down", 3600);
}

AzDetectorRules
az_failover_option_rules(AzEngine *engine)
{
  AzDetectorRules rules = AZ_DETECTOR_RULES_DEFAULT;
  rules.rise = az_failover_option_uint(engine, "rise", rules.rise);
  rules.fall = az_failover_option_uint(engine, "fall", rules.fall);
  rules.primary_interval_s = az_failover_option_uint(engine, "primary-interval", rules.primary_interval_s);
  rules.interval_s = az_failover_option_uint(engine, "interval", rules.interval_s);
  double timeout_s = option_double(engine, "probe-timeout", 0);
  rules.probe_timeout_s = timeout_s > 0 ? timeout_s : MIN(rules.probe_timeout_s, rules.primary_interval_s);
  rules.witnesses = az_failover_option_uint(engine, "witnesses", rules.witnesses);
  return rules;
}
