/* What the detector asks, and when: the beat, and who is armed to look at a suspect. */
#include "detector-private.h"

#define MAX_CONTROLS 3 /* other regions probed on the suspect's beat, to vouch for this host */
/* Asked of one on each beat, by each host that watches: a small machine must bear it, and a session with each of many
 * witnesses costs this host more than a few questions in one. */
#define SUSPECTS_A_WITNESS 8
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
      az_detector_plan(detector, region, row, MIN(row->due, now));
  }
}

static guint
arm_witnesses(AzDetector *detector, Region *suspect, gboolean was_up, gboolean dark_here, guint chosen, gint64 now)
{
  const guint n = detector->regions->len;
  for (guint i = 0; i < n && chosen < detector->rules.witnesses; i++) {
    Region *witness = region_at(detector, (suspect->first_witness + i) % n);
    if (witness == suspect || witness->state == AZ_REGION_DARK || witness->dark_here != dark_here)
      continue;
    Row *row = az_detector_find_row(suspect, witness);
    if ((row != NULL && row->sight.seen.was_up) != was_up || (row != NULL && row->due != NEVER))
      continue;
    row = row != NULL ? row : az_detector_row(suspect, witness);
    az_detector_forget_row(row);
    az_detector_plan(detector, suspect, row, now);
    chosen++;
  }
  return chosen;
}

static gboolean
has_been_seen(const Region *suspect)
{
  for (guint i = 1; i < suspect->rows->len; i++)
    if (g_array_index(suspect->rows, Row, i).sight.seen.was_up)
      return TRUE;
  return FALSE;
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
  for (int was_up = has_been_seen(suspect); was_up >= FALSE; was_up--)
    for (int dark_here = FALSE; dark_here <= TRUE; dark_here++)
      chosen = arm_witnesses(detector, suspect, was_up, dark_here, chosen, now);
}

/* So many dark regions at once are a matter of this host, or of its network; asking three others about each, on the
 * beat, would add to the load that may be the reason. What comes late is seen dark by its own probes, at the calm
 * interval. */
static gboolean
is_crowded(const AzDetector *detector, const Region *suspect)
{
  return !suspect->armed && suspect != detector->primary && detector->armed >= AZ_DETECTOR_FEW;
}

void
az_detector_arm(AzDetector *detector, Region *suspect, gint64 now)
{
  if (is_crowded(detector, suspect))
    return;
  if (!suspect->armed)
    suspect->first_witness = detector->armed / SUSPECTS_A_WITNESS * detector->rules.witnesses;
  if (!detector->rules.no_witness)
    choose_witnesses(detector, suspect, now);
  if (suspect->armed)
    return;
  suspect->armed = TRUE;
  detector->armed++;
  arm_controls(detector, suspect, now);
  az_detector_plan(detector, suspect, here_of(suspect), MIN(here_of(suspect)->due, now + beat_us(detector)));
}

static gboolean
is_control(const AzDetector *detector, const Region *region)
{
  guint chosen = 0;
  for (guint i = 0; detector->armed > 0 && i < detector->regions->len && chosen <= MAX_CONTROLS; i++) {
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
  const Region *first = az_detector_queue_first(detector);
  return first != NULL ? first->due : NEVER;
}

static guint64
add_pending(AzDetector *detector, Region *region, Region *vantage, gint64 now)
{
  guint i = detector->pending->len, unused = detector->unused->len;
  if (unused > 0) {
    i = g_array_index(detector->unused, guint, unused - 1);
    g_array_set_size(detector->unused, unused - 1);
  } else {
    g_array_set_size(detector->pending, i + 1);
  }
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

static gboolean
is_close(const AzDetector *detector, const Region *region)
{
  return detector->regions->len <= AZ_DETECTOR_FEW || region == detector->primary || region->armed
         || az_region_is_suspect(region->state);
}

/* Of many regions the calm ones take turns: a login costs far more than a banner, and reads of their power state come
 * out of one budget. */
static gboolean
is_whole(const AzDetector *detector, const Region *region, gint64 now)
{
  const gint64 turn = LOGIN_US / AZ_DETECTOR_FEW;
  gint64 rest = now - region->logged_in;
  if (region->wanted)
    return TRUE;
  if (is_close(detector, region))
    return region->armed || rest >= LOGIN_US || region->state == AZ_REGION_UNKNOWN;
  gboolean never = region->logged_in == 0;
  return now - detector->logged_in >= turn && (never || rest >= turn * (gint64) detector->regions->len);
}

void
az_detector_check_whole(AzDetector *detector, const char *name, gint64 now)
{
  Region *region = az_detector_find(detector, name);
  if (region == NULL || region->wanted || (region->logged_in != 0 && now - region->logged_in < LOGIN_US))
    return;
  region->wanted = TRUE;
  az_detector_plan(detector, region, here_of(region), MIN(here_of(region)->due, now));
}

static void
ask(AzDetector *detector, Region *region, Row *row, gint64 now, AzQuestion *ret_question)
{
  gboolean here = row->vantage == NULL;
  gint64 interval = interval_us(detector, region);
  if (here && region == (detector->primary != NULL ? detector->primary : region_at(detector, 0)))
    end_tick(detector);
  gboolean login = here && is_whole(detector, region, now);
  *ret_question = (AzQuestion){ .vantage = vantage_name(row->vantage),
                                .region = region->name,
                                .with_login = login,
                                .with_key = login || is_close(detector, region),
                                .timeout_s = timeout_s(detector) };
  if (login) {
    region->logged_in = detector->logged_in = now;
    region->wanted = FALSE;
  }
  ret_question->id = add_pending(detector, region, row->vantage, now);
  row->asked = now;
  gint64 due = here_of(region)->due > now ? here_of(region)->due : now + interval;
  if (here)
    due = now - row->due < interval ? row->due + interval : now + interval;
  az_detector_plan(detector, region, row, due);
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
  az_detector_check_lateness(detector, now);
  Region *region = az_detector_queue_first(detector);
  if (region == NULL || region->due > now) {
    detector->planned = az_detector_wake(detector, now);
    return FALSE;
  }
  guint i = 0;
  while (g_array_index(region->rows, Row, i).due > now)
    i++;
  ask(detector, region, &g_array_index(region->rows, Row, i), now, ret_question);
  return TRUE;
}

void
az_detector_pending_end(AzDetector *detector, Pending *pending)
{
  guint place = (guint) (pending - (Pending *) (gpointer) detector->pending->data);
  pending->region = NULL;
  g_array_append_val(detector->unused, place);
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
