/* Isolation as rules of a security group: what stands, what is missing, and the group as it should be. Pure. */
#pragma once
#include <glib.h>
#include <jansson.h>

#define AZURE_ISOLATE_IN_RULE "azlin-isolate-in"
#define AZURE_ISOLATE_OUT_RULE "azlin-isolate-out"

typedef enum {
  AZURE_ISOLATION_DONE,    /* in force, or lifted, as asked for */
  AZURE_ISOLATION_WAIT,    /* the group is being changed: what it will be is not known yet */
  AZURE_ISOLATION_WRITE,   /* azure_isolation_body() has to be put */
  AZURE_ISOLATION_BLOCKED, /* a rule lets traffic in or out ahead of all that could be added */
} AzureIsolationStep;

/* `group`: a security group as GET answers it. `ret_blocker` (or NULL): name of the rule in the way, borrowed. */
AzureIsolationStep azure_isolation_step(const json_t *group, gboolean on, const char **ret_blocker);
/* The body of a PUT of the group with or without both rules; all other rules stay as they are. `flush`: flows that
 * stand are judged by the new rules, too. Owned. */
json_t *azure_isolation_body(const json_t *group, gboolean on, gboolean flush);
/* Lowest free priority of a direction, 100 or later, with no rule before it that allows anything; 0 = there is none. */
int azure_front_priority(const json_t *group, const char *direction, const char **ret_blocker);
