/* docs/errors.md is the error taxonomy as people read it: it must say exactly what core/error.c does. */
#include "error.h"

#include <string.h>

static const char head[]
    = "# Errors\n\n"
      "Every error carries one of these types (`error_type` with `-o json`), a sentence, next steps and whether it\n"
      "was retried. The table is the one the program uses; a test compares the two.\n\n"
      "| error_type | exit code | retries | next steps |\n|---|---|---|---|\n";

static void
add_row(GString *page, GVariant *row)
{
  const char *type = NULL;
  guint32 retries = 0;
  gint32 exit_code = 0;
  g_autofree const char **steps = NULL;
  g_variant_lookup(row, "error_type", "&s", &type);
  g_variant_lookup(row, "retries", "u", &retries);
  g_variant_lookup(row, "exit_code", "i", &exit_code);
  g_variant_lookup(row, "resolution_steps", "^a&s", &steps);
  g_autofree char *joined = g_strjoinv("; ", (char **) (guintptr) steps);
  g_string_append_printf(page, "| `%s` | %d | %u | %s |\n", type, exit_code, retries, *joined ? joined : "-");
}

static char *
expected_page(void)
{
  GString *page = g_string_new(head);
  g_autoptr(GVariant) table = g_variant_ref_sink(az_error_table());
  for (gsize i = 0; i < g_variant_n_children(table); i++) {
    g_autoptr(GVariant) row = g_variant_get_child_value(table, i);
    add_row(page, row);
  }
  return g_string_free(page, FALSE);
}

/* AZLIN_UPDATE=1 writes the page anew. */
static void
test_page(void)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *path = g_build_filename(g_getenv("AZLIN_SOURCE_ROOT"), "docs", "errors.md", NULL);
  g_autofree char *page = NULL;
  g_autofree char *expected = expected_page();
  if (g_getenv("AZLIN_UPDATE"))
    g_file_set_contents(path, expected, -1, NULL);
  g_file_get_contents(path, &page, NULL, &error);
  g_assert_no_error(error);
  g_assert_cmpstr(page, ==, expected);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/docs/errors", test_page);
  return g_test_run();
}
