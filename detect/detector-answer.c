/* What answers do to the detector: who vouches for this host, which rows count, and when a region is up or dark. */
#include "detector-private.h"

#define AGAIN_US (G_USEC_PER_SEC / 2)
#define REPAIRED_US (600 * G_USEC_PER_SEC) /* darkness for longer did not heal by itself */

static void
note_contact(AzDetector *detector, Region *region, gint64 now)
{
  if (detector->contact[0].region != region) {
    detector->contact[1] = detector->contact[0];
    detector->contact[0].region = region;
  }
  detector->contact[0].at = now;
}

/* Whether a machine other than the suspect's was reached in the tick of a probe that began at `start`. Before there
 * was a suspect the others were asked less often. */
static gboolean
is_vouched_for(const AzDetector *detector, const Region *suspect, gint64 start)
{
  gint64 since
      = start - (here_of(suspect)->sight.seen.dark_probes > 0 ? beat_us(detector) : calm_us(detector)) - LATE_US;
  for (guint i = 0; i < G_N_ELEMENTS(detector->contact); i++)
    if (detector->contact[i].at > 0 && detector->contact[i].region != suspect && detector->contact[i].at >= since)
      return TRUE;
  return FALSE;
}

static gboolean
is_counting(const Row *row)
{
  const AzlinVantage *seen = &row->sight.seen;
  return row->asked > 0 && seen->was_up && seen->self_check_ok && seen->dark_probes > 0;
}

/* How long all must have been dark. */
static double
span_s(const AzDetector *detector)
{
  return (detector->rules.fall - 1) * (double) detector->rules.primary_interval_s;
}

/* It saw life so recently that darkness cannot have lasted for long enough, and no darkness of its own counts against
 * that: a vantage that stops answering takes nothing back of what it saw. */
gboolean
az_detector_is_fresh(const AzDetector *detector, const Row *row, gint64 now)
{
  double limit = span_s(detector) + detector->rules.probe_timeout_s;
  const AzSight *sight = &row->sight;
  return sight->last_alive > 0 && !is_counting(row)
         && (now == 0 || now - sight->last_alive < (gint64) (limit * G_USEC_PER_SEC));
}

/* All that count have seen it dark for long enough, none sees it alive. */
static gboolean
is_settled(const AzDetector *detector, const Region *region, gint64 now)
{
  guint counting = 0;
  double longest = 0, span = span_s(detector);
  for (guint i = 0; i < region->rows->len; i++) {
    const Row *row = &g_array_index(region->rows, Row, i);
    const AzlinVantage *seen = &row->sight.seen;
    if (row->asked > 0 && az_detector_is_fresh(detector, row, now))
      return FALSE;
    if (!is_counting(row))
      continue;
    if (seen->dark_probes < detector->rules.fall || seen->dark_seconds < span)
      return FALSE;
    longest = MAX(longest, seen->dark_seconds);
    counting++;
  }
  return counting > 0 && longest >= span + detector->rules.probe_timeout_s - 0.001;
}

static gboolean
is_healing(const AzDetector *detector, const AzSight *sight, gint64 now)
{
  return sight->seen.dark_probes >= detector->rules.fall && now - sight->first_dark <= REPAIRED_US;
}

/* For the history of the vantage; `before` is what it saw until this probe, which began at `start`, saw life. */
static void
note_watched(const AzDetector *detector, Row *row, const AzSight *before, gint64 start)
{
  if (before->last_alive > 0 && start > before->last_alive)
    row->watched += MIN(start - before->last_alive, calm_us(detector));
  row->healed += is_healing(detector, before, start);
}

static void
on_alive(AzDetector *detector, Region *region, const Row *row, gint64 now)
{
  if (row->vantage != NULL && region->state == AZ_REGION_DARK)
    az_detector_enter(region, AZ_REGION_SUSPECT, now);
  if (row->vantage != NULL)
    return;
  region->dark_here = FALSE;
  note_contact(detector, region, now);
  if (region->state != AZ_REGION_UP && row->sight.alive >= detector->rules.rise)
    az_detector_enter(region, AZ_REGION_UP, now);
  /* witnesses that are not asked any more were wrong, or saw the same spell */
  for (guint i = 1; i < region->rows->len; i++) {
    Row *witness = &g_array_index(region->rows, Row, i);
    witness->healed += is_healing(detector, &witness->sight, now);
  }
  /* a vantage here that sees it again ends the episode; its state waits for the next probes */
  az_detector_disarm(detector, region);
}

static void
on_dark(AzDetector *detector, Region *region, const Row *row, gint64 now)
{
  if (row->vantage == NULL) {
    region->dark_here = TRUE;
    az_detector_arm(detector, region, now);
    if (region->state == AZ_REGION_UP || region->state == AZ_REGION_UNKNOWN)
      az_detector_enter(region, AZ_REGION_SUSPECT, now);
  }
  if (region->state == AZ_REGION_SUSPECT && is_settled(detector, region, now))
    az_detector_enter(region, AZ_REGION_DARK, now);
}

/* The others are being asked at this moment, and may vouch for this host in a moment. */
static gboolean
may_be_vouched_for(const AzDetector *detector, const Region *suspect)
{
  for (guint i = 0; i < detector->pending->len; i++) {
    const Pending *pending = &g_array_index(detector->pending, Pending, i);
    if (pending->region != NULL && pending->region != suspect && pending->vantage == NULL)
      return TRUE;
  }
  return FALSE;
}

/* A dark probe without a contact in its tick says nothing about the region, and what came before is in doubt. */
static void
note_here(AzDetector *detector, Region *region, Row *row, AzSightOutcome outcome, gint64 start, gint64 now)
{
  gboolean dark = outcome == AZ_SIGHT_DARK || outcome == AZ_SIGHT_REFUSED;
  gboolean vouched = detector->rules.no_self_check || !dark || is_vouched_for(detector, region, start);
  if (dark && !vouched && !row->again && may_be_vouched_for(detector, region)) {
    row->again = TRUE;
    az_detector_plan(detector, region, row, MIN(row->due, now + AGAIN_US));
    return;
  }
  row->again = FALSE;
  if (dark && !vouched) {
    guint missed = row->sight.missed + 1;
    region->dark_here = TRUE;
    az_detector_forget_row(row);
    row->asked = start;
    row->sight.missed = missed;
    detector->trouble = TRUE;
    az_detector_arm(detector, region, now); /* so that the others are asked at once whether it is this host */
    return;
  }
  az_sight_note(&row->sight, outcome, start, now);
  row->sight.seen.self_check_ok = dark && vouched;
  if (dark && !region->armed && detector->primary != region)
    detector->trouble = TRUE;
}

void
az_detector_answer(AzDetector *detector, guint64 id, AzSightOutcome outcome, gint64 now)
{
  az_detector_check_lateness(detector, now); /* after a gap, time that nobody watched would count as darkness */
  Pending *pending = az_detector_pending(detector, id);
  if (pending == NULL)
    return;
  Region *region = pending->region, *vantage = pending->vantage;
  gint64 start = pending->start;
  az_detector_pending_end(detector, pending);
  Row *row = az_detector_row(region, vantage);
  AzSight before = row->sight;
  region->news = TRUE;
  if (vantage == NULL) {
    note_here(detector, region, row, outcome, start, now);
    row = az_detector_row(region, vantage); /* arming may have moved it */
  } else {
    az_sight_note(&row->sight, outcome, start, now);
    row->sight.seen.self_check_ok = outcome != AZ_SIGHT_NOTHING; /* it answered over SSH: its network works, and ours */
    /* one witness that cannot be asked is its own trouble; that nobody can be reached is ours */
    detector->trouble |= outcome == AZ_SIGHT_NOTHING && !is_vouched_for(detector, region, start);
    if (outcome != AZ_SIGHT_NOTHING)
      note_contact(detector, vantage, now);
  }
  if (outcome == AZ_SIGHT_ALIVE) {
    row->sight.seen.was_up = TRUE;
    note_watched(detector, row, &before, start);
    on_alive(detector, region, row, now);
  } else if (row->sight.seen.dark_probes > 0) {
    on_dark(detector, region, row, now);
  }
}
