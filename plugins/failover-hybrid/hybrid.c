/* failover-hybrid: the pure judgement whether a primary is lost: automatic when the evidence is clear, manual
 * otherwise. */
#include "hybrid.h"
#include "option.h"

static void
decide(gpointer data, const AzlinDecisionInput *input, AzlinDecision *out)
{
  const Hybrid *self = data;
  const AzlinHealth *best;
  HybridSum sum;

  hybrid_weigh(self, input, &sum);
  out->weights = sum.weights;
  out->ranking = hybrid_rank(self, input, &best);
  out->confidence = hybrid_probability(sum.log_odds);
  hybrid_judge(self, input, &sum, best, out);
}

static const AzlinOption options[] = {
  { "mode", "s", "hybrid", NULL, NULL, "auto, hybrid: clear failures are automatic; manual: only ever proposes" },
  { "primary-interval", "u", "5", "1", "60", "seconds between probes of the primary, and of any suspect" },
  { "interval", "u", "15", "1", "3600", "seconds between probes of the other regions while all is calm" },
  { "probe-timeout", "d", "0", "0", "60",
    "seconds that one probe of the detector may take; 0: four, or primary-interval where that is shorter" },
  { "fall", "u", "7", "1", "100", "dark probes in a row before a vantage counts as settled" },
  { "rise", "u", "2", "1", "100", "probes in a row that see life before a region counts as up" },
  { "witnesses", "u", "3", "0", "16", "machines of other regions that are asked about a suspect" },
  { "threshold", "d", "0.85", "0.5", "0.9999", "confidence from which a switch may be automatic" },
  { "prior", "d", "0.0001", "0.000001", "0.5", "how likely an outage is before anything was seen" },
  { "cool-down", "u", "3600", "0", "604800",
    "seconds after an automatic switch without another one, unless acknowledged" },
  { "max-sync-age", "u", "0", "0", "31536000", "oldest data, in seconds, that an automatic switch accepts; 0: any" },
  { "never-promote", "as", "", NULL, NULL, "regions that never become primary by themselves" },
  { "unfenced", "s", "epoch", NULL, NULL,
    "when the old primary is not confirmed off: epoch (go on, fence later) or never" },
  { "commit-window", "u", "0", "0", "86400",
    "seconds in which an automatic switch must be confirmed, else it is taken back; "
    "0: none" },
  { "hook-timeout", "u", "30", "1", "600", "seconds that hooks/failover-pre and failover-post may take" },
  { "auto-on-platform-stop", "b", "false", NULL, NULL, "switch by itself when the platform stopped the machine" },
  { "auto-on-maintenance", "b", "false", NULL, NULL, "switch, synced, ahead of announced maintenance of the primary" },
  { 0 },
};

static gboolean
check_mode(AzlinHost *host, GError **error)
{
  static const char *const modes[] = { "auto", "hybrid", "manual", NULL };
  g_autoptr(GVariant) value = host->api->option(host, "mode");
  const char *mode = g_variant_get_string(value, NULL);

  if (g_strv_contains(modes, mode))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "[failover.hybrid] mode=%s: it is one of auto, hybrid, manual",
              mode);
  return FALSE;
}

static double
option_double(AzlinHost *host, const char *name)
{
  g_autoptr(GVariant) value = host->api->option(host, name);
  return g_variant_get_double(value);
}

static gboolean
option_bool(AzlinHost *host, const char *name)
{
  g_autoptr(GVariant) value = host->api->option(host, name);
  return g_variant_get_boolean(value);
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  if (!check_mode(host, error))
    return FALSE;
  Hybrid *self = g_new0(Hybrid, 1);

  self->interval_s = option_uint(host, "primary-interval");
  self->fall = option_uint(host, "fall");
  self->probe_timeout_s = option_double(host, "probe-timeout");
  if (self->probe_timeout_s <= 0)
    self->probe_timeout_s = MIN(4, self->interval_s);
  self->threshold = option_double(host, "threshold");
  self->prior = option_double(host, "prior");
  self->auto_on_platform_stop = option_bool(host, "auto-on-platform-stop");
  self->auto_on_maintenance = option_bool(host, "auto-on-maintenance");
  g_autoptr(GVariant) never = host->api->option(host, "never-promote");
  self->never_promote = g_variant_dup_strv(never, NULL);
  *ret_self = self;
  return TRUE;
}

static void
hybrid_free(gpointer data)
{
  Hybrid *self = data;

  g_strfreev(self->never_promote);
  g_free(self);
}

/* clang-format off */
static const AzlinFailover iface = {
  .size = sizeof(AzlinFailover),
  .decide = decide,
};

static const AzlinBrick brick = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_FAILOVER,
  .name = "hybrid",
  .summary = "automatic for clear failures seen from several places, manual for everything else",
  .options = options,
  .init = init,
  .free = hybrid_free,
  .iface = &iface,
};
/* clang-format on */

AZLIN_PLUGIN_DEFINE("failover-hybrid", "1.0.0", "MIT", &brick)
