/* How a copy is cut and how much of it is under way at once: by the distance, the size and the processors. Pure. */
#include "staging.h"

#define MIB (G_GUINT64_CONSTANT(1) << 20)
#define NEAR_MS 5.0

static double
far_ms(const AzlinSyncFacts *facts)
{
  return facts == NULL ? -1 : MAX(facts->rtt_between_ms, MAX(facts->rtt_source_ms, facts->rtt_target_ms));
}

static gboolean
has_tool(const char *tools, const char *tool)
{
  return tools != NULL && g_strstr_len(tools, -1, tool) != NULL;
}

/* What a target lags behind is what the source has under way: lanes times chunk. It must cover the line's delay, too. */
BlobTuning
blob_tune(const AzlinSyncJob *job, guint64 chunk_bytes)
{
  const AzlinSyncFacts *facts = job->facts;
  double rtt = far_ms(facts);
  gboolean near = rtt >= 0 && rtt < NEAR_MS;
  BlobTuning tuning = { .chunk_bytes = near ? 16 * MIB : 2 * MIB, .lanes = near ? 2 : 16, .packers = near ? 3 : 16 };
  if (job->bytes > 64 * (guint64) 1024 * MIB)
    tuning.chunk_bytes *= 4;
  if (chunk_bytes > 0)
    tuning.chunk_bytes = chunk_bytes;
  tuning.fetchers = tuning.lanes * 2;
  tuning.big_bytes = 2 * tuning.chunk_bytes;
  tuning.keep = job->bytes <= 1024 * MIB;
  if (facts != NULL && !near && has_tool(facts->tools_source, " zstd ") && has_tool(facts->tools_target, " zstd "))
    tuning.level = 3;
  if (job->bwlimit_kib > 0) {
    tuning.lanes = tuning.packers = 2;
    tuning.rate = MAX((guint64) job->bwlimit_kib * 1024 / 4, 1024);
  }
  return tuning;
}
