/* What an error of Azure means: the code that says most, among all shapes that answers have, and what to do about it.
 */
#include "arm.h"
#include <string.h>

#define MAX_NESTED 65536 /* bytes of a message that is JSON again */
#define MAX_LEVELS 8
#define MAX_DETAILS 100u

/* How much a code says: the one that says most is the error's, the first of equals. */
typedef enum { WRAPPER, UNKNOWN, KNOWN, CAUSE } Weight;

typedef struct {
  const char *name;
  AzlinError error;
  Weight weight;
  const char *steps[3];
} Row;

#define ELSEWHERE "Try another region, or let azlin choose: --allow-fallback"
#define OTHER_SIZE "Try another size: --vm-size"
#define SEE_QUOTA "See the limits: az vm list-usage --location REGION --output table"
#define ASK_QUOTA "Ask for a higher limit: https://aka.ms/ProdportalCRP"
#define SEE_ROLES "See the roles of the login: az role assignment list --assignee ID --all"
#define ASK_ROLE                                                                                                       \
  "Ask for the role Contributor on the subscription, or on the resource group; a new role needs some minutes"
#define LOG_IN "Log in again: az login"
#define CHECK_PRINCIPAL "Or check AZURE_TENANT_ID, AZURE_CLIENT_ID and the secret or certificate"
#define SEE_SUBSCRIPTIONS "See the subscriptions of the login: az account list --output table"
#define SET_SUBSCRIPTION "Set subscription in [provider.azure] of azlin.conf, or AZURE_SUBSCRIPTION_ID"
#define LATER "Run the command again in some minutes, or use another region"

static const Row rows[] = {
  { "InvalidTemplateDeployment", AZLIN_ERROR_FAILED, WRAPPER, { NULL } },
  { "DeploymentFailed", AZLIN_ERROR_FAILED, WRAPPER, { NULL } },
  { "ResourceDeploymentFailure", AZLIN_ERROR_FAILED, WRAPPER, { NULL } },
  { "InvalidTemplateDeploymentPolicyViolation", AZLIN_ERROR_PERMISSION, WRAPPER, { NULL } },
  { "MultipleErrorsOccurred", AZLIN_ERROR_FAILED, WRAPPER, { NULL } },
  { "PreflightValidationCheckFailed", AZLIN_ERROR_FAILED, WRAPPER, { NULL } },
  { "BadRequest", AZLIN_ERROR_FAILED, WRAPPER, { NULL } },
  { "Conflict", AZLIN_ERROR_FAILED, WRAPPER, { NULL } },
  { "Failed", AZLIN_ERROR_FAILED, WRAPPER, { NULL } },

  { "SkuNotAvailable", AZLIN_ERROR_CAPACITY, CAUSE, { OTHER_SIZE, ELSEWHERE } },
  { "AllocationFailed", AZLIN_ERROR_CAPACITY, CAUSE, { OTHER_SIZE, ELSEWHERE, "Or run the command again later" } },
  { "ZonalAllocationFailed", AZLIN_ERROR_CAPACITY, CAUSE, { "Leave the zone open", OTHER_SIZE, ELSEWHERE } },
  { "OverconstrainedAllocationRequest", AZLIN_ERROR_CAPACITY, CAUSE, { "Leave the zone open", OTHER_SIZE, ELSEWHERE } },
  { "OverconstrainedZonalAllocationRequest",
    AZLIN_ERROR_CAPACITY,
    CAUSE,
    { "Leave the zone open", OTHER_SIZE, ELSEWHERE } },
  { "AvailabilityZoneNotSupported", AZLIN_ERROR_CAPACITY, CAUSE, { "Leave the zone open", ELSEWHERE } },
  { "QuotaExceeded", AZLIN_ERROR_CAPACITY, CAUSE, { SEE_QUOTA, ASK_QUOTA, ELSEWHERE } },
  { "ResourceQuotaExceeded", AZLIN_ERROR_CAPACITY, CAUSE, { SEE_QUOTA, ASK_QUOTA, ELSEWHERE } },
  { "PublicIPCountLimitReached",
    AZLIN_ERROR_CAPACITY,
    CAUSE,
    { "Delete unused addresses: az network public-ip list --output table", ASK_QUOTA, ELSEWHERE } },
  { "IPv4StandardSkuPublicIpCountLimitReached",
    AZLIN_ERROR_CAPACITY,
    CAUSE,
    { "Delete unused addresses: az network public-ip list --output table", ASK_QUOTA, ELSEWHERE } },

  { "AuthorizationFailed", AZLIN_ERROR_PERMISSION, KNOWN, { SEE_ROLES, ASK_ROLE } },
  { "LinkedAuthorizationFailed", AZLIN_ERROR_PERMISSION, KNOWN, { SEE_ROLES, ASK_ROLE } },
  { "AuthorizationPermissionMismatch", AZLIN_ERROR_PERMISSION, KNOWN, { SEE_ROLES, ASK_ROLE } },
  { "RequestDisallowedByPolicy",
    AZLIN_ERROR_PERMISSION,
    KNOWN,
    { "A policy of the subscription forbids it: try a region or size that it allows",
      "See the policies: az policy assignment list --output table" } },
  { "ScopeLocked", AZLIN_ERROR_PERMISSION, KNOWN, { "Take the lock away: az lock list --output table" } },
  { "ReadOnlyDisabledSubscription",
    AZLIN_ERROR_PERMISSION,
    KNOWN,
    { "The subscription is disabled: enable it in the portal, or use another", SEE_SUBSCRIPTIONS } },

  { "InvalidAuthenticationToken", AZLIN_ERROR_AUTH, KNOWN, { LOG_IN, CHECK_PRINCIPAL } },
  { "ExpiredAuthenticationToken", AZLIN_ERROR_AUTH, KNOWN, { LOG_IN, CHECK_PRINCIPAL } },
  { "AuthenticationFailed", AZLIN_ERROR_AUTH, KNOWN, { LOG_IN, CHECK_PRINCIPAL } },
  { "AuthenticationFailedMissingToken", AZLIN_ERROR_AUTH, KNOWN, { LOG_IN, CHECK_PRINCIPAL } },
  { "InvalidAuthenticationTokenTenant",
    AZLIN_ERROR_AUTH,
    KNOWN,
    { "Log in to the tenant that the message names: az login --tenant TENANT", "Or correct AZURE_TENANT_ID",
      SEE_SUBSCRIPTIONS } },
  { "InvalidAuthenticationTokenAudience",
    AZLIN_ERROR_AUTH,
    KNOWN,
    { "Set token-audience in [provider.azure] of azlin.conf to what the message names" } },

  { "SubscriptionNotFound", AZLIN_ERROR_CONFIG, CAUSE, { SEE_SUBSCRIPTIONS, SET_SUBSCRIPTION, LOG_IN } },
  { "InvalidSubscriptionId", AZLIN_ERROR_CONFIG, CAUSE, { SEE_SUBSCRIPTIONS, SET_SUBSCRIPTION } },
  { "SubscriptionNotRegistered",
    AZLIN_ERROR_CONFIG,
    KNOWN,
    { "Register it once: az provider register --namespace Microsoft.Compute" } },
  { "MissingSubscriptionRegistration",
    AZLIN_ERROR_CONFIG,
    CAUSE,
    { "Register it once: az provider register --wait --namespace Microsoft.Compute",
      "And: az provider register --wait --namespace Microsoft.Network" } },

  { "TooManyRequests", AZLIN_ERROR_THROTTLED, KNOWN, { NULL } },
  { "SubscriptionRequestsThrottled", AZLIN_ERROR_THROTTLED, KNOWN, { NULL } },
  { "ResourceRequestsThrottled", AZLIN_ERROR_THROTTLED, KNOWN, { NULL } },
  { "ResourceCollectionRequestsThrottled", AZLIN_ERROR_THROTTLED, KNOWN, { NULL } },
  { "RetryableErrorDueToAnotherOperation", AZLIN_ERROR_THROTTLED, KNOWN, { NULL } },

  { "ResourceNotFound", AZLIN_ERROR_NOT_FOUND, KNOWN, { NULL } },
  { "ResourceGroupNotFound", AZLIN_ERROR_NOT_FOUND, KNOWN, { NULL } },
  { "ParentResourceNotFound", AZLIN_ERROR_NOT_FOUND, KNOWN, { NULL } },
  { "DeploymentNotFound", AZLIN_ERROR_NOT_FOUND, KNOWN, { NULL } },
  { "NotFound", AZLIN_ERROR_NOT_FOUND, KNOWN, { NULL } },

  { "InvalidResourceGroupLocation",
    AZLIN_ERROR_EXISTS,
    CAUSE,
    { "A group of that name is in another region: set another resource-group in [provider.azure]" } },
  { "InvalidResourceLocation",
    AZLIN_ERROR_EXISTS,
    CAUSE,
    { "A resource of that name is in another region: give another --vm-name" } },
  { "PropertyChangeNotAllowed",
    AZLIN_ERROR_EXISTS,
    CAUSE,
    { "A machine of that name exists and differs: give another --vm-name, or delete it: azlin vm delete" } },
  { "PreconditionFailed", AZLIN_ERROR_EXISTS, KNOWN, { NULL } },

  { "InvalidParameter", AZLIN_ERROR_USAGE, KNOWN, { NULL } },
  { "PlatformImageNotFound",
    AZLIN_ERROR_USAGE,
    CAUSE,
    { "See the images of that region: az vm image list --all --publisher PUBLISHER --offer OFFER --location REGION",
      "Give another one: --image" } },
  { "ImageNotFound", AZLIN_ERROR_USAGE, CAUSE, { "Give another one: --image" } },
  { "LocationNotAvailableForResourceType",
    AZLIN_ERROR_USAGE,
    CAUSE,
    { "See the regions: az account list-locations --output table" } },
  { "NoRegisteredProviderFound",
    AZLIN_ERROR_USAGE,
    KNOWN,
    { "See the regions: az account list-locations --output table" } },

  { "ServerTimeout", AZLIN_ERROR_TIMED_OUT, KNOWN, { LATER } },
  { "GatewayTimeout", AZLIN_ERROR_TIMED_OUT, KNOWN, { LATER } },
  { "RequestTimeout", AZLIN_ERROR_TIMED_OUT, KNOWN, { LATER } },
  { "InternalServerError", AZLIN_ERROR_FAILED, KNOWN, { LATER } },
  { "InternalExecutionError", AZLIN_ERROR_FAILED, KNOWN, { LATER } },
  { "ServiceUnavailable", AZLIN_ERROR_FAILED, KNOWN, { LATER } },
  { "OSProvisioningTimedOut",
    AZLIN_ERROR_TIMED_OUT,
    CAUSE,
    { "The machine exists but did not report: look at its console: az vm boot-diagnostics get-boot-log --ids ID" } },
  { "OSProvisioningClientError",
    AZLIN_ERROR_FAILED,
    CAUSE,
    { "The machine exists but its system did not come up: check user-data-file and --image" } },
  { "OSProvisioningInternalError", AZLIN_ERROR_FAILED, CAUSE, { LATER } },
  { "OperationPreempted", AZLIN_ERROR_FAILED, KNOWN, { "Something else changed the machine meanwhile: run it again" } },
  { "NicReservedForAnotherVm",
    AZLIN_ERROR_FAILED,
    CAUSE,
    { "Azure keeps the interface for 180 s after a failed machine: run azlin recover in some minutes" } },
};

static const Row *
find_row(const char *code)
{
  for (gsize i = 0; i < G_N_ELEMENTS(rows); i++)
    if (g_ascii_strcasecmp(rows[i].name, code) == 0)
      return &rows[i];
  return NULL;
}

/* OperationNotAllowed is quota, throttling and state alike: the message tells. */
static const Row *
row_of_not_allowed(const char *message)
{
  g_autofree char *text = g_utf8_casefold(message, -1);
  if (strstr(text, "quota") != NULL || strstr(text, "core limit") != NULL)
    return find_row("QuotaExceeded");
  if (strstr(text, "too many requests") != NULL || strstr(text, "throttl") != NULL)
    return find_row("TooManyRequests");
  return NULL;
}

/* ---- the code that says most ---- */

typedef struct {
  const char *code, *message, *target; /* borrowed from the body or from `kept` */
  const Row *row;
  int weight;      /* -1 = nothing was found */
  GPtrArray *kept; /* of json_t: messages that were JSON */
} Finding;

static void look_at(Finding *best, const json_t *error, guint level);

static void
consider(Finding *best, const json_t *error)
{
  const char *code = arm_string(error, "code", "");
  g_autofree char *message = g_utf8_make_valid(arm_string(error, "message", ""), -1);
  const Row *row = g_ascii_strcasecmp(code, "OperationNotAllowed") == 0 ? row_of_not_allowed(message) : find_row(code);
  int weight = row != NULL ? (int) row->weight : *code != '\0' ? UNKNOWN : WRAPPER;
  if (weight <= best->weight || (*code == '\0' && *message == '\0'))
    return;
  best->code = code;
  best->message = arm_string(error, "message", "");
  best->target = arm_string(error, "target", "");
  best->row = row;
  best->weight = weight;
}

static void
look_into_message(Finding *best, const json_t *error, guint level)
{
  const char *message = arm_string(error, "message", "");
  gsize length = strlen(message);
  while (g_ascii_isspace(*message))
    message++;
  if (*message != '{' || length > MAX_NESTED)
    return;
  json_t *inner = json_loads(message, 0, NULL);
  if (inner == NULL)
    return;
  g_ptr_array_add(best->kept, inner);
  look_at(best, inner, level + 1);
}

/* `error`: {code, message, details, innererror}, or something that has one of these as its "error". */
static void
look_at(Finding *best, const json_t *error, guint level)
{
  gsize i;
  json_t *detail;
  if (level > MAX_LEVELS || !json_is_object(error))
    return;
  const json_t *wrapped = json_object_get(error, "error");
  if (json_is_object(wrapped)) {
    look_at(best, wrapped, level + 1);
    return;
  }
  consider(best, error);
  look_into_message(best, error, level);
  json_array_foreach(json_object_get(error, "details"), i, detail)
  {
    if (i >= MAX_DETAILS)
      break;
    look_at(best, detail, level + 1);
  }
  look_at(best, json_object_get(error, "innererror"), level + 1);
}

/* ---- its class ---- */

static AzlinError
class_of_status(int status)
{
  switch (status) {
  case 401:
    return AZLIN_ERROR_AUTH;
  case 403:
    return AZLIN_ERROR_PERMISSION;
  case 404:
    return AZLIN_ERROR_NOT_FOUND;
  case 408:
  case 504:
    return AZLIN_ERROR_TIMED_OUT;
  case 412:
    return AZLIN_ERROR_EXISTS;
  case 429:
    return AZLIN_ERROR_THROTTLED;
  default:
    return AZLIN_ERROR_FAILED;
  }
}

static const char *
reason_of_status(int status)
{
  static const struct {
    int status;
    const char *reason;
  } REASONS[] = { { 400, "Bad Request" },
                  { 401, "Unauthorized" },
                  { 403, "Forbidden" },
                  { 404, "Not Found" },
                  { 405, "Not Allowed" },
                  { 408, "Request Timeout" },
                  { 409, "Conflict" },
                  { 410, "Gone" },
                  { 412, "Precondition Failed" },
                  { 413, "Too Large" },
                  { 429, "Too Many Requests" },
                  { 500, "Internal Server Error" },
                  { 501, "Not Implemented" },
                  { 502, "Bad Gateway" },
                  { 503, "Service Unavailable" },
                  { 504, "Gateway Timeout" } };
  for (gsize i = 0; i < G_N_ELEMENTS(REASONS); i++)
    if (REASONS[i].status == status)
      return REASONS[i].reason;
  return NULL;
}

static char *
status_sentence(int status)
{
  const char *reason = reason_of_status(status);
  if (status == 0)
    return g_strdup("the operation failed and Azure gave no reason");
  if (status >= 300 && status < 400)
    return g_strdup_printf("Azure answered %d, which leads to another address; redirects are never followed", status);
  return reason != NULL ? g_strdup_printf("Azure answered %d %s", status, reason)
                        : g_strdup_printf("Azure answered %d", status);
}

static void
append_request_id(GString *text, const AzlinHttpReply *http)
{
  static const char *const NAMES[] = { "x-ms-request-id", "x-ms-correlation-request-id", "x-ms-arm-request-id" };
  const char *id = NULL;
  for (gsize i = 0; id == NULL && i < G_N_ELEMENTS(NAMES); i++)
    id = arm_header(http, NAMES[i]);
  if (id == NULL || strlen(id) > 64 || strspn(id, "0123456789abcdefABCDEF-:") != strlen(id) || *id == '\0')
    return;
  g_string_append_printf(text, " (request id %s)", id);
}

static char *
sentence_of(const Finding *best, int status, const AzlinHttpReply *http)
{
  g_autofree char *message = arm_clean(best->weight >= 0 ? best->message : "");
  g_autofree char *code = arm_clean(best->weight >= 0 ? best->code : "");
  g_autofree char *target = arm_clean(best->weight >= 0 ? best->target : "");
  g_autofree char *fallback = status_sentence(status);
  gsize length = strlen(message);
  while (length > 0 && (message[length - 1] == '.' || message[length - 1] == ' ') && !g_str_has_suffix(message, "..."))
    message[--length] = '\0';
  GString *text = g_string_new(length > 0 ? message : fallback);
  if (*code != '\0' && (length == 0 || strstr(message, code) == NULL)) {
    g_string_prepend(text, ": ");
    g_string_prepend(text, code);
  }
  if (*target != '\0' && strstr(text->str, target) == NULL)
    g_string_append_printf(text, " [%s]", target);
  append_request_id(text, http);
  return g_string_free(text, FALSE);
}

static void
add_steps(Azure *azure, GError *error, const Row *row)
{
  static const char *const NO_LOGIN[] = { LOG_IN, CHECK_PRINCIPAL, NULL };
  static const char *const NO_RIGHT[] = { SEE_ROLES, ASK_ROLE, NULL };
  static const char *const AT_FAULT[] = { LATER, NULL };
  const char *const *steps = row != NULL ? row->steps : NULL;
  gsize n = row != NULL ? G_N_ELEMENTS(row->steps) : G_MAXSIZE;
  if (row == NULL && error->code == AZLIN_ERROR_AUTH)
    steps = NO_LOGIN;
  else if (row == NULL && error->code == AZLIN_ERROR_PERMISSION)
    steps = NO_RIGHT;
  else if (row == NULL && error->code == AZLIN_ERROR_TIMED_OUT)
    steps = AT_FAULT;
  for (gsize i = 0; steps != NULL && i < n && steps[i] != NULL; i++)
    azure->api->error_add_step(error, "%s", steps[i]);
  if (steps != NULL && steps[0] != NULL) /* these are about Azure; general advice is not */
    azure->api->error_add_step(error, "%s", "");
}

static gboolean
is_wrong_subscription(const Row *row)
{
  return row != NULL
         && (g_str_equal(row->name, "SubscriptionNotFound") || g_str_equal(row->name, "InvalidSubscriptionId"));
}

GError *
arm_error_of_reply(Azure *azure, int status, const json_t *body, const AzlinHttpReply *http, char **ret_code)
{
  g_autoptr(GPtrArray) kept = g_ptr_array_new_with_free_func((GDestroyNotify) json_decref);
  Finding best = { .weight = -1, .kept = kept };
  look_at(&best, body, 0);
  AzlinError class = best.row != NULL && best.row->weight > WRAPPER ? best.row->error : class_of_status(status);
  if (status == 429 || status == 401) /* whatever code came with it */
    class = class_of_status(status);
  g_autofree char *sentence = sentence_of(&best, status, http);
  gboolean of_subscription = is_wrong_subscription(best.row) && azure->subscription_from != NULL;
  GError *error = g_error_new(AZLIN_ERROR, (int) class, "%s%s%s", sentence,
                              of_subscription ? "; the subscription was taken from " : "",
                              of_subscription ? azure->subscription_from : "");
  add_steps(azure, error, best.row);
  if (ret_code != NULL)
    *ret_code = arm_clean(best.weight >= 0 ? best.code : "");
  return error;
}

GError *
arm_error(Azure *azure, int status, const json_t *body, char **ret_code)
{
  return arm_error_of_reply(azure, status, body, NULL, ret_code);
}

int
arm_busy_seconds(int status, const char *code)
{
  static const struct {
    int status;
    const char *code;
    int seconds;
  } BUSY[] = {
    { 409, "AnotherOperationInProgress", 900 },
    { 409, "RetryableError", 900 },
    { 409, "Conflict", 300 },
    { 409, "ReferencedResourceNotProvisioned", 900 },
    { 409, "ResourceGroupBeingDeleted", 900 },
    { 400, "NicReservedForAnotherVm", 240 },
  };
  for (gsize i = 0; i < G_N_ELEMENTS(BUSY); i++)
    if (BUSY[i].status == status && g_ascii_strcasecmp(BUSY[i].code, code) == 0)
      return BUSY[i].seconds;
  return 0;
}
