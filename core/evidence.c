/* Evidence records with storage of their own, as the probes make them. */
#include "evidence.h"

#include "record.h"

AzlinEvidence *
az_evidence_new(const char *vantage, const char *probe, const char *outcome, const char *detail, double ms, gint64 at)
{
  AzlinEvidence *evidence = g_new0(AzlinEvidence, 1);
  evidence->size = sizeof *evidence;
  evidence->vantage = g_strdup(vantage);
  evidence->probe = g_strdup(probe);
  evidence->outcome = g_strdup(outcome);
  evidence->detail = detail != NULL ? g_utf8_make_valid(detail, -1) : NULL;
  evidence->ms = ms;
  evidence->at = at;
  return evidence;
}

AzlinEvidence *
az_evidence_of_platform(const AzlinVm *live, double ms, gint64 at)
{
  g_autofree char *when = az_time_to_string(live->maintenance_at);
  g_autofree char *planned = when != NULL ? g_strdup_printf("maintenance is announced for %s", when) : NULL;
  const char *said = live->platform_detail != NULL && *live->platform_detail != '\0' ? live->platform_detail : NULL;
  if (live->platform == NULL && planned == NULL)
    return NULL;
  g_autofree char *both = said != NULL && planned != NULL ? g_strdup_printf("%s; %s", said, planned) : NULL;
  const char *outcome = g_strcmp0(live->platform, "unavailable") == 0 ? "unavailable" : "ok";
  return az_evidence_new("here", "platform", outcome, both != NULL ? both : said != NULL ? said : planned, ms, at);
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

GPtrArray *
az_evidence_list(void)
{
  return g_ptr_array_new_with_free_func(evidence_free);
}

GVariant *
az_evidence_to_variant(const AzlinEvidence *evidence)
{
  GVariantBuilder builder;
  g_autofree char *at = az_time_to_string(evidence->at);
  g_variant_builder_init(&builder, G_VARIANT_TYPE_VARDICT);
  g_variant_builder_add(&builder, "{sv}", "vantage", az_variant_str(evidence->vantage));
  g_variant_builder_add(&builder, "{sv}", "probe", az_variant_str(evidence->probe));
  g_variant_builder_add(&builder, "{sv}", "outcome", az_variant_str(evidence->outcome));
  g_variant_builder_add(&builder, "{sv}", "detail", az_variant_str(evidence->detail));
  g_variant_builder_add(&builder, "{sv}", "ms", g_variant_new_double(evidence->ms));
  g_variant_builder_add(&builder, "{sv}", "at", az_variant_str(at));
  return g_variant_builder_end(&builder);
}
