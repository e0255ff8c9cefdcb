/* What the engine does with jobs; flows use flow.h. */
#pragma once
#include "flow.h"

AzJob *az_job_new(AzEngine *engine, const AzFlow *flow, GVariant *args, const AzJobWatch *watch, GError **error);
void az_job_free(AzJob *job);
void az_job_run(AzJob *job);
void az_job_cancel(AzJob *job);
gboolean az_job_answer(AzJob *job, gboolean yes);
