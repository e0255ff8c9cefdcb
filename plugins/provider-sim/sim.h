/* What the parts of provider-sim share: one simulated cloud as this process sees it. */
#pragma once
#include "script.h"
#include "world.h"

typedef struct {
  AzlinHost *host;
  World *world;     /* opened at the first call, like the script */
  GPtrArray *rules; /* of Rule */
  guint32 seed;
  gint64 began;   /* monotonic time of the first call */
  gint64 elapsed; /* world time at that moment */
} Sim;

/* Opens script and world on the first call, then takes in what others wrote; CONFIG or STORAGE. */
gboolean sim_ready(Sim *sim, GError **error);
/* The script alone, for what changes nothing; CONFIG. */
gboolean sim_read_rules(Sim *sim, GError **error);
/* World time: microseconds that have passed in it, over all processes that looked at it. */
gint64 sim_now(Sim *sim);
/* The machine after all that has happened to it up to now; NOT_FOUND. A namesake with another id is not it. */
SimVm *sim_find(Sim *sim, const AzlinVm *vm, GError **error);
/* Is it up? */
gboolean sim_is_up(Sim *sim, const SimVm *vm);
/* The record as the engine wants it; free with host->api->vm_free(). */
AzlinVm *sim_to_vm(Sim *sim, const SimVm *vm);

typedef struct {
  gboolean hang;
  double seconds;
  GError *error; /* to fail with after `seconds`, or NULL */
} Fate;
/* What the script holds for a call, and counts it. `seconds` = when it says nothing. */
gboolean sim_fate(Sim *sim, RuleKind kind, const char *region, const char *vm_name, double seconds, Fate *ret_fate,
                  GError **error);
/* The tags of a machine that is made: those asked for, and those by which azlin knows its own. */
GVariant *sim_first_tags(GVariant *asked);
void sim_sleep(Sim *sim, AzlinOp *op, double seconds, AzlinDone done, gpointer data);

/* The slots; `self` is the Sim. */
void sim_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op);
void sim_get(gpointer self, const AzlinVm *vm, AzlinOp *op);
void sim_list(gpointer self, AzlinOp *op);
void sim_power(gpointer self, const AzlinVm *vm, AzlinPower want, AzlinOp *op);
void sim_restart(gpointer self, const AzlinVm *vm, AzlinOp *op);
void sim_delete(gpointer self, const AzlinVm *vm, AzlinOp *op);
void sim_preflight(gpointer self, const AzlinVmSpec *const *specs, AzlinOp *op);
void sim_alternatives(gpointer self, const AzlinVmSpec *spec, const char *const *regions, AzlinOp *op);
void sim_tag(gpointer self, const AzlinVm *vm, GVariant *set, const char *const *unset, AzlinOp *op);
void sim_isolate(gpointer self, const AzlinVm *vm, gboolean on, AzlinOp *op);
void sim_recover(gpointer self, const char *what, GVariant *undo, AzlinOp *op);
void sim_probe(gpointer self, const AzlinVm *suspect, const AzlinVm *from, AzlinOp *op);
void sim_exec(gpointer self, const AzlinVm *vm, const AzlinExec *request, AzlinOp *op);
