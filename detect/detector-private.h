/* What the parts of the detector share: its rows, and how one part changes what another keeps. */
#pragma once
#include "detector.h"

#define LATE_US G_USEC_PER_SEC
#define NEVER G_MAXINT64
#define AZ_DETECTOR_FEW 64 /* regions of which each is looked at closely, and at once */

typedef struct _Region Region;

typedef struct {   /* what one vantage sees of one region */
  Region *vantage; /* NULL = here */
  AzSight sight;
  gint64 due;     /* of the next question; NEVER = none is planned; az_detector_plan() sets it */
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
  guint first_witness;     /* of the regions in their order: where the choice of them begins */
  gboolean wanted;         /* a whole check of it, at once */
  gboolean dark_here, news;
  gboolean kept; /* while the list is replaced */
  double healed_rate;
  gint64 due;   /* the soonest of its rows */
  guint place;  /* in the queue */
  guint serial; /* in the order of the lists that it stood in */
};

typedef struct {
  Region *region, *vantage; /* region NULL = free, or of a region that is gone */
  gint64 start;
  guint32 generation;
} Pending;

struct _AzDetector {
  AzDetectorRules rules;
  GPtrArray *regions; /* of Region */
  GHashTable *names;  /* name -> Region */
  GPtrArray *queue;   /* of Region: a heap by `due` */
  guint next_serial;
  guint armed;      /* regions that are */
  gint64 logged_in; /* when the last whole health check of any region was asked for */
  guint watched_at; /* where az_detector_take_watched() goes on */
  Region *primary;
  GArray *pending;    /* of Pending */
  GArray *unused;     /* of guint: places there that are free */
  double healed_rate; /* of "here" */
  struct {
    Region *region;
    gint64 at;
  } contact[2];   /* the last two different regions whose machines were reached */
  gint64 planned; /* when the next question was due as the last one had been asked */
  guint score;
  gboolean trouble; /* in the tick that runs */
};

static inline gint64
beat_us(const AzDetector *detector)
{
  return (gint64) detector->rules.primary_interval_s * G_USEC_PER_SEC;
}

static inline gint64
calm_us(const AzDetector *detector)
{
  return (gint64) detector->rules.interval_s * G_USEC_PER_SEC;
}

static inline Row *
here_of(const Region *region)
{
  return &g_array_index(region->rows, Row, 0);
}

static inline const char *
vantage_name(const Region *vantage)
{
  return vantage != NULL ? vantage->name : AZ_VANTAGE_HERE;
}

static inline Region *
region_at(const AzDetector *detector, guint i)
{
  return g_ptr_array_index(detector->regions, i);
}

/* detector.c */
Row *az_detector_row(Region *region, Region *vantage); /* NULL = here; made if need be, which moves the others */
Region *az_detector_find(const AzDetector *detector, const char *name);
void az_detector_enter(Region *region, AzRegionState state, gint64 now);
Row *az_detector_find_row(Region *region, const Region *vantage); /* NULL = there is none */
void az_detector_forget_row(Row *row);
void az_detector_disarm(AzDetector *detector, Region *region);

/* detector-queue.c */
void az_detector_queue_add(AzDetector *detector, Region *region);
void az_detector_queue_remove(AzDetector *detector, const Region *region);
void az_detector_queue_renew(AzDetector *detector, Region *region); /* its rows are others now */
Region *az_detector_queue_first(const AzDetector *detector);        /* that is asked next; NULL = none is watched */
void az_detector_plan(AzDetector *detector, Region *region, Row *row, gint64 due); /* the row's next question */

/* detector-ask.c */
void az_detector_arm(AzDetector *detector, Region *suspect, gint64 now);
void az_detector_pending_end(AzDetector *detector, Pending *pending);
Pending *az_detector_pending(AzDetector *detector, guint64 id); /* NULL = answered, or of a time before a gap */
void az_detector_check_lateness(AzDetector *detector, gint64 now);

/* detector-answer.c */
gboolean az_detector_is_fresh(const AzDetector *detector, const Row *row, gint64 now);
