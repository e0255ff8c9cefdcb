/* What waits at a server is bounded by how far it is. */
#include "unread.h"

static void
test_near(void)
{
  g_assert_cmpuint(unread_most(0, 0), ==, 256 * 1024);
  g_assert_cmpuint(unread_most(200, 12000), <, 768 * 1024); /* a slow server */
}

/* 2 MiB is the window that OpenSSH grants. */
static void
test_far(void)
{
  g_assert_cmpuint(unread_most(80000, 82000), >, 2 * 1024 * 1024);
  g_assert_cmpuint(unread_most(50, 80000), >, 2 * 1024 * 1024); /* behind a tunnel */
}

/* 1 Gbit/s, or all that OpenSSH grants, beside what it has read and not told yet. */
static void
test_a_line_is_kept_full(void)
{
  for (gint64 trip_us = 100; trip_us < 100000; trip_us += 100)
    g_assert_cmpuint(unread_most((double) trip_us, trip_us), >,
                     MIN((gsize) trip_us * 118 + 96 * 1024, 2 * 1024 * 1024));
}

static void
test_what_tcp_does_not_know(void)
{
  g_assert_cmpuint(unread_most(-1, 1000), ==, unread_most(0, 1000));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/unread/near", test_near);
  g_test_add_func("/unread/far", test_far);
  g_test_add_func("/unread/a-line-is-kept-full", test_a_line_is_kept_full);
  g_test_add_func("/unread/what-tcp-does-not-know", test_what_tcp_does_not_know);
  return g_test_run();
}
