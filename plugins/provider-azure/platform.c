/* What Azure says of the hardware under a machine: Microsoft.ResourceHealth, where the subscription has registered it.
 * Its version is the general one of learn.microsoft.com/rest/api/resourcehealth/availability-statuses/get-by-resource.
 */
#include "arm.h"
#include "record.h"
#include <string.h>

#define RESOURCE_HEALTH "2025-05-01"
#define ASK_MS 4000 /* a hint, for which nobody waits longer */

typedef struct {
  Azure *azure;
  AzlinOp *limit;
  char *path;
  AzurePlatformDone done;
  gpointer data;
} Ask;

static gboolean
is_by_customer(const json_t *properties)
{
  const char *reason = arm_string(properties, "reasonType", "");
  const char *context = arm_string(properties, "context", "");
  return g_ascii_strncasecmp(reason, "User", 4) == 0 || g_ascii_strncasecmp(reason, "Customer", 8) == 0
         || g_ascii_strncasecmp(context, "Customer", 8) == 0;
}

AzurePlatform
azure_platform_read(const json_t *body, char **ret_detail)
{
  const json_t *properties = json_object_get(body, "properties");
  const char *state = arm_string(properties, "availabilityState", "");
  const char *reason = arm_string(properties, "reasonType", "");
  gboolean down = g_ascii_strcasecmp(state, "Unavailable") == 0;
  gboolean up = g_ascii_strcasecmp(state, "Available") == 0 || g_ascii_strcasecmp(state, "Degraded") == 0;
  gboolean by_platform = g_ascii_strcasecmp(reason, "Unplanned") == 0 || g_ascii_strcasecmp(reason, "Planned") == 0;
  AzurePlatform platform = { .cause = AZLIN_STOP_UNKNOWN };
  *ret_detail = arm_clean(arm_string(properties, "summary", arm_string(properties, "title", "")));
  platform.detail = **ret_detail != '\0' ? *ret_detail : NULL;
  if (up)
    platform.state = "available";
  if (is_by_customer(properties))
    platform.cause = AZLIN_STOP_REQUESTED; /* nothing is wrong with the hardware then */
  else if (down) {
    platform.state = "unavailable";
    platform.cause = by_platform ? AZLIN_STOP_ENDED : AZLIN_STOP_UNKNOWN;
  }
  return platform;
}

static void
finish(Ask *ask, const AzurePlatform *platform)
{
  ask->azure->api->op_finish(ask->limit);
  ask->done(platform, ask->data);
  g_free(ask->path);
  g_free(ask);
}

static void
on_status(const ArmReply *reply, gpointer data)
{
  g_autofree char *detail = NULL;
  if (reply->error != NULL) {
    finish(data, NULL);
    return;
  }
  AzurePlatform platform = azure_platform_read(reply->body, &detail);
  finish(data, &platform);
}

static void
ask_status(Ask *ask)
{
  ArmCall call = { .method = "GET", .path = ask->path, .version = RESOURCE_HEALTH };
  arm_call(ask->azure, ask->limit, &call, on_status, ask);
}

static void
on_registration(const ArmReply *reply, gpointer data)
{
  Ask *ask = data;
  gboolean known = reply->error == NULL || reply->status == 404 || reply->status == 403;
  gboolean registered = g_ascii_strcasecmp(arm_string(reply->body, "registrationState", ""), "Registered") == 0;
  if (known)
    ask->azure->has_health = reply->error == NULL && registered ? 1 : 0;
  if (known && ask->azure->has_health == 1)
    ask_status(ask);
  else
    finish(ask, NULL);
}

void
azure_platform_ask(Azure *azure, AzlinOp *op, const char *vm_id, AzurePlatformDone done, gpointer data)
{
  if (azure->has_health == 0) {
    done(NULL, data);
    return;
  }
  Ask *ask = g_new0(Ask, 1);
  *ask = (Ask){ .azure = azure, .done = done, .data = data };
  ask->limit = azure->api->op_new(op, "what the platform says", ASK_MS, NULL, NULL);
  ask->path = g_strdup_printf("%s/providers/Microsoft.ResourceHealth/availabilityStatuses/current", vm_id);
  if (azure->has_health == 1) {
    ask_status(ask);
    return;
  }
  g_autofree char *path = g_strdup_printf("/subscriptions/%s/providers/Microsoft.ResourceHealth", azure->subscription);
  ArmCall call = { .method = "GET", .path = path, .version = ARM_RESOURCES };
  arm_call(azure, ask->limit, &call, on_registration, ask);
}
