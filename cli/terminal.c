/* What the terminal can show, and the one way text reaches it: cleaned, coloured only where wanted, ASCII where needed.
 */
#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include "text.h"

static const char *const inks[] = {
  [INK_PLAIN] = "",        [INK_STEP] = "\033[36m", [INK_OK] = "\033[32m",  [INK_FAIL] = "\033[31m",
  [INK_WARN] = "\033[33m", [INK_DIM] = "\033[2m",   [INK_BOLD] = "\033[1m",
};

static gboolean
moves_cursor(FILE *out)
{
  const char *term = g_getenv("TERM");
  return isatty(fileno(out)) && term && *term && g_strcmp0(term, "dumb");
}

void
terminal_init(Terminal *terminal, FILE *out, gboolean no_color)
{
  const char *no = g_getenv("NO_COLOR");
  *terminal = (Terminal){ .out = out, .live = moves_cursor(out) };
  terminal->color = terminal->live && !no_color && !(no && *no);
  terminal->utf8 = g_get_charset(NULL);
  terminal->can_ask = isatty(STDIN_FILENO) && isatty(STDERR_FILENO);
  terminal_measure(terminal);
}

void
terminal_measure(Terminal *terminal)
{
  struct winsize size = { 0 };
  if (terminal->live)
    ioctl(fileno(terminal->out), TIOCGWINSZ, &size);
  terminal->columns = size.ws_col ? size.ws_col : 80;
  terminal->rows = size.ws_row ? size.ws_row : 24;
}

void
terminal_put(Terminal *terminal, Ink ink, const char *text)
{
  g_autofree char *ascii = terminal->utf8 ? NULL : text_to_ascii(text);
  const char *shown = ascii ? ascii : text;
  if (terminal->color && ink != INK_PLAIN)
    fprintf(terminal->out, "%s%s\033[0m", inks[ink], shown);
  else
    fputs(shown, terminal->out);
}

void
terminal_put_foreign(Terminal *terminal, Ink ink, const char *text)
{
  g_autofree char *harmless = text_clean(text);
  terminal_put(terminal, ink, harmless);
}

void
terminal_line(Terminal *terminal, Ink ink, const char *format, ...)
{
  va_list list;
  va_start(list, format);
  g_autofree char *text = g_strdup_vprintf(format, list);
  va_end(list);
  terminal_put_foreign(terminal, ink, text);
  fputc('\n', terminal->out);
}

void
terminal_up(Terminal *terminal, int lines)
{
  if (terminal->live && lines > 0)
    fprintf(terminal->out, "\033[%dA\r", lines);
}

void
terminal_clear_below(Terminal *terminal)
{
  if (terminal->live)
    fputs("\r\033[J", terminal->out);
}
