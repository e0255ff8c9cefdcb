/* Making and removing resources, the same for a PUT of a client and for a resource of a deployment. */
#pragma once
#include "operation.h"

typedef struct {
  guint status; /* 0 = nothing is refused */
  char *code, *message;
} Refusal;
/* The first refusal counts. */
void refuse(Refusal *refusal, guint status, const char *code, const char *format, ...) G_GNUC_PRINTF(4, 5);
void refusal_clear(Refusal *refusal);

typedef struct {
  const char *type;
  gboolean upper_case_lists;
  gboolean says_creating; /* while it is made; Network says "Updating" then, too */
  gboolean slow_changes;  /* a PUT over what stands is an operation, too */
  /* Before anything exists. References that do not resolve go to reference_missing(). */
  void (*check)(Double *world, const char *id, json_t *body, Refusal *refusal);
  void (*begun)(Double *world, Resource *resource);
  void (*created)(Double *world, Resource *resource);
  void (*failed)(Double *world, Resource *resource, const char *code);
  void (*may_delete)(Double *world, Resource *resource, Refusal *refusal);
  void (*deleted)(Double *world, Resource *resource); /* it is still in the store */
} ResourceKind;
const ResourceKind *resource_kind(const char *type);        /* NULL = the double does not play it */
extern const ResourceKind network_kinds[], compute_kinds[]; /* end with type NULL */

/* Who uses these security rules or this network; NULL = nobody. Borrowed. (network.c) */
const Resource *network_user(Double *world, const Resource *resource);

/* Whether the rule `one`, called `name`, may stand among `rules`. (network.c) */
void network_rule_check(json_t *rules, json_t *one, const char *name, Refusal *refusal);

/* "Resource X referenced by resource Y was not found", recorded as a request out of order. */
void reference_missing(Double *world, const char *id, const char *reference, Refusal *refusal);

typedef struct {
  Refusal refusal;
  Resource *resource;   /* borrowed; NULL = refused */
  Operation *operation; /* NULL = it was there already and is as wanted */
  gboolean created;     /* 201 instead of 200 */
} Put;
/* Begins the creation or the change of the resource `id`. `refusal` is to be cleared. */
Put lifecycle_put(Double *world, const char *id, json_t *body, const GPtrArray *faults);
/* Removes it at once, with what goes along. */
void lifecycle_remove(Double *world, Resource *resource);

/* Handlers */
void lifecycle_handle_put(Exchange *exchange);
void lifecycle_handle_delete(Exchange *exchange);
/* Writes to what does not carry azlin's tag are recorded. `body` NULL = no PUT. */
void lifecycle_note_outside(Double *world, const char *method, const char *url, const char *id, json_t *body);
