/* config.json on disk: found whole at every instant, changed under a lock, restored when it is damaged. */
#pragma once
#include "document.h"

typedef struct {
  AzlinHost *host;
  char *folder, *path, *good, *previous, *lock;
  char *told; /* the primary that a hand set and the user heard of: once is enough */
} Store;

typedef enum {
  STORE_FINE,
  STORE_DAMAGED, /* store_restore() may help */
  STORE_FAILED
} StoreState;

void store_init(Store *store, AzlinHost *host);
void store_clear(Store *store);

typedef struct {
  int fd;          /* -1 before the first try */
  gboolean queued; /* the next turn is ours */
} StoreLock;

/* FALSE without an error: another process holds it; try again with the same lock, which may hold the place in the
 * queue. Ends with store_unlock(), whether it was had or not. */
gboolean store_lock(Store *store, StoreLock *lock, GError **error);
void store_unlock(StoreLock *lock);

/* The newest state; an empty one when there is none yet. Needs no lock. */
StoreState store_load(Store *store, Document **ret_document, GError **error);
/* config.json changed within the last second: damage may be an editor's half-written file. */
gboolean store_is_being_saved(Store *store);
/* Under the lock: keeps the damaged file, puts the last good generation in its place and says so. */
Document *store_restore(Store *store, const char *why, GError **error);
/* Under the lock: durable when it returns TRUE, untouched when FALSE. */
gboolean store_save(Store *store, Document *document, GError **error);
/* What a killed process left: TRUE if there is anything; removing it needs the lock. */
gboolean store_has_leftovers(Store *store);
void store_remove_leftovers(Store *store);
