/* sync: how far a run is: bytes, files, rate and what is left, for each target and in all. */
#include "flow-sync-private.h"

#define TELL_US 500000 /* between two events about one target */
#define WINDOW_S 2.0   /* over which the rate is smoothed */

static gint64
now_of(AzSyncPair *pair)
{
  return az_clock_monotonic(az_engine_clock(pair->sync->engine));
}

double
az_sync_rate(double rate, guint64 bytes, double seconds)
{
  if (seconds <= 0)
    return rate;
  double now = (double) bytes / seconds, weight = MIN(seconds / WINDOW_S, 1);
  return rate <= 0 ? now : rate + weight * (now - rate);
}

char *
az_sync_eta(guint64 left, double rate)
{
  if (rate < 1)
    return NULL;
  double seconds = (double) left / rate;
  if (seconds >= 86400 * 30)
    return NULL;
  guint whole = (guint) (seconds + 0.5);
  return whole >= 60 ? g_strdup_printf("ETA: %um %us", whole / 60, whole % 60) : g_strdup_printf("ETA: %us", whole);
}

/* files: what the strategy has said, or the share of the bytes. */
static void
tell(AzSyncPair *pair, gint64 now)
{
  GVariantDict facts;
  guint64 done = pair->moved + pair->moving;
  if (now - pair->told_at < TELL_US || pair->sync->job == NULL)
    return;
  pair->told_at = now;
  guint64 files
      = pair->to_move > 0 ? (guint64) ((double) pair->files_to_move * (double) done / (double) pair->to_move) : 0;
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", pair->target->region);
  g_variant_dict_insert(&facts, "bytes", "t", MIN(done, pair->to_move));
  g_variant_dict_insert(&facts, "total_bytes", "t", pair->to_move);
  g_variant_dict_insert(&facts, "files", "t", MIN(files, pair->files_to_move));
  g_variant_dict_insert(&facts, "total_files", "t", pair->files_to_move);
  g_variant_dict_insert(&facts, "bytes_per_second", "d", pair->rate);
  if (pair->rate >= 1)
    g_variant_dict_insert(&facts, "eta_seconds", "d", (double) (pair->to_move - MIN(done, pair->to_move)) / pair->rate);
  az_job_event(pair->sync->job, "target", g_variant_dict_end(&facts));
}

void
az_sync_progress(AzSyncPair *pair, guint64 done)
{
  gint64 now = now_of(pair);
  if (pair->rate_at == 0 || done < pair->moving) {
    pair->rate_at = pair->transfer_started;
    pair->rate_bytes = 0;
  }
  double seconds = (double) (now - pair->rate_at) / G_USEC_PER_SEC;
  pair->moving = done;
  if (seconds >= 0.2) {
    pair->rate = az_sync_rate(pair->rate, done - MIN(pair->rate_bytes, done), seconds);
    pair->rate_at = now;
    pair->rate_bytes = done;
  }
  tell(pair, now);
}

void
az_sync_progress_all(AzJob *job, GPtrArray *pairs, const char *text)
{
  guint64 sum = 0, all = 0, left = 0;
  double rate = 0, slowest = 0;
  for (guint i = 0; i < pairs->len; i++) {
    AzSyncPair *pair = g_ptr_array_index(pairs, i);
    guint64 done = MIN(pair->moved + pair->moving, pair->to_move);
    sum += done;
    all += pair->to_move;
    rate += pair->rate;
    double seconds = pair->rate >= 1 ? (double) (pair->to_move - done) / pair->rate : 0;
    if (seconds > slowest) { /* all are over when the last one is */
      slowest = seconds;
      left = pair->to_move - done;
    }
  }
  g_autofree char *moved = az_sync_size(sum), *whole = az_sync_size(all), *each = az_sync_size((guint64) rate);
  g_autofree char *eta = slowest > 0 ? az_sync_eta(left, (double) left / slowest) : NULL;
  g_autofree char *shown = g_strdup_printf("(%s/%s) %s/s%s%s%s%s", moved, whole, each, eta != NULL ? ", " : "",
                                           eta != NULL ? eta : "", text != NULL ? ", " : "", text != NULL ? text : "");
  az_job_progress(job, sum, all, shown);
}
