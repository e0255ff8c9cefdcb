/* Sizes of machines, what of them is offered where, and the quotas of a region. */
#pragma once
#include "lifecycle.h"

/* The code with which an allocation fails here (setting "capacity"); NULL = there is room. */
const char *catalogue_capacity_problem(Double *world, const char *type, json_t *body);
/* Is the size of this VM offered in its region and zone, and is there quota? `spare`: vCPUs that others of the same
 * plan take: family or "cores" -> number, updated; NULL = none. */
void catalogue_check_vm(Double *world, const char *id, json_t *body, GHashTable *spare, Refusal *refusal);

/* Handlers */
void catalogue_handle_skus(Exchange *exchange);
void catalogue_handle_sizes(Exchange *exchange);
void catalogue_handle_compute_usages(Exchange *exchange);
void catalogue_handle_network_usages(Exchange *exchange);
void catalogue_handle_images(Exchange *exchange);
