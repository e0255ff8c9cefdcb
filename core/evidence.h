/* Evidence records with storage of their own, as the probes make them. */
#pragma once
#include "azlin-plugin.h"
/* All strings are copied; `detail` may be NULL, and is made valid UTF-8 since it may hold a machine's own words. */
AzlinEvidence *
az_evidence_new(const char *vantage, const char *probe, const char *outcome, const char *detail, double ms, gint64 at);
/* What a provider says of the hardware under `live`, as evidence; NULL when it says nothing. */
AzlinEvidence *az_evidence_of_platform(const AzlinVm *live, double ms, gint64 at);
GPtrArray *az_evidence_list(void);                               /* of AzlinEvidence, frees them */
GVariant *az_evidence_to_variant(const AzlinEvidence *evidence); /* a{sv}, floating */
