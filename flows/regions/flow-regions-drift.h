/* Where a record, a machine and its tags differ, and what follows from it: facts of the cloud flow into the record,
 * azlin's own facts into the tags, and no tag alone moves the primary. Pure. */
#pragma once
#include "record.h"

typedef enum {
  AZ_DRIFT_RECORD,  /* the record takes over what the cloud says */
  AZ_DRIFT_TAGS,    /* the tags take over what the record says */
  AZ_DRIFT_REFUSED, /* the tags say what nobody may believe unasked */
  AZ_DRIFT_SHOWN    /* nothing follows by itself */
} AzDriftAction;

typedef struct {
  char *region, *field;
  char *record, *cloud; /* NULL = nothing there */
  AzDriftAction action;
} AzDrift;

GPtrArray *az_drift_list_new(void); /* of AzDrift */
void az_drift_add(GPtrArray *list, const char *region, const char *field, const char *record, const char *cloud,
                  AzDriftAction action);
GVariant *az_drift_to_variant(GPtrArray *list); /* av; floating */
/* One line for people, without the region; `dry`: nothing is written. Owned. */
char *az_drift_text(const AzDrift *drift, gboolean dry);

/* The record with what the provider knows better; what only azlin knows stays. Owned. */
AzlinVm *az_drift_merged(const AzlinVm *record, const AzlinVm *cloud);
/* Address, port, id and power of one machine. */
void az_drift_machine(GPtrArray *list, const AzlinVm *record, const AzlinVm *cloud);
/* The tags of one machine; `primary` and `epoch` are what is on record. A claim that az_claims_new() finds credible and
 * whose epoch is above `epoch` is refused, any other that is wrong is overwritten. */
void az_drift_tags(GPtrArray *list, const AzlinVm *cloud, const AzlinVm *record, const char *primary, guint64 epoch,
                   gboolean allowed);

gboolean az_drift_is_ours(const AzlinVm *vm); /* do its tags say that azlin made it? */

typedef struct {     /* a machine whose tags say that it is primary */
  const AzlinVm *vm; /* borrowed */
  guint64 epoch;
  const char *disbelief; /* why nobody believes it, or NULL */
} AzClaim;

/* `allowed`: may azlin act in that region? */
typedef gboolean (*AzClaimAllowed)(const char *region, gpointer data);
GArray *az_claims_new(const AzlinVm *const *vms, gsize n, AzClaimAllowed allowed, gpointer data); /* of AzClaim */
/* The one credible claim at the highest epoch; NULL = none, or several (`ret_rivals` of them, then). `ret_epoch`: the
 * highest epoch of a credible claim, 0 = none. */
const AzClaim *az_claims_winner(GArray *claims, guint64 *ret_epoch, guint *ret_rivals);

const char *az_tag_of(const AzlinVm *vm, const char *name); /* whatever the case of its name; NULL = none; borrowed */
