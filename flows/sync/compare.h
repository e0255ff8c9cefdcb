/* What a source and a target differ in, and what follows from it: pure, on two listings. */
#pragma once
#include "listing.h"

typedef struct {
  GPtrArray *copy;  /* const char*: names to copy, folders before what they hold; borrowed from the source's listing */
  GPtrArray *extra; /* const AzEntry*: on the target alone, and may go: see az_compare_to_go() */
  GPtrArray *blocked;            /* const AzEntry* of the target: a folder where the source has none, or the reverse */
  GPtrArray *folders;            /* const AzEntry* of the source: folders whose mode or time alone differ */
  GPtrArray *unknown;            /* const char*: equal files whose content nobody has compared yet */
  guint64 bytes, files, largest; /* of `copy`: folders are no files */
  guint64 old_bytes;             /* of older versions of them on the target */
  guint64 extra_files, target_files;
} AzComparison;
void az_comparison_free(AzComparison *comparison);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzComparison, az_comparison_free)

/* `left_out`: names ("./a") that are none of this copy's business, with all below them; or NULL. `links`: files that
 * are one file on the source must be one on the target, too. */
AzComparison *az_compare(const AzListing *source, const AzListing *target, const char *const *left_out, gboolean links);
/* `name` is a folder around one of `left_out` (or NULL): to take it away would take that, too. */
gboolean az_compare_is_around(const char *name, const char *const *left_out);
/* The extra entries in the order in which they can be taken away. `whole`: the topmost folder stands for all below it,
 * since nothing below it can be hidden; else each by itself, folders last and the deepest first. Of const AzEntry*. */
GPtrArray *az_compare_to_go(const AzComparison *comparison, gboolean whole);

/* `name` is one of `left_out` (or NULL), or stands below one. */
gboolean az_compare_is_left_out(const char *name, const char *const *left_out);
/* What the two disagree about, the gravest first, as a phrase for people; NULL = nothing. Either may be NULL. Folders'
 * times do not count. Owned. */
char *az_compare_words(const AzEntry *source, const AzEntry *target);
/* "+f new", "*f changed", "*deleting   gone": the lines of a dry run, `max` at most. Of char*. */
GPtrArray *az_compare_items(const AzComparison *comparison, const AzListing *source, const AzListing *target,
                            gboolean with_extra, guint max);
