/* Which names and values of tags may be written: at each limit and one beyond it. */
#include "legal.h"
#include <string.h>

static void
legal(const char *name, const char *value)
{
  g_autofree char *problem = tag_problem(name, value);
  g_assert_cmpstr(problem, ==, NULL);
}

static void
illegal(const char *name, const char *value, const char *why)
{
  g_autofree char *problem = tag_problem(name, value);
  g_assert_nonnull(problem);
  g_assert_nonnull(strstr(problem, why));
  g_assert_true(g_utf8_validate(problem, -1, NULL));
  for (const char *p = problem; *p != '\0'; p++)
    g_assert_false(g_ascii_iscntrl(*p));
}

static void
test_names(void)
{
  g_autofree char *longest = g_strnfill(TAG_MAX_NAME, 'n');
  g_autofree char *longer = g_strnfill(TAG_MAX_NAME + 1, 'n');
  legal("azlin:region", "eastus");
  legal("with space, äöü and #", "");
  legal(longest, "");
  illegal(longer, "", "longer than 512");
  illegal("", "x", "needs a name");
  for (const char *p = "<>%&\\?/"; *p != '\0'; p++) {
    char name[] = { 'a', *p, 'b', '\0' };
    illegal(name, "x", "holds one of");
  }
  illegal("tab\there", "x", "control character");
  illegal("next\xc2\x85line", "x", "control character");
  illegal("\xff\xfe", "x", "not UTF-8");
}

static void
test_values(void)
{
  g_autofree char *longest = g_strnfill(TAG_MAX_VALUE, 'v');
  g_autofree char *longer = g_strnfill(TAG_MAX_VALUE + 1, 'v');
  g_autoptr(GString) wide = g_string_new(NULL);
  for (int i = 0; i < TAG_MAX_VALUE; i++)
    g_string_append(wide, "ä");
  legal("n", longest);
  legal("n", wide->str);
  legal("n", "</what>&ever?%\\");
  illegal("n", longer, "longer than 256");
  illegal("n", "\033[31m", "control character");
  illegal("n", "\xff", "not UTF-8");
}

static GVariant *
many(guint n)
{
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  for (guint i = 0; i < n; i++) {
    g_autofree char *name = g_strdup_printf("Tag%u", i);
    g_variant_builder_add(&builder, "{ss}", name, "x");
  }
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

static void
test_count(void)
{
  g_autoptr(GVariant) old = many(TAG_MAX_COUNT - 1);
  g_autoptr(GVariant) one = g_variant_ref_sink(g_variant_new_parsed("{'new': 'x'}"));
  g_autoptr(GVariant) two = g_variant_ref_sink(g_variant_new_parsed("{'new': 'x', 'newer': 'x'}"));
  g_autoptr(GVariant) over = g_variant_ref_sink(g_variant_new_parsed("{'TAG7': 'y', 'tag8': 'y', 'new': 'x'}"));
  g_autoptr(GError) error = NULL;
  g_assert_true(tags_may_set(old, one, NULL));
  g_assert_true(tags_may_set(old, over, NULL));
  g_assert_true(tags_may_set(NULL, one, NULL));
  g_assert_false(tags_may_set(old, two, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  g_assert_nonnull(strstr(error->message, "51 tags"));
}

static void
test_names_have_no_case(void)
{
  g_autoptr(GVariant) tags = g_variant_ref_sink(g_variant_new_parsed("{'AZLIN:Primary': 'true', 'Größe': '2'}"));
  g_assert_cmpstr(tag_find(tags, "azlin:primary"), ==, "true");
  g_assert_cmpstr(tag_find(tags, "GRÖSSE"), ==, "2");
  g_assert_null(tag_find(tags, "azlin:prim"));
  g_assert_null(tag_find(NULL, "azlin:primary"));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/tags/legal/names", test_names);
  g_test_add_func("/tags/legal/values", test_values);
  g_test_add_func("/tags/legal/count", test_count);
  g_test_add_func("/tags/legal/case", test_names_have_no_case);
  return g_test_run();
}
