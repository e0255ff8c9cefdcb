/* The taxonomy: retry counts of the specification, exit codes of the contract, steps in front of the table's own. */
#include "error.h"

static guint
count_attempts(AzlinError code)
{
  g_autoptr(GError) error = g_error_new_literal(AZLIN_ERROR, (int) code, "x");
  guint attempts = 1;
  while (az_error_retry_delay_ms(error, attempts) >= 0)
    attempts++;
  return attempts;
}

static void
test_retry_counts(void)
{
  g_assert_cmpuint(count_attempts(AZLIN_ERROR_CAPACITY), ==, 1 + 2);
  g_assert_cmpuint(count_attempts(AZLIN_ERROR_PERMISSION), ==, 1);
  g_assert_cmpuint(count_attempts(AZLIN_ERROR_TIMED_OUT), ==, 1);
  g_assert_cmpuint(count_attempts(AZLIN_ERROR_SSH), ==, 1 + 3);
  g_assert_cmpuint(count_attempts(AZLIN_ERROR_SYNC), ==, 1 + 3);
  g_assert_cmpuint(count_attempts(AZLIN_ERROR_THROTTLED), ==, 1 + 5);
  g_assert_cmpuint(count_attempts(AZLIN_ERROR_NETWORK), ==, 1);
}

static void
test_backoff_grows(void)
{
  g_autoptr(GError) error = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_THROTTLED, "429");
  for (guint i = 0; i < 200; i++) {
    g_assert_cmpint(az_error_retry_delay_ms(error, 1), <=, 2000);
    g_assert_cmpint(az_error_retry_delay_ms(error, 5), >=, 16000);
  }
}

static void
test_exit_codes(void)
{
  static const struct {
    AzlinError code;
    int exit_code;
  } cases[] = { { AZLIN_ERROR_USAGE, 64 },      { AZLIN_ERROR_CONFIG, 78 }, { AZLIN_ERROR_POLICY, 3 },
                { AZLIN_ERROR_LOCKED, 4 },      { AZLIN_ERROR_FENCED, 5 },  { AZLIN_ERROR_DECLINED, 2 },
                { AZLIN_ERROR_CANCELLED, 130 }, { AZLIN_ERROR_NETWORK, 1 }, { AZLIN_ERROR_STORAGE, 1 } };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autoptr(GError) error = g_error_new_literal(AZLIN_ERROR, (int) cases[i].code, "x");
    g_assert_cmpint(az_error_exit_code(error), ==, cases[i].exit_code);
  }
  g_autoptr(GError) foreign = g_error_new_literal(G_FILE_ERROR, G_FILE_ERROR_NOENT, "x");
  g_assert_cmpint(az_error_exit_code(foreign), ==, 1);
  g_assert_cmpstr(az_error_type(foreign), ==, "UnexpectedError");
}

static void
test_steps(void)
{
  g_autoptr(GError) error = g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_CAPACITY, "Standard_B2s is full in eastus");
  az_error_add_step(error, "Try %s", "another day");
  az_error_add_first_step(error, "Try %s", "westus2");
  g_autoptr(GVariant) result = g_variant_ref_sink(az_error_to_variant(error, "region=eastus"));
  const char *message, *type;
  g_autofree const char **steps = NULL;
  gboolean retry;
  g_assert_true(g_variant_lookup(result, "error_type", "&s", &type));
  g_assert_true(g_variant_lookup(result, "error_message", "&s", &message));
  g_assert_true(g_variant_lookup(result, "resolution_steps", "^a&s", &steps));
  g_assert_true(g_variant_lookup(result, "retry_possible", "b", &retry));
  g_assert_cmpstr(type, ==, "CapacityUnavailable");
  g_assert_cmpstr(message, ==, "Standard_B2s is full in eastus");
  g_assert_cmpstr(steps[0], ==, "Try westus2");
  g_assert_cmpstr(steps[1], ==, "Try another day");
  g_assert_true(retry);
  g_autofree char *plain = az_error_message(error);
  g_assert_cmpstr(plain, ==, "Standard_B2s is full in eastus");
}

static void
test_no_general_steps(void)
{
  g_autoptr(GError) error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_AUTH, "not logged in");
  g_autofree const char **steps = NULL;
  az_error_add_step(error, "Log in: az login");
  az_error_add_step(error, "%s", "");
  g_autoptr(GVariant) result = g_variant_ref_sink(az_error_to_variant(error, NULL));
  g_autofree char *message = az_error_message(error);
  g_assert_true(g_variant_lookup(result, "resolution_steps", "^a&s", &steps));
  g_assert_cmpstr(steps[0], ==, "Log in: az login");
  g_assert_null(steps[1]);
  g_assert_cmpstr(message, ==, "not logged in");
}

static void
test_table_is_whole(void)
{
  g_autoptr(GVariant) table = g_variant_ref_sink(az_error_table());
  g_assert_cmpuint(g_variant_n_children(table), ==, AZLIN_N_ERRORS);
  for (gsize i = 0; i < AZLIN_N_ERRORS; i++) {
    g_autoptr(GVariant) row = g_variant_get_child_value(table, i);
    const char *type = NULL;
    g_assert_true(g_variant_lookup(row, "error_type", "&s", &type));
    g_assert_cmpstr(type, !=, "");
  }
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/error/retry-counts", test_retry_counts);
  g_test_add_func("/error/backoff-grows", test_backoff_grows);
  g_test_add_func("/error/exit-codes", test_exit_codes);
  g_test_add_func("/error/steps", test_steps);
  g_test_add_func("/error/no-general-steps", test_no_general_steps);
  g_test_add_func("/error/table-is-whole", test_table_is_whole);
  return g_test_run();
}
