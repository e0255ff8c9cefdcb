/* What a tree holds, entry by entry: how a machine is asked for it, how the answer is read, how two are compared. */
#pragma once
#include <glib.h>

/* Two constant scripts for `sh -c`, both for GNU find, sort and sha256sum, both fed and answering NUL-separated bytes.
 * names: DIR ROOT FROM TO FILTER...: the sorted names FROM..TO (from 1) below ROOT ("." or "./file") and a trailer
 * with the number and the digest of all names. probe: DIR, names on standard input: one record per entry. */
extern const char *const az_manifest_names_script;
extern const char *const az_manifest_probe_script;

/* Entries per batch; an answer that is larger than the cap is an error, never a shorter list. */
#define AZ_MANIFEST_BATCH 20000u
#define AZ_MANIFEST_MAX_ANSWER (64u << 20)

/* One answer of the names script. `names` is ready to be fed to the probe script. */
typedef struct {
  GBytes *names;
  guint n_names; /* in this batch */
  guint64 total; /* in the whole tree */
  char *digest;  /* of the whole list: a later batch with another one belongs to a tree that has changed */
} AzManifestNames;
AzManifestNames *az_manifest_names_parse(GBytes *answer, GError **error);
void az_manifest_names_free(AzManifestNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzManifestNames, az_manifest_names_free)

typedef struct {
  char type; /* 'f', 'd', 'l' or another letter of find's %y */
  guint32 mode;
  guint64 size;
  gint64 mtime; /* seconds */
  char *link;   /* NULL unless a symbolic link */
  char *sha256; /* NULL: no regular file, or its content could not be read */
} AzManifestEntry;

typedef struct _AzManifest AzManifest; /* raw name ("./a/b", any bytes) -> AzManifestEntry */
/* Reads an answer of the probe script; one that is cut short or malformed is an error, never an emptier manifest. */
AzManifest *az_manifest_parse(GBytes *answer, GError **error);
void az_manifest_free(AzManifest *manifest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(AzManifest, az_manifest_free)
const AzManifestEntry *az_manifest_lookup(AzManifest *manifest, const char *name);
guint az_manifest_size(AzManifest *manifest);

typedef struct {
  char *name; /* raw, "./a/b" */
  char *what; /* "size 5, on the target 3": a phrase for people */
} AzManifestDifference;
void az_manifest_difference_free(AzManifestDifference *difference);
/* Every one of `names` must stand on both sides with the same type, mode, size, time, link target and content; what
 * does not is appended to `differences` (frees its elements with az_manifest_difference_free()). */
void az_manifest_compare(GBytes *names, AzManifest *source, AzManifest *target, GPtrArray *differences);

/* A raw name as people and JSON may see it: without "./", foreign bytes as \ooo. Owned. */
char *az_manifest_show_name(const char *name);

/* An exclude pattern (rsync's syntax without backslashes and exotic character classes) as a POSIX extended regular
 * expression over "./a/b". `ret_only_folders`: the pattern ended in '/'. Errors are USAGE. */
char *az_manifest_exclude_regex(const char *pattern, gboolean *ret_only_folders, GError **error);
/* The pattern that excludes exactly this path below the root ("a b/.ssh"), or NULL when none can be written. */
char *az_manifest_exclude_exactly(const char *relative);
/* All patterns as arguments of find: what matches is pruned. NULL on a bad pattern. Strings owned by the array. */
GPtrArray *az_manifest_filter(const char *const *patterns, GError **error);
