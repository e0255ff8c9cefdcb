/* How a copy is cut and how much of it is under way at once: by the distance, the size and the processors. Pure. */
#include "staging.h"

#define MIB (G_GUINT64_CONSTANT(1) << 20)
#define NEAR_MS 5.0
#define UNKNOWN_MIB 48.0 /* a second, of a line that nobody has measured */
#define LINE_MIB 24.0    /* per second and MiB of a chunk */
#define BROAD_MIB 40.0   /* a second: a measurement says too little, if it is wrong */
#define BROAD_CHUNK 4    /* MiB at least, and fewer connections */
#define WARM_LANES 24    /* where connections stay: with the shortest chunks enough for 1.2 Gbit/s at 80 ms */
#define WARM_CHUNKS 2048 /* of all that is sent, in these bounds */
#define WARM_SHORTEST (MIB / 2)
#define WARM_LONGEST (8 * MIB)
#define SHORTEST_PIECE MIB      /* each takes a new connection and its processors; long ones overrun a narrow line */
#define ALWAYS_PACKED (8 * MIB) /* files up to that, at least; ranges are not compressed */
#define WORTH_A_TRAIN (64 * MIB)
#define TRAIN_MS 20.0   /* flights follow each other too closely on a shorter way */
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
 * several times, and a second of the line at most. Each connection waits a round trip for each answer: on a narrow line
 * more of them keep it full, on a broad one each loss costs fewer of them more. */
void
blob_tune_to_line(BlobTuning *tuning, double mib_per_second)
{
  double rate = mib_per_second > 0 ? MIN(mib_per_second, LINE_MIB * 64) : UNKNOWN_MIB;
  gboolean broad = mib_per_second > BROAD_MIB;
  guint64 chunk = MAX((guint64) (rate / LINE_MIB), broad ? BROAD_CHUNK : 1) * MIB;
  guint usual = tuning->near ? 2 : tuning->warm ? WARM_LANES : broad ? 16 : 24;
  guint lanes = tuning->wishes.connections > 0 ? tuning->wishes.connections : usual;
  if (tuning->warm)
    chunk = CLAMP(tuning->bytes / WARM_CHUNKS / BLOB_BLOCK * BLOB_BLOCK, WARM_SHORTEST, WARM_LONGEST);
  while (chunk < 64 * MIB && chunk < tuning->bytes / lanes / MAX_CHUNKS) /* a file may be huge */
    chunk *= 2;
  chunk = tuning->near ? 16 * MIB : MIN(chunk, 64 * MIB);
  if (tuning->rate > 0) /* curl's limit is one connection's */
    lanes = 1;
  tuning->fetchers = lanes * 2;
  tuning->cut = (BlobCut){ .chunk_bytes = tuning->wishes.chunk_bytes > 0 ? tuning->wishes.chunk_bytes : chunk,
                           .lanes = lanes,
                           .graded = !tuning->near,
                           .shared = tuning->warm };
}

guint
blob_tune_told(const BlobTuning *tuning, guint connections)
{
  return tuning->warm ? 2 * connections : connections;
}

guint32
blob_tune_longest_run(const BlobTuning *tuning)
{
  return tuning->warm ? 1 : 0;
}

BlobTuning
blob_tune(const AzlinSyncJob *job, const BlobWishes *wishes)
{
  const AzlinSyncFacts *facts = job->facts;
  double rtt = far_ms(facts);
  BlobTuning tuning = { .wishes = *wishes, .bytes = job->bytes, .near = rtt >= 0 && rtt < NEAR_MS };
  if (job->bwlimit_kib > 0)
    tuning.rate = MAX((guint64) job->bwlimit_kib * 1024 / 2, 1024);
  tuning.warm = !wishes->cold && facts != NULL && tuning.rate == 0 && has_tool(facts->tools_source, " python3 ")
                && has_tool(facts->tools_target, " python3 ");
  blob_tune_to_line(&tuning, facts != NULL ? facts->mib_per_second : 0);
  tuning.train = facts != NULL && facts->rtt_source_ms >= TRAIN_MS && job->bytes >= WORTH_A_TRAIN && tuning.rate == 0
                 && !tuning.warm;
  tuning.packers = tuning.cut.lanes;
  gboolean free_to_choose = tuning.warm && wishes->chunk_bytes == 0;
  tuning.piece_bytes = MAX(tuning.cut.chunk_bytes, free_to_choose ? SHORTEST_PIECE : 0);
  tuning.big_bytes = MAX(4 * tuning.piece_bytes, free_to_choose ? ALWAYS_PACKED : 0);
  tuning.keep = job->bytes <= 1024 * MIB;
  if (facts != NULL && !tuning.near && has_tool(facts->tools_source, " zstd ")
      && has_tool(facts->tools_target, " zstd "))
    tuning.level = 3;
  return tuning;
}
