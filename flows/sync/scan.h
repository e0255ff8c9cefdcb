/* One look at one place of one machine: what stands there, which tools are there, every entry, and hashes if wanted. */
#pragma once
#include "flow-support.h"
#include "listing.h"

typedef struct {
  char kind;    /* 'd', 'f', '-' nothing is there, 'o' anything else */
  char *folder; /* canonical: the path itself, or the folder of a file; of a missing one, the nearest that exists */
  char *base;   /* name of the file inside `folder`; NULL for a folder */
  char *full;   /* both together */
  char *home;
  char *tools; /* " rsync curl ": blanks around each */
  guint32 cpus;
  guint64 free_bytes;
  gint64 now; /* the machine's clock when it began, ns */
  /* of the entries, but for what belongs to the machine itself */
  guint64 files, bytes;
} AzSyncPlace;
void az_sync_place_free(AzSyncPlace *place);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzSyncPlace, az_sync_place_free)

/* What the script prints about the place itself, foreign bytes; `ret_used` is how many were its. */
AzSyncPlace *az_sync_place_parse(GBytes *answer, gsize *ret_used);
/* Names ("./.ssh") below place->folder that no copy may touch: keys and azlin's own state; appended to `names`. An
 * error when the place is itself inside one of them. Pure. */
gboolean az_sync_protect(const AzSyncPlace *place, GPtrArray *names, GError **error);

typedef enum { AZ_SCAN_LIST, AZ_SCAN_HASH, AZ_SCAN_HASH_ALL } AzScanHash;

typedef struct {
  AzEngine *engine;
  const AzlinVm *vm;
  const char *path, *base; /* base: look for that file inside `path`; NULL = whatever `path` is */
  gboolean make;           /* make the folder where it is missing */
  const char *const *exclude;
  AzScanHash hash;
  GBytes *names;       /* AZ_SCAN_HASH: NUL-terminated names of files whose hash is wanted */
  GBytes *expected;    /* of az_scan_expect(): what the hashes will most likely be; or NULL */
  const char *arrived; /* run of the copy whose hashes, made on the machine while files arrived, count; or NULL */
  gboolean fresh;      /* hashes of earlier runs do not count */
  gboolean warm;       /* the machine will soon send much: bytes that mean nothing stand around its answer */
  /* filled */
  AzSyncPlace *place;
  AzListing *listing; /* NULL where nothing is */
  char *words;        /* what could not be listed or read, in the machine's words; or NULL */
} AzScan;
/* The hashes of `names`, or of all files where that is NULL, as a machine answers that holds what `listing` shows.
 * NULL: one of them is not known. Owned. */
GBytes *az_scan_expect(const AzListing *listing, GBytes *names);
void az_scan_clear(AzScan *scan);
/* `scan` must live until `op` has ended; what it points to is borrowed until then. */
void az_scan(AzScan *scan, AzlinOp *op);
