/* One call, long-running operations and lists against a scripted Azure, second by second on a virtual clock. */
#include "arm-world.h"
#include <string.h>

#define POLL ENDPOINT "/subscriptions/s/providers/Microsoft.Compute/locations/eastus/operations/1?p=2&t=3&s=%2B"
#define POLL_PATH "/subscriptions/s/providers/Microsoft.Compute/locations/eastus/operations/1?p=2&t=3&s=%2B"
#define MADE "{\"properties\":{\"provisioningState\":\"Creating\"}}"
#define DONE "{\"name\":\"m1\",\"properties\":{\"provisioningState\":\"Succeeded\"}}"
#define RUNNING "{\"status\":\"InProgress\"}"
#define SUCCEEDED "{\"status\":\"Succeeded\"}"
#define QUERY "?api-version=2024-07-01\n"

static void
on_poll_url(const char *url, gpointer data)
{
  g_assert_true(g_str_has_prefix(url, ENDPOINT "/"));
}

static void
run(ArmWorld *world, const char *method, const char *path, guint32 timeout_ms)
{
  AzlinOp *op = arm_world_op(world, timeout_ms);
  ArmCall call = { .method = method, .path = path, .version = ARM_COMPUTE };
  if (g_str_equal(method, "PUT"))
    call.body = json_pack("{s:s}", "location", "eastus");
  arm_run(&world->azure, op, &call, on_poll_url, arm_world_reply, arm_world_keep(world, op));
  arm_world_wait(world);
}

static void
call_get(ArmWorld *world, gboolean fresh, guint32 timeout_ms)
{
  AzlinOp *op = arm_world_op(world, timeout_ms);
  ArmCall call = { .method = "GET", .path = VM, .version = ARM_COMPUTE, .fresh = fresh };
  arm_call(&world->azure, op, &call, arm_world_reply, arm_world_keep(world, op));
  arm_world_wait(world);
}

/* ---- operations ---- */

static void
test_put(void)
{
  static const Answer answers[] = {
    { "PUT", 201, "azure-asyncoperation: " POLL "\nlocation: https://evil.example/\nretry-after: 10", MADE },
    { "operations/1", 200, "retry-after: 7", RUNNING },
    { "operations/1", 200, NULL, RUNNING },
    { "operations/1", 200, NULL, "{\"status\":\"sUCCEEDED\"}" },
    { "GET " VM, 200, NULL, DONE },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "PUT", VM, 0);
  g_assert_no_error(world->error);
  g_assert_cmpstr(arm_string(world->body, "name", NULL), ==, "m1");
  g_assert_cmpstr(world->log->str, ==,
                  "0.0 PUT " VM QUERY "10.0 GET " POLL_PATH "\n17.0 GET " POLL_PATH "\n20.0 GET " POLL_PATH
                  "\n20.0 GET " VM QUERY);
  g_assert_cmpstr(world->bodies->str, ==, "{\"location\":\"eastus\"}\n");
}

static void
test_pauses_grow(void)
{
  static const Answer answers[] = {
    { "POST", 202, "azure-asyncoperation: " POLL, "" },
    { "operations/1", 200, NULL, RUNNING },
    { "operations/1", 200, NULL, RUNNING },
    { "operations/1", 200, NULL, RUNNING },
    { "operations/1", 200, NULL, RUNNING },
    { "operations/1", 200, NULL, SUCCEEDED },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "POST", VM "/start", 0);
  g_assert_no_error(world->error);
  g_autoptr(GString) times = g_string_new(NULL);
  g_auto(GStrv) lines = g_strsplit(world->log->str, "\n", -1);
  for (guint i = 1; lines[i] != NULL && *lines[i] != '\0'; i++)
    g_string_append_printf(times, "%.*s ", (int) strcspn(lines[i], " "), lines[i]);
  g_assert_cmpstr(times->str, ==, "1.0 3.0 6.0 11.0 16.0 ");
}

static void
test_location(void)
{
  static const Answer answers[] = {
    { "DELETE", 202, "location: " POLL "\nretry-after: 2", "" },
    { "operations/1", 202, "retry-after: 3", "" },
    { "operations/1", 204, NULL, "" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "DELETE", VM, 0);
  g_assert_no_error(world->error);
  g_assert_true(g_str_has_prefix(strrchr(world->log->str, '5'), "5.0 GET")
                || strstr(world->log->str, "5.0 GET") != NULL);
  g_assert_cmpuint(world->requests, ==, 3);
}

static void
test_location_fails(void)
{
  static const Answer answers[] = {
    { "POST", 202, "location: " POLL, "" },
    { "operations/1", 409, NULL, "{\"error\":{\"code\":\"AllocationFailed\",\"message\":\"full\"}}" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "POST", VM "/start", 0);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_CAPACITY);
}

static void
test_operation_fails(void)
{
  static const Answer answers[] = {
    { "PUT", 201, "azure-asyncoperation: " POLL, MADE },
    { "operations/1", 200, NULL,
      "{\"status\":\"FAILED\",\"error\":{\"code\":\"OSProvisioningTimedOut\",\"message\":\"no report\"}}" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "PUT", VM, 0);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  g_assert_cmpstr(world->code, ==, "OSProvisioningTimedOut");
}

static void
test_canceled(void)
{
  static const Answer answers[] = {
    { "PUT", 201, "azure-asyncoperation: " POLL, MADE },
    { "operations/1", 200, NULL, "{\"status\":\"Canceled\"}" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "PUT", VM, 0);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
}

/* A read that fails says nothing of the operation. */
static void
test_failed_reads(void)
{
  static const Answer answers[] = {
    { "PUT", 201, "azure-asyncoperation: " POLL, MADE },
    { "operations/1", 500, NULL, "" },
    { "operations/1", 503, "retry-after: 20", "<html>" },
    { "operations/1", 200, NULL, RUNNING },
    { "operations/1", 0, NULL, NULL, AZLIN_ERROR_NETWORK },
    { "operations/1", 404, NULL, "" },
    { "operations/1", 200, NULL, SUCCEEDED },
    { "GET " VM, 200, NULL, DONE },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "PUT", VM, 0);
  g_assert_no_error(world->error);
  g_assert_cmpuint(world->requests, ==, 8);
}

static void
test_lost_operation(void)
{
  static const Answer answers[] = {
    { "PUT", 201, "azure-asyncoperation: " POLL, MADE },
    { "operations/1", 404, NULL, "", .always = TRUE },
    { "GET " VM, 200, NULL, MADE },
    { "GET " VM, 200, NULL, DONE },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "PUT", VM, 0);
  g_assert_no_error(world->error);
  g_assert_cmpuint(world->requests, ==, 6);
}

static void
test_lost_delete(void)
{
  static const Answer answers[] = {
    { "DELETE", 202, "azure-asyncoperation: " POLL, "" },
    { "operations/1", 404, NULL, "", .always = TRUE },
    { "GET " VM, 200, NULL, "{\"properties\":{\"provisioningState\":\"Deleting\"}}" },
    { "GET " VM, 404, NULL, "" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "DELETE", VM, 0);
  g_assert_no_error(world->error);
  g_assert_cmpint(world->reply.status, ==, 204);
}

static void
test_no_header(void)
{
  static const Answer answers[] = {
    { "PUT", 201, NULL, MADE },
    { "GET " VM, 200, NULL, MADE },
    { "GET " VM, 200, NULL, DONE },
  };
  static const Answer at_once[] = { { "PUT", 200, NULL, "{\"name\":\"m1\"}" } };
  static const Answer failed[] = { { "PUT", 200, NULL, "{\"properties\":{\"provisioningState\":\"Failed\"}}" } };
  g_autoptr(ArmWorld) world = WORLD(answers), quick = WORLD(at_once), bad = WORLD(failed);
  run(world, "PUT", VM, 0);
  g_assert_no_error(world->error);
  run(quick, "PUT", VM, 0);
  g_assert_no_error(quick->error);
  g_assert_cmpuint(quick->requests, ==, 1);
  run(bad, "PUT", VM, 0);
  g_assert_error(bad->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
}

/* What is accepted stands, whatever becomes of the text that says so. */
static void
test_broken_answer(void)
{
  static const Answer answers[] = {
    { "PUT", 201, "azure-asyncoperation: " POLL, "{\"properties\":{\"provis" },
    { "operations/1", 200, NULL, "{\"status\":" },
    { "operations/1", 200, NULL, "{\"status\":" },
    { "operations/1", 200, NULL, SUCCEEDED },
    { "GET " VM, 200, NULL, DONE },
  };
  static const Answer no_url[] = { { "PUT", 201, NULL, "{\"prop" }, { "GET " VM, 200, NULL, DONE } };
  g_autoptr(ArmWorld) world = WORLD(answers), bare = WORLD(no_url);
  run(world, "PUT", VM, 0);
  g_assert_no_error(world->error);
  run(bare, "PUT", VM, 0);
  g_assert_no_error(bare->error);
}

static void
test_hostile_urls(void)
{
  static const char *const urls[] = {
    "https://evil.example/x",
    "http://management.azure.com/x",
    "https://management.azure.com.evil.example/x",
    "https://management.azure.com@evil.example/x",
    "https://u:p@management.azure.com/x",
    "https://management.azure.com:8443/x",
    "//evil.example/x",
    "https:\\\\evil.example",
    "file:///etc/passwd",
    "https://management.azure.com\\@evil.example/",
    "javascript:1",
    "",
    "https://management.azure.com/x#@evil.example",
    "https://[::1]/x",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(urls); i++) {
    g_autofree char *headers = g_strdup_printf("azure-asyncoperation: %s", urls[i]);
    const Answer answers[] = { { "PUT", 201, headers, MADE }, { "GET /", 200, NULL, SUCCEEDED, .always = TRUE } };
    g_autoptr(ArmWorld) world = WORLD(answers);
    run(world, "PUT", VM, 0);
    g_test_message("%s", urls[i]);
    g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
    g_assert_cmpuint(world->requests, ==, 1);
    g_assert_null(strstr(world->error->message, "evil.example"));
  }
}

static void
test_long_url(void)
{
  g_autofree char *filler = g_strnfill(7000, 'a'), *too_much = g_strnfill(9000, 'a');
  g_autofree char *fits = g_strdup_printf("location: " ENDPOINT "/x?%s", filler);
  g_autofree char *does_not = g_strdup_printf("location: " ENDPOINT "/x?%s", too_much);
  const Answer good[] = { { "DELETE", 202, fits, "" }, { "GET /x?aaa", 200, NULL, "" } };
  const Answer bad[] = { { "DELETE", 202, does_not, "" } };
  g_autoptr(ArmWorld) world = WORLD(good), long_one = WORLD(bad);
  run(world, "DELETE", VM, 0);
  g_assert_no_error(world->error);
  run(long_one, "DELETE", VM, 0);
  g_assert_error(long_one->error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
}

static void
test_deadline(void)
{
  static const Answer answers[] = {
    { "PUT", 201, "azure-asyncoperation: " POLL "\nretry-after: 30", MADE },
    { "operations/1", 200, "retry-after: 1200", RUNNING },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  run(world, "PUT", VM, 60000);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  g_assert_cmpuint(world->requests, ==, 2);
  g_assert_cmpint(az_clock_monotonic(world->clock), ==, 60 * G_USEC_PER_SEC);
}

static void
test_resume(void)
{
  static const Answer by_status[]
      = { { "operations/1", 200, "retry-after: 4", RUNNING }, { "operations/1", 200, NULL, SUCCEEDED } };
  static const Answer by_location[] = { { "operations/1", 202, NULL, "" }, { "operations/1", 200, NULL, DONE } };
  static const Answer gone[] = { { "operations/1", 404, NULL, "", .always = TRUE } };
  const struct {
    const Answer *answers;
    gsize n;
    guint requests;
    int error;
  } rows[] = { { by_status, 2, 2, -1 }, { by_location, 2, 2, -1 }, { gone, 1, 3, AZLIN_ERROR_NOT_FOUND } };
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
    g_autoptr(ArmWorld) world = arm_world_new(rows[i].answers, rows[i].n);
    AzlinOp *op = arm_world_op(world, 0);
    arm_resume(&world->azure, op, POLL, arm_world_reply, arm_world_keep(world, op));
    arm_world_wait(world);
    g_assert_cmpint(world->error != NULL ? world->error->code : -1, ==, rows[i].error);
    g_assert_cmpuint(world->requests, ==, rows[i].requests);
  }
}

/* ---- one call ---- */

static void
test_busy(void)
{
  static const Answer answers[] = {
    { "GET", 409, NULL, "{\"error\":{\"code\":\"AnotherOperationInProgress\",\"message\":\"x\"}}" },
    { "GET", 409, "retry-after: 50", "{\"error\":{\"code\":\"RetryableError\",\"message\":\"x\"}}" },
    { "GET", 200, NULL, DONE },
  };
  static const Answer for_ever[]
      = { { "GET", 400, NULL, "{\"error\":{\"code\":\"NicReservedForAnotherVm\"}}", .always = TRUE } };
  g_autoptr(ArmWorld) world = WORLD(answers), held = WORLD(for_ever);
  call_get(world, FALSE, 0);
  g_assert_no_error(world->error);
  g_assert_cmpint(az_clock_monotonic(world->clock), >=, 51 * G_USEC_PER_SEC);
  call_get(held, FALSE, 0);
  g_assert_error(held->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_cmpint(az_clock_monotonic(held->clock), >=, 240 * G_USEC_PER_SEC);
  g_assert_cmpint(az_clock_monotonic(held->clock), <, 280 * G_USEC_PER_SEC);
}

static void
test_fresh(void)
{
  static const Answer answers[] = { { "GET", 404, NULL, "" }, { "GET", 404, NULL, "" }, { "GET", 200, NULL, DONE } };
  static const Answer never[] = { { "GET", 404, NULL, "", .always = TRUE } };
  g_autoptr(ArmWorld) world = WORLD(answers), gone = WORLD(never), old = WORLD(never);
  call_get(world, TRUE, 0);
  g_assert_no_error(world->error);
  call_get(gone, TRUE, 0);
  g_assert_error(gone->error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
  g_assert_cmpint(az_clock_monotonic(gone->clock), >=, 120 * G_USEC_PER_SEC);
  call_get(old, FALSE, 0);
  g_assert_error(old->error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND);
  g_assert_cmpuint(old->requests, ==, 1);
}

static void
test_no_json(void)
{
  static const char *const bodies[] = { "<html>captive portal</html>", "{\"a\":", "[", "{\"a\":\"\\u0000\"}", "nul" };
  for (gsize i = 0; i < G_N_ELEMENTS(bodies); i++) {
    const Answer answers[] = { { "GET", 200, NULL, bodies[i], .always = TRUE } };
    g_autoptr(ArmWorld) world = WORLD(answers);
    call_get(world, FALSE, 0);
    g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
    g_assert_nonnull(strstr(world->error->message, "is no JSON"));
    g_assert_cmpuint(world->requests, ==, 3);
  }
}

static void
test_op_ends_first(void)
{
  static const Answer answers[] = { { "GET", 409, NULL, "{\"error\":{\"code\":\"Conflict\"}}", .always = TRUE } };
  g_autoptr(ArmWorld) world = WORLD(answers);
  call_get(world, FALSE, 20000);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
}

/* ---- lists ---- */

static void
list(ArmWorld *world)
{
  AzlinOp *op = arm_world_op(world, 0);
  arm_list(&world->azure, op, "/list", "1", arm_world_reply, arm_world_keep(world, op));
  arm_world_wait(world);
}

static void
test_pages(void)
{
  static const Answer answers[] = {
    { "GET /list?api-version=1", 200, NULL, "{\"value\":[1,2],\"nextLink\":\"" ENDPOINT "/p2?t=%2F\"}" },
    { "GET /p2?t=%2F", 200, NULL, "{\"value\":[],\"nextLink\":\"" ENDPOINT "/p3\"}" },
    { "GET /p3", 200, NULL, "{\"value\":[3],\"nextLink\":null}" },
  };
  g_autoptr(ArmWorld) world = WORLD(answers);
  list(world);
  g_assert_no_error(world->error);
  g_assert_cmpuint(json_array_size(world->body), ==, 3);
}

static void
test_bad_pages(void)
{
  static const char *const firsts[] = {
    "{\"value\":[1],\"nextLink\":\"" ENDPOINT "/list?api-version=1\"}", /* in a circle */
    "{\"value\":[1],\"nextLink\":\"https://evil.example/\"}",           "{\"value\":{}}", "{}", "[]",
  };
  for (gsize i = 0; i < G_N_ELEMENTS(firsts); i++) {
    const Answer answers[] = { { "GET", 200, NULL, firsts[i], .always = TRUE } };
    g_autoptr(ArmWorld) world = WORLD(answers);
    list(world);
    g_assert_nonnull(world->error);
    g_assert_cmpuint(world->requests, <=, 2);
  }
}

static void
test_endless_list(void)
{
  g_autoptr(GString) page = g_string_new("{\"value\":[0");
  for (guint i = 1; i < 6000; i++)
    g_string_append(page, ",0");
  g_string_append(page, "],\"nextLink\":\"" ENDPOINT "/next\"}");
  const Answer answers[] = { { "GET", 200, NULL, page->str, .always = TRUE } };
  g_autoptr(ArmWorld) world = WORLD(answers);
  list(world);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_cmpuint(world->requests, ==, 2);
}

/* Pages with so many bytes of filler and a link to the next one, without end. */
static guint
pages_of(gsize filler, guint n)
{
  g_autoptr(GPtrArray) texts = g_ptr_array_new_with_free_func(g_free);
  g_autofree Answer *answers = g_new0(Answer, n);
  g_autofree char *blanks = g_strnfill(filler, ' ');
  for (guint i = 0; i < n; i++) {
    g_ptr_array_add(texts, g_strdup_printf("{\"value\":[],%s\"nextLink\":\"" ENDPOINT "/p%u\"}", blanks, i));
    answers[i] = (Answer){ "GET", 200, NULL, g_ptr_array_index(texts, i) };
  }
  g_autoptr(ArmWorld) world = arm_world_new(answers, n);
  list(world);
  g_assert_error(world->error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_cmpstr(world->error->message, ==, "a list of Azure is over 1000 pages or 64 MiB long");
  return world->requests;
}

static void
test_long_lists(void)
{
  g_assert_cmpuint(pages_of(4 << 20, 20), ==, 16);
  g_assert_cmpuint(pages_of(0, 1010), ==, 1000);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/poll/put", test_put);
  g_test_add_func("/poll/pauses-grow", test_pauses_grow);
  g_test_add_func("/poll/location", test_location);
  g_test_add_func("/poll/location-fails", test_location_fails);
  g_test_add_func("/poll/operation-fails", test_operation_fails);
  g_test_add_func("/poll/canceled", test_canceled);
  g_test_add_func("/poll/failed-reads", test_failed_reads);
  g_test_add_func("/poll/lost-operation", test_lost_operation);
  g_test_add_func("/poll/lost-delete", test_lost_delete);
  g_test_add_func("/poll/no-header", test_no_header);
  g_test_add_func("/poll/broken-answer", test_broken_answer);
  g_test_add_func("/poll/hostile-urls", test_hostile_urls);
  g_test_add_func("/poll/long-url", test_long_url);
  g_test_add_func("/poll/deadline", test_deadline);
  g_test_add_func("/poll/resume", test_resume);
  g_test_add_func("/call/busy", test_busy);
  g_test_add_func("/call/fresh", test_fresh);
  g_test_add_func("/call/no-json", test_no_json);
  g_test_add_func("/call/op-ends-first", test_op_ends_first);
  g_test_add_func("/list/pages", test_pages);
  g_test_add_func("/list/bad-pages", test_bad_pages);
  g_test_add_func("/list/endless", test_endless_list);
  g_test_add_func("/list/long", test_long_lists);
  return g_test_run();
}
