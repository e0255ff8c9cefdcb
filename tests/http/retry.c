/* Judging attempts: which are repeated, how often, after how long. */
#include "http-private.h"

#define NOW (1795794745 * (gint64) G_USEC_PER_SEC) /* Fri, 27 Nov 2026 15:52:25 GMT */

static AzHttpVerdict
judge(int status, guint attempts, const char *const *headers, gint64 remaining_ms, gint64 *ret_ms)
{
  AzHttpAttempt attempt = { .outcome = AZ_HTTP_ANSWERED,
                            .status = status,
                            .headers = headers,
                            .attempts = attempts,
                            .now = NOW,
                            .remaining_ms = remaining_ms,
                            .random = 0.999 };
  return az_http_judge(&attempt, ret_ms);
}

static void
test_counts(void)
{
  static const int passing[] = { 408, 500, 502, 503, 504 };
  static const int final[] = { 200, 201, 202, 204, 301, 307, 400, 401, 403, 404, 409, 412, 413, 501, 505, 100, 999, 0 };
  gint64 ms;
  for (guint i = 0; i < G_N_ELEMENTS(passing); i++) {
    for (guint n = 1; n <= 3; n++)
      g_assert_cmpint(judge(passing[i], n, NULL, G_MAXINT64, &ms), ==, AZ_HTTP_AGAIN);
    g_assert_cmpint(judge(passing[i], 4, NULL, G_MAXINT64, &ms), ==, AZ_HTTP_DELIVER);
  }
  for (guint n = 1; n <= 4; n++)
    g_assert_cmpint(judge(429, n, NULL, G_MAXINT64, &ms), ==, AZ_HTTP_AGAIN);
  g_assert_cmpint(judge(429, 5, NULL, G_MAXINT64, &ms), ==, AZ_HTTP_DELIVER);
  for (guint i = 0; i < G_N_ELEMENTS(final); i++)
    g_assert_cmpint(judge(final[i], 1, NULL, G_MAXINT64, &ms), ==, AZ_HTTP_DELIVER);
}

static void
test_lost(void)
{
  AzHttpAttempt attempt = { .outcome = AZ_HTTP_LOST, .attempts = 1, .remaining_ms = G_MAXINT64 };
  gint64 ms;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_AGAIN);
  attempt.once = TRUE;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_DELIVER);
  attempt.outcome = AZ_HTTP_UNREACHED; /* it has not been sent */
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_AGAIN);
  attempt.attempts = 4;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_DELIVER);
  attempt = (AzHttpAttempt){ .outcome = AZ_HTTP_UNTRUSTED, .attempts = 1, .remaining_ms = G_MAXINT64 };
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_DELIVER);
  attempt.outcome = AZ_HTTP_TOO_BIG;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_DELIVER);
}

/* What may have had its effect is not sent again; what was turned away is. */
/* Who has others to ask is not made to wait, whatever it was. */
static void
test_single(void)
{
  static const AzHttpOutcome outcomes[] = { AZ_HTTP_UNREACHED, AZ_HTTP_LOST, AZ_HTTP_ANSWERED };
  for (gsize i = 0; i < G_N_ELEMENTS(outcomes); i++) {
    gint64 delay_ms = 0;
    AzHttpAttempt attempt = { .outcome = outcomes[i], .attempts = 1, .remaining_ms = G_MAXINT64, .status = 503 };
    g_assert_cmpint(az_http_judge(&attempt, &delay_ms), ==, AZ_HTTP_AGAIN);
    attempt.single = TRUE;
    g_assert_cmpint(az_http_judge(&attempt, &delay_ms), ==, AZ_HTTP_DELIVER);
  }
}

static void
test_once(void)
{
  AzHttpAttempt attempt
      = { .outcome = AZ_HTTP_ANSWERED, .once = TRUE, .attempts = 1, .remaining_ms = G_MAXINT64, .status = 500 };
  gint64 ms;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_DELIVER);
  attempt.status = 504;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_DELIVER);
  attempt.status = 429;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_AGAIN);
}

static void
test_renew(void)
{
  AzHttpAttempt attempt
      = { .outcome = AZ_HTTP_ANSWERED, .status = 401, .attempts = 1, .may_renew = TRUE, .remaining_ms = G_MAXINT64 };
  gint64 ms;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_RENEW);
  attempt.may_renew = FALSE;
  g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_DELIVER);
}

/* Full jitter below a doubling ceiling, at most a minute. */
static void
test_backoff(void)
{
  gint64 ms, longest = 0;
  AzHttpAttempt attempt = { .outcome = AZ_HTTP_ANSWERED, .status = 429, .remaining_ms = G_MAXINT64 };
  for (guint n = 1; n <= 4; n++) {
    for (int i = 0; i < 100; i++) {
      attempt.attempts = n;
      attempt.random = g_test_rand_double();
      g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_AGAIN);
      g_assert_cmpint(ms, >=, 0);
      g_assert_cmpint(ms, <=, 800 << (n - 1));
      longest = MAX(longest, ms);
    }
  }
  g_assert_cmpint(longest, >, 3200);
}

static void
test_order_of_the_server(void)
{
  static const struct {
    const char *name, *value;
    gint64 ms; /* -1 = no order */
  } cases[] = {
    { "retry-after", "17", 17000 },
    { "retry-after", "0", 0 },
    { "retry-after-ms", "250", 250 },
    { "x-ms-retry-after-ms", "1500", 1500 },
    { "retry-after", "Fri, 27 Nov 2026 15:53:25 GMT", 60000 },
    { "retry-after", "Fri, 27 Nov 2026 15:51:25 GMT", 0 },
    { "retry-after", "Fri, 27 Nov 2099 15:51:25 GMT", -1 },
    { "retry-after", "Fri, 99 Nov 2026 15:53:25 GMT", -1 },
    { "retry-after", "Fri, 27 ovD 2026 15:53:25 GMT", -1 },
    { "retry-after", "soon", -1 },
    { "retry-after", "", -1 },
    { "retry-after", "-5", -1 },
    { "retry-after", "1e3", -1 },
    { "retry-after", "17 seconds", -1 },
    { "retry-after", "99999999999999999999", -1 },
    { "retry-after", "9223372036854775", -1 },
    { "retry", "17", -1 },
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    const char *headers[] = { "content-type", "text/html", cases[i].name, cases[i].value, NULL };
    gint64 ms = az_http_retry_after_ms(headers, NOW);
    g_test_message("%s: %s", cases[i].name, cases[i].value);
    g_assert_cmpint(ms, ==, cases[i].ms);
  }
  const char *several[] = { "retry-after", "1", "x-ms-retry-after-ms", "2000", NULL };
  g_assert_cmpint(az_http_retry_after_ms(several, NOW), ==, 2000);
  /* a date is read by the clock of the server, which may be wrong */
  const char *skewed[]
      = { "date", "Fri, 27 Nov 2026 10:00:00 GMT", "retry-after", "Fri, 27 Nov 2026 10:00:30 GMT", NULL };
  g_assert_cmpint(az_http_retry_after_ms(skewed, NOW), ==, 30000);
}

static void
test_never_early(void)
{
  const char *headers[] = { "retry-after", "3", NULL };
  gint64 ms;
  AzHttpAttempt attempt
      = { .outcome = AZ_HTTP_ANSWERED, .status = 429, .headers = headers, .attempts = 1, .remaining_ms = G_MAXINT64 };
  for (int i = 0; i < 1000; i++) {
    attempt.random = g_test_rand_double();
    g_assert_cmpint(az_http_judge(&attempt, &ms), ==, AZ_HTTP_AGAIN);
    g_assert_cmpint(ms, >, 3000);
    g_assert_cmpint(ms, <, 4100);
  }
}

static void
test_beyond_the_deadline(void)
{
  const char *headers[] = { "retry-after", "1200", NULL };
  gint64 ms;
  g_assert_cmpint(judge(429, 1, headers, 600000, &ms), ==, AZ_HTTP_HOPELESS);
  g_assert_cmpint(ms, >=, 1200000);
  g_assert_cmpint(judge(503, 1, headers, 600000, &ms), ==, AZ_HTTP_HOPELESS);
  g_assert_cmpint(judge(503, 1, headers, 1300000, &ms), ==, AZ_HTTP_AGAIN);
  /* no order, no room for another try: the answer itself says more */
  g_assert_cmpint(judge(503, 1, NULL, 5, &ms), ==, AZ_HTTP_DELIVER);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/http/retry/counts", test_counts);
  g_test_add_func("/http/retry/lost", test_lost);
  g_test_add_func("/http/retry/once", test_once);
  g_test_add_func("/http/retry/single", test_single);
  g_test_add_func("/http/retry/renew", test_renew);
  g_test_add_func("/http/retry/backoff", test_backoff);
  g_test_add_func("/http/retry/order-of-the-server", test_order_of_the_server);
  g_test_add_func("/http/retry/never-early", test_never_early);
  g_test_add_func("/http/retry/beyond-the-deadline", test_beyond_the_deadline);
  return g_test_run();
}
