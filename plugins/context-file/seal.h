/* The end of config.json that tells azlin's own bytes from a hand's: when it was saved, and a checksum of all before.
 */
#pragma once
#include <glib.h>

typedef enum {
  SEAL_NONE,  /* never written by azlin, or a hand removed it */
  SEAL_FITS,  /* every byte is as azlin wrote it */
  SEAL_BROKEN /* changed since: by a hand, or by a failing disk */
} Seal;

/* Closes the document: `text` is all of it but the last brace. */
void seal_append(GString *text, gint64 saved_at);
Seal seal_check(const char *text, gsize length);
/* Nobody has written the file since azlin did: the time inside is still the file's own. */
gboolean seal_names_time(const char *text, gsize length, gint64 mtime);
