/* What the files of a scan share: the script, the reader of its answer. */
#pragma once
#include "scan.h"
extern const char az_scan_script[]; /* scan.sh */

/* What follows the first answers, unpacked. */
typedef struct {
  gboolean patch;      /* `records` are changes against the list that is known */
  const char *records; /* NUL-terminated, `length` bytes; borrowed from the answer */
  gsize length;
  int status;         /* of find: not 0 = something could not be listed */
  char digest[65];    /* of the new list, SHA-256 */
  const char *hashes; /* "HASH  NAME" records, `hashes_length` bytes; or "=": they are what was expected */
  gsize hashes_length;
} AzScanAnswer;
/* How many of the bytes stand before `mark`: all of them where it is NULL or not among them. */
gsize az_scan_length(const char *bytes, gsize length, const char *mark);
/* FALSE and SYNC: it is not whole. */
gboolean az_scan_answer(const char *bytes, gsize length, AzScanAnswer *ret_answer, GError **error);
/* Puts the hashes of `answer` into `listing`; `expected` may be NULL. */
gboolean az_scan_take_hashes(AzListing *listing, const AzScanAnswer *answer, GBytes *expected, GError **error);
/* Gunzips at most `max` bytes; NULL and an error for more, or what is no gzip. */
GBytes *az_scan_unpack(const char *bytes, gsize length, gsize max, GError **error);
