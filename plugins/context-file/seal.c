/* The end of config.json that tells azlin's own bytes from a hand's: when it was saved, and a checksum of all before.
 */
#include "seal.h"
#include <stdio.h>
#include <string.h>

#define TIME_KEY ",\n  \"saved_at\": \""
#define SUM_KEY "\",\n  \"checksum\": \""
#define END "\"\n}\n"
#define SUM_DIGITS 16
#define TIME_CHARS 27 /* 2025-12-01T10:00:00.000000Z */
#define TAIL (strlen(SUM_KEY) + SUM_DIGITS + strlen(END))

/* One word at a time, each step a bijection: any damage within one word is always seen, wider damage all but surely.
 * SHA-256 would cost more than the rest of a change at 10,000 regions, and nothing here defends against an attacker. */
static guint64
sum_of(const char *bytes, gsize length)
{
  guint64 sum = 0xcbf29ce484222325u ^ length;
  gsize i = 0;
  for (; i + sizeof(guint64) <= length; i += sizeof(guint64)) {
    guint64 word;
    memcpy(&word, bytes + i, sizeof word);
    sum = (sum ^ GUINT64_FROM_LE(word)) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 32;
  }
  for (; i < length; i++) {
    sum = (sum ^ (guchar) bytes[i]) * 0x9e3779b97f4a7c15u;
    sum ^= sum >> 32;
  }
  return sum;
}

static char *
time_text(gint64 usec)
{
  g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(usec / G_USEC_PER_SEC);
  g_autofree char *seconds = time != NULL ? g_date_time_format(time, "%Y-%m-%dT%H:%M:%S") : g_strdup("");
  return g_strdup_printf("%s.%06dZ", seconds, (int) (usec % G_USEC_PER_SEC));
}

void
seal_append(GString *text, gint64 saved_at)
{
  g_autofree char *time = time_text(saved_at);
  g_string_append_printf(text, TIME_KEY "%s" SUM_KEY, time);
  g_string_append_printf(text, "%016" G_GINT64_MODIFIER "x" END, sum_of(text->str, text->len));
}

static gboolean
has_tail(const char *text, gsize length)
{
  if (length < TAIL)
    return FALSE;
  const char *tail = text + length - TAIL;
  return memcmp(tail, SUM_KEY, strlen(SUM_KEY)) == 0 && memcmp(text + length - strlen(END), END, strlen(END)) == 0;
}

Seal
seal_check(const char *text, gsize length)
{
  char want[SUM_DIGITS + 1];
  if (!has_tail(text, length))
    return memmem(text, length, "\"checksum\"", strlen("\"checksum\"")) != NULL ? SEAL_BROKEN : SEAL_NONE;
  gsize covered = length - SUM_DIGITS - strlen(END);
  snprintf(want, sizeof want, "%016" G_GINT64_MODIFIER "x", sum_of(text, covered));
  return memcmp(text + covered, want, SUM_DIGITS) == 0 ? SEAL_FITS : SEAL_BROKEN;
}

gboolean
seal_names_time(const char *text, gsize length, gint64 mtime)
{
  g_autofree char *time = time_text(mtime);
  if (length < TAIL + TIME_CHARS)
    return FALSE;
  return memcmp(text + length - TAIL - TIME_CHARS, time, TIME_CHARS) == 0;
}
