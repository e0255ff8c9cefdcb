/* Text as people read it: foreign bytes made harmless, display width, durations, sizes and ages. All pure. */
#include "text.h"

#include <string.h>

/* The end of an escape sequence that starts at `p` (just behind ESC); `p` itself when it is none that is complete. */
static const char *
skip_csi(const char *p)
{
  const char *start = p;
  while (*p >= 0x20 && *p <= 0x3f)
    p++;
  return *p >= 0x40 && *p <= 0x7e ? p + 1 : start;
}

/* OSC, DCS, PM, APC and SOS carry a string up to BEL or ESC \; an open one is not skipped: its text is harmless. */
static const char *
skip_string(const char *p)
{
  for (const char *q = p; *q && *q != '\n'; q++) {
    if (*q == '\a')
      return q + 1;
    if (q[0] == '\033' && q[1] == '\\')
      return q + 2;
  }
  return p;
}

static const char *
skip_escape(const char *p)
{
  if (*p == '[')
    return skip_csi(p + 1);
  if (*p && strchr("]PX^_", *p))
    return skip_string(p + 1);
  while (*p >= 0x20 && *p <= 0x2f)
    p++;
  return *p >= 0x30 && *p <= 0x7e ? p + 1 : p;
}

/* C1 controls written in UTF-8 are introducers too. */
static const char *
skip_c1(gunichar c, const char *next)
{
  if (c == 0x9b)
    return skip_csi(next);
  if (c == 0x90 || c == 0x98 || (c >= 0x9d && c <= 0x9f))
    return skip_string(next);
  return next;
}

const char *
text_next(const char *p)
{
  return p + g_utf8_skip[(guchar) *p];
}

static gboolean
is_invisible(gunichar c)
{
  if (c == 0x061c || c == 0x180e || c == 0xfeff || c == 0x00ad)
    return TRUE;
  if ((c >= 0x200b && c <= 0x200f) || (c >= 0x202a && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f))
    return TRUE;
  return (c >= 0xfff9 && c <= 0xfffb) || (c >= 0xe0000 && c <= 0xe0fff);
}

static char *
clean(const char *text, gboolean one_line)
{
  g_autofree char *valid = g_utf8_make_valid(text ? text : "", -1);
  GString *out = g_string_sized_new(strlen(valid));
  const char *p = valid;

  while (*p) {
    gunichar c = g_utf8_get_char(p);
    p = text_next(p);
    if (c == 0x1b)
      p = skip_escape(p);
    else if (c == '\n' || c == '\t')
      g_string_append_c(out, one_line ? ' ' : (char) c);
    else if (c == 0x2028 || c == 0x2029)
      g_string_append_c(out, ' ');
    else if (c >= 0x80 && c <= 0x9f)
      p = skip_c1(c, p);
    else if (c >= 0x20 && c != 0x7f && !is_invisible(c))
      g_string_append_unichar(out, c);
  }
  return g_string_free(out, FALSE);
}

/* Taking a sequence out can join the halves of another one, so it is done until nothing changes. */
static char *
clean_fully(const char *text, gboolean one_line)
{
  char *out = clean(text, one_line);
  for (;;) {
    g_autofree char *before = out;
    out = clean(before, one_line);
    if (!strcmp(before, out))
      return out;
  }
}

char *
text_clean(const char *text)
{
  return clean_fully(text, FALSE);
}

char *
text_clean_line(const char *text)
{
  return clean_fully(text, TRUE);
}

static const struct {
  const char *glyph, *ascii;
} ascii_twins[] = {
  { "►", ">" }, { "✓", "+" }, { "✗", "x" },  { "⚠", "!" },   { "●", "*" }, { "○", "o" },  { "─", "-" },
  { "█", "#" }, { "░", "." }, { "→", "->" }, { "…", "..." }, { "·", "-" }, { "—", "-" },  { "–", "-" },
  { "’", "'" }, { "‘", "'" }, { "“", "\"" }, { "”", "\"" },  { "×", "x" }, { "≥", ">=" }, { "≤", "<=" },
};

static const char *
ascii_twin(const char *p, gsize length)
{
  for (guint i = 0; i < G_N_ELEMENTS(ascii_twins); i++)
    if (strlen(ascii_twins[i].glyph) == length && !strncmp(p, ascii_twins[i].glyph, length))
      return ascii_twins[i].ascii;
  return "?";
}

char *
text_to_ascii(const char *text)
{
  GString *out = g_string_new(NULL);
  for (const char *p = text; *p; p = text_next(p)) {
    if ((guchar) *p < 0x80)
      g_string_append_c(out, *p);
    else
      g_string_append(out, ascii_twin(p, (gsize) (text_next(p) - p)));
  }
  return g_string_free(out, FALSE);
}

static int
char_width(gunichar c)
{
  if (g_unichar_iszerowidth(c))
    return 0;
  return g_unichar_iswide(c) ? 2 : 1;
}

int
text_width(const char *text)
{
  int width = 0;
  for (const char *p = text; *p; p = text_next(p))
    width += char_width(g_utf8_get_char(p));
  return width;
}

char *
text_pad(const char *text, int width)
{
  int missing = width - text_width(text);
  return missing > 0 ? g_strdup_printf("%s%*s", text, missing, "") : g_strdup(text);
}

char *
text_shorten(const char *text, int width)
{
  if (text_width(text) <= width)
    return g_strdup(text);
  int used = 1;
  const char *p = text;
  while (*p && used + char_width(g_utf8_get_char(p)) <= width) {
    used += char_width(g_utf8_get_char(p));
    p = text_next(p);
  }
  return g_strdup_printf("%.*s…", (int) (p - text), text);
}

char *
text_duration(double seconds)
{
  if (!(seconds >= 0))
    seconds = 0;
  if (seconds < 1)
    return g_strdup_printf("%.0fms", seconds * 1000);
  if (seconds < 10 && seconds - (int) seconds >= 0.05)
    return g_strdup_printf("%.1fs", seconds);
  if (seconds < 59.5)
    return g_strdup_printf("%.0fs", seconds);
  guint64 whole = (guint64) (seconds + 0.5);
  if (whole < 3600)
    return g_strdup_printf("%um %us", (guint) (whole / 60), (guint) (whole % 60));
  return g_strdup_printf("%" G_GUINT64_FORMAT "h %02um", whole / 3600, (guint) (whole % 3600 / 60));
}

char *
text_clock(double seconds)
{
  return seconds < 1 ? g_strdup("0s") : text_duration((double) (guint64) seconds);
}

char *
text_bytes(guint64 bytes)
{
  static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
  double value = (double) bytes;
  guint unit = 0;
  while (value >= 999.5 && unit + 1 < G_N_ELEMENTS(units)) {
    value /= 1000;
    unit++;
  }
  return g_strdup_printf(unit && value < 9.95 ? "%.1f%s" : "%.0f%s", value, units[unit]);
}

char *
text_ago(gint64 then, gint64 now)
{
  if (!then)
    return g_strdup("never");
  gint64 seconds = (now - then) / G_USEC_PER_SEC;
  if (seconds < 5)
    return g_strdup("just now");
  if (seconds < 59.5)
    return g_strdup_printf("%ds ago", (int) seconds);
  if (seconds < 3600)
    return g_strdup_printf("%dm ago", (int) (seconds / 60));
  if (seconds < 48 * 3600)
    return g_strdup_printf("%dh ago", (int) (seconds / 3600));
  return g_strdup_printf("%" G_GINT64_FORMAT "d ago", seconds / 86400);
}

char *
text_bar(double fraction, int width)
{
  GString *bar = g_string_new(NULL);
  int full = (int) (CLAMP(fraction, 0.0, 1.0) * width);
  for (int i = 0; i < width; i++)
    g_string_append(bar, i < full ? "█" : "░");
  return g_string_free(bar, FALSE);
}
