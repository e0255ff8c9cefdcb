/* Room in the simulated cloud, as `room` rules of the script say: the preflight, and where else a machine fits. */
#include "sim.h"

static const char *const SIZES[] = { "Standard_B2s", "Standard_B2ms", "Standard_D2s_v5" };

/* The code of the rule that says no, or NULL. Rules of room hold from the start: a plan has no time. */
static const char *
refusal(Sim *sim, const char *region, const char *vm_size)
{
  g_autofree char *both = g_strdup_printf("%s/%s", region, vm_size);
  for (guint i = 0; i < sim->rules->len; i++) {
    const Rule *rule = g_ptr_array_index(sim->rules, i);
    if (rule_matches(rule, RULE_ROOM, G_MAXINT64, region, both))
      return rule->text;
  }
  return NULL;
}

void
sim_preflight(gpointer self, const AzlinVmSpec *const *specs, AzlinOp *op)
{
  Sim *sim = self;
  GError *error = NULL;
  GVariantBuilder verdicts;
  if (!sim_read_rules(sim, &error)) {
    sim->host->api->op_fail(op, error);
    return;
  }
  g_variant_builder_init(&verdicts, G_VARIANT_TYPE("aa{sv}"));
  for (; *specs != NULL; specs++) {
    const char *code = refusal(sim, (*specs)->region, (*specs)->vm_size);
    GVariantDict verdict;
    g_variant_dict_init(&verdict, NULL);
    g_variant_dict_insert(&verdict, "ok", "b", code == NULL);
    if (code != NULL) {
      g_variant_dict_insert(&verdict, "code", "s", code);
      g_variant_dict_insert_value(&verdict, "message",
                                  g_variant_new_printf("%s has no room for %s", (*specs)->region, (*specs)->vm_size));
    }
    g_variant_builder_add_value(&verdicts, g_variant_dict_end(&verdict));
  }
  sim->host->api->op_finish_variant(op, g_variant_builder_end(&verdicts));
}

static void
add_place(Sim *sim, GVariantBuilder *places, const char *region, const char *vm_size, const char *zone)
{
  GVariantDict place;
  if (refusal(sim, region, vm_size) != NULL)
    return;
  g_variant_dict_init(&place, NULL);
  g_variant_dict_insert(&place, "region", "s", region);
  g_variant_dict_insert(&place, "vm_size", "s", vm_size);
  g_variant_dict_insert(&place, "zone", "s", zone);
  g_variant_dict_insert(&place, "reason", "s", "the script leaves room");
  g_variant_builder_add_value(places, g_variant_dict_end(&place));
}

void
sim_alternatives(gpointer self, const AzlinVmSpec *spec, const char *const *regions, AzlinOp *op)
{
  Sim *sim = self;
  GError *error = NULL;
  GVariantBuilder places;
  if (!sim_read_rules(sim, &error)) {
    sim->host->api->op_fail(op, error);
    return;
  }
  g_variant_builder_init(&places, G_VARIANT_TYPE("aa{sv}"));
  for (gsize i = 0; i < G_N_ELEMENTS(SIZES); i++)
    if (g_strcmp0(SIZES[i], spec->vm_size) != 0)
      add_place(sim, &places, spec->region, SIZES[i], "");
  add_place(sim, &places, spec->region, spec->vm_size, "2");
  for (; *regions != NULL; regions++)
    add_place(sim, &places, *regions, spec->vm_size, "");
  sim->host->api->op_finish_variant(op, g_variant_builder_end(&places));
}
