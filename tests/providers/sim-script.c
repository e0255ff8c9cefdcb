/* The script parser of provider-sim: what it takes, what it refuses, and that no input harms it. */
#include "script.h"
#include <string.h>

static GPtrArray *
parse(const char *text, GError **error)
{
  return script_parse(text, strlen(text), "test.script", error);
}

static void
test_good_lines(void)
{
  const char *text = "# a comment\n"
                     "\n"
                     "create * seconds 120..240\n"
                     "create westeurope fail capacity\n"
                     "  create eastus fail throttled x2 p 0.5 after 30  # and why\n"
                     "create asia hang\n"
                     "power westus2 fail permission x1\n"
                     "delete * fail locked\n"
                     "get * seconds 1.5\n"
                     "at 300 machine azlin-eastus-* kill\n"
                     "at 0.5 probe eastus from westus2 timeout\n"
                     "probe eastus slow 900\n"
                     "room westeurope/Standard_* SkuNotAvailable\n"
                     "exec * \"du -sb *\" 0 \"12345\\t/data\\n\"\n";
  g_autoptr(GError) error = NULL;
  g_autoptr(GPtrArray) rules = parse(text, &error);
  g_assert_no_error(error);
  g_assert_cmpuint(rules->len, ==, 12);
  const Rule *range = g_ptr_array_index(rules, 0);
  g_assert_cmpfloat(range->from_s, ==, 120);
  g_assert_cmpfloat(range->to_s, ==, 240);
  const Rule *throttled = g_ptr_array_index(rules, 2);
  g_assert_cmpint(throttled->code, ==, AZLIN_ERROR_THROTTLED);
  g_assert_cmpuint(throttled->count, ==, 2);
  g_assert_cmpfloat(throttled->probability, ==, 0.5);
  g_assert_cmpfloat(throttled->from_s, ==, 30);
  const Rule *kill = g_ptr_array_index(rules, 7);
  g_assert_cmpint(kill->action, ==, DO_KILL);
  g_assert_cmpint(kill->at, ==, 300 * G_USEC_PER_SEC);
  g_assert_false(rule_matches(kill, RULE_MACHINE, kill->at - 1, "eastus", "azlin-eastus-1"));
  g_assert_true(rule_matches(kill, RULE_MACHINE, kill->at, "eastus", "azlin-eastus-1"));
  g_assert_false(rule_matches(kill, RULE_MACHINE, kill->at, "eastus", "azlin-westus-1"));
  g_assert_false(rule_matches(kill, RULE_PROBE, kill->at, "eastus", "azlin-eastus-1"));
  const Rule *probe = g_ptr_array_index(rules, 8);
  g_assert_cmpstr(probe->vantage, ==, "westus2");
  g_assert_cmpstr(probe->text, ==, "timeout");
  const Rule *room = g_ptr_array_index(rules, 10);
  g_assert_cmpstr(room->text, ==, "SkuNotAvailable");
  g_assert_true(rule_matches(room, RULE_ROOM, 0, "westeurope", "westeurope/Standard_B2s"));
  g_assert_false(rule_matches(room, RULE_ROOM, 0, "northeurope", "northeurope/Standard_B2s"));
  const Rule *exec = g_ptr_array_index(rules, 11);
  g_assert_cmpstr(exec->text, ==, "12345\t/data\n");
}

static void
test_same_line_twice_counts_apart(void)
{
  g_autoptr(GPtrArray) rules = parse("create a fail network x1\ncreate a fail network x1\n", NULL);
  const Rule *first = g_ptr_array_index(rules, 0), *second = g_ptr_array_index(rules, 1);
  g_assert_cmpstr(first->key, !=, second->key);
}

static void
test_bad_lines(void)
{
  static const char *const LINES[] = {
    "nonsense",
    "create",
    "create eastus",
    "create eastus explode",
    "create eastus fail",
    "create eastus fail gremlins",
    "create eastus fail capacity x0",
    "create eastus fail capacity x-1",
    "create eastus fail capacity p 2",
    "create eastus fail capacity p nan",
    "create eastus fail capacity after -1",
    "create eastus seconds",
    "create eastus seconds 5..1",
    "create eastus seconds ..5",
    "create eastus seconds 1e99",
    "create eastus seconds inf",
    "create eastus seconds 5 6",
    "at create eastus hang",
    "at -1 create eastus hang",
    "at 10",
    "machine eastus",
    "machine eastus dance",
    "machine eastus kill twice",
    "probe eastus",
    "probe eastus from",
    "probe eastus from here",
    "probe eastus purple",
    "probe eastus slow",
    "probe eastus slow quickly",
    "exec eastus",
    "exec eastus ls",
    "exec eastus ls 256",
    "exec eastus ls 0 out more",
    "create 'eastus hang",
    "create \"eastus hang",
    "create eastus hang \\",
    "create eastus fail capacity \xff\xfe",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(LINES); i++) {
    g_autoptr(GError) error = NULL;
    g_autofree char *text = g_strdup_printf("create * hang\n%s\n", LINES[i]);
    g_autoptr(GPtrArray) rules = parse(text, &error);
    if (rules != NULL)
      g_test_message("taken: %s", LINES[i]);
    g_assert_null(rules);
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
    g_assert_true(g_str_has_prefix(error->message, "test.script, line 2: "));
  }
}

static void
test_limits(void)
{
  g_autoptr(GError) error = NULL;
  g_autofree char *long_line = g_strnfill(5000, 'x');
  g_assert_null(parse(long_line, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_clear_error(&error);
  g_autofree char *huge = g_strnfill(1024 * 1024 + 1, '\n');
  g_assert_null(parse(huge, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_clear_error(&error);
  g_assert_null(script_parse("create * hang\0\n", 15, "test.script", &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  g_clear_error(&error);
  g_autoptr(GString) many = g_string_new(NULL);
  for (guint i = 0; i < 5001; i++)
    g_string_append(many, "get * hang\n");
  g_assert_null(parse(many->str, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
}

/* Words of the grammar in random order, with bytes changed at random: parsed or refused, never more. */
static void
test_random(void)
{
  static const char *const WORDS[] = { "create", "power", "at",   "fail",    "x2",      "p",      "0.5",
                                       "..",     "from",  "hang", "probe",   "exec",    "*",      "machine",
                                       "kill",   "\"",    "'",    "\\",      "#",       "eastus", "slow",
                                       "1e9",    "\n",    "-1",   "seconds", "capacity" };
  guint taken = 0, refused = 0;
  for (guint round = 0; round < 20000; round++) {
    g_autoptr(GString) text = g_string_new(NULL);
    for (int n = g_test_rand_int_range(1, 12); n > 0; n--)
      g_string_append_printf(text, "%s ", WORDS[g_test_rand_int_range(0, G_N_ELEMENTS(WORDS))]);
    if (g_test_rand_int_range(0, 4) == 0)
      text->str[g_test_rand_int_range(0, (int) text->len)] = (char) g_test_rand_int_range(0, 256);
    g_autoptr(GError) error = NULL;
    g_autoptr(GPtrArray) rules = script_parse(text->str, text->len, "random", &error);
    g_assert_true((rules != NULL) == (error == NULL));
    *(rules != NULL ? &taken : &refused) += 1;
  }
  g_assert_cmpuint(taken, >, 0);
  g_assert_cmpuint(refused, >, 0);
}

static void
test_chance(void)
{
  double sum = 0;
  for (guint i = 0; i < 10000; i++) {
    g_autofree char *who = g_strdup_printf("vm%u", i);
    double chance = script_chance(7, "rule", who, 0);
    g_assert_cmpfloat(chance, >=, 0);
    g_assert_cmpfloat(chance, <, 1);
    g_assert_cmpfloat(chance, ==, script_chance(7, "rule", who, 0));
    sum += chance;
  }
  g_assert_cmpfloat(sum, >, 4800);
  g_assert_cmpfloat(sum, <, 5200);
  g_assert_cmpfloat(script_chance(7, "rule", "vm", 0), !=, script_chance(8, "rule", "vm", 0));
  g_assert_cmpfloat(script_chance(7, "rule", "vm", 0), !=, script_chance(7, "rule", "vm", 1));
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/sim-script/good-lines", test_good_lines);
  g_test_add_func("/sim-script/same-line-twice", test_same_line_twice_counts_apart);
  g_test_add_func("/sim-script/bad-lines", test_bad_lines);
  g_test_add_func("/sim-script/limits", test_limits);
  g_test_add_func("/sim-script/random", test_random);
  g_test_add_func("/sim-script/chance", test_chance);
  return g_test_run();
}
