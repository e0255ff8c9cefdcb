/* The coordinator's lock held for the length of a job: acquired, renewed beside the work, released at its end. */
#pragma once
#include "flow.h"
typedef struct _AzLease AzLease;

/* Acquires `key`; `ready` runs once it is held. A failure ends the job (LOCKED: exit 4). Renewed every third of
 * `ttl_s`; when a renewal fails `root` is cancelled. The lease is released when the job ends, whichever way. */
void az_lease_acquire(AzJob *job, AzlinOp *root, const char *key, guint32 ttl_s,
                      void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data), gpointer data);
/* The same with a say in how it ends when the lock cannot be had: `refused` takes the error. */
void az_lease_acquire_or(AzJob *job, AzlinOp *root, const char *key, guint32 ttl_s,
                         void (*ready)(AzJob *job, AzlinOp *root, AzLease *lease, gpointer data),
                         void (*refused)(AzJob *job, GError *error, gpointer data), gpointer data);
guint64 az_lease_token(const AzLease *lease); /* `lease` lives as long as `root` */
