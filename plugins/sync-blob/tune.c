/* How a copy is cut and how much of it is under way at once: by the distance, the size and the processors. Pure. */
#include "staging.h"

#define MIB (G_GUINT64_CONSTANT(1) << 20)
#define NEAR_MS 5.0
#define LINE_MIB 48.0   /* per second and MiB of a chunk */
#define MAX_CHUNKS 4096 /* per connection, where that is possible */

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

/* What a target lags behind is what the source has under way: connections times chunk. That must cover the line's delay
 * several times, and a second of the line at most. */
static guint64
chunk_for(const AzlinSyncJob *job, double rtt, guint connections)
{
  double measured = job->facts != NULL ? job->facts->mib_per_second : 0;
  if (rtt >= 0 && rtt < NEAR_MS)
    return 16 * MIB;
  guint64 chunk = measured > LINE_MIB ? (guint64) (measured / LINE_MIB) * MIB : measured > 0 ? MIB : 2 * MIB;
  guint64 fewest = job->bytes / connections / MAX_CHUNKS; /* a file may be huge */
  while (chunk < 64 * MIB && chunk < fewest)
    chunk *= 2;
  return MIN(chunk, 64 * MIB);
}

BlobTuning
blob_tune(const AzlinSyncJob *job, const BlobWishes *wishes)
{
  const AzlinSyncFacts *facts = job->facts;
  double rtt = far_ms(facts);
  gboolean near = rtt >= 0 && rtt < NEAR_MS;
  BlobTuning tuning = { .lanes = wishes->connections > 0 ? wishes->connections : near ? 2 : 16, .near = near };
  tuning.chunk_bytes = wishes->chunk_bytes > 0 ? wishes->chunk_bytes : chunk_for(job, rtt, tuning.lanes);
  tuning.big_bytes = 4 * tuning.chunk_bytes;
  tuning.keep = job->bytes <= 1024 * MIB;
  if (facts != NULL && !near && has_tool(facts->tools_source, " zstd ") && has_tool(facts->tools_target, " zstd "))
    tuning.level = 3;
  if (job->bwlimit_kib > 0) { /* curl's limit is one connection's */
    tuning.lanes = 1;
    tuning.rate = MAX((guint64) job->bwlimit_kib * 1024 / 2, 1024);
  }
  tuning.packers = tuning.lanes;
  tuning.fetchers = tuning.lanes * 2;
  return tuning;
}
