/* What [failover.NAME] of the selected failover brick says, for the parts of the engine that act by it: a brick that
 * does not declare an option leaves its default in force. */
#pragma once
#include "detector.h"
#include "engine-private.h"

/* NULL when the brick does not declare it, or as another type. */
GVariant *az_failover_option(AzEngine *engine, const char *name, const char *type);
guint32 az_failover_option_uint(AzEngine *engine, const char *name, guint32 fallback);
double az_failover_option_double(AzEngine *engine, const char *name, double fallback);
gboolean az_failover_option_bool(AzEngine *engine, const char *name);
char *az_failover_option_string(AzEngine *engine, const char *name, const char *fallback);
char **az_failover_option_strv(AzEngine *engine, const char *name); /* owned; empty when it is not declared */
AzlinMode az_failover_option_mode(AzEngine *engine);
/* The rules of detection; checked with az_detector_rules_check() by whoever makes a detector of them. */
AzDetectorRules az_failover_option_rules(AzEngine *engine);
