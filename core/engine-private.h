/* What the parts of the engine see of it: its services and the access flows have to bricks. */
#pragma once
#include "audit.h"
#include "clock.h"
#include "config.h"
#include "engine.h"
#include "http.h"
#include "journal.h"
#include "op.h"
#include "paths.h"
#include "remote.h"

/* "who: why" of the first that forbids automatic switches; NULL = nobody does. */
const char *az_engine_inhibitor(AzEngine *engine);
AzConfig *az_engine_config(AzEngine *engine);
AzPaths *az_engine_paths(AzEngine *engine);
AzClock *az_engine_clock(AzEngine *engine);
AzRemote *az_engine_remote(AzEngine *engine);                   /* made on first use */
AzHttp *az_engine_http(AzEngine *engine);                       /* made on first use */
AzJournal *az_engine_journal(AzEngine *engine, GError **error); /* opened on first use */
AzAudit *az_engine_audit(AzEngine *engine, GError **error);     /* opened on first use */
struct _AzRegistry *az_engine_registry(AzEngine *engine);

/* Shorthands for flows: the selected brick of a kind; NULL and error when it cannot be loaded. */
gconstpointer az_engine_lookup(AzEngine *engine, AzlinKind kind, const char *name, gpointer *ret_self, GError **error);
/* The provider of a stored machine: vm->provider, else the selected one. */
const AzlinProvider *az_engine_provider_of(AzEngine *engine, const AzlinVm *vm, gpointer *ret_self, GError **error);
#define AZ_PROBE_N_OUTCOMES 4 /* of AzSightOutcome */
/* How many answers of each outcome there were; whoever gets one counts it here. */
guint64 *az_engine_probes(AzEngine *engine);
/* `func` runs when the host goes to sleep or wakes, until az_engine_ignore_sleep(). */
void az_engine_hear_sleep(AzEngine *engine, void (*func)(gboolean asleep, gpointer data), gpointer data);
void az_engine_ignore_sleep(AzEngine *engine, gpointer data);
gboolean az_engine_is_asleep(AzEngine *engine);
AzEngine *az_engine_heir(AzEngine *engine); /* NULL = nobody */
/* Something for whoever asks next; what nobody has taken is freed. */
void az_engine_leave(AzEngine *engine, gpointer left, GDestroyNotify free_func);
gpointer az_engine_take_left(AzEngine *engine); /* owned, or NULL */
/* Runs on the machine through its provider's vm_exec or over SSH; here when request->vm is NULL. */
void az_engine_exec(AzEngine *engine, const AzlinExec *request, AzlinOp *op);
/* The same; over SSH, `op` ends where `mark` (or NULL) stands on stdout, see az_remote_exec_until(). */
void az_engine_exec_until(AzEngine *engine, const AzlinExec *request, const char *mark, AzlinOp *op);
/* Who answers AzlinHostApi.sync_grant: the flow that runs copies. */
typedef void (*AzSyncGranter)(const AzlinSyncJob *job, const char *receiver, AzlinOp *op);
void az_engine_set_sync_granter(AzEngine *engine, AzSyncGranter granter);
void az_engine_sync_grant(AzEngine *engine, const AzlinSyncJob *job, const char *receiver, AzlinOp *op);
/* Variant as of AzlinHostApi.pipe; NOT_SUPPORTED for machines whose provider answers vm_exec itself. */
void az_engine_pipe(AzEngine *engine, const AzlinPipe *request, AzlinOp *op);
