/* A small world in virtual time that drives a detector: machines go dark, hosts go offline, one event after the other.
 */
#pragma once
#include "detector.h"

typedef struct {
  const char *vantage, *region; /* "*" = any */
  gint64 from, until;           /* microseconds; a probe that falls into it as a whole ends dark */
  AzSightOutcome outcome;       /* DARK or REFUSED (at once); NOTHING: the vantage itself cannot be asked */
} Trouble;

typedef struct {
  AzDetector *detector;
  gint64 now;
  GArray *troubles; /* of Trouble */
  GArray *answers;  /* under way */
  guint questions;
  double longest_timeout_s; /* of all of them */
} World;

World *world_new(const AzDetectorRules *rules, const char *const *regions, const char *primary);
void world_free(World *world);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(World, world_free)
void world_trouble(World *world, const char *vantage, const char *region, double from_s, double until_s,
                   AzSightOutcome outcome);
/* Runs until `until_s`; stops early once `region` is settled as dark. The second at which it stopped. */
double world_run(World *world, double until_s, const char *region);
/* Answers all that is under way at this moment. */
void world_answer_all(World *world, AzSightOutcome outcome);
