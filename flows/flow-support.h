/* Steps that flows share: the stored machines, one brick call each, errors and durations as people read them. */
#pragma once
#include "flow.h"
#include "record.h"

/* A context that never answers must not hold the program: its records are local or small. */
#define AZ_CONTEXT_MS 60000

/* ---- what is stored, read once ---- */

typedef struct _AzStored { /* counted with g_rc_box: copy the pointer with g_rc_box_acquire() */
  GPtrArray *vms;          /* of AzlinVm, owned; primary first, then by region */
  char *primary;           /* "" = none stands */
  char *path;              /* where the records live, for people */
  char *source;            /* of shared ones: the same for all who see the same; NULL = they are of this home */
  guint64 epoch, generation;
  struct _AzStored *whole; /* of a part: whose records it borrows; else NULL */
} AzStored;
void az_stored_unref(AzStored *stored);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzStored, az_stored_unref)

/* Reads records, primary and epoch; `ready` takes over `stored`. A failure ends the job (exit 78 or 4) and `ready` does
 * not run. */
void az_stored_read(AzJob *job, AzlinOp *root,
                    void (*ready)(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data), gpointer data);
/* The same for who changes nothing: where shared records cannot be read now, the copy of them will do, and that is
 * said. */
void az_stored_look(AzJob *job, AzlinOp *root,
                    void (*ready)(AzJob *job, AzlinOp *root, AzStored *stored, gpointer data), gpointer data);
/* The same for who goes on without them: `done` gets the records to keep, or NULL and why; before the call returns when
 * no context can be loaded. */
void az_stored_fetch(AzEngine *engine, AzlinOp *parent,
                     void (*done)(AzStored *stored, const GError *error, gpointer data), gpointer data);
/* Of the same records those that `keep` wants, in the same order; holds `stored` for as long as it lives. */
AzStored *az_stored_part(AzStored *stored, gboolean (*keep)(const AzlinVm *vm, gpointer data), gpointer data);
const AzlinVm *az_stored_find(const AzStored *stored, const char *region); /* exact name; NULL = none */
const AzlinVm *az_stored_primary(const AzStored *stored);                  /* NULL = none */
/* What a person typed: an alias or a region name; NULL word = the primary. Unknown: USAGE, the nearest stored one
 * named. */
const AzlinVm *az_stored_require(const AzStored *stored, AzEngine *engine, const char *word, GError **error);

/* ---- one call of a brick each: a child of `parent` that ends with the brick's result, or the error of loading it ----
 */

/* Places of records ([bricks] context): all read the first; a write ends with the result of the first, and the others
 * are written beside the job's further work once that has succeeded. That one of them lags behind is a warning, never
 * an error: `azlin regions refresh` brings it up to date. */
void az_flow_info(AzEngine *engine, AzlinOp *parent, AzlinDone done, gpointer data); /* op_variant a{sv}: epoch, ... */
void az_flow_list(AzEngine *engine, AzlinOp *parent, AzlinDone done, gpointer data); /* op_vms, as stored */
void az_flow_put(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, AzlinDone done, gpointer data);
/* Puts as many of `vms`, from the first on, as this context takes in one write: returns how many. */
gsize
az_flow_put_some(AzEngine *engine, AzlinOp *parent, const AzlinVm *const *vms, gsize n, AzlinDone done, gpointer data);
/* status and last_health_check of many machines in one write; regions that are gone meanwhile stay gone. */
void az_flow_put_status(AzEngine *engine, AzlinOp *parent, const AzlinVm *const *vms, gsize n, AzlinDone done,
                        gpointer data);
void az_flow_forget(AzEngine *engine, AzlinOp *parent, const char *region, AzlinDone done, gpointer data);
/* Compare-and-swap; op_variant t: the new epoch. */
void az_flow_set_primary(AzEngine *engine, AzlinOp *parent, const char *from, const char *to, guint64 epoch,
                         AzlinDone done, gpointer data);
/* The epoch of the first place is at least `epoch` from now on; a place that cannot raise it stays as it is. */
void az_flow_raise_epoch(AzEngine *engine, AzlinOp *parent, guint64 epoch, AzlinDone done, gpointer data);
/* Tells all places but the first once more who is primary, since when; `op` may be ending. */
void az_flow_repeat_primary(AzEngine *engine, AzlinOp *op, const char *primary, guint64 epoch);
/* Is this brick one of the places of records? */
gboolean az_flow_has_context(AzEngine *engine, const char *name);

/* Calls of the provider that owns `vm`; NOT_SUPPORTED when it lacks the slot. `timeout_ms` 0 = the parent's deadline.
 */
void
az_flow_vm_get(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, guint32 timeout_ms, AzlinDone done, gpointer data);
void az_flow_vm_power(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, AzlinPower want, guint32 timeout_ms,
                      AzlinDone done, gpointer data);
/* Cuts the machine off its network from outside, or lets it back; done already = success. */
void az_flow_vm_isolate(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, gboolean on, guint32 timeout_ms,
                        AzlinDone done, gpointer data);
void az_flow_vm_reboot(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, guint32 timeout_ms, AzlinDone done,
                       gpointer data);
void az_flow_vm_erase(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, guint32 timeout_ms, AzlinDone done,
                      gpointer data);
void az_flow_vm_list(AzEngine *engine, AzlinOp *parent, const char *provider /* NULL = selected */, AzlinDone done,
                     gpointer data);
/* The selected provider's preflight of `specs` (ends NULL), op_variant aa{sv} with one verdict each; and the places
 * where one machine would fit, op_variant aa{sv}, best first. Only where az_flow_provider() shows these slots. */
const AzlinProvider *az_flow_provider(AzEngine *engine, gpointer *ret_self); /* the selected one, or NULL */
void
az_flow_preflight(AzEngine *engine, AzlinOp *parent, const AzlinVmSpec *const *specs, AzlinDone done, gpointer data);
void az_flow_alternatives(AzEngine *engine, AzlinOp *parent, const AzlinVmSpec *spec, const char *const *regions,
                          AzlinDone done, gpointer data);
void az_flow_health(AzEngine *engine, AzlinOp *parent, const AzlinVm *vm, AzlinDone done, gpointer data);

/* A health check ended, and the machine is healthy. */
gboolean az_flow_is_healthy(AzlinOp *check);
/* Puts what a health check said (its variant, or NULL) into status and last_health_check of `vm`; TRUE = healthy. */
gboolean az_flow_note_health(AzEngine *engine, AzlinVm *vm, GVariant *health);

/* Takes over a host key that was trusted when first seen (--accept-new); TRUE = the record has changed and is to be
 * put. */
gboolean az_flow_pin_trusted(AzEngine *engine, AzlinVm *vm);

/* ---- for people ---- */

char *az_flow_duration(double seconds);                       /* "0.4s", "52s", "3m 12s" */
double az_flow_seconds_since(AzEngine *engine, gint64 start); /* from an az_clock_monotonic() */
/* The first line that a command left on stderr, harmless for a terminal; "" = none. Owned. */
char *az_flow_first_words(GBytes *err);
/* "Failed: ..." and the first suggested steps, under `region` or NULL. */
void az_flow_say_error(AzJob *job, const char *region, const GError *error);
/* Writes an audit record; a log that cannot be written is said as a warning, it never stops the job. */
void az_flow_audit(AzJob *job, const char *what, GVariant *facts);

/* The same for one machine: region, vm_name, provider and `outcome` ("requested", "done", or what went wrong). */
void az_flow_audit_vm(AzJob *job, const char *what, const AzlinVm *vm, const char *outcome);

/* ---- verdicts that a later failover starts from ---- */

void az_flow_keep_verdict(AzEngine *engine, const char *vantage, const char *region, gboolean up);
/* Stores a hash of "vantage>region" -> GINT_TO_POINTER(up) in one write. */
void az_flow_keep_verdicts(AzEngine *engine, GHashTable *verdicts);
/* Stores one look around: that a vantage could not reach a machine is kept only where another one saw that machine
 * alive. In an outage all are dark; forgetting then who used to reach it would leave a failover without evidence. */
void az_flow_keep_sightings(AzEngine *engine, GHashTable *verdicts);
/* The same, with what az_vantage_store_history() wants of a watch; consumed when floating, NULL = nothing. */
void az_flow_keep_watch(AzEngine *engine, GHashTable *verdicts, GVariant *watched);
/* All verdicts on a region whose machine is gone: nobody has seen the next one yet. */
void az_flow_forget_verdicts(AzEngine *engine, const char *region);
void az_flow_forget_all_verdicts(AzEngine *engine, GHashTable *regions); /* a set of them, in one write */

/* ---- the journal ---- */

/* Nobody works on it any more: its process is dead, or it was interrupted and says so. */
gboolean az_flow_entry_abandoned(const AzJournalEntry *entry);
/* Marks an open intent as interrupted, so that recover and --resume may take it up while this process lives on. */
void az_flow_entry_interrupted(AzEngine *engine, guint64 id);

/* ---- files that follow the primary (flow-ssh.c) ---- */

/* Rewrites $AZLIN_HOME/ssh_config and known_hosts for these machines; runs hooks/primary-changed when `old_primary`
 * (may be "") is given and differs. Failures are said as warnings. */
void az_flow_primary_files(AzJob *job, const AzStored *stored, const char *old_primary);
