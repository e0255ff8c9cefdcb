/* What a tree holds, entry by entry, as one machine told it, and what of it has been hashed. */
#pragma once
#include <gio/gio.h>

typedef struct {
  const char *name; /* raw bytes: "./a/b"; "." is the folder itself */
  const char *link; /* target of a symbolic link, else NULL */
  const char *hash; /* of a file's content, in hex; NULL = not known */
  guint64 size, inode;
  gint64 mtime, ctime; /* nanoseconds */
  guint32 mode, links;
  char type; /* 'f', 'd' or 'l' */
  gboolean sparse;
} AzEntry;

typedef struct _AzListing AzListing; /* entries in az_listing_order(): a folder, then at once all that is below it */
int az_listing_order(const char *a, const char *b);

/* Takes `raw`, records as the scan script sorts them, each "TYPE MODE SIZE MTIME CTIME INODE LINKS BLOCKS NAME[//LINK]"
 * and NUL. Malformed ones are an error, never a shorter listing. */
AzListing *az_listing_new(GByteArray *raw, GError **error);
AzListing *az_listing_ref(AzListing *listing);
void az_listing_unref(AzListing *listing);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzListing, az_listing_unref)

guint az_listing_size(const AzListing *listing);
const AzEntry *az_listing_at(const AzListing *listing, guint index);
const AzEntry *az_listing_find(const AzListing *listing, const char *name); /* or NULL */
/* `hash` is copied. FALSE: there is no such file. */
gboolean az_listing_set_hash(AzListing *listing, const char *name, const char *hash);

/* A record or a name, and the NUL that ends it. */
void az_listing_append(GByteArray *records, const char *record);
/* The record of an entry without inode, ctime and holes, as it is kept for a later comparison. */
void az_listing_append_entry(GByteArray *records, const AzEntry *entry);
/* `old` with all that `news` holds, and without `gone` (of char*: names, with all below them); hashes come along,
 * inodes, ctimes and holes do not. NULL: what comes out is no list. Owned. */
AzListing *az_listing_merge(const AzListing *old, const AzListing *news, GPtrArray *gone);
/* Sorted records of `old` with the changes of `comm -3` applied: what only the new ones hold begins with a TAB, the
 * others go. NULL: they do not fit together. */
GByteArray *az_listing_patch(GBytes *old, const char *changes, gsize length);

/* ---- hashes kept from one run to the next: by inode, size, mtime and ctime ---- */

/* Fills in what `cache` (a text of az_listing_hashes()) knows. */
void az_listing_recall(AzListing *listing, const char *cache);
/* All known hashes as text, but for entries whose ctime is after `settled` (ns): they may change once more within one
 * tick of that clock, unseen. Owned. */
char *az_listing_hashes(const AzListing *listing, gint64 settled);

/* A raw name as people and JSON may see it: without "./", foreign bytes as \ooo. Owned. */
char *az_listing_show_name(const char *name);
/* `name` is `folder`, or stands below it. */
gboolean az_listing_is_below(const char *name, const char *folder);
