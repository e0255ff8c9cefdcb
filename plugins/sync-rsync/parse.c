/* rsync's output, line by line: progress and statistics; foreign text, so anything may stand in it. */
#include "rsync.h"
#include <stdio.h>
#include <string.h>

/* How many bytes of `text` separate thousands here, 0 = none: , . ' blank, and the two no-break blanks of UTF-8. */
static gsize
separator_length(const char *text)
{
  if (strchr(",.'", *text) != NULL && *text != 0)
    return 1;
  if (g_str_has_prefix(text, "\xc2\xa0"))
    return 2;
  return g_str_has_prefix(text, "\xe2\x80\xaf") ? 3 : 0;
}

static gboolean
three_digits(const char *text)
{
  return g_ascii_isdigit(text[0]) && g_ascii_isdigit(text[1]) && g_ascii_isdigit(text[2]) && !g_ascii_isdigit(text[3]);
}

/* A number with any separators between groups of three; moves behind it. Overflow is no number. */
static gboolean
take_number(const char **text, guint64 *ret_value)
{
  guint64 value = 0;
  const char *at = *text;
  if (!g_ascii_isdigit(*at))
    return FALSE;
  while (g_ascii_isdigit(*at)) {
    if (value > (G_MAXUINT64 - 9) / 10)
      return FALSE;
    value = value * 10 + (guint64) (*at++ - '0');
    gsize skip = g_ascii_isdigit(*at) ? 0 : separator_length(at);
    if (skip > 0 && three_digits(at + skip))
      at += skip;
  }
  *text = at;
  *ret_value = value;
  return TRUE;
}

/* "1:02:03", "0:00:12"; "??:??:??" is -1. */
static gint64
take_eta(const char *text)
{
  guint hours = 0, minutes = 0, seconds = 0;
  if (sscanf(text, "%6u:%2u:%2u", &hours, &minutes, &seconds) != 3)
    return -1;
  return (gint64) hours * 3600 + minutes * 60 + seconds;
}

gboolean
rsync_parse_progress(const char *line, RsyncProgress *ret_progress)
{
  guint64 bytes = 0, percent = 0;
  const char *at = line + strspn(line, " ");
  if (!take_number(&at, &bytes) || *at != ' ')
    return FALSE;
  at += strspn(at, " ");
  if (!take_number(&at, &percent) || *at != '%' || percent > 100)
    return FALSE;
  at++;
  at += strspn(at, " ");
  const char *rate = at;
  at += strcspn(at, " ");
  if (memchr(rate, '/', (gsize) (at - rate)) == NULL)
    return FALSE;
  at += strspn(at, " ");
  *ret_progress = (RsyncProgress){ .bytes = bytes, .percent = (guint) percent, .eta_seconds = take_eta(at) };
  return TRUE;
}

gboolean
rsync_parse_stats(const char *line, RsyncStats *stats)
{
  const struct {
    const char *label;
    guint64 *value;
  } rows[] = {
    { "Number of regular files transferred: ", &stats->files },
    { "Number of files transferred: ", &stats->files }, /* before 3.1 */
    { "Total transferred file size: ", &stats->bytes },
    { "Total bytes sent: ", &stats->bytes_sent },
  };
  for (guint i = 0; i < G_N_ELEMENTS(rows); i++) {
    if (!g_str_has_prefix(line, rows[i].label))
      continue;
    const char *at = line + strlen(rows[i].label);
    at += strspn(at, " ");
    guint64 value = 0;
    if (!take_number(&at, &value))
      return FALSE;
    *rows[i].value = value;
    stats->seen |= rows[i].value == &stats->bytes;
    return TRUE;
  }
  return FALSE;
}
