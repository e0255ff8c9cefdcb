/* What [failover.NAME] of the selected failover brick says, for the parts of the engine that act by it: a brick that
 * does not declare an option leaves its default in force. */
#pragma once
#include "detector.h"
#include "engine-private.h"

/* `fallback` where the brick does not declare it, or as another type. */
guint32 az_failover_option_uint(AzEngine *engine, const char *name, guint32 fallback);
char *az_failover_option_string(AzEngine *engine, const char *name, const char *fallback);
char **az_failover_option_strv(AzEngine *engine, const char *name);     /* owned; empty when it is not declared */
GHashTable *az_failover_option_set(AzEngine *engine, const char *name); /* the same, to be looked up in; owned */
AzlinMode az_failover_option_mode(AzEngine *engine);
guint32 az_failover_option_cool_down_s(AzEngine *engine);
/* The rules of detection; checked with az_detector_rules_check() by whoever makes a detector of them. */
AzDetectorRules az_failover_option_rules(AzEngine *engine);
