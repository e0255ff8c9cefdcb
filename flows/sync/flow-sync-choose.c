/* sync: which strategy copies what the comparison found: each is asked, the quickest by prediction wins. */
#include "error.h"
#include "flow-sync-private.h"

#define SMALL_BYTES 100000000u /* the rule for a road of which nothing is known: less goes by rsync */

static double
score(AzSyncPair *pair, const char *name, const AzlinSyncJob *job, char **ret_reason, GError **error)
{
  gpointer self = NULL;
  const AzlinSync *brick = az_engine_lookup(pair->sync->engine, AZLIN_KIND_SYNC, name, &self, error);
  if (brick == NULL)
    return -1;
  double seconds = brick->score != NULL ? brick->score(self, job, ret_reason) : 0;
  if (seconds < 0)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED, "the strategy %s cannot do this: %s", name,
                *ret_reason != NULL ? *ret_reason : "no reason given");
  return seconds;
}

static gboolean
take(AzSyncPair *pair, const char *name, double seconds, GError **error)
{
  pair->brick = az_engine_lookup(pair->sync->engine, AZLIN_KIND_SYNC, name, &pair->brick_self, error);
  g_free(pair->strategy);
  pair->strategy = g_strdup(name);
  pair->predicted = seconds;
  return pair->brick != NULL;
}

/* Where nothing could be measured no prediction is worth anything: what the size says then. */
static const char *
by_size(const AzlinSyncJob *job)
{
  const AzlinSyncFacts *facts = job->facts;
  if (facts->rtt_source_ms >= 0 || facts->rtt_target_ms >= 0 || facts->mib_per_second > 0)
    return NULL;
  return job->bytes < SMALL_BYTES ? "rsync" : "blob";
}

static gboolean
choose_best(AzSyncPair *pair, const AzlinSyncJob *job, char **ret_reason, GError **error)
{
  g_auto(GStrv) names = az_config_strv(az_engine_config(pair->sync->engine), "bricks", "sync-strategies");
  g_autoptr(GError) last = NULL;
  GVariantBuilder scores;
  const char *best = NULL, *rule = by_size(job);
  double least = G_MAXDOUBLE;
  g_variant_builder_init(&scores, G_VARIANT_TYPE("aa{sv}"));
  for (guint i = 0; names != NULL && names[i] != NULL; i++) {
    g_autofree char *reason = NULL;
    if (g_strcmp0(names[i], pair->failed) == 0)
      continue;
    g_clear_error(&last);
    double seconds = score(pair, names[i], job, &reason, &last);
    g_variant_builder_open(&scores, G_VARIANT_TYPE_VARDICT);
    g_variant_builder_add(&scores, "{sv}", "strategy", g_variant_new_string(names[i]));
    g_variant_builder_add(&scores, "{sv}", "seconds", g_variant_new_double(seconds));
    g_variant_builder_add(&scores, "{sv}", "reason",
                          az_variant_str(reason != NULL ? reason
                                         : last != NULL ? last->message
                                                        : ""));
    g_variant_builder_close(&scores);
    gboolean ruled = rule != NULL && g_str_equal(names[i], rule);
    if (seconds < 0 || (seconds >= least && !ruled) || (best != NULL && rule != NULL && g_str_equal(best, rule)))
      continue;
    least = seconds;
    best = names[i];
    g_free(*ret_reason);
    *ret_reason = g_steal_pointer(&reason);
  }
  g_clear_pointer(&pair->scores, g_variant_unref);
  pair->scores = g_variant_ref_sink(g_variant_builder_end(&scores));
  if (best != NULL)
    return take(pair, best, least, error);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "no strategy of [bricks] sync-strategies can do this: %s",
              last != NULL ? last->message : "the list is empty");
  return FALSE;
}

static void
say_choice(AzSyncPair *pair, const char *reason, gboolean predicted)
{
  g_autofree char *shown = g_ascii_strup(pair->strategy, -1);
  g_autofree char *takes = predicted ? az_flow_duration(pair->predicted) : NULL;
  if (pair->brief || pair->failed != NULL)
    return;
  az_sync_say(pair->sync, "ok", pair->label, "Strategy: %s%s%s%s%s%s", shown, reason != NULL ? " (" : "",
              reason != NULL ? reason : "", takes != NULL ? ", about " : "", takes != NULL ? takes : "",
              reason != NULL ? ")" : "");
}

gboolean
az_sync_choose(AzSyncPair *pair, GError **error)
{
  AzSync *sync = pair->sync;
  const char *wanted = sync->strategy;
  AzlinSyncFacts facts = az_sync_pair_facts(pair);
  AzlinSyncJob job = az_sync_pair_job(pair, &facts);
  g_autofree char *reason = NULL;
  job.grant = NULL;
  if (pair->round > 0) /* the rest of a copy goes the way that it began */
    return pair->brick != NULL;
  if (!pair->brief && pair->failed == NULL)
    az_sync_say(sync, "step", pair->label, "Choosing sync strategy...");
  if (wanted == NULL)
    wanted = az_config_string(az_engine_config(sync->engine), "bricks", "sync");
  if (wanted == NULL || *wanted == 0 || g_str_equal(wanted, "auto") || g_strcmp0(wanted, pair->failed) == 0) {
    if (!choose_best(pair, &job, &reason, error))
      return FALSE;
    say_choice(pair, reason, TRUE);
    return TRUE;
  }
  double seconds = score(pair, wanted, &job, &reason, error);
  if (seconds < 0 || !take(pair, wanted, seconds, error))
    return FALSE;
  say_choice(pair, sync->strategy != NULL ? "as asked for" : "as configured", FALSE);
  return TRUE;
}
