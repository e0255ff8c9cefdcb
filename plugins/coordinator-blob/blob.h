/* What the files of this brick share: the container of the locks, the leases held, and what a lock's blob says. */
#pragma once
#include "storage.h"

typedef struct {
  StorageAccount account;
  char *container;
  GHashTable *leases;   /* key -> BlobLease */
  GHashTable *given_up; /* key -> char*: a lease that was lost here, while the service may not have let it go */
} Locks;

/* ---- record.c: pure ---- */

typedef struct {
  guint64 epoch; /* the last fence token that was given out; 0 = none yet */
  char *mark;    /* of the acquire that wrote it; or NULL */
  char *holder;  /* printable ASCII, for people; or NULL */
} LockRecord;
void lock_record_clear(LockRecord *record);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(LockRecord, lock_record_clear)
/* FALSE: it is damaged, and must not be taken for a fresh one: tokens once given out would come back. */
gboolean lock_record_parse(GBytes *body, LockRecord *ret_record);
GBytes *lock_record_print(const LockRecord *record);
/* The name of a key's blob, which needs no escapes in an address. Owned. */
char *lock_blob_name(const char *key);

/* ---- lease.c ---- */

void locks_acquire(gpointer self, const char *key, guint32 ttl_s, AzlinOp *op);
void locks_renew(gpointer self, const char *key, guint64 token, AzlinOp *op);
void locks_release(gpointer self, const char *key, guint64 token, AzlinOp *op);
void locks_check(gpointer self, AzlinOp *op);
void locks_lease_free(gpointer lease);
