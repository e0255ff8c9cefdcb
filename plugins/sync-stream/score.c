/* How long each road takes: pure, so that a test can walk the bounds and a table can be compared with what was
 * measured.
 */
#include "stream.h"

#include <math.h>
#include <string.h>

#define MIB 1048576.0
#define WINDOW (2 * MIB) /* what OpenSSH and azlin have on the way of one channel at most */
#define SHUT_MS (-1.5)   /* rtt_between_ms is -1 when nobody has asked, and -2 when the port is shut */
#define UNKNOWN_RTT_MS 100.0
#define UNKNOWN_MIB 25.0          /* a second, of a line that nobody has measured */
#define PROCESSOR_MIB 240.0       /* a second, through a cipher, on a small machine */
#define FIRST_FLIGHT 14600.0      /* bytes that a connection sends before it hears anything */
#define FILE_SECONDS 40e-6        /* opening, naming and placing one */
#define LOGIN_ROUNDS 12.0         /* of OpenSSH, until a command has its input */
#define LOGIN_SECONDS 0.1         /* of both processors */
#define MOST_TO_RELAY (256 * MIB) /* a copy as large as that should not go through azlin's own line */
/* a large file can go in pieces over connections of its own, which loss cannot hold back together; nobody knows of loss
 * before */
#define LARGE_FILE (8 * MIB)
#define MOST_OF_LARGE_FILES (12 * MIB)
#define TRIAL_SECONDS 1.0  /* until a road shows what it carries, */
#define TRIAL_ROUNDS 14.0  /* and no fewer round trips */
#define TAR_HEADERS 768.0  /* bytes of a file beside its own, at least: too few only means staying */
#define STRETCHES 4.0      /* in a trial */
#define FEWEST_STRETCHES 2 /* of what arrived: its first bytes may have been late, and the line was cold then */
#define COUNT_TRIALS 2.0   /* as long is waited for the first count of what has come out of it */
#define LEAVE 1.25         /* what is still to come takes so many times as long as all of it on the other road; */
#define LEAVE_NEAR 8.0     /* next to each other the machines may be slow, and would be so there, too */
#define SHRINK 0.6         /* what zstd leaves of what people have, when nothing is known of it */

static double
or_unknown(double rtt_ms)
{
  return (rtt_ms < 0 ? UNKNOWN_RTT_MS : rtt_ms) / 1000;
}

/* Seconds for so many bytes over `n` connections, from their first byte on. */
static double
moving(double bytes, double rtt, double n, double rate)
{
  double window = rtt > 0 ? n * WINDOW / rtt : rate, limit = MIN(rate, window);
  double flights = log2(1 + MIN(bytes, limit * rtt) / (n * FIRST_FLIGHT));
  return flights * rtt + bytes / limit;
}

static gboolean
both_have(const AzlinSyncFacts *facts, const char *tool)
{
  return facts->tools_source != NULL && facts->tools_target != NULL && strstr(facts->tools_source, tool) != NULL
         && strstr(facts->tools_target, tool) != NULL;
}

StreamForecast
stream_predict(const AzlinSyncJob *job, guint most, StreamRoad wanted)
{
  static const AzlinSyncFacts nothing
      = { .rtt_source_ms = -1, .rtt_target_ms = -1, .rtt_between_ms = UNKNOWN_RTT_MS, .mib_per_second = -1 };
  const AzlinSyncFacts *facts = job->facts != NULL ? job->facts : &nothing;
  double source = or_unknown(facts->rtt_source_ms), target = or_unknown(facts->rtt_target_ms);
  double bytes = (double) job->bytes;
  /* they are rarely further apart than the one that is further away from here */
  double between = facts->rtt_between_ms >= 0 ? facts->rtt_between_ms / 1000 : MAX(source, target);
  double rate = MIN(facts->mib_per_second > 0 ? facts->mib_per_second : UNKNOWN_MIB, PROCESSOR_MIB) * MIB;
  double handling = (double) job->files * FILE_SECONDS;
  gboolean near = MAX(source, target) < 0.002;
  StreamForecast forecast = { .direct = -1, .relay = -1 };
  if (job->bwlimit_kib > 0)
    rate = MIN(rate, job->bwlimit_kib * 1024.0);
  forecast.level = near || !both_have(facts, " zstd ") ? 0 : rate > 100 * MIB ? 1 : 3;
  forecast.trial = MAX(TRIAL_SECONDS, TRIAL_ROUNDS * MAX(source, target));
  forecast.leave = near ? LEAVE_NEAR : LEAVE;
  forecast.wire = forecast.level > 0 ? bytes * SHRINK : bytes;
  forecast.archive = bytes + (double) job->files * TAR_HEADERS;
  forecast.relay = 2 * MAX(source, target) + handling
                   + moving(forecast.wire, MAX(source, target), 1, near ? PROCESSOR_MIB * MIB : rate);
  if (facts->rtt_between_ms > SHUT_MS) {
    double useful = between > 0.002 ? ceil(bytes / (4 * MIB)) : 2;
    double begin = between > 0.02 ? 6 : 4;
    if (facts->mib_per_second > 0) /* known: enough to fill it */
      begin = CLAMP(ceil(1.2 * rate * between / WINDOW), 1, 8);
    forecast.rtt_ms = (guint) (between * 1000);
    forecast.connections = (guint) CLAMP(MIN(useful, begin), 1, MAX(most, 1));
    double n = CLAMP(useful, 1, MAX(most, 1));
    forecast.direct = 4 * source + 4 * target + LOGIN_ROUNDS * between
                      + LOGIN_SECONDS * (1 + forecast.connections / 4.0) + handling
                      + moving(bytes, between, n, facts->mib_per_second > 0 || job->bwlimit_kib > 0 ? rate : 4 * rate);
  }
  double most_to_relay = !near && (double) facts->largest > LARGE_FILE ? MOST_OF_LARGE_FILES : MOST_TO_RELAY;
  gboolean relay = forecast.direct < 0 || (bytes <= most_to_relay && forecast.relay < forecast.direct);
  forecast.road = wanted != STREAM_AUTO ? wanted : relay ? STREAM_RELAY : STREAM_DIRECT;
  if (forecast.road == STREAM_DIRECT && forecast.direct < 0)
    forecast.road = STREAM_RELAY; /* the port is shut */
  return forecast;
}

/* Nobody knows beforehand how much an archive shrinks. At the pace of all that has come out of it since it was first
 * counted, what is still to come may take less than all of it on the other road; TRUE, too, while that cannot be known
 * yet. One that stands still is found out the later, the more of it has come before.
 */
static gboolean
may_still_be_on_time(const StreamForecast *forecast, const StreamPace *pace, double seconds)
{
  gboolean counts = pace->count_began > 0;
  double stretch = counts ? seconds - pace->count_began : 0;
  if (stretch < forecast->trial / STRETCHES)
    return forecast->level > 0 && (counts || seconds < COUNT_TRIALS * forecast->trial);
  double uncounted = STREAM_COUNT_RECORDS * STREAM_TAR_RECORD, came = pace->unpacked - pace->count_first + uncounted;
  return (forecast->archive - pace->unpacked) * stretch <= forecast->leave * forecast->direct * came;
}

/* Nobody knows of loss, or of how slow azlin's own line is, before something has gone over it. It is judged by the best
 * of its latest stretches: a line may have yet to reach its pace, or have stood still for a moment, but where packets
 * get lost it was quicker at first than it ever will be again.
 */
gboolean
stream_is_to_leave(const StreamForecast *forecast, StreamPace *pace, double moved, double seconds)
{
  if (pace->marked <= 0) {
    pace->marked = seconds;
    pace->moved = moved;
    return FALSE;
  }
  if (pace->count_began <= 0 && pace->unpacked > 0) {
    pace->count_began = seconds;
    pace->count_first = pace->unpacked;
  }
  double stretch = seconds - pace->marked, best = 0;
  if (stretch >= forecast->trial / STRETCHES) {
    memmove(pace->rates + 1, pace->rates, sizeof pace->rates - sizeof pace->rates[0]);
    pace->rates[0] = (moved - pace->moved) / stretch;
    pace->stretches++;
    pace->marked = seconds;
    pace->moved = moved;
  }
  for (guint i = 0; i < G_N_ELEMENTS(pace->rates); i++)
    best = MAX(best, pace->rates[i]);
  return forecast->direct >= 0 && seconds >= forecast->trial && pace->stretches >= FEWEST_STRETCHES
         && forecast->wire - moved > forecast->leave * forecast->direct * best
         && !may_still_be_on_time(forecast, pace, seconds);
}
