/* A kept sync's short way: programs that stay on the machines tell what changed, and place it, in one exchange. */
#pragma once
#include "flow-sync-private.h"

/* On the source a program listens; on each target one waits for what it sends. A round by them looks at what changed
 * since the last round and at nothing else, and only after a whole look has shown that all else is equal; whatever is
 * unusual in any way is for a whole look, at once. They need Python on the machines; where there is none, or the sync
 * is of a kind that they are not for, nothing is lost but time. */

typedef struct {
  void (*heard)(gboolean begins,
                gpointer data); /* something changed; or it listens from now on, and heard nothing before */
  void (*deaf)(gboolean for_good, gpointer data); /* it listens no more; for good: it cannot on this machine */
  gpointer data;
} AzSyncLiveNews;
/* NULL: this sync is none for it. `targets`: of AzlinVm. Begins to listen. */
AzSyncLive *az_sync_live_new(AzSync *sync, GPtrArray *targets, const AzSyncLiveNews *news);
/* Ends the programs; nothing is called any more. NULL is nothing. */
void az_sync_live_close(AzSyncLive *live);
/* After deaf(): begins anew. FALSE: it cannot. */
gboolean az_sync_live_listen(AzSyncLive *live);

/* Copies what changed below `root`. FALSE: nothing was begun, since it is not known that all else is equal. `done`:
 * once, but not when `root` is cancelled; not `copied`: a whole look is needed. */
gboolean az_sync_live_try(AzSyncLive *live, AzlinOp *root, AzSync *sync, void (*done)(gboolean copied, gpointer data),
                          gpointer data);
/* What a try that copied has brought to the target of `pair`. */
void az_sync_live_take(AzSyncLive *live, AzSyncPair *pair);

/* A whole look begins; its path of `pair` was found equal; it is over, `verified` on all targets. */
void az_sync_live_look(AzSyncLive *live);
void az_sync_live_note(AzSyncLive *live, AzSyncPair *pair);
void az_sync_live_looked(AzSyncLive *live, gboolean verified);
