/* Golden table: what Azure answers on the left, what azlin makes of it on the right; and bytes that mean harm. */
#include "arm-world.h"
#include "error.h"
#include <string.h>

typedef struct {
  int status;
  const char *body;
  AzlinError error;
  const char *code;    /* "" = none */
  const char *message; /* part of it */
  const char *step;    /* part of a step, or NULL */
} Row;

#define E(code, message) "{\"error\":{\"code\":\"" code "\",\"message\":\"" message "\"}}"
#define NESTED(outer, code, message)                                                                                   \
  "{\"error\":{\"code\":\"" outer "\",\"message\":\"See details\",\"details\":[{\"code\":\"" code                      \
  "\",\"message\":\"" message "\"}]}}"

static const Row rows[] = {
  /* capacity, at once */
  { 409, E("SkuNotAvailable", "The requested size is not available"), AZLIN_ERROR_CAPACITY, "SkuNotAvailable",
    "SkuNotAvailable: The requested size is not available", "--vm-size" },
  { 409, E("skunotavailable", "x"), AZLIN_ERROR_CAPACITY, "skunotavailable", "x", "--allow-fallback" },
  { 409, E("QuotaExceeded", "over"), AZLIN_ERROR_CAPACITY, "QuotaExceeded", "over", "list-usage" },
  { 409, E("ResourceQuotaExceeded", "over"), AZLIN_ERROR_CAPACITY, "ResourceQuotaExceeded", "over", "ProdportalCRP" },
  { 400, E("PublicIPCountLimitReached", "x"), AZLIN_ERROR_CAPACITY, "PublicIPCountLimitReached", "x",
    "public-ip list" },
  { 400, E("IPv4StandardSkuPublicIpCountLimitReached", "x"), AZLIN_ERROR_CAPACITY,
    "IPv4StandardSkuPublicIpCountLimitReached", "x", "public-ip list" },
  { 400, E("AvailabilityZoneNotSupported", "x"), AZLIN_ERROR_CAPACITY, "AvailabilityZoneNotSupported", "x", "zone" },
  /* capacity, as the end of an operation */
  { 0, "{\"status\":\"Failed\",\"error\":{\"code\":\"AllocationFailed\",\"message\":\"No room.\"}}",
    AZLIN_ERROR_CAPACITY, "AllocationFailed", "AllocationFailed: No room", "later" },
  { 0, "{\"status\":\"Failed\",\"error\":{\"code\":\"ZonalAllocationFailed\",\"message\":\"x\"}}", AZLIN_ERROR_CAPACITY,
    "ZonalAllocationFailed", "x", "Leave the zone open" },
  { 0, "{\"status\":\"Failed\",\"error\":{\"code\":\"OverconstrainedAllocationRequest\",\"message\":\"x\"}}",
    AZLIN_ERROR_CAPACITY, "OverconstrainedAllocationRequest", "x", "zone" },
  /* capacity, wrapped */
  { 400, NESTED("InvalidTemplateDeployment", "SkuNotAvailable", "inner"), AZLIN_ERROR_CAPACITY, "SkuNotAvailable",
    "SkuNotAvailable: inner", "--vm-size" },
  { 0, NESTED("DeploymentFailed", "AllocationFailed", "inner"), AZLIN_ERROR_CAPACITY, "AllocationFailed", "inner",
    NULL },
  { 0,
    "{\"status\":\"Failed\",\"error\":{\"code\":\"DeploymentFailed\",\"message\":\"At least "
    "one\",\"details\":[{\"code\":"
    "\"Conflict\",\"message\":\"{\\r\\n  \\\"error\\\": {\\\"code\\\":\\\"ZonalAllocationFailed\\\","
    "\\\"message\\\":\\\"deep\\\"}}\"}]}}",
    AZLIN_ERROR_CAPACITY, "ZonalAllocationFailed", "ZonalAllocationFailed: deep", NULL },
  { 0,
    "{\"error\":{\"code\":\"DeploymentFailed\",\"message\":\"m\",\"details\":[{\"code\":\"ResourceDeploymentFailure\","
    "\"message\":\"m\",\"details\":[{\"code\":\"OperationNotAllowed\",\"message\":\"exceeding approved Total Regional "
    "Cores quota\"}]}]}}",
    AZLIN_ERROR_CAPACITY, "OperationNotAllowed", "exceeding approved", "ProdportalCRP" },
  { 400,
    "{\"error\":{\"code\":\"InvalidTemplateDeployment\",\"message\":\"m\",\"details\":[{\"code\":\"InvalidParameter\","
    "\"message\":\"p\"},{\"code\":\"QuotaExceeded\",\"message\":\"q\"}]}}",
    AZLIN_ERROR_CAPACITY, "QuotaExceeded", "QuotaExceeded: q", NULL },
  { 400, "{\"error\":{\"code\":\"X\",\"message\":\"m\",\"innererror\":{\"code\":\"SkuNotAvailable\"}}}",
    AZLIN_ERROR_CAPACITY, "SkuNotAvailable", "Azure answered 400 Bad Request", NULL },
  /* OperationNotAllowed is many things */
  { 409, E("OperationNotAllowed", "Operation could not be completed as it results in exceeding approved quota"),
    AZLIN_ERROR_CAPACITY, "OperationNotAllowed", "approved quota", "list-usage" },
  { 409, E("OperationNotAllowed", "too many requests have been received for this subscription"), AZLIN_ERROR_THROTTLED,
    "OperationNotAllowed", "too many", NULL },
  { 409, E("OperationNotAllowed", "The VM is marked for deletion"), AZLIN_ERROR_FAILED, "OperationNotAllowed",
    "marked for deletion", NULL },
  /* rights */
  { 403, E("AuthorizationFailed", "The client does not have authorization to perform action"), AZLIN_ERROR_PERMISSION,
    "AuthorizationFailed", "does not have authorization", "Contributor" },
  { 403, E("LinkedAuthorizationFailed", "x"), AZLIN_ERROR_PERMISSION, "LinkedAuthorizationFailed", "x", "role" },
  { 403, E("RequestDisallowedByPolicy", "Resource was disallowed by policy 'p'"), AZLIN_ERROR_PERMISSION,
    "RequestDisallowedByPolicy", "policy 'p'", "policy assignment" },
  { 400, NESTED("InvalidTemplateDeployment", "RequestDisallowedByPolicy", "p"), AZLIN_ERROR_PERMISSION,
    "RequestDisallowedByPolicy", "p", "policy" },
  { 409, E("ScopeLocked", "x"), AZLIN_ERROR_PERMISSION, "ScopeLocked", "x", "lock list" },
  { 409, E("ReadOnlyDisabledSubscription", "x"), AZLIN_ERROR_PERMISSION, "ReadOnlyDisabledSubscription", "x",
    "account list" },
  { 403, "", AZLIN_ERROR_PERMISSION, "", "Azure answered 403 Forbidden", "role assignment" },
  { 403, E("SomethingNew", "x"), AZLIN_ERROR_PERMISSION, "SomethingNew", "SomethingNew: x", "role assignment" },
  /* who are you */
  { 401, E("InvalidAuthenticationToken", "x"), AZLIN_ERROR_AUTH, "InvalidAuthenticationToken", "x", "az login" },
  { 401, E("ExpiredAuthenticationToken", "x"), AZLIN_ERROR_AUTH, "ExpiredAuthenticationToken", "x", "AZURE_TENANT_ID" },
  { 401, E("InvalidAuthenticationTokenTenant", "must match tenant 'https://sts.windows.net/t/'"), AZLIN_ERROR_AUTH,
    "InvalidAuthenticationTokenTenant", "sts.windows.net/t/", "--tenant" },
  { 401, "", AZLIN_ERROR_AUTH, "", "401", "az login" },
  { 401, E("Whatever", "x"), AZLIN_ERROR_AUTH, "Whatever", "x", "az login" },
  { 404, E("SubscriptionNotFound", "The subscription 's' could not be found."), AZLIN_ERROR_CONFIG,
    "SubscriptionNotFound", "could not be found", "Set subscription" },
  { 400, E("InvalidSubscriptionId", "x"), AZLIN_ERROR_CONFIG, "InvalidSubscriptionId", "x", "account list" },
  { 409, E("MissingSubscriptionRegistration", "not registered to use namespace 'Microsoft.Compute'"),
    AZLIN_ERROR_CONFIG, "MissingSubscriptionRegistration", "namespace", "provider register" },
  /* throttling: any shape */
  { 429, E("TooManyRequests", "x"), AZLIN_ERROR_THROTTLED, "TooManyRequests", "x", NULL },
  { 429, E("OperationNotAllowed", "The server rejected the request"), AZLIN_ERROR_THROTTLED, "OperationNotAllowed", "x",
    NULL },
  { 429, "{\"code\":\"OperationNotAllowed\",\"message\":\"HighCostGetVMScaleSet30Min\",\"target\":\"\"}",
    AZLIN_ERROR_THROTTLED, "OperationNotAllowed", "HighCost", NULL },
  { 429, "", AZLIN_ERROR_THROTTLED, "", "429 Too Many Requests", NULL },
  { 429, E("RetryableErrorDueToAnotherOperation", "x"), AZLIN_ERROR_THROTTLED, "RetryableErrorDueToAnotherOperation",
    "x", NULL },
  { 503, E("SubscriptionRequestsThrottled", "x"), AZLIN_ERROR_THROTTLED, "SubscriptionRequestsThrottled", "x", NULL },
  /* not there, there already */
  { 404, E("ResourceNotFound", "x"), AZLIN_ERROR_NOT_FOUND, "ResourceNotFound", "x", NULL },
  { 404, E("ResourceGroupNotFound", "x"), AZLIN_ERROR_NOT_FOUND, "ResourceGroupNotFound", "x", NULL },
  { 404, E("DeploymentNotFound", "x"), AZLIN_ERROR_NOT_FOUND, "DeploymentNotFound", "x", NULL },
  { 404, "", AZLIN_ERROR_NOT_FOUND, "", "404 Not Found", NULL },
  { 412, "", AZLIN_ERROR_EXISTS, "", "412", NULL },
  { 409, E("InvalidResourceGroupLocation", "x"), AZLIN_ERROR_EXISTS, "InvalidResourceGroupLocation", "x",
    "resource-group" },
  { 409, E("PropertyChangeNotAllowed", "x"), AZLIN_ERROR_EXISTS, "PropertyChangeNotAllowed", "x", "--vm-name" },
  /* what was asked for */
  { 400, "{\"error\":{\"code\":\"InvalidParameter\",\"message\":\"bad\",\"target\":\"vmSize\"}}", AZLIN_ERROR_USAGE,
    "InvalidParameter", "InvalidParameter: bad [vmSize]", NULL },
  { 404, E("PlatformImageNotFound", "x"), AZLIN_ERROR_USAGE, "PlatformImageNotFound", "x", "--image" },
  { 400, E("LocationNotAvailableForResourceType", "x"), AZLIN_ERROR_USAGE, "LocationNotAvailableForResourceType", "x",
    "list-locations" },
  { 400, E("InvalidTemplate", "x"), AZLIN_ERROR_FAILED, "InvalidTemplate", "x", NULL },
  { 400, E("InvalidResourceReference", "x"), AZLIN_ERROR_FAILED, "InvalidResourceReference", "x", NULL },
  /* in the way, in use */
  { 409, E("AnotherOperationInProgress", "x"), AZLIN_ERROR_FAILED, "AnotherOperationInProgress", "x", NULL },
  { 400, E("NicReservedForAnotherVm", "x"), AZLIN_ERROR_FAILED, "NicReservedForAnotherVm", "x", "recover" },
  { 400, E("NicInUse", "x"), AZLIN_ERROR_FAILED, "NicInUse", "x", NULL },
  { 409, E("Conflict", "x"), AZLIN_ERROR_FAILED, "Conflict", "Conflict: x", NULL },
  { 0, E("OperationPreempted", "x"), AZLIN_ERROR_FAILED, "OperationPreempted", "x", "again" },
  /* guests */
  { 0, E("OSProvisioningTimedOut", "x"), AZLIN_ERROR_TIMED_OUT, "OSProvisioningTimedOut", "x", "boot-diagnostics" },
  { 0, E("OSProvisioningClientError", "x"), AZLIN_ERROR_FAILED, "OSProvisioningClientError", "x", "user-data-file" },
  /* trouble of Azure's own */
  { 500, E("InternalServerError", "x"), AZLIN_ERROR_FAILED, "InternalServerError", "x", "some minutes" },
  { 504, E("GatewayTimeout", "x"), AZLIN_ERROR_TIMED_OUT, "GatewayTimeout", "x", "some minutes" },
  { 502, NULL, AZLIN_ERROR_FAILED, "", "Azure answered 502 Bad Gateway", NULL }, /* HTML: no JSON */
  { 504, NULL, AZLIN_ERROR_TIMED_OUT, "", "504 Gateway Timeout", "some minutes" },
  { 599, NULL, AZLIN_ERROR_FAILED, "", "Azure answered 599", NULL },
  { 0, NULL, AZLIN_ERROR_FAILED, "", "gave no reason", NULL },
  /* shapes that nobody promised */
  { 400, "[]", AZLIN_ERROR_FAILED, "", "400", NULL },
  { 400, "{}", AZLIN_ERROR_FAILED, "", "400", NULL },
  { 400, "{\"error\":null}", AZLIN_ERROR_FAILED, "", "400", NULL },
  { 400, "{\"error\":\"invalid\"}", AZLIN_ERROR_FAILED, "", "400", NULL },
  { 400, "{\"error\":{\"code\":42,\"message\":[1]}}", AZLIN_ERROR_FAILED, "", "400", NULL },
  { 400, "{\"error\":{\"code\":null,\"message\":\"only words\"}}", AZLIN_ERROR_FAILED, "", "only words", NULL },
  { 400, "{\"error\":{\"code\":\"A\",\"details\":{\"code\":\"SkuNotAvailable\"}}}", AZLIN_ERROR_FAILED, "A",
    "A: ", NULL },
  { 400, "{\"error\":{\"code\":\"A\",\"details\":[null,1,\"x\",[],{}]}}", AZLIN_ERROR_FAILED, "A", "A: ", NULL },
  { 400, "{\"error\":{\"error\":{\"error\":{\"code\":\"SkuNotAvailable\"}}}}", AZLIN_ERROR_CAPACITY, "SkuNotAvailable",
    "", NULL },
  { 400, "{\"Message\":\"old style\"}", AZLIN_ERROR_FAILED, "", "400", NULL },
  { 400, "{\"error\":{\"code\":\"A\",\"message\":\"{not json\"}}", AZLIN_ERROR_FAILED, "A", "A: {not json", NULL },
  /* bytes that mean harm */
  { 400, E("A", "red \\u001b[31m and \\u009b5m, \\u202e turned"), AZLIN_ERROR_FAILED, "A",
    "A: red  [31m and  5m,   turned", NULL },
  { 400, E("A", "first\\nsecond"), AZLIN_ERROR_FAILED, "A", "A: first", NULL },
  { 400, E("A", "\\r\\n\\t  late"), AZLIN_ERROR_FAILED, "A", "A: late", NULL },
  { 400, E("\\u001b[2J", "x"), AZLIN_ERROR_FAILED, " [2J", "x", NULL },
  { 400, E("A", "step\\u001fnot a step"), AZLIN_ERROR_FAILED, "A", "step not a step", NULL },
};

static gboolean
has_step(GVariant *record, const char *part)
{
  g_autofree const char **steps = NULL;
  g_assert_true(g_variant_lookup(record, "resolution_steps", "^a&s", &steps));
  for (gsize i = 0; steps[i] != NULL; i++)
    if (strstr(steps[i], part) != NULL)
      return TRUE;
  return FALSE;
}

static void
check(ArmWorld *world, const Row *row, gsize i)
{
  g_autofree char *code = NULL;
  json_auto_t *body = row->body != NULL ? json_loads(row->body, 0, NULL) : NULL;
  g_autoptr(GError) error = arm_error(&world->azure, row->status, body, &code);
  g_autofree char *message = az_error_message(error);
  g_autoptr(GVariant) record = g_variant_ref_sink(az_error_to_variant(error, NULL));
  g_test_message("row %u: %d %s -> %s", (guint) i, row->status, code, message);
  g_assert_true(row->body == NULL || *row->body == '\0' || body != NULL);
  g_assert_error(error, AZLIN_ERROR, (int) row->error);
  g_assert_cmpstr(code, ==, row->code);
  if (!g_str_equal(row->message, "x"))
    g_assert_nonnull(strstr(message, row->message));
  g_assert_true(row->step == NULL || has_step(record, row->step));
  g_assert_false(g_str_has_suffix(message, "."));
}

static void
test_table(void)
{
  g_autoptr(ArmWorld) world = arm_world_new(NULL, 0);
  g_assert_cmpuint(G_N_ELEMENTS(rows), >=, 60);
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
    check(world, &rows[i], i);
}

static void
test_lengths(void)
{
  g_autoptr(ArmWorld) world = arm_world_new(NULL, 0);
  g_autofree char *long_text = g_strnfill(100000, 'x');
  json_auto_t *body = json_pack("{s:{s:s,s:s}}", "error", "code", long_text, "message", long_text);
  g_autoptr(GError) error = arm_error(&world->azure, 400, body, NULL);
  g_assert_cmpuint(strlen(error->message), <, 700);
  json_auto_t *deep = json_pack("{s:s}", "code", "SkuNotAvailable");
  for (guint i = 0; i < 50; i++)
    deep = json_pack("{s:{s:s,s:[o]}}", "error", "code", "DeploymentFailed", "details", deep);
  g_autoptr(GError) hidden = arm_error(&world->azure, 400, deep, NULL);
  g_assert_error(hidden, AZLIN_ERROR, AZLIN_ERROR_FAILED);
}

static void
test_nested_text_is_bounded(void)
{
  g_autoptr(ArmWorld) world = arm_world_new(NULL, 0);
  g_autofree char *brackets = g_strnfill(60000, '[');
  g_autofree char *text = g_strdup_printf("{\"a\":%s", brackets);
  json_auto_t *body = json_pack("{s:{s:s,s:s}}", "error", "code", "A", "message", text);
  g_autoptr(GError) error = arm_error(&world->azure, 400, body, NULL);
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
}

/* Bytes changed at random: whatever still is JSON gets a class, a sentence and a code without control characters. */
static void
test_mutations(void)
{
  g_autoptr(ArmWorld) world = arm_world_new(NULL, 0);
  for (guint i = 0; i < 20000; i++) {
    const Row *row = &rows[g_test_rand_int_range(0, G_N_ELEMENTS(rows))];
    g_autofree char *text = g_strdup(row->body != NULL ? row->body : "{}");
    gsize length = strlen(text);
    for (guint n = 0; n < 3 && length > 0; n++)
      text[g_test_rand_int_range(0, (gint32) length)] = "\"{}[]:,\\ea0"[g_test_rand_int_range(0, 11)];
    json_auto_t *body = json_loads(text, 0, NULL);
    g_autofree char *code = NULL;
    g_autoptr(GError) error = arm_error(&world->azure, row->status, body, &code);
    g_autofree char *message = az_error_message(error);
    g_assert_true(error->code >= 0 && error->code < AZLIN_N_ERRORS && *message != '\0');
    for (const char *p = message; *p != '\0'; p++)
      g_assert_false(g_ascii_iscntrl(*p));
    for (const char *p = code; *p != '\0'; p++)
      g_assert_false(g_ascii_iscntrl(*p));
  }
}

static void
test_request_id(void)
{
  g_autoptr(ArmWorld) world = arm_world_new(NULL, 0);
  json_auto_t *body = json_loads(E("A", "words."), 0, NULL);
  const char *const good[] = { "x-ms-request-id", "0123abcd-0000-4000-8000-0123456789ab", NULL };
  const char *const bad[] = { "x-ms-request-id", "\033[31m", NULL };
  AzlinHttpReply reply = { .size = sizeof reply, .headers = good };
  g_autoptr(GError) error = arm_error_of_reply(&world->azure, 400, body, &reply, NULL);
  g_assert_cmpstr(error->message, ==, "A: words (request id 0123abcd-0000-4000-8000-0123456789ab)");
  reply.headers = bad;
  g_autoptr(GError) plain = arm_error_of_reply(&world->azure, 400, body, &reply, NULL);
  g_assert_cmpstr(plain->message, ==, "A: words");
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_test_add_func("/error/table", test_table);
  g_test_add_func("/error/lengths", test_lengths);
  g_test_add_func("/error/nested-text-is-bounded", test_nested_text_is_bounded);
  g_test_add_func("/error/mutations", test_mutations);
  g_test_add_func("/error/request-id", test_request_id);
  return g_test_run();
}
