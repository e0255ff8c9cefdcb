/* The virtual clock jumps in order and only when idle; the real one keeps time. */
#include "clock.h"

#include <string.h>

#define TEXT(literal) ((gpointer) (guintptr) (literal)) /* timers take a plain pointer */

static GString *trace;

static void
note(gpointer data)
{
  g_string_append(trace, data);
}

static void
run_until_idle(void)
{
  while (g_main_context_iteration(NULL, FALSE))
    continue;
}

static void
test_virtual_order(void)
{
  AzClock *clock = az_clock_new_virtual(1000000);
  trace = g_string_new(NULL);
  az_clock_after(clock, 3600 * 1000, note, TEXT("c"));
  az_clock_after(clock, 5, note, TEXT("a"));
  az_clock_after(clock, 5, note, TEXT("b"));
  run_until_idle();
  g_assert_cmpstr(trace->str, ==, "abc");
  g_assert_cmpint(az_clock_now(clock), ==, 1000000 + (gint64) 3600 * G_USEC_PER_SEC);
  g_assert_cmpint(az_clock_monotonic(clock), ==, az_clock_now(clock));
  g_string_free(trace, TRUE);
  az_clock_free(clock);
}

static void
test_virtual_hold(void)
{
  AzClock *clock = az_clock_new_virtual(0);
  trace = g_string_new(NULL);
  az_clock_after(clock, 1, note, TEXT("x"));
  az_clock_hold(clock);
  run_until_idle();
  g_assert_cmpstr(trace->str, ==, "");
  g_assert_cmpint(az_clock_now(clock), ==, 0);
  az_clock_release(clock);
  run_until_idle();
  g_assert_cmpstr(trace->str, ==, "x");
  g_string_free(trace, TRUE);
  az_clock_free(clock);
}

/* A process may be reaped after all else is gone; the sanitizer sees what would be touched too late. */
static void
test_release_after_free(gconstpointer is_virtual)
{
  AzClock *clock = is_virtual != NULL ? az_clock_new_virtual(0) : az_clock_new_real();
  az_clock_hold(clock);
  az_clock_hold(clock);
  az_clock_free(clock);
  az_clock_release(clock);
  az_clock_release(clock);
}

static void
test_cancel(gconstpointer is_virtual)
{
  AzClock *clock = is_virtual != NULL ? az_clock_new_virtual(0) : az_clock_new_real();
  trace = g_string_new(NULL);
  AzTimer *gone = az_clock_after(clock, 1, note, TEXT("gone"));
  az_clock_after(clock, 20, note, TEXT("kept"));
  az_timer_cancel(gone);
  while (trace->len == 0)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpstr(trace->str, ==, "kept");
  g_string_free(trace, TRUE);
  az_clock_free(clock);
}

static void
test_real_order(void)
{
  AzClock *clock = az_clock_new_real();
  gint64 begun = g_get_monotonic_time();
  trace = g_string_new(NULL);
  az_clock_after(clock, 40, note, TEXT("c"));
  az_clock_after(clock, 10, note, TEXT("a"));
  az_clock_after(clock, 10, note, TEXT("b"));
  while (trace->len < 3)
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpstr(trace->str, ==, "abc");
  g_assert_cmpint(g_get_monotonic_time() - begun, >=, 40000);
  g_string_free(trace, TRUE);
  az_clock_free(clock);
}

static void
wait_for_another(gpointer data)
{
  az_clock_after(data, 1, note, TEXT("inner"));
  while (trace->len == 0)
    g_main_context_iteration(NULL, TRUE);
  g_string_append(trace, ", outer");
}

static void
test_real_inside_another(void)
{
  AzClock *clock = az_clock_new_real();
  trace = g_string_new(NULL);
  az_clock_after(clock, 1, wait_for_another, clock);
  while (trace->len < strlen("inner, outer"))
    g_main_context_iteration(NULL, TRUE);
  g_assert_cmpstr(trace->str, ==, "inner, outer");
  g_string_free(trace, TRUE);
  az_clock_free(clock);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/clock/virtual-order", test_virtual_order);
  g_test_add_func("/clock/virtual-hold", test_virtual_hold);
  g_test_add_func("/clock/real-order", test_real_order);
  g_test_add_func("/clock/real-inside-another", test_real_inside_another);
  g_test_add_data_func("/clock/real/release-after-free", NULL, test_release_after_free);
  g_test_add_data_func("/clock/virtual/release-after-free", "virtual", test_release_after_free);
  g_test_add_data_func("/clock/cancel-real", NULL, test_cancel);
  g_test_add_data_func("/clock/cancel-virtual", "virtual", test_cancel);
  return g_test_run();
}
