/* The detector: the regions that it watches, rows of probes per region and vantage, and what they add up to. */
#include "detector-private.h"

#define SLOT_US (G_USEC_PER_SEC / 20) /* moments that regions share: each is a turn of the main loop */
#define FIRST_US 2000                 /* until the first look, for each region that nobody has looked at */
#define GOLDEN 2654435769u            /* of 2^32, the golden section: even however many there are */

/* ---- making ---- */

const char *
az_region_state_name(AzRegionState state)
{
  static const char *const names[] = { "unknown", "up", "suspect", "dark" };
  return (guint) state < G_N_ELEMENTS(names) ? names[state] : "unknown";
}

gboolean
az_detector_rules_check(const AzDetectorRules *rules, GError **error)
{
  const char *wrong = NULL;
  if (rules->rise == 0 || rules->fall == 0)
    wrong = "rise and fall must be at least 1";
  else if (rules->primary_interval_s == 0 || rules->interval_s == 0)
    wrong = "primary-interval and interval must be at least 1";
  else if (rules->probe_timeout_s <= 0 || rules->probe_timeout_s > rules->primary_interval_s)
    wrong = "probe-timeout must not be longer than primary-interval, or probes would pile up";
  else if (rules->interval_s < rules->primary_interval_s)
    wrong = "interval must not be shorter than primary-interval: the primary is watched most closely";
  if (wrong == NULL)
    return TRUE;
  g_set_error_literal(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, wrong);
  return FALSE;
}

Row *
az_detector_find_row(Region *region, const Region *vantage)
{
  for (guint i = 0; i < region->rows->len; i++)
    if (g_array_index(region->rows, Row, i).vantage == vantage)
      return &g_array_index(region->rows, Row, i);
  return NULL;
}

Row *
az_detector_row(Region *region, Region *vantage)
{
  Row *known = az_detector_find_row(region, vantage);
  if (known != NULL)
    return known;
  Row row = { .vantage = vantage, .due = NEVER };
  row.sight.seen = (AzlinVantage){ .size = sizeof(AzlinVantage), .vantage = vantage_name(vantage) };
  g_array_append_val(region->rows, row);
  return &g_array_index(region->rows, Row, region->rows->len - 1);
}

static void
region_free(gpointer data)
{
  Region *region = data;
  g_array_unref(region->rows);
  g_free(region->name);
  g_free(region);
}

AzDetector *
az_detector_new(const AzDetectorRules *rules, gint64 now)
{
  AzDetector *detector = g_new0(AzDetector, 1);
  detector->rules = *rules;
  detector->planned = now;
  detector->regions = g_ptr_array_new_with_free_func(region_free);
  detector->names = g_hash_table_new(g_str_hash, g_str_equal);
  detector->queue = g_ptr_array_new();
  detector->pending = g_array_new(FALSE, TRUE, sizeof(Pending));
  detector->unused = g_array_new(FALSE, FALSE, sizeof(guint));
  return detector;
}

void
az_detector_free(AzDetector *detector)
{
  if (detector == NULL)
    return;
  g_hash_table_unref(detector->names);
  g_ptr_array_unref(detector->queue);
  g_ptr_array_unref(detector->regions);
  g_array_unref(detector->pending);
  g_array_unref(detector->unused);
  g_free(detector);
}

Region *
az_detector_find(const AzDetector *detector, const char *name)
{
  return g_hash_table_lookup(detector->names, name);
}

/* Where many are asked, each has a moment of its own: asked all at once, they would take the memory of as many probes,
 * and hold the main loop up. Neighbours in the list are far apart. */
static gint64
first_due(guint serial, gint64 window_us, gint64 now)
{
  if (serial < AZ_DETECTOR_FEW)
    return now;
  guint slots = (guint) (window_us / SLOT_US);
  return now + (gint64) ((guint64) (serial * GOLDEN) * slots >> 32) * SLOT_US;
}

/* Until all that are new are asked: an interval; but what comes later another watch has left behind, and it has waited
 * already. */
static gint64
first_window_us(const AzDetector *detector, const char *const *regions)
{
  gint64 fresh = 0;
  if (detector->regions->len == 0)
    return calm_us(detector);
  for (; *regions != NULL; regions++)
    fresh += az_detector_find(detector, *regions) == NULL ? 1 : 0;
  return MIN(calm_us(detector), FIRST_US * fresh);
}

static Region *
region_new(AzDetector *detector, const char *name, gint64 now)
{
  Region *region = g_new0(Region, 1);
  region->name = g_strdup(name);
  region->since = now;
  region->rows = g_array_new(FALSE, TRUE, sizeof(Row));
  az_detector_row(region, NULL)->due = now;
  g_ptr_array_add(detector->regions, region);
  g_hash_table_insert(detector->names, region->name, region);
  az_detector_queue_add(detector, region);
  return region;
}

/* Nothing may point to a region that is gone. */
static void
forget_region(AzDetector *detector, const Region *gone)
{
  for (guint i = 0; i < detector->pending->len; i++) {
    Pending *pending = &g_array_index(detector->pending, Pending, i);
    if (pending->region == gone || (pending->region != NULL && pending->vantage == gone)) {
      az_detector_pending_end(detector, pending);
    }
  }
  for (guint i = 0; i < detector->regions->len; i++) {
    GArray *rows = region_at(detector, i)->rows;
    for (guint k = rows->len; k > 1; k--) {
      if (g_array_index(rows, Row, k - 1).vantage != gone)
        continue;
      g_array_remove_index(rows, k - 1);
      az_detector_queue_renew(detector, region_at(detector, i));
    }
  }
  for (guint i = 0; i < G_N_ELEMENTS(detector->contact); i++)
    if (detector->contact[i].region == gone) {
      detector->contact[i].at = 0;
      detector->contact[i].region = NULL;
    }
}

static void
remove_others(AzDetector *detector)
{
  for (guint i = detector->regions->len; i > 0; i--) {
    Region *region = region_at(detector, i - 1);
    if (region->kept)
      continue;
    detector->armed -= region->armed ? 1 : 0;
    forget_region(detector, region);
    az_detector_queue_remove(detector, region);
    g_hash_table_remove(detector->names, region->name);
    g_ptr_array_remove_index(detector->regions, i - 1);
  }
}

void
az_detector_set_regions(AzDetector *detector, const char *const *regions, const char *primary, gint64 now)
{
  guint fresh = 0;
  gint64 window = first_window_us(detector, regions);
  if (detector->regions->len == 0)
    detector->planned = now;
  for (guint i = 0; i < detector->regions->len; i++)
    region_at(detector, i)->kept = FALSE;
  for (; *regions != NULL; regions++) {
    Region *region = az_detector_find(detector, *regions);
    if (region == NULL) {
      region = region_new(detector, *regions, now);
      az_detector_plan(detector, region, here_of(region), first_due(fresh++, window, now));
    }
    region->kept = TRUE;
  }
  remove_others(detector);
  detector->primary = az_detector_find(detector, primary);
  if (detector->primary != NULL)
    az_detector_plan(detector, detector->primary, here_of(detector->primary),
                     MIN(here_of(detector->primary)->due, now + beat_us(detector)));
}

void
az_detector_set_was_up(AzDetector *detector, const char *vantage, const char *region, gboolean was_up)
{
  Region *about = az_detector_find(detector, region);
  Region *from = az_detector_find(detector, vantage);
  if (about != NULL && about != from && (from != NULL || g_str_equal(vantage, AZ_VANTAGE_HERE)))
    az_detector_row(about, from)->sight.seen.was_up = was_up;
}

void
az_detector_set_healed_rate(AzDetector *detector, const char *vantage, double rate)
{
  Region *region = az_detector_find(detector, vantage);
  if (region != NULL)
    region->healed_rate = rate;
  else if (g_str_equal(vantage, AZ_VANTAGE_HERE))
    detector->healed_rate = rate;
}

void
az_detector_enter(Region *region, AzRegionState state, gint64 now)
{
  if (region->state == state)
    return;
  region->state = state;
  region->since = now;
  region->news = TRUE;
}

void
az_detector_forget_row(Row *row)
{
  gboolean was_up = row->sight.seen.was_up;
  row->sight
      = (AzSight){ .seen = { .size = sizeof(AzlinVantage), .vantage = row->sight.seen.vantage, .was_up = was_up } };
  row->asked = 0;
}

void
az_detector_disarm(AzDetector *detector, Region *region)
{
  detector->armed -= region->armed ? 1 : 0;
  region->armed = FALSE;
  for (guint i = 1; i < region->rows->len; i++) {
    Row *row = &g_array_index(region->rows, Row, i);
    row->due = NEVER;
    az_detector_forget_row(row);
  }
  az_detector_queue_renew(detector, region);
}

static void
forget_questions(AzDetector *detector)
{
  for (guint i = 0; i < detector->pending->len; i++) {
    Pending *pending = &g_array_index(detector->pending, Pending, i);
    if (pending->region != NULL)
      az_detector_pending_end(detector, pending);
  }
}

void
az_detector_set_rules(AzDetector *detector, const AzDetectorRules *rules, gint64 now)
{
  az_detector_check_lateness(detector, now); /* what nobody watched for long does not count by any rules */
  detector->rules = *rules;
  forget_questions(detector);
  for (guint i = 0; i < detector->regions->len; i++) {
    Region *region = region_at(detector, i);
    for (guint k = 0; k < region->rows->len; k++) {
      Row *row = &g_array_index(region->rows, Row, k);
      row->due = row->due == NEVER                      ? NEVER
                 : k > 0 || region == detector->primary ? now
                                                        : first_due(i, calm_us(detector), now);
    }
    az_detector_queue_renew(detector, region);
  }
}

void
az_detector_reset(AzDetector *detector, gint64 now)
{
  detector->planned = now;
  for (guint i = 0; i < detector->regions->len; i++) {
    Region *region = region_at(detector, i);
    for (guint k = 0; k < region->rows->len; k++)
      az_detector_forget_row(&g_array_index(region->rows, Row, k));
    az_detector_disarm(detector, region);
    region->dark_here = FALSE;
    az_detector_plan(detector, region, here_of(region),
                     region == detector->primary ? now : first_due(i, calm_us(detector), now));
    az_detector_enter(region, AZ_REGION_UNKNOWN, now);
  }
  forget_questions(detector);
  for (guint i = 0; i < G_N_ELEMENTS(detector->contact); i++)
    detector->contact[i].at = 0;
}

/* ---- what is known ---- */

gboolean
az_detector_view(const AzDetector *detector, const char *name, AzRegionView *ret_view)
{
  const Region *region = az_detector_find(detector, name);
  if (region == NULL)
    return FALSE;
  *ret_view = (AzRegionView){ .state = region->state,
                              .since = region->since,
                              .dark_probes = here_of(region)->sight.seen.dark_probes };
  for (guint i = 0; i < region->rows->len; i++) {
    const Row *row = &g_array_index(region->rows, Row, i);
    ret_view->last_alive = MAX(ret_view->last_alive, row->sight.last_alive);
    if (i > 0 && row->asked > 0 && region->dark_here && row->sight.seen.fresh_success)
      ret_view->unreachable_from_me = TRUE;
  }
  return TRUE;
}

gboolean
az_detector_blind(const AzDetector *detector)
{
  for (guint i = 0; i < detector->regions->len; i++) {
    const Region *region = region_at(detector, i);
    if (!region->dark_here)
      return FALSE;
    for (guint k = 1; k < region->rows->len; k++) {
      const Row *row = &g_array_index(region->rows, Row, k);
      if (row->asked > 0 && row->sight.seen.self_check_ok)
        return FALSE; /* a witness answered */
    }
  }
  return detector->regions->len > 0;
}

guint
az_detector_self_score(const AzDetector *detector)
{
  return detector->score;
}

GArray *
az_detector_vantages(const AzDetector *detector, const char *name, gint64 now)
{
  GArray *vantages = g_array_new(FALSE, FALSE, sizeof(AzlinVantage));
  const Region *region = az_detector_find(detector, name);
  for (guint i = 0; region != NULL && i < region->rows->len; i++) {
    const Row *row = &g_array_index(region->rows, Row, i);
    if (row->asked == 0)
      continue;
    AzlinVantage seen = row->sight.seen;
    seen.fresh_success = az_detector_is_fresh(detector, row, now);
    seen.healed_rate = row->vantage != NULL ? row->vantage->healed_rate : detector->healed_rate;
    g_array_append_val(vantages, seen);
  }
  return vantages;
}

gboolean
az_detector_is_unheard(const AzDetector *detector, const char *name)
{
  const Region *region = az_detector_find(detector, name);
  for (guint i = 0; region != NULL && i < region->rows->len; i++) {
    const Row *row = &g_array_index(region->rows, Row, i);
    const AzlinVantage *seen = &row->sight.seen;
    if (row->asked > 0 && !seen->fresh_success && seen->dark_probes == 0 && row->sight.missed < 2)
      return TRUE;
  }
  return FALSE;
}

gboolean
az_detector_take_news(AzDetector *detector, const char *name)
{
  Region *region = az_detector_find(detector, name);
  gboolean news = region != NULL && region->news;
  if (news)
    region->news = FALSE;
  return news;
}

gboolean
az_detector_take_watched(AzDetector *detector, AzWatched *ret_watched)
{
  for (; detector->watched_at < detector->regions->len; detector->watched_at++) {
    const Region *region = region_at(detector, detector->watched_at);
    for (guint k = 0; k < region->rows->len; k++) {
      Row *row = &g_array_index(region->rows, Row, k);
      if (row->watched < G_USEC_PER_SEC && row->healed == 0)
        continue;
      *ret_watched = (AzWatched){ .vantage = vantage_name(row->vantage),
                                  .region = region->name,
                                  .watched_s = (guint32) (row->watched / G_USEC_PER_SEC),
                                  .healed = row->healed };
      row->watched %= G_USEC_PER_SEC;
      row->healed = 0;
      return TRUE;
    }
  }
  detector->watched_at = 0;
  return FALSE;
}
