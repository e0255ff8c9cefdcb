/* One run of regions refresh, shared by its parts: what was asked and found, and what is to be written. */
#pragma once
#include "flow-regions-drift.h"
#include "flow-support.h"

typedef struct {
  AzJob *job;
  AzEngine *engine;
  AzlinOp *root;
  AzStored *stored;
  gboolean dry, rebuild, tagged; /* tagged: the tags of machines are one of the places of records */
  GPtrArray *puts;               /* of AzlinVm, to be written one after the other */
  GPtrArray *listed;             /* of AzlinVm, as the provider lists them */
  GPtrArray *drift;              /* of AzDrift */
  GPtrArray *missing;            /* of char*, regions whose machine the provider does not know */
  GPtrArray *errors;             /* of GVariant: what could not be read, and why */
  GPtrArray *hints;              /* of char*, said at the end */
  guint next, left, updated;
  guint64 raise;  /* epoch that the records have to reach; 0 = none */
  char *restored; /* the primary that the tags give back, or NULL */
  gboolean repeat, undecided;
} AzRefresh;

typedef struct { /* one question to a provider */
  AzRefresh *refresh;
  AzlinVm *vm; /* the record, or what the provider listed */
} AzRefreshAsk;
void az_refresh_ask_free(AzRefreshAsk *ask);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzRefreshAsk, az_refresh_ask_free)
/* Asks the provider for the present state of `vm`, the address included; `done` gets an AzRefreshAsk to free. Counts in
 * `left`. */
void az_refresh_ask(AzRefresh *refresh, const AzlinVm *vm, AzlinDone done);

/* Something could not be read, of `region` or (NULL) of all: said, and the exit status is 1. */
void az_refresh_unread(AzRefresh *refresh, const char *region, const char *what, const GError *error);
void az_refresh_keep_listed(AzRefresh *refresh, AzlinOp *op); /* the answer of a vm-list */
void az_refresh_compare(AzRefresh *refresh, const AzlinVm *record, const AzlinVm *cloud);
void az_refresh_gathered(AzRefresh *refresh); /* nothing is `left`: it is said and written */
gboolean az_refresh_allowed(const char *region, gpointer engine);
void az_refresh_hint(AzRefresh *refresh, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* flow-regions-rebuild.c: lists the provider's machines and takes them in, up to az_refresh_gathered(). */
void az_refresh_rebuild(AzRefresh *refresh);
/* Says which claims are not believed; in a rebuild, settles `restored`, `raise` and `undecided`. */
void az_refresh_weigh_claims(AzRefresh *refresh);
/* Makes `restored` the primary; then goes on with az_refresh_end(). */
void az_refresh_restore(AzRefresh *refresh);
void az_refresh_end(AzRefresh *refresh); /* reads the records once more and ends the job */
