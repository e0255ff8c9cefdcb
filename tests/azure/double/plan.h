/* What a template asks for: its resources, checked and in their dependencies. */
#pragma once
#include "lifecycle.h"
#include "template.h"

typedef enum { NODE_WAITS, NODE_RUNS, NODE_DONE, NODE_FAILED } NodeState;

typedef struct {
  char *id, *operation_id;
  json_t *source; /* as the template has it; borrowed from the plan's request */
  json_t *body;   /* evaluated, without type, name, dependsOn, ... */
  GArray *needs;  /* guint: indices of nodes */
  NodeState state;
  guint status;  /* of the request that made it */
  json_t *error; /* NULL = none */
  char *begun, *ended;
  Operation *operation; /* borrowed; NULL = none runs */
} Node;

typedef struct {
  json_t *request; /* "properties" of the deployment */
  char *group_id;
  GPtrArray *nodes;
} Plan;

/* NULL and `refusal` when the template is not valid. What the official files forbid is recorded as a violation. */
Plan *plan_new(Double *world, const char *group_id, json_t *properties, const char *url, Refusal *refusal);
void plan_free(Plan *plan);
/* What would fail (sizes, quota): details of InvalidTemplateDeployment, owned; NULL = nothing. */
json_t *plan_preflight(Double *world, const Plan *plan);
/* The body of a node, now that what it refers to exists. FALSE and `ret_problem` (owned) when it cannot be had. */
gboolean plan_evaluate(Double *world, const Plan *plan, Node *node, char **ret_problem);
/* Outputs, owned; NULL and `ret_problem` when they cannot be had. */
json_t *plan_outputs(Double *world, const Plan *plan, char **ret_problem);
