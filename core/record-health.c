/* Health records: from the probes' result to the JSON contract and back, with storage of their own. */
#include "record.h"

struct _AzHealthCopy {
  AzlinHealth health;
  AzlinVm *vm;
  char *detail;
  GPtrArray *evidence; /* of AzlinEvidence, ends NULL */
};

static const char *const cause_names[] = {
  [AZLIN_STOP_UNKNOWN] = "unknown",
  [AZLIN_STOP_REQUESTED] = "requested",
  [AZLIN_STOP_ENDED] = "ended",
};

const char *
az_stop_cause_to_string(AzlinStopCause cause)
{
  return cause_names[(guint) cause < G_N_ELEMENTS(cause_names) ? cause : AZLIN_STOP_UNKNOWN];
}

/* ---- to GVariant ---- */

/* Without a format string to take apart: a fleet of hundreds makes thousands of these. */
static void
add(GVariantBuilder *builder, const char *name, GVariant *value)
{
  GVariant *entry = g_variant_new_dict_entry(g_variant_new_string(name), g_variant_new_variant(value));
  g_variant_builder_add_value(builder, entry);
}

static GVariant *
variant_of_evidence(const AzlinEvidence *evidence)
{
  GVariantBuilder builder;
  g_autofree char *at = az_time_to_string(evidence->at);
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  add(&builder, "vantage", az_variant_str(evidence->vantage));
  add(&builder, "probe", az_variant_str(evidence->probe));
  add(&builder, "outcome", az_variant_str(evidence->outcome));
  add(&builder, "detail", az_variant_str(evidence->detail));
  add(&builder, "ms", g_variant_new_double(evidence->ms));
  add(&builder, "at", az_variant_str(at));
  return g_variant_builder_end(&builder);
}

static GVariant *
variant_of_all_evidence(const AzlinEvidence *const *evidence)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("aa{sv}"));
  for (gsize i = 0; evidence != NULL && evidence[i] != NULL; i++)
    g_variant_builder_add_value(&builder, variant_of_evidence(evidence[i]));
  return g_variant_builder_end(&builder);
}

GVariant *
az_health_to_variant(const AzlinHealth *health)
{
  GVariantBuilder builder;
  double ms = health->response_time_ms;
  g_autofree char *maintenance = az_time_to_string(health->vm->maintenance_at);
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  add(&builder, "vm_name", az_variant_str(health->vm->vm_name));
  add(&builder, "region", az_variant_str(health->vm->region));
  add(&builder, "is_healthy", g_variant_new_boolean(health->healthy));
  add(&builder, "failure_type", az_variant_str(az_failure_to_string(health->failure)));
  add(&builder, "response_time_ms", ms < 0 ? az_null() : g_variant_new_double(ms));
  add(&builder, "error_details", az_variant_str(health->detail));
  add(&builder, "power_state", az_variant_str(az_power_to_string(health->vm->power)));
  add(&builder, "stop_cause", g_variant_new_string(az_stop_cause_to_string(health->vm->stop_cause)));
  add(&builder, "maintenance_at", az_variant_str(maintenance));
  add(&builder, "evidence", variant_of_all_evidence(health->evidence));
  return g_variant_builder_end(&builder);
}

/* ---- from GVariant ---- */

static char *
string_in(GVariant *dict, const char *name)
{
  char *text = NULL;
  return g_variant_lookup(dict, name, "s", &text) ? text : NULL;
}

static double
double_in(GVariant *dict, const char *name, double fallback)
{
  double number;
  gint64 integer;
  if (g_variant_lookup(dict, name, "d", &number))
    return number;
  return g_variant_lookup(dict, name, "x", &integer) ? (double) integer : fallback;
}

static void
evidence_free(gpointer data)
{
  AzlinEvidence *evidence = data;
  if (evidence == NULL)
    return;
  az_vm_set(&evidence->vantage, NULL);
  az_vm_set(&evidence->probe, NULL);
  az_vm_set(&evidence->outcome, NULL);
  az_vm_set(&evidence->detail, NULL);
  g_free(evidence);
}

static AzlinEvidence *
evidence_of(GVariant *value)
{
  g_autofree char *at = string_in(value, "at");
  AzlinEvidence *evidence = g_new0(AzlinEvidence, 1);
  evidence->size = sizeof *evidence;
  evidence->vantage = string_in(value, "vantage");
  evidence->probe = string_in(value, "probe");
  evidence->outcome = string_in(value, "outcome");
  evidence->detail = string_in(value, "detail");
  evidence->ms = double_in(value, "ms", -1);
  evidence->at = az_time_from_string(at);
  return evidence;
}

/* aa{sv} as the probes make it, or av as JSON gives it. */
static GPtrArray *
all_evidence_of(GVariant *value)
{
  GPtrArray *all = g_ptr_array_new_with_free_func(evidence_free);
  g_autoptr(GVariant) list = g_variant_lookup_value(value, "evidence", G_VARIANT_TYPE_ARRAY);
  gsize n = list != NULL ? g_variant_n_children(list) : 0;
  for (gsize i = 0; i < n; i++) {
    g_autoptr(GVariant) inner = az_variant_element(list, i);
    if (g_variant_is_of_type(inner, G_VARIANT_TYPE_VARDICT))
      g_ptr_array_add(all, evidence_of(inner));
  }
  g_ptr_array_add(all, NULL);
  return all;
}

static void
read_live_fields(GVariant *value, AzlinVm *vm)
{
  g_autofree char *power = string_in(value, "power_state");
  g_autofree char *cause = string_in(value, "stop_cause");
  g_autofree char *maintenance = string_in(value, "maintenance_at");
  vm->maintenance_at = maintenance != NULL ? az_time_from_string(maintenance) : 0;
  for (guint i = 0; power != NULL && i <= AZLIN_POWER_DEALLOCATED; i++)
    if (g_str_equal(power, az_power_to_string((AzlinPower) i)))
      vm->power = (AzlinPower) i;
  for (guint i = 0; cause != NULL && i < G_N_ELEMENTS(cause_names); i++)
    if (g_str_equal(cause, cause_names[i]))
      vm->stop_cause = (AzlinStopCause) i;
}

AzHealthCopy *
az_health_from_variant(GVariant *value, const AzlinVm *vm)
{
  AzHealthCopy *copy = g_new0(AzHealthCopy, 1);
  g_autofree char *failure = string_in(value, "failure_type");
  gboolean healthy = FALSE;
  copy->vm = az_vm_dup(vm);
  read_live_fields(value, copy->vm);
  copy->detail = string_in(value, "error_details");
  copy->evidence = all_evidence_of(value);
  g_variant_lookup(value, "is_healthy", "b", &healthy);
  copy->health = (AzlinHealth){
    .size = sizeof copy->health,
    .vm = copy->vm,
    .healthy = healthy,
    .failure = az_failure_from_string(failure),
    .response_time_ms = double_in(value, "response_time_ms", -1),
    .detail = copy->detail,
    .evidence = (const AzlinEvidence *const *) copy->evidence->pdata,
  };
  return copy;
}

const AzlinHealth *
az_health_copy_get(const AzHealthCopy *copy)
{
  return &copy->health;
}

void
az_health_copy_free(AzHealthCopy *copy)
{
  if (copy == NULL)
    return;
  az_vm_free(copy->vm);
  g_free(copy->detail);
  g_ptr_array_unref(copy->evidence);
  g_free(copy);
}
