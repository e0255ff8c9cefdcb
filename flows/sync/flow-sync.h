/* Copying paths from one machine to another: what other flows (failover --sync, deploy --sync-after, recover) may call.
 */
#pragma once
#include "flow.h"

/* Copies `paths` (absolute, NULL = the ssh user's home) from `source` to `target` with the configured strategy and
 * verifies them. Says its steps under the target's region through `job` (NULL: silent). `op` gets one element of the
 * contract's results[]: strategy_used, files_synced, bytes_transferred, duration_seconds, source_region, target_region,
 * errors as, success_rate, verified, paths. The op fails only when it is cancelled or out of time: look at `errors`. */
void az_sync_run(AzJob *job, AzEngine *engine, const AzlinVm *source, const AzlinVm *target, const char *const *paths,
                 AzlinOp *op);

/* When the last round that ended verified began, by target; `azlin sync --watch` keeps it at each round. */
void az_sync_fresh_note(AzEngine *engine, const char *source, const char *target, gint64 at);
void az_sync_fresh_each(AzEngine *engine, const char *source,
                        void (*func)(const char *target, gint64 at, gpointer data), gpointer data);

/* After a crash: takes back the key of the journal entry (owner "flow-sync") on both machines; the caller closes the
 * entry. */
void az_sync_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op);
