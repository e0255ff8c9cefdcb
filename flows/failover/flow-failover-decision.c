/* Decisions as documents: the input of decide() and what it answered, to GVariant and back. */
#include "flow-failover-decision.h"
#include "error.h"

struct _AzDecisionInput {
  AzlinDecisionInput input;
  GPtrArray *healths;  /* of AzHealthCopy: the source, then the others */
  GPtrArray *others;   /* borrowed from `healths`, ends NULL */
  GPtrArray *vantages; /* of AzlinVantage, ends NULL */
  GArray *ages;        /* of double */
};

static const char *const modes[]
    = { [AZLIN_MODE_HYBRID] = "hybrid", [AZLIN_MODE_AUTO] = "auto", [AZLIN_MODE_MANUAL] = "manual" };

/* ---- to GVariant ---- */

static GVariant *
health_document(const AzlinHealth *health)
{
  GVariantDict dict;
  g_autoptr(GVariant) value = g_variant_ref_sink(az_health_to_variant(health));

  g_variant_dict_init(&dict, value);
  g_variant_dict_insert(&dict, "maintenance_us", "x", health->vm->maintenance_at);
  return g_variant_dict_end(&dict);
}

static GVariant *
vantage_document(const AzlinVantage *seen)
{
  GVariantBuilder builder;

  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "vantage", g_variant_new_string(seen->vantage));
  g_variant_builder_add(&builder, "{sv}", "was_up", g_variant_new_boolean(seen->was_up));
  g_variant_builder_add(&builder, "{sv}", "self_check_ok", g_variant_new_boolean(seen->self_check_ok));
  g_variant_builder_add(&builder, "{sv}", "fresh_success", g_variant_new_boolean(seen->fresh_success));
  g_variant_builder_add(&builder, "{sv}", "refused", g_variant_new_boolean(seen->refused));
  g_variant_builder_add(&builder, "{sv}", "dark_probes", g_variant_new_int64(seen->dark_probes));
  g_variant_builder_add(&builder, "{sv}", "dark_seconds", g_variant_new_double(seen->dark_seconds));
  g_variant_builder_add(&builder, "{sv}", "healed_rate", g_variant_new_double(seen->healed_rate));
  return g_variant_builder_end(&builder);
}

GVariant *
az_decision_input_to_variant(const AzlinDecisionInput *input)
{
  GVariantBuilder builder, others, vantages, ages;

  g_variant_builder_init(&others, G_VARIANT_TYPE("aa{sv}"));
  g_variant_builder_init(&vantages, G_VARIANT_TYPE("aa{sv}"));
  g_variant_builder_init(&ages, G_VARIANT_TYPE("ad"));
  for (guint i = 0; input->others != NULL && input->others[i] != NULL; i++) {
    g_autoptr(GVariant) other = g_variant_ref_sink(health_document(input->others[i]));
    g_variant_get_data(other); /* bytes take a tenth of the room of a tree, and there may be ten thousand */
    g_variant_builder_add_value(&others, other);
    if (input->data_age_s != NULL)
      g_variant_builder_add(&ages, "d", input->data_age_s[i]);
  }
  for (const AzlinVantage *const *seen = input->vantages; seen != NULL && *seen != NULL; seen++)
    g_variant_builder_add_value(&vantages, vantage_document(*seen));
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "mode", g_variant_new_string(modes[input->mode]));
  g_variant_builder_add(&builder, "{sv}", "now_us", g_variant_new_int64(input->now));
  g_variant_builder_add(&builder, "{sv}", "self_score", g_variant_new_int64(input->self_score));
  g_variant_builder_add(&builder, "{sv}", "blind", g_variant_new_boolean(input->blind));
  g_variant_builder_add(&builder, "{sv}", "source", health_document(input->source));
  g_variant_builder_add(&builder, "{sv}", "others", g_variant_builder_end(&others));
  g_variant_builder_add(&builder, "{sv}", "vantages", g_variant_builder_end(&vantages));
  g_variant_builder_add(&builder, "{sv}", "data_age_s", g_variant_builder_end(&ages));
  return g_variant_builder_end(&builder);
}

static GVariant *
weights_document(const AzlinDecision *decision)
{
  GVariantBuilder weights;

  g_variant_builder_init(&weights, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; decision->weights != NULL && i < decision->weights->len; i++) {
    const AzlinWeight *weight = &g_array_index(decision->weights, AzlinWeight, i);
    g_variant_builder_open(&weights, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&weights, "{sv}", "what", g_variant_new_string(weight->what));
    g_variant_builder_add(&weights, "{sv}", "weight", g_variant_new_double(weight->weight));
    g_variant_builder_close(&weights);
  }
  return g_variant_builder_end(&weights);
}

const char *
az_decision_verdict(const AzlinDecision *decision)
{
  if (decision->verdict != NULL)
    return decision->verdict;
  return decision->failure == AZLIN_FAILURE_NONE ? "healthy" : az_failure_to_string(decision->failure);
}

GVariant *
az_decision_to_variant(const AzlinDecision *decision)
{
  GVariantBuilder result, ranking;

  g_variant_builder_init(&ranking, G_VARIANT_TYPE_STRING_ARRAY);
  for (guint i = 0; decision->ranking != NULL && i < decision->ranking->len; i++)
    g_variant_builder_add(&ranking, "s", g_ptr_array_index(decision->ranking, i));
  g_variant_builder_init(&result, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&result, "{sv}", "verdict", az_variant_str(az_decision_verdict(decision)));
  g_variant_builder_add(&result, "{sv}", "should_auto_failover", g_variant_new_boolean(decision->should_auto_failover));
  g_variant_builder_add(&result, "{sv}", "failure_type", az_variant_str(az_failure_to_string(decision->failure)));
  g_variant_builder_add(&result, "{sv}", "confidence", g_variant_new_double(decision->confidence));
  g_variant_builder_add(&result, "{sv}", "reason", az_variant_str(decision->reason));
  g_variant_builder_add(&result, "{sv}", "what_would_change", az_variant_str(decision->what_would_change));
  g_variant_builder_add(&result, "{sv}", "weights", weights_document(decision));
  g_variant_builder_add(&result, "{sv}", "ranking", g_variant_builder_end(&ranking));
  return g_variant_builder_end(&result);
}

/* ---- from GVariant: as JSON gives it, numbers whole or not ---- */

static double
number_in(GVariant *dict, const char *name)
{
  double number = 0;
  gint64 whole = 0;

  if (g_variant_lookup(dict, name, "d", &number))
    return number;
  return g_variant_lookup(dict, name, "x", &whole) ? (double) whole : 0;
}

static gint64
whole_in(GVariant *dict, const char *name)
{
  gint64 whole = 0;

  g_variant_lookup(dict, name, "x", &whole);
  return whole;
}

static gboolean
truth_in(GVariant *dict, const char *name)
{
  gboolean truth = FALSE;

  g_variant_lookup(dict, name, "b", &truth);
  return truth;
}

static AzHealthCopy *
read_health(GVariant *document)
{
  const char *region = NULL, *name = "";

  if (document == NULL || !g_variant_is_of_type(document, G_VARIANT_TYPE_VARDICT)
      || !g_variant_lookup(document, "region", "&s", &region))
    return NULL;
  g_variant_lookup(document, "vm_name", "&s", &name);
  g_autoptr(AzlinVm) vm = az_vm_new(region, name);
  vm->maintenance_at = whole_in(document, "maintenance_us");
  return az_health_from_variant(document, vm);
}

static void
vantage_free(gpointer data)
{
  AzlinVantage *seen = data;

  if (seen != NULL)
    az_vm_set(&seen->vantage, NULL);
  g_free(seen);
}

static AzlinVantage *
read_vantage(GVariant *document)
{
  AzlinVantage *seen = g_new0(AzlinVantage, 1);
  const char *vantage = "";

  g_variant_lookup(document, "vantage", "&s", &vantage);
  *seen = (AzlinVantage){ .size = sizeof *seen,
                          .vantage = g_strdup(vantage),
                          .was_up = truth_in(document, "was_up"),
                          .self_check_ok = truth_in(document, "self_check_ok"),
                          .fresh_success = truth_in(document, "fresh_success"),
                          .refused = truth_in(document, "refused"),
                          .dark_probes = (guint32) CLAMP(whole_in(document, "dark_probes"), 0, G_MAXINT32),
                          .dark_seconds = number_in(document, "dark_seconds"),
                          .healed_rate = number_in(document, "healed_rate") };
  return seen;
}

static void
read_others(AzDecisionInput *copy, GVariant *document)
{
  g_autoptr(GVariant) others = g_variant_lookup_value(document, "others", G_VARIANT_TYPE_ARRAY);

  for (gsize i = 0; others != NULL && i < g_variant_n_children(others); i++) {
    g_autoptr(GVariant) one = az_variant_element(others, i);
    AzHealthCopy *health = read_health(one);
    if (health == NULL)
      continue;
    g_ptr_array_add(copy->healths, health);
    g_ptr_array_add(copy->others, (gpointer) (guintptr) az_health_copy_get(health));
  }
  g_ptr_array_add(copy->others, NULL);
}

static void
read_vantages(AzDecisionInput *copy, GVariant *document)
{
  g_autoptr(GVariant) vantages = g_variant_lookup_value(document, "vantages", G_VARIANT_TYPE_ARRAY);

  for (gsize i = 0; vantages != NULL && i < g_variant_n_children(vantages); i++) {
    g_autoptr(GVariant) one = az_variant_element(vantages, i);
    if (g_variant_is_of_type(one, G_VARIANT_TYPE_VARDICT))
      g_ptr_array_add(copy->vantages, read_vantage(one));
  }
  g_ptr_array_add(copy->vantages, NULL);
}

static void
read_ages(AzDecisionInput *copy, GVariant *document)
{
  g_autoptr(GVariant) ages = g_variant_lookup_value(document, "data_age_s", G_VARIANT_TYPE_ARRAY);

  for (gsize i = 0; ages != NULL && i < g_variant_n_children(ages); i++) {
    g_autoptr(GVariant) one = az_variant_element(ages, i);
    double age = -1;
    if (g_variant_is_of_type(one, G_VARIANT_TYPE_DOUBLE))
      age = g_variant_get_double(one);
    else if (g_variant_is_of_type(one, G_VARIANT_TYPE_INT64))
      age = (double) g_variant_get_int64(one);
    g_array_append_val(copy->ages, age);
  }
}

static AzlinMode
read_mode(GVariant *document)
{
  const char *word = "";

  g_variant_lookup(document, "mode", "&s", &word);
  for (guint i = 0; i < G_N_ELEMENTS(modes); i++)
    if (g_str_equal(modes[i], word))
      return (AzlinMode) i;
  return AZLIN_MODE_HYBRID;
}

AzDecisionInput *
az_decision_input_from_variant(GVariant *document, GError **error)
{
  g_autoptr(GVariant) source = g_variant_lookup_value(document, "source", G_VARIANT_TYPE_VARDICT);
  AzHealthCopy *health = read_health(source);

  if (health == NULL) {
    g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "The stored decision does not say whom it was about");
    return NULL;
  }
  AzDecisionInput *copy = g_new0(AzDecisionInput, 1);
  copy->healths = g_ptr_array_new_with_free_func((GDestroyNotify) az_health_copy_free);
  copy->others = g_ptr_array_new();
  copy->vantages = g_ptr_array_new_with_free_func(vantage_free);
  copy->ages = g_array_new(FALSE, FALSE, sizeof(double));
  g_ptr_array_add(copy->healths, health);
  read_others(copy, document);
  read_vantages(copy, document);
  read_ages(copy, document);
  copy->input = (AzlinDecisionInput){ .size = sizeof copy->input,
                                      .source = az_health_copy_get(health),
                                      .others = (const AzlinHealth *const *) copy->others->pdata,
                                      .vantages = (const AzlinVantage *const *) copy->vantages->pdata,
                                      .mode = read_mode(document),
                                      .now = whole_in(document, "now_us"),
                                      .self_score = (guint32) CLAMP(whole_in(document, "self_score"), 0, 8),
                                      .blind = truth_in(document, "blind") };
  if (copy->ages->len + 1 == copy->others->len && copy->ages->len > 0)
    copy->input.data_age_s = &g_array_index(copy->ages, double, 0);
  return copy;
}

AzlinDecisionInput *
az_decision_input_get(AzDecisionInput *input)
{
  return &input->input;
}

void
az_decision_input_free(AzDecisionInput *input)
{
  if (input == NULL)
    return;
  g_ptr_array_unref(input->others);
  g_ptr_array_unref(input->healths);
  g_ptr_array_unref(input->vantages);
  g_array_unref(input->ages);
  g_free(input);
}
