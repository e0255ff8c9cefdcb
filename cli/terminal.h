/* What the terminal can show, and the one way text reaches it: cleaned, coloured only where wanted, ASCII where needed.
 */
#pragma once
#include <glib.h>
#include <stdio.h>
G_BEGIN_DECLS

typedef enum { INK_PLAIN, INK_STEP, INK_OK, INK_FAIL, INK_WARN, INK_DIM, INK_BOLD } Ink;

typedef struct {
  FILE *out;     /* where people read: stdout, or stderr when stdout carries a machine document */
  gboolean live; /* `out` is a terminal that moves its cursor */
  gboolean color;
  gboolean utf8;
  gboolean can_ask; /* somebody sits there: stdin and stderr are terminals */
  int columns, rows;
} Terminal;

void terminal_init(Terminal *terminal, FILE *out, gboolean no_color);
/* Reads the size again: windows are resized. */
void terminal_measure(Terminal *terminal);
/* Writes `text` as it is but for what the locale cannot show; `text` comes from this program or was cleaned. */
void terminal_put(Terminal *terminal, Ink ink, const char *text);
/* Cleans foreign text first. */
void terminal_put_foreign(Terminal *terminal, Ink ink, const char *text);
void terminal_line(Terminal *terminal, Ink ink, const char *format, ...) G_GNUC_PRINTF(3, 4);
/* Cursor control; nothing where there is no live terminal. */
void terminal_up(Terminal *terminal, int lines);
void terminal_clear_below(Terminal *terminal);
G_END_DECLS
