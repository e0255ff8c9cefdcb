/* Builds inputs of decide() out of a few words, and a failover-hybrid brick with given options; for unit tests. */
#pragma once
#include "azlin-plugin.h"

typedef struct { /* one vantage in a table; a row ends at the first without a name */
  const char *name;
  gboolean was_up, self_check, alive, refused;
  guint dark;
  double seconds;
  double healed; /* rate of its own history; 0 = none */
} SceneVantage;
typedef enum { SCENE_TARGET_HEALTHY, SCENE_TARGET_UNHEALTHY, SCENE_TARGET_MAINTENANCE, SCENE_TARGET_NONE } SceneTarget;
#define SCENE_NOW (G_GINT64_CONSTANT(1764583200) * G_USEC_PER_SEC) /* 2025-12-01 10:00 */

#define SCENE_MAX_VANTAGES 6
typedef struct {
  const char *name;
  AzlinFailure failure;
  gboolean healthy;
  AzlinPower power;
  AzlinStopCause cause;
  const char *power_outcome;    /* of the source's power probe; NULL = the platform is silent */
  const char *platform_outcome; /* what the provider says of its hardware; NULL = nothing */
  AzlinMode mode;
  SceneVantage vantages[SCENE_MAX_VANTAGES];
  guint self_score;
  gboolean blind, maintenance;
  SceneTarget target; /* westus2, the only one */
} Scene;

#define SCENE_DARK_HERE                                                                                                \
  {                                                                                                                    \
    .name = "here", .was_up = TRUE, .self_check = TRUE, .dark = 8, .seconds = 36                                       \
  }
#define SCENE_DARK(region)                                                                                             \
  {                                                                                                                    \
    .name = region, .was_up = TRUE, .self_check = TRUE, .dark = 8, .seconds = 36                                       \
  }
#define SCENE_REFUSED(region)                                                                                          \
  {                                                                                                                    \
    .name = region, .was_up = TRUE, .self_check = TRUE, .refused = TRUE, .dark = 1                                     \
  }

typedef struct _SceneBrick SceneBrick;
/* `mode`, and numbers as in [failover.hybrid]. */
SceneBrick *scene_brick_new(const char *mode, guint interval, guint fall, double threshold, GError **error);
/* Options as "fall=5,prior=0.5", lists with ';'; the others as declared. */
SceneBrick *scene_brick_with(const char *options, GError **error);
void scene_brick_free(SceneBrick *brick);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SceneBrick, scene_brick_free)

void scene_decide(SceneBrick *brick, const Scene *scene, AzlinDecision *out);
void scene_decide_input(SceneBrick *brick, const AzlinDecisionInput *input, AzlinDecision *out);
void scene_decision_clear(AzlinDecision *decision);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(AzlinDecision, scene_decision_clear)
/* The failure and outcome that a machine with these facts has in real life; used by generated scenes. */
AzlinHealth scene_health(const AzlinVm *vm, gboolean healthy, double ms);
