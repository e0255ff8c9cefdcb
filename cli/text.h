/* Text as people read it: foreign bytes made harmless, display width, durations, sizes and ages. All pure. */
#pragma once
#include <glib.h>
G_BEGIN_DECLS

/* `text` without anything that a terminal obeys: escape sequences, C0 but \n and \t, C1, bidi and invisible controls.
 * Bytes that are no UTF-8 become U+FFFD. */
char *text_clean(const char *text);
/* The same on one line: \n and \t become spaces. For cells and prompts. */
char *text_clean_line(const char *text);
/* What a terminal without UTF-8 can show: known glyphs get their ASCII twins, the rest '?'. */
char *text_to_ascii(const char *text);

/* g_utf8_next_char() that keeps const. */
const char *text_next(const char *p);
/* Terminal columns that clean text takes. */
int text_width(const char *text);
/* Padded with spaces to `width` columns; longer text stays as it is. */
char *text_pad(const char *text, int width);
/* At most `width` columns; what is cut off is marked by an ellipsis. */
char *text_shorten(const char *text, int width);

char *text_duration(double seconds);        /* "45ms", "18s", "3m 12s", "2h 05m" */
char *text_clock(double seconds);           /* the same in whole seconds: it does not flicker */
char *text_bytes(guint64 bytes);            /* "342MB", decimal units as the functional specification shows them */
char *text_ago(gint64 then, gint64 now);    /* microseconds; "just now", "2m ago", "never" for 0 */
char *text_bar(double fraction, int width); /* "████░░" */
G_END_DECLS
