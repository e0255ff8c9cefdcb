/* The detector: rows of probes per region and vantage, the beat on which they are asked, and the states they add up to.
 */
#include "detector.h"

#define MAX_CONTROLS 3 /* other regions probed on the suspect's beat, to vouch for this host */
#define LATE_US G_USEC_PER_SEC
#define LOGIN_US (30 * G_USEC_PER_SEC)
#define AGAIN_US (G_USEC_PER_SEC / 2)
#define MAX_SCORE 8
#define REPAIRED_US (600 * G_USEC_PER_SEC) /* darkness for longer did not heal by itself */
#define BEAT_REST_S 0.5                    /* of a beat, for answers on their way */
#define NEVER G_MAXINT64

typedef struct _Region Region;

typedef struct {   /* what one vantage sees of one region */
  Region *vantage; /* NULL = here */
  AzSight sight;
  gint64 due;     /* of the next question; NEVER = none is planned */
  gint64 asked;   /* start of the last question; 0 = none since the episode began */
  gboolean again; /* asked once more, since nobody could vouch for its answer yet */
  gint64 watched; /* microseconds, and healed: since somebody took them */
  guint32 healed;
} Row;

struct _Region {
  char *name;
  AzRegionState state;
  gint64 since, logged_in; /* logged_in: when a whole health check was asked for last */
  GArray *rows;            /* of Row; the first is "here" */
  gboolean armed;          /* witnesses and controls are asked on its beat */
  gboolean dark_here, news;
  gboolean kept; /* while the list is replaced */
  double healed_rate;
};

typedef struct {
  Region *region, *vantage; /* region NULL = free, or of a region that is gone */
  gint64 start;
  guint32 generation;
} Pending;

struct _AzDetector {
  AzDetectorRules rules;
  GPtrArray *regions; /* of Region */
  Region *primary;
  GArray *pending;    /* of Pending */
  double healed_rate; /* of "here" */
  struct {
    Region *region;
    gint64 at;
  } contact[2];   /* the last two different regions whose machines were reached */
  gint64 planned; /* when the next question was due as the last one had been asked */
  guint score;
  gboolean trouble; /* in the tick that runs */
};

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

static Row *
here_of(const Region *region)
{
  return &g_array_index(region->rows, Row, 0);
}

static const char *
vantage_name(const Region *vantage)
{
  return vantage != NULL ? vantage->name : AZ_VANTAGE_HERE;
}

static Row *
row_of(Region *region, Region *vantage)
{
  for (guint i = 0; i < region->rows->len; i++) {
    Row *row = &g_array_index(region->rows, Row, i);
    if (row->vantage == vantage)
      return row;
  }
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
  detector->pending = g_array_new(FALSE, TRUE, sizeof(Pending));
  return detector;
}

void
az_detector_free(AzDetector *detector)
{
  if (detector == NULL)
    return;
  g_ptr_array_unref(detector->regions);
  g_array_unref(detector->pending);
  g_free(detector);
}

static Region *
region_at(const AzDetector *detector, guint i)
{
  return g_ptr_array_index(detector->regions, i);
}

static Region *
find(const AzDetector *detector, const char *name)
{
  for (guint i = 0; i < detector->regions->len; i++)
    if (g_str_equal(region_at(detector, i)->name, name))
      return region_at(detector, i);
  return NULL;
}

static Region *
region_new(const char *name, gint64 now)
{
  Region *region = g_new0(Region, 1);
  region->name = g_strdup(name);
  region->since = now;
  region->rows = g_array_new(FALSE, TRUE, sizeof(Row));
  row_of(region, NULL)->due = now;
  return region;
}

/* Nothing may point to a region that is gone. */
static void
forget_region(AzDetector *detector, const Region *gone)
{
  for (guint i = 0; i < detector->pending->len; i++) {
    Pending *pending = &g_array_index(detector->pending, Pending, i);
    if (pending->region == gone || (pending->region != NULL && pending->vantage == gone)) {
      pending->region = NULL;
      pending->generation++;
    }
  }
  for (guint i = 0; i < detector->regions->len; i++) {
    GArray *rows = region_at(detector, i)->rows;
    for (guint k = rows->len; k > 1; k--)
      if (g_array_index(rows, Row, k - 1).vantage == gone)
        g_array_remove_index(rows, k - 1);
  }
  for (guint i = 0; i < G_N_ELEMENTS(detector->contact); i++)
    if (detector->contact[i].region == gone) {
      detector->contact[i].at = 0;
      detector->contact[i].region = NULL;
    }
}

void
az_detector_set_regions(AzDetector *detector, const char *const *regions, const char *primary, gint64 now)
{
  if (detector->regions->len == 0)
    detector->planned = now;
  for (guint i = 0; i < detector->regions->len; i++)
    region_at(detector, i)->kept = FALSE;
  for (; *regions != NULL; regions++) {
    Region *region = find(detector, *regions);
    if (region == NULL)
      g_ptr_array_add(detector->regions, region = region_new(*regions, now));
    region->kept = TRUE;
  }
  for (guint i = detector->regions->len; i > 0; i--) {
    if (region_at(detector, i - 1)->kept)
      continue;
    forget_region(detector, region_at(detector, i - 1));
    g_ptr_array_remove_index(detector->regions, i - 1);
  }
  detector->primary = find(detector, primary);
  if (detector->primary != NULL)
    here_of(detector->primary)->due
        = MIN(here_of(detector->primary)->due, now + detector->rules.primary_interval_s * G_USEC_PER_SEC);
}

void
az_detector_set_was_up(AzDetector *detector, const char *vantage, const char *region, gboolean was_up)
{
  Region *about = find(detector, region);
  Region *from = find(detector, vantage);
  if (about != NULL && about != from && (from != NULL || g_str_equal(vantage, AZ_VANTAGE_HERE)))
    row_of(about, from)->sight.seen.was_up = was_up;
}

void
az_detector_set_healed_rate(AzDetector *detector, const char *vantage, double rate)
{
  Region *region = find(detector, vantage);
  if (region != NULL)
    region->healed_rate = rate;
  else if (g_str_equal(vantage, AZ_VANTAGE_HERE))
    detector->healed_rate = rate;
}

static void
enter(Region *region, AzRegionState state, gint64 now)
{
  if (region->state == state)
    return;
  region->state = state;
  region->since = now;
  region->news = TRUE;
}

static void
forget_row(Row *row)
{
  gboolean was_up = row->sight.seen.was_up;
  row->sight
      = (AzSight){ .seen = { .size = sizeof(AzlinVantage), .vantage = row->sight.seen.vantage, .was_up = was_up } };
  row->asked = 0;
}

static void
disarm(Region *region)
{
  region->armed = FALSE;
  for (guint i = 1; i < region->rows->len; i++) {
    Row *row = &g_array_index(region->rows, Row, i);
    row->due = NEVER;
    forget_row(row);
  }
}

void
az_detector_reset(AzDetector *detector, gint64 now)
{
  detector->planned = now;
  for (guint i = 0; i < detector->regions->len; i++) {
    Region *region = region_at(detector, i);
    for (guint k = 0; k < region->rows->len; k++)
      forget_row(&g_array_index(region->rows, Row, k));
    disarm(region);
    region->dark_here = FALSE;
    here_of(region)->due = now;
    enter(region, AZ_REGION_UNKNOWN, now);
  }
  for (guint i = 0; i < detector->pending->len; i++) {
    Pending *pending = &g_array_index(detector->pending, Pending, i);
    pending->generation += pending->region != NULL;
    pending->region = NULL;
  }
  for (guint i = 0; i < G_N_ELEMENTS(detector->contact); i++)
    detector->contact[i].at = 0;
}

/* ---- what to ask ---- */

static gint64
beat_us(const AzDetector *detector)
{
  return detector->rules.primary_interval_s * G_USEC_PER_SEC;
}

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
    Row *row = row_of(suspect, witness);
    if (row->sight.seen.was_up != was_up || row->due != NEVER)
      continue;
    forget_row(row);
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

static void
arm(AzDetector *detector, Region *suspect, gint64 now)
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
  return closely ? beat_us(detector) : detector->rules.interval_s * G_USEC_PER_SEC;
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
static void
check_lateness(AzDetector *detector, gint64 now)
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
  check_lateness(detector, now);
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

static Pending *
pending_of(AzDetector *detector, guint64 id)
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
  const Pending *pending = pending_of(detector, id);
  if (pending != NULL && pending->vantage == NULL && pending->region->state != AZ_REGION_DARK)
    arm(detector, pending->region, now);
}

/* ---- answers ---- */

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
  gint64 calm = detector->rules.interval_s * G_USEC_PER_SEC;
  gint64 since = start - (here_of(suspect)->sight.seen.dark_probes > 0 ? beat_us(detector) : calm) - LATE_US;
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
static gboolean
is_fresh(const AzDetector *detector, const Row *row, gint64 now)
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
    if (row->asked > 0 && is_fresh(detector, row, now))
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
    row->watched += MIN(start - before->last_alive, detector->rules.interval_s * G_USEC_PER_SEC);
  row->healed += is_healing(detector, before, start);
}

static void
on_alive(AzDetector *detector, Region *region, const Row *row, gint64 now)
{
  if (row->vantage != NULL && region->state == AZ_REGION_DARK)
    enter(region, AZ_REGION_SUSPECT, now);
  if (row->vantage != NULL)
    return;
  region->dark_here = FALSE;
  note_contact(detector, region, now);
  if (region->state != AZ_REGION_UP && row->sight.alive >= detector->rules.rise)
    enter(region, AZ_REGION_UP, now);
  /* witnesses that are not asked any more were wrong, or saw the same spell */
  for (guint i = 1; i < region->rows->len; i++) {
    Row *witness = &g_array_index(region->rows, Row, i);
    witness->healed += is_healing(detector, &witness->sight, now);
  }
  /* a vantage here that sees it again ends the episode; its state waits for the next probes */
  disarm(region);
}

static void
on_dark(AzDetector *detector, Region *region, const Row *row, gint64 now)
{
  if (row->vantage == NULL) {
    region->dark_here = TRUE;
    arm(detector, region, now);
    if (region->state == AZ_REGION_UP || region->state == AZ_REGION_UNKNOWN)
      enter(region, AZ_REGION_SUSPECT, now);
  }
  if (region->state == AZ_REGION_SUSPECT && is_settled(detector, region, now))
    enter(region, AZ_REGION_DARK, now);
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
    row->due = MIN(row->due, now + AGAIN_US);
    return;
  }
  row->again = FALSE;
  if (dark && !vouched) {
    guint missed = row->sight.missed + 1;
    region->dark_here = TRUE;
    forget_row(row);
    row->asked = start;
    row->sight.missed = missed;
    detector->trouble = TRUE;
    arm(detector, region, now); /* so that the others are asked at once whether it is this host */
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
  check_lateness(detector, now); /* after a gap, time that nobody watched would count as darkness */
  Pending *pending = pending_of(detector, id);
  if (pending == NULL)
    return;
  Region *region = pending->region, *vantage = pending->vantage;
  gint64 start = pending->start;
  pending->region = NULL;
  Row *row = row_of(region, vantage);
  AzSight before = row->sight;
  region->news = TRUE;
  if (vantage == NULL) {
    note_here(detector, region, row, outcome, start, now);
    row = row_of(region, vantage); /* arming may have moved it */
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

/* ---- what is known ---- */

gboolean
az_detector_view(const AzDetector *detector, const char *name, AzRegionView *ret_view)
{
  const Region *region = find(detector, name);
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
  const Region *region = find(detector, name);
  for (guint i = 0; region != NULL && i < region->rows->len; i++) {
    const Row *row = &g_array_index(region->rows, Row, i);
    if (row->asked == 0)
      continue;
    AzlinVantage seen = row->sight.seen;
    seen.fresh_success = is_fresh(detector, row, now);
    seen.healed_rate = row->vantage != NULL ? row->vantage->healed_rate : detector->healed_rate;
    g_array_append_val(vantages, seen);
  }
  return vantages;
}

gboolean
az_detector_is_unheard(const AzDetector *detector, const char *name)
{
  const Region *region = find(detector, name);
  for (guint i = 0; region != NULL && i < region->rows->len; i++) {
    const Row *row = &g_array_index(region->rows, Row, i);
    const AzlinVantage *seen = &row->sight.seen;
    if (row->asked > 0 && !seen->fresh_success && seen->dark_probes == 0 && row->sight.missed == 0)
      return TRUE;
  }
  return FALSE;
}

gboolean
az_detector_take_news(AzDetector *detector, const char *name)
{
  Region *region = find(detector, name);
  gboolean news = region != NULL && region->news;
  if (news)
    region->news = FALSE;
  return news;
}

gboolean
az_detector_take_watched(AzDetector *detector, AzWatched *ret_watched)
{
  for (guint i = 0; i < detector->regions->len; i++) {
    const Region *region = region_at(detector, i);
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
  return FALSE;
}
