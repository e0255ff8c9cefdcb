/* What the detector asks, and when: the beat, and who is armed to look at a suspect. */
#include "detector-private.h"

#define MAX_CONTROLS 3 /* other regions probed on the suspect's beat, to vouch for this host */
#define LOGIN_US (30 * G_USEC_PER_SEC)
#define MAX_SCORE 8
#define BEAT_REST_S 0.5 /* of a beat, for answers on their way */

/* The first regions that are up and are not the suspect itself. */
static void
arm_controls(AzDetector *detector, const Region *suspect, gint64 now)
{
  guint chosen = 0;
  for (guint i = 0; i < detector->regions->len && chosen < MAX_CONTROLS; i++) {
    Region *region = region_at(detector, i);
    Row *row = here_of(region);
    if (region == suspect || region->state == AZ_REGION_DARK)
      continue;
    chosen++;
    /* What is on the beat already stays on it: moved by a second, its verdict would come a second later. */
    if (region != detector->primary && !region->armed)
      row->due = MIN(row->due, now);
  }
}

static guint
arm_witnesses(AzDetector *detector, Region *suspect, gboolean was_up, gboolean dark_here, guint chosen, gint64 now)
{
  for (guint i = 0; i < detector->regions->len && chosen < detector->rules.witnesses; i++) {
    Region *witness = region_at(detector, i);
    if (witness == suspect || witness->state == AZ_REGION_DARK || witness->dark_here != dark_here)
      continue;
    Row *row = az_detector_row(suspect, witness);
    if (row->sight.seen.was_up != was_up || row->due != NEVER)
      continue;
    az_detector_forget_row(row);
    row->due = now;
    chosen++;
  }
  return chosen;
}

static guint
count_witnesses(const Region *suspect)
{
  guint n = 0;
  for (guint i = 1; i < suspect->rows->len; i++)
    n += g_array_index(suspect->rows, Row, i).due != NEVER ? 1 : 0;
  return n;
}

/* Those that have seen it up are evidence, the others can only say that it lives. One that was not reached just now
 * comes last of each: most often that was a lost packet, and a witness that begins late makes the verdict late. */
static void
choose_witnesses(AzDetector *detector, Region *suspect, gint64 now)
{
  guint chosen = count_witnesses(suspect);
  for (int was_up = TRUE; was_up >= FALSE; was_up--)
    for (int dark_here = FALSE; dark_here <= TRUE; dark_here++)
      chosen = arm_witnesses(detector, suspect, was_up, dark_here, chosen, now);
}

void
az_detector_arm(AzDetector *detector, Region *suspect, gint64 now)
{
  if (!detector->rules.no_witness)
    choose_witnesses(detector, suspect, now);
  if (suspect->armed)
    return;
  suspect->armed = TRUE;
  arm_controls(detector, suspect, now);
  here_of(suspect)->due = MIN(here_of(suspect)->due, now + beat_us(detector));
}

static gboolean
is_control(const AzDetector *detector, const Region *region)
{
  guint chosen = 0;
  gboolean armed = FALSE;
  for (guint i = 0; i < detector->regions->len; i++)
    armed |= region_at(detector, i)->armed;
  for (guint i = 0; armed && i < detector->regions->len && chosen <= MAX_CONTROLS; i++) {
    if (region_at(detector, i) == region)
      return TRUE;
    chosen += region_at(detector, i)->state != AZ_REGION_DARK;
  }
  return FALSE;
}

static gint64
interval_us(const AzDetector *detector, const Region *region)
{
  gboolean closely = region == detector->primary || region->armed || is_control(detector, region);
  return closely ? beat_us(detector) : calm_us(detector);
}

gint64
az_detector_wake(AzDetector *detector, gint64 now)
{
  gint64 due = NEVER;
  for (guint i = 0; i < detector->regions->len; i++) {
    const GArray *rows = region_at(detector, i)->rows;
    for (guint k = 0; k < rows->len; k++)
      due = MIN(due, g_array_index(rows, Row, k).due);
  }
  return due;
}

static guint64
add_pending(AzDetector *detector, Region *region, Region *vantage, gint64 now)
{
  guint i = 0;
  while (i < detector->pending->len && g_array_index(detector->pending, Pending, i).region != NULL)
    i++;
  if (i == detector->pending->len)
    g_array_set_size(detector->pending, i + 1);
  Pending *pending = &g_array_index(detector->pending, Pending, i);
  *pending = (Pending){ region, vantage, now, pending->generation + 1 };
  return (guint64) pending->generation << 32 | i;
}

/* One tick of this host: clean ones mend what late timers and lost contacts have cost. */
static void
end_tick(AzDetector *detector)
{
  if (detector->trouble)
    detector->score = MIN(detector->score + 1, MAX_SCORE);
  else if (detector->score > 0)
    detector->score--;
  detector->trouble = FALSE;
}

/* A host in trouble waits longer, but the last of `fall` probes must end within the eighth beat. */
static double
timeout_s(const AzDetector *detector)
{
  double usual = detector->rules.probe_timeout_s, most = detector->rules.primary_interval_s - BEAT_REST_S;
  return MAX(usual, MIN(usual * (detector->score + 1), most));
}

static void
ask(AzDetector *detector, Region *region, Row *row, gint64 now, AzQuestion *ret_question)
{
  gboolean here = row->vantage == NULL;
  gint64 interval = interval_us(detector, region);
  if (here && region == (detector->primary != NULL ? detector->primary : region_at(detector, 0)))
    end_tick(detector);
  *ret_question = (AzQuestion){
    .vantage = vantage_name(row->vantage),
    .region = region->name,
    .with_login = here && (region->armed || now - region->logged_in >= LOGIN_US || region->state == AZ_REGION_UNKNOWN)
  };
  ret_question->timeout_s = timeout_s(detector);
  if (ret_question->with_login)
    region->logged_in = now;
  ret_question->id = add_pending(detector, region, row->vantage, now);
  row->asked = now;
  if (here)
    row->due = now - row->due < interval ? row->due + interval : now + interval;
  else
    row->due = here_of(region)->due > now ? here_of(region)->due : now + interval;
}

/* A late call is trouble of this host; one that is very late is a suspend or a stopped process. */
void
az_detector_check_lateness(AzDetector *detector, gint64 now)
{
  if (now - LATE_US <= detector->planned)
    return;
  detector->planned = az_detector_wake(detector, now); /* an answer may have put it off, or a region is gone */
  if (now - LATE_US <= detector->planned)
    return;
  if (now - detector->planned > 2 * beat_us(detector))
    az_detector_reset(detector, now);
  detector->trouble = TRUE;
}

gboolean
az_detector_next(AzDetector *detector, gint64 now, AzQuestion *ret_question)
{
  gint64 planned = NEVER;
  az_detector_check_lateness(detector, now);
  for (guint i = 0; i < detector->regions->len; i++) {
    Region *region = region_at(detector, i);
    for (guint k = 0; k < region->rows->len; k++) {
      Row *row = &g_array_index(region->rows, Row, k);
      if (row->due <= now) {
        ask(detector, region, row, now, ret_question);
        return TRUE;
      }
      planned = MIN(planned, row->due);
    }
  }
  detector->planned = planned;
  return FALSE;
}

Pending *
az_detector_pending(AzDetector *detector, guint64 id)
{
  guint i = (guint) (id & G_MAXUINT32);
  if (i >= detector->pending->len)
    return NULL;
  Pending *pending = &g_array_index(detector->pending, Pending, i);
  return pending->region != NULL && pending->generation == id >> 32 ? pending : NULL;
}

void
az_detector_silent(AzDetector *detector, guint64 id, gint64 now)
{
  const Pending *pending = az_detector_pending(detector, id);
  if (pending != NULL && pending->vantage == NULL && pending->region->state != AZ_REGION_DARK)
    az_detector_arm(detector, pending->region, now);
}
