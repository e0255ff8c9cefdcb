/* The one codec: GVariant to JSON and back, hostile bytes, and machine and health records. */
#include "record.h"
#include <string.h>

#define NOON (G_GINT64_CONSTANT(1764583200) * G_USEC_PER_SEC) /* 2025-12-01T10:00:00Z */

static char *
json_of(const char *text)
{
  return az_json_from_variant(g_variant_new_parsed(text), 0);
}

static void
types_to_json(void)
{
  const char *const cases[][2] = {
    { "true", "true" },
    { "byte 0xff", "255" },
    { "int16 -7", "-7" },
    { "uint16 7", "7" },
    { "-2147483648", "-2147483648" },
    { "uint32 4294967295", "4294967295" },
    { "int64 -9223372036854775807", "-9223372036854775807" },
    { "uint64 9223372036854775807", "9223372036854775807" },
    { "45.2", "45.2" },
    { "1.0", "1.0" },
    { "'text'", "\"text\"" },
    { "objectpath '/a'", "\"/a\"" },
    { "()", "null" },
    { "(1, 'a')", "[1,\"a\"]" },
    { "@ms nothing", "null" },
    { "@ms 'x'", "\"x\"" },
    { "@as []", "[]" },
    { "['b', 'a']", "[\"b\",\"a\"]" },
    { "[<1>, <'x'>, <()>]", "[1,\"x\",null]" },
    { "@a{sv} {}", "{}" },
    { "{'z': <1>, 'a': <[2.5]>}", "{\"z\":1,\"a\":[2.5]}" },
    { "{'z': 'y', 'a': 'b'}", "{\"z\":\"y\",\"a\":\"b\"}" },
    { "[{'k': <true>}, {'l': <()>}]", "[{\"k\":true},{\"l\":null}]" },
    { "{'b': true}", "{\"b\":true}" },
    { "{uint32 7: 'seven'}", "{\"7\":\"seven\"}" },
  };
  for (guint i = 0; i < G_N_ELEMENTS(cases); i++) {
    g_autofree char *json = json_of(cases[i][0]);
    g_assert_cmpstr(json, ==, cases[i][1]);
  }
}

static void
numbers_that_json_has_not(void)
{
  g_autofree char *nan = az_json_from_variant(g_variant_new_double(__builtin_nan("")), 0);
  g_autofree char *inf = az_json_from_variant(g_variant_new_double(__builtin_inf()), 0);
  g_autofree char *big = az_json_from_variant(g_variant_new_uint64(G_MAXUINT64), 0);
  g_autofree char *none = az_json_from_variant(NULL, 0);
  g_assert_cmpstr(nan, ==, "null");
  g_assert_cmpstr(inf, ==, "null");
  g_assert_cmpstr(big, ==, "1.84467440737096e19");
  g_assert_cmpstr(none, ==, "null");
}

static void
strings_are_escaped_never_lost(void)
{
  const char *hostile = "\033]0;x\a \302\233 \342\200\256 \177 \" \\ \n \t / \360\237\232\200";
  g_autofree char *json = az_json_from_variant(g_variant_new_string(hostile), 0);
  for (const char *c = json; *c != '\0'; c++)
    g_assert_true(*c >= 0x20 && *c <= 0x7f);
  g_autoptr(GVariant) back = az_json_parse(json, strlen(json), NULL);
  g_assert_nonnull(back);
  g_assert_cmpstr(g_variant_get_string(back, NULL), ==, hostile);
}

static void
invalid_utf8_is_made_valid(void)
{
  g_autoptr(GVariant) value = g_variant_ref_sink(az_variant_str("a\377b"));
  g_assert_cmpstr(g_variant_get_string(value, NULL), ==, "a\357\277\275b");
  g_autoptr(GVariant) empty = g_variant_ref_sink(az_variant_str(""));
  g_assert_true(g_variant_is_of_type(empty, G_VARIANT_TYPE_UNIT));
}

static void
indented(void)
{
  g_autofree char *json = az_json_from_variant(g_variant_new_parsed("{'a': <[1]>}"), 2);
  g_assert_cmpstr(json, ==, "{\n  \"a\": [\n    1\n  ]\n}");
}

static void
parse_types(void)
{
  const char *json = "{\"i\": 7, \"d\": 7.0, \"n\": null, \"s\": \"x\", \"b\": false, \"a\": [1, \"y\"], \"o\": {}}";
  g_autoptr(GError) error = NULL;
  g_autoptr(GVariant) value = az_json_parse(json, strlen(json), &error);
  g_assert_no_error(error);
  g_assert_false(g_variant_is_floating(value));
  g_autofree char *text = g_variant_print(value, TRUE);
  g_assert_cmpstr(text, ==,
                  "{'i': <int64 7>, 'd': <7.0>, 'n': <()>, 's': <'x'>, 'b': <false>, 'a': <[<int64 1>, <'y'>]>, 'o': "
                  "<@a{sv} {}>}");
}

static void
parse_refuses(void)
{
  const char *const broken[]
      = { "",      "{",  "[1,]",  "{\"a\":1,\"a\":2}",   "nul", "{} {}", "\"\\u0000\"", "'x'", "\"\xff\"", "{\"a\" 1}",
          "1e999", "01", "[NaN]", "99999999999999999999" };
  for (guint i = 0; i < G_N_ELEMENTS(broken); i++) {
    g_autoptr(GError) error = NULL;
    GVariant *value = az_json_parse(broken[i], strlen(broken[i]), &error);
    if (value != NULL)
      g_test_message("accepted: %s", broken[i]);
    g_assert_null(value);
    g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  }
}

static char *
nested(guint depth, char open, char close)
{
  g_autoptr(GString) text = g_string_new(NULL);
  for (guint i = 0; i < depth; i++)
    g_string_append_c(text, open);
  for (guint i = 0; i < depth; i++)
    g_string_append_c(text, close);
  return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
parse_depth(void)
{
  g_autofree char *fine = nested(64, '[', ']');
  g_autofree char *deep = nested(65, '[', ']');
  g_autofree char *bomb = nested(200000, '[', ' ');
  g_autoptr(GVariant) value = az_json_parse(fine, strlen(fine), NULL);
  g_assert_nonnull(value);
  g_autofree char *back = az_json_from_variant(value, 0);
  g_assert_cmpstr(back, ==, fine);
  g_assert_null(az_json_parse(deep, strlen(deep), NULL));
  g_assert_null(az_json_parse(bomb, strlen(bomb), NULL));
  const char *brackets_in_text = "\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ \\\" [\"";
  g_autoptr(GVariant) string = az_json_parse(brackets_in_text, strlen(brackets_in_text), NULL);
  g_assert_nonnull(string);
}

static void
parse_size(void)
{
  gsize length = (8u << 20) + 1;
  g_autofree char *text = g_malloc(length + 1);
  memset(text, ' ', length);
  memcpy(text, "[]", 2);
  text[length] = '\0';
  g_assert_null(az_json_parse(text, length, NULL));
  g_autoptr(GVariant) value = az_json_parse(text, length - 1, NULL);
  g_assert_nonnull(value);
}

/* Whatever comes in: no crash, and what is taken survives a turn through the printer. */
static void
parse_random(void)
{
  const char *const words[] = { "{",           "}",  "[",        "]",     ",",    ":",    "\"",    "\"a\"",
                                "\"b\":",      "1",  "-0.5",     "1e9",   "true", "null", "\\u12", "\\\"",
                                " ",           "\n", "\xc3\xa9", "\xff",  "0",    "[]",   "{}",    "\"\\ud83d\\ude80\"",
                                "\"\\ud800\"", "E",  "-",        "false", "\t" };
  for (guint round = 0; round < 50000; round++) {
    g_autoptr(GString) text = g_string_new(NULL);
    gint32 n = g_test_rand_int_range(0, 14);
    for (gint32 i = 0; i < n; i++)
      g_string_append(text, words[g_test_rand_int_range(0, G_N_ELEMENTS(words))]);
    g_autoptr(GVariant) value = az_json_parse(text->str, text->len, NULL);
    if (value == NULL)
      continue;
    g_autofree char *json = az_json_from_variant(value, 0);
    g_autoptr(GVariant) again = az_json_parse(json, strlen(json), NULL);
    g_assert_nonnull(again);
    g_assert_true(g_variant_equal(value, again));
  }
}

/* ---- records ---- */

static void
vm_round_trip(void)
{
  g_autoptr(AzlinVm) vm = az_vm_new("eastus", "vm-1");
  az_vm_set(&vm->public_ip, "10.0.0.1");
  vm->ssh_port = 2201;
  vm->is_primary = TRUE;
  vm->created_at = az_time_from_string("2025-12-01T10:00:00Z");
  vm->tags = g_variant_ref_sink(g_variant_new_parsed("{'a': 'b'}"));
  g_autoptr(GVariant) direct = g_variant_ref_sink(az_vm_to_variant(vm));
  g_autofree char *json = az_json_from_variant(direct, 0);
  g_autoptr(GVariant) parsed = az_json_parse(json, strlen(json), NULL);
  g_autoptr(AzlinVm) back = az_vm_from_variant(parsed);
  g_autoptr(GVariant) again = g_variant_ref_sink(az_vm_to_variant(back));
  g_assert_true(g_variant_equal(direct, again));
  g_assert_cmpuint(back->ssh_port, ==, 2201);
  g_assert_null(back->host_key);
  g_assert_nonnull(strstr(json, "\"last_health_check\":null"));
}

static void
vm_wrong_types_are_absent(void)
{
  g_autoptr(GVariant) value = g_variant_ref_sink(g_variant_new_parsed(
      "{'region': <7>, 'ssh_port': <'x'>, 'is_primary': <'yes'>, 'tags': <7>, 'created_at': <()>}"));
  g_autoptr(AzlinVm) vm = az_vm_from_variant(value);
  g_assert_cmpstr(vm->region, ==, "");
  g_assert_cmpuint(vm->ssh_port, ==, 22);
  g_assert_false(vm->is_primary);
  g_assert_null(vm->tags);
}

static void
vm_of_an_older_header(void)
{
  AzlinVm vm = { .size = G_STRUCT_OFFSET(AzlinVm, tags), .region = "eastus", .vm_name = "a" };
  vm.tags = (GVariant *) 0x1; /* not ours to read: beyond what the brick's header knew */
  g_autoptr(AzlinVm) copy = az_vm_dup(&vm);
  g_assert_null(copy->tags);
  g_assert_cmpuint(copy->size, ==, sizeof(AzlinVm));
  g_assert_cmpstr(copy->public_ip, ==, "");
}

static void
times(void)
{
  g_autofree char *text = az_time_to_string(NOON);
  g_assert_cmpstr(text, ==, "2025-12-01T10:00:00Z");
  g_assert_null(az_time_to_string(0));
  g_assert_cmpint(az_time_from_string("2025-12-01T10:00:00Z"), ==, NOON);
  g_assert_cmpint(az_time_from_string("2025-12-01T11:00:00+01:00"), ==, NOON);
  g_assert_cmpint(az_time_from_string("2025-12-01T10:00:00"), ==, NOON);
  g_assert_cmpint(az_time_from_string("soon"), ==, 0);
  g_assert_cmpint(az_time_from_string(NULL), ==, 0);
}

static void
failure_type_values(void)
{
  const char *const names[] = { "network_unreachable", "ssh_connection_failed", "vm_stopped",
                                "vm_deallocated",      "performance_degraded",  "unknown",
                                "auth_failed",         "host_key_changed" };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
    g_assert_cmpstr(az_failure_to_string((AzlinFailure) (i + 1)), ==, names[i]);
    g_assert_cmpint(az_failure_from_string(names[i]), ==, i + 1);
  }
  g_assert_null(az_failure_to_string(AZLIN_FAILURE_NONE));
  g_assert_null(az_failure_to_string((AzlinFailure) 99));
  g_assert_cmpint(az_failure_from_string(NULL), ==, AZLIN_FAILURE_NONE);
  g_assert_cmpint(az_failure_from_string("new one"), ==, AZLIN_FAILURE_UNKNOWN);
}

static void
health_round_trip(void)
{
  AzlinVm vm = { .size = sizeof vm, .region = "eastus", .vm_name = "vm-1" };
  AzlinEvidence tcp
      = { .size = sizeof tcp, .vantage = "here", .probe = "tcp", .outcome = "refused", .ms = 1.5, .at = NOON };
  const AzlinEvidence *const evidence[] = { &tcp, NULL };
  AzlinHealth health = { .size = sizeof health,
                         .vm = &vm,
                         .failure = AZLIN_FAILURE_SSH_CONNECTION_FAILED,
                         .response_time_ms = -1,
                         .detail = "connection refused",
                         .evidence = evidence };
  vm.power = AZLIN_POWER_STOPPED;
  vm.stop_cause = AZLIN_STOP_ENDED;
  g_autoptr(GVariant) value = g_variant_ref_sink(az_health_to_variant(&health));
  vm.power = AZLIN_POWER_UNKNOWN;
  vm.stop_cause = AZLIN_STOP_UNKNOWN;
  g_autofree char *json = az_json_from_variant(value, 0);
  g_assert_nonnull(strstr(json, "\"response_time_ms\":null"));
  g_autoptr(GVariant) parsed = az_json_parse(json, strlen(json), NULL);
  g_autoptr(AzHealthCopy) copy = az_health_from_variant(parsed, &vm);
  const AzlinHealth *back = az_health_copy_get(copy);
  g_assert_false(back->healthy);
  g_assert_cmpint(back->failure, ==, AZLIN_FAILURE_SSH_CONNECTION_FAILED);
  g_assert_cmpint(back->vm->power, ==, AZLIN_POWER_STOPPED);
  g_assert_cmpint(back->vm->stop_cause, ==, AZLIN_STOP_ENDED);
  g_assert_cmpstr(back->detail, ==, "connection refused");
  g_assert_cmpfloat(back->response_time_ms, <, 0);
  g_assert_cmpstr(back->evidence[0]->outcome, ==, "refused");
  g_assert_cmpfloat(back->evidence[0]->ms, ==, 1.5);
  g_assert_cmpint(back->evidence[0]->at, ==, tcp.at);
  g_assert_null(back->evidence[1]);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/json/types-to-json", types_to_json);
  g_test_add_func("/json/numbers-that-json-has-not", numbers_that_json_has_not);
  g_test_add_func("/json/strings-are-escaped-never-lost", strings_are_escaped_never_lost);
  g_test_add_func("/json/invalid-utf8-is-made-valid", invalid_utf8_is_made_valid);
  g_test_add_func("/json/indented", indented);
  g_test_add_func("/json/parse-types", parse_types);
  g_test_add_func("/json/parse-refuses", parse_refuses);
  g_test_add_func("/json/parse-depth", parse_depth);
  g_test_add_func("/json/parse-size", parse_size);
  g_test_add_func("/json/parse-random", parse_random);
  g_test_add_func("/record/vm-round-trip", vm_round_trip);
  g_test_add_func("/record/vm-wrong-types-are-absent", vm_wrong_types_are_absent);
  g_test_add_func("/record/vm-of-an-older-header", vm_of_an_older_header);
  g_test_add_func("/record/times", times);
  g_test_add_func("/record/failure_type_values", failure_type_values);
  g_test_add_func("/record/health-round-trip", health_round_trip);
  return g_test_run();
}
