/* Pure parts of provider-local: the address range and machine names. */
#include "place.h"

static void
test_ranges(void)
{
  static const struct {
    const char *text;
    guint32 base, size;
  } GOOD[] = {
    { "127.64.0.0/10", 0x7f400000, 1u << 22 },
    { "127.0.0.0/8", 0x7f000000, 1u << 24 },
    { "127.1.2.3/30", 0x7f010200, 4 },
  };
  static const char *const BAD[]
      = { "",      "127.0.0.0",     "127.0.0.0/",   "127.0.0.0/7",   "127.0.0.0/31", "10.0.0.0/8",   "128.0.0.0/8",
          "::1/8", "127.0.0.0/8/8", "127.0.0.0/ 8", "127.0.0.256/8", "127.0.0.0/-8", "127.0.0.0/8x", "126.0.0.0/8" };
  guint32 base, size;
  for (gsize i = 0; i < G_N_ELEMENTS(GOOD); i++) {
    g_assert_true(place_parse_range(GOOD[i].text, &base, &size, NULL));
    g_assert_cmphex(base, ==, GOOD[i].base);
    g_assert_cmpuint(size, ==, GOOD[i].size);
  }
  for (gsize i = 0; i < G_N_ELEMENTS(BAD); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_false(place_parse_range(BAD[i], &base, &size, &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  }
}

static void
test_names(void)
{
  g_autofree char *longest = g_strnfill(63, 'a');
  g_autofree char *longer = g_strnfill(64, 'a');
  const char *const good[] = { "a", "azlin-eastus-15f29e", "A.b_c-9", "0", longest };
  const char *const bad[] = { NULL, "", ".", "..", ".a", "-a", "_a", "a/b", "a b", "a\nb", "\xc3\xa4", "a\\", longer };
  for (gsize i = 0; i < G_N_ELEMENTS(good); i++)
    g_assert_true(machine_check_name(good[i], NULL));
  for (gsize i = 0; i < G_N_ELEMENTS(bad); i++) {
    g_autoptr(GError) error = NULL;
    g_assert_false(machine_check_name(bad[i], &error));
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/local-place/ranges", test_ranges);
  g_test_add_func("/local-place/names", test_names);
  return g_test_run();
}
