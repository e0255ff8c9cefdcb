/* Who is up, suspect or dark: one state machine per region, fed with probes, that says what to ask next. Pure: no I/O
 * and no clock; whoever drives it (the watch, a one-shot failover, the simulation) brings both. */
#pragma once
#include "sight.h"

#define AZ_VANTAGE_HERE "here"

typedef enum { AZ_REGION_UNKNOWN, AZ_REGION_UP, AZ_REGION_SUSPECT, AZ_REGION_DARK } AzRegionState;
static inline gboolean
az_region_is_suspect(AzRegionState state) /* suspect, or dark already */
{
  return state == AZ_REGION_SUSPECT || state == AZ_REGION_DARK;
}
const char *az_region_state_name(AzRegionState state); /* "unknown", "up", "suspect", "dark" */

typedef struct {
  guint32 rise, fall;         /* probes in a row */
  guint32 primary_interval_s; /* between probes of the primary, and of any suspect */
  guint32 interval_s;         /* of the others while all is calm */
  double probe_timeout_s;     /* how long one probe may take */
  guint32 witnesses;          /* machines of other regions asked about a suspect */
  gboolean no_self_check;     /* for the simulation only: what happens without the parts that matter */
  gboolean no_witness;
} AzDetectorRules;
#define AZ_DETECTOR_RULES_DEFAULT                                                                                      \
  {                                                                                                                    \
    .rise = 2, .fall = 7, .primary_interval_s = 5, .interval_s = 15, .probe_timeout_s = 4, .witnesses = 3              \
  }
/* Sense as a whole: intervals against timeouts, rise and fall at least 1. CONFIG, naming the keys of azlin.conf. */
gboolean az_detector_rules_check(const AzDetectorRules *rules, GError **error);

typedef struct _AzDetector AzDetector;
/* All times are monotonic and go on during suspend (CLOCK_BOOTTIME), in microseconds. */
AzDetector *az_detector_new(const AzDetectorRules *rules, gint64 now);
void az_detector_free(AzDetector *detector);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzDetector, az_detector_free)

/* What is watched, `primary` "" = none stands. What was seen of regions that stay is kept; a region whose machine is
 * another one now is first taken out by a call without it. */
void az_detector_set_regions(AzDetector *detector, const char *const *regions, const char *primary, gint64 now);
/* The stored verdict of a pair: a vantage that never saw a region up does not count about it. Probes set it as well. */
void az_detector_set_was_up(AzDetector *detector, const char *vantage, const char *region, gboolean was_up);
/* Rate of long dark spells that healed by themselves, for AzlinVantage.healed_rate; 0 = too little history. */
void az_detector_set_healed_rate(AzDetector *detector, const char *vantage, double rate);
/* Other rules from now on. What was seen and the states stay, and the next answers are judged by them; questions under
 * way are forgotten, and all that is planned is asked at once. */
void az_detector_set_rules(AzDetector *detector, const AzDetectorRules *rules, gint64 now);
/* Forgets all rows: the clock jumped, the machine slept. States fall back to UNKNOWN. */
void az_detector_reset(AzDetector *detector, gint64 now);

/* ---- what to ask ---- */

typedef struct {
  guint64 id;
  const char *vantage; /* "here", or the region whose machine is asked; borrowed until the next set_regions() */
  const char *region;  /* about which; borrowed likewise */
  gboolean with_login; /* a whole health check; else banner and key alone do, */
  gboolean with_key;   /* or the banner, where many are watched and all is calm */
  double timeout_s;    /* probe_timeout_s, longer while this host itself is in trouble */
} AzQuestion;
/* The next question that is due at `now`; FALSE = none. Call until FALSE: each question is under way from here on, and
 * must be answered. A call that comes more than two intervals late is a gap (suspend, a stopped process): rows are
 * forgotten first. */
gboolean az_detector_next(AzDetector *detector, gint64 now, AzQuestion *ret_question);
/* When the next question is due, at the latest; never later than what is under way could make it. */
gint64 az_detector_wake(AzDetector *detector, gint64 now);
/* It may have to take over soon: its next look is at once and a whole health check, unless the last such check is half
 * a minute old at most. Of many regions each has its turn else, which may be an hour. */
void az_detector_check_whole(AzDetector *detector, const char *region, gint64 now);
/* A question has been silent for so long that witnesses are armed before its answer (about a second); tell when asked.
 */
#define AZ_DETECTOR_EARLY_US (G_USEC_PER_SEC)
void az_detector_silent(AzDetector *detector, guint64 id, gint64 now);
void az_detector_answer(AzDetector *detector, guint64 id, AzSightOutcome outcome, gint64 now);

/* ---- what is known ---- */

typedef struct {
  AzRegionState state;
  gint64 since;                 /* of the state, monotonic */
  gboolean unreachable_from_me; /* dark from here, alive from elsewhere */
  guint dark_probes;            /* here, in the present row */
  gint64 last_alive;            /* from any vantage; 0 = never */
} AzRegionView;
gboolean az_detector_view(const AzDetector *detector, const char *region, AzRegionView *ret_view); /* FALSE = unknown */
gboolean az_detector_blind(const AzDetector *detector);   /* everything looks dead: OBSERVER_BLIND */
guint az_detector_self_score(const AzDetector *detector); /* 0 to 8 */
/* What each vantage has seen of `region`, as decide() wants it: GArray of AzlinVantage, strings borrowed. */
GArray *az_detector_vantages(const AzDetector *detector, const char *region, gint64 now);
/* A vantage has been asked about `region` and has neither answered nor failed to twice: it is too early to judge. */
gboolean az_detector_is_unheard(const AzDetector *detector, const char *region);
/* Whether decide() could find anything new: an answer about `region` came in since the last call of this. */
gboolean az_detector_take_news(AzDetector *detector, const char *region);

typedef struct {
  const char *vantage, *region; /* borrowed until the next set_regions() */
  guint32 watched_s;            /* while it saw life */
  guint32 healed; /* rows of at least `fall` dark probes after which it saw life again within ten minutes */
} AzWatched;
/* What one pair has added to its history since the last call; FALSE = nothing more. Ask before regions change. */
gboolean az_detector_take_watched(AzDetector *detector, AzWatched *ret_watched);
