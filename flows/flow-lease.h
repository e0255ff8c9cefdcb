/* The coordinator's lock held for the length of a job: acquired, renewed beside the work, released at its end. */
#pragma once
#include "flow.h"
typedef struct _AzLease AzLease;

/* Acquires `key`; `ready` runs once it is held. A failure ends the job (LOCKED: exit 4). Renewed every third of
 * `ttl_s`, or every 20 s; when a renewal fails `root` is cancelled. The lease is released when the job ends, whichever
 * way. */
void az_lease_acquire(AzJob *job, AzlinOp *root, const char *key, guint32 ttl_s,
                      void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data), gpointer data);
/* The lock cannot be had; takes the error (LOCKED). `unreachable`: the coordinator cannot be asked, so that nobody
 * knows who holds it; else another does, or this host stands in its own way. */
typedef void (*AzLeaseRefused)(AzJob *job, GError *error, gboolean unreachable, gpointer data);
/* The same with a say in how it ends when the lock cannot be had. */
void az_lease_acquire_or(AzJob *job, AzlinOp *root, const char *key, guint32 ttl_s,
                         void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data),
                         AzLeaseRefused refused, gpointer data);
/* For those that ask the coordinator themselves: why `op`, an acquire that has ended, gave no lock; NULL = it did.
 * `ret_unreachable` may be NULL. */
GError *az_lease_refusal(AzlinOp *op, gboolean *ret_unreachable);
/* For them too: renews what they hold for as long as `op` lives, and cancels `op` when it is lost. What `op` and those
 * below it write carries the token: a place of records that is kept where the leases are compares it. */
void az_lease_keep(AzEngine *engine, AzlinOp *op, const char *key, guint32 ttl_s, guint64 token);
/* Whether locks can be had now: `op` finishes, or fails with what stands in the way. Changes nothing. */
void az_lease_check(AzEngine *engine, AzlinOp *op);
#define AZ_LEASE_CHECK_MS 5000
/* Tells the other hosts at once, and not at the next renewal, what the journal has open now. */
void az_lease_tell(AzLease *lease);
/* Before what must not happen twice: asks the coordinator once more whether it is held. A process that was stopped for
 * a while may go on where it was, before its timers tell it that the lock is lost. `op` fails when it is not sure. */
void az_lease_confirm(AzLease *lease, AzlinOp *op);
