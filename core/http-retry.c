/* What the end of an attempt means: hand it over, renew the token, or try again and when. Pure. */
#include "http-private.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BASE_MS 800
#define LONGEST_MS 60000
#define TRIES_FAILED 4 /* three retries */
#define TRIES_THROTTLED 5
#define LONGEST_ORDER_MS (24 * 3600 * (gint64) 1000) /* what says more is nonsense */
#define MARGIN_MS 20                                 /* never early, whatever the timers round */

const char *
az_http_header(const char *const *headers, const char *name)
{
  for (; headers != NULL && headers[0] != NULL; headers += 2)
    if (g_str_equal(headers[0], name))
      return headers[1];
  return NULL;
}

static gint64
parse_count(const char *text, gint64 unit_ms)
{
  char *end = NULL;
  errno = 0;
  gint64 value = text != NULL && g_ascii_isdigit(*text) ? g_ascii_strtoll(text, &end, 10) : -1;
  if (value < 0 || errno != 0 || *end != '\0' || value > LONGEST_ORDER_MS / unit_ms)
    return -1;
  return value * unit_ms;
}

/* "Fri, 27 Nov 2026 15:52:25 GMT" as microseconds since the epoch; -1 when it is something else. strptime() would ask
 * the locale for the names. */
static gint64
parse_date(const char *text)
{
  static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
  char month[4];
  int day, year, hour, minute, second;
  if (text == NULL
      || sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, month, &year, &hour, &minute, &second) != 6)
    return -1;
  const char *found = strlen(month) == 3 ? strstr(months, month) : NULL;
  if (found == NULL || (found - months) % 3 != 0)
    return -1;
  g_autoptr(GDateTime) date
      = g_date_time_new_utc(year, (int) (found - months) / 3 + 1, day, hour, minute, (double) second);
  return date != NULL ? g_date_time_to_unix(date) * G_USEC_PER_SEC : -1;
}

/* A date is meant by the server's clock, which its Date header shows. */
static gint64
until_date(const char *const *headers, const char *text, gint64 now)
{
  gint64 due = parse_date(text);
  gint64 served = parse_date(az_http_header(headers, "date"));
  if (due < 0)
    return -1;
  gint64 wait_ms = (due - (served >= 0 ? served : now)) / 1000;
  return wait_ms > LONGEST_ORDER_MS ? -1 : MAX(wait_ms, 0);
}

gint64
az_http_retry_after_ms(const char *const *headers, gint64 now)
{
  gint64 wait_ms = parse_count(az_http_header(headers, "retry-after-ms"), 1);
  gint64 other_ms = parse_count(az_http_header(headers, "x-ms-retry-after-ms"), 1);
  const char *text = az_http_header(headers, "retry-after");
  gint64 plain_ms = parse_count(text, 1000);
  if (plain_ms < 0 && text != NULL)
    plain_ms = until_date(headers, text, now);
  return MAX(wait_ms, MAX(other_ms, plain_ms)); /* several: the longest harms nobody */
}

static gboolean
is_passing(int status)
{
  return status == 408 || status == 500 || status == 502 || status == 503 || status == 504;
}

/* How many attempts this end is worth; 0 = it is final. */
static guint
tries_for(const AzHttpAttempt *attempt)
{
  switch (attempt->outcome) {
  case AZ_HTTP_UNREACHED:
    return TRIES_FAILED;
  case AZ_HTTP_LOST:
    return attempt->once ? 0 : TRIES_FAILED;
  case AZ_HTTP_ANSWERED:
    if (attempt->status == 429)
      return TRIES_THROTTLED;
    return is_passing(attempt->status) && !attempt->once ? TRIES_FAILED : 0;
  default:
    return 0;
  }
}

AzHttpVerdict
az_http_judge(const AzHttpAttempt *attempt, gint64 *ret_delay_ms)
{
  gboolean answered = attempt->outcome == AZ_HTTP_ANSWERED;
  *ret_delay_ms = 0;
  if (answered && attempt->status == 401 && attempt->may_renew)
    return AZ_HTTP_RENEW;
  if (attempt->single || attempt->attempts >= tries_for(attempt))
    return AZ_HTTP_DELIVER;
  gint64 ordered = answered ? az_http_retry_after_ms(attempt->headers, attempt->now) : -1;
  gint64 ceiling = MIN((gint64) BASE_MS << MIN(attempt->attempts - 1, 10), LONGEST_MS);
  if (ordered > 0)
    *ret_delay_ms = ordered + MARGIN_MS + (gint64) (attempt->random * (double) MIN(1000, ordered / 4));
  else
    *ret_delay_ms = (gint64) (attempt->random * (double) ceiling);
  if (*ret_delay_ms < attempt->remaining_ms)
    return AZ_HTTP_AGAIN;
  *ret_delay_ms = MAX(ordered, 0);
  return ordered > 0 ? AZ_HTTP_HOPELESS : AZ_HTTP_DELIVER;
}
