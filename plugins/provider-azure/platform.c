/* What Azure says of the hardware under a machine: Microsoft.ResourceHealth, where the subscription has registered it.
 * Its version is the general one of learn.microsoft.com/rest/api/resourcehealth/availability-statuses/get-by-resource.
 */
#include "arm.h"
#include "record.h"
#include <string.h>

#define RESOURCE_HEALTH "2025-05-01"
#define ASK_MS 4000                   /* a hint, for which nobody waits longer */
#define URGENT_MS 2000                /* a fence has ten seconds in all */
#define KEPT_US (30 * G_USEC_PER_SEC) /* it is minutes behind itself: who looks every few seconds learns no more */

typedef struct {
  Azure *azure;
  AzlinOp *limit;
  AzlinOp *wait; /* until it is known whether there is anybody to ask */
  char *path;
  AzlinPower power;
  AzurePlatformDone done;
  gpointer data;
} Ask;

typedef struct { /* what was answered last about one machine */
  gint64 at;     /* monotonic */
  AzlinPower power;
  gboolean said; /* FALSE: it could not be had */
  AzurePlatform platform;
  char *detail;
} Known;

static gboolean
begins(const json_t *properties, const char *member, const char *word)
{
  return g_ascii_strncasecmp(arm_string(properties, member, ""), word, strlen(word)) == 0;
}

/* Three members say it, in spellings that have changed over the years. */
static gboolean
is_by_customer(const json_t *properties)
{
  static const char *const MEMBERS[] = { "reasonType", "context", "healthEventCause" };
  for (gsize i = 0; i < G_N_ELEMENTS(MEMBERS); i++)
    if (begins(properties, MEMBERS[i], "User") || begins(properties, MEMBERS[i], "Customer"))
      return TRUE;
  return FALSE;
}

static gboolean
is_by_platform(const json_t *properties)
{
  return begins(properties, "reasonType", "Unplanned") || begins(properties, "reasonType", "Planned")
         || begins(properties, "context", "Platform") || begins(properties, "healthEventCause", "Platform");
}

AzurePlatform
azure_platform_read(const json_t *body, char **ret_detail)
{
  const json_t *properties = json_object_get(body, "properties");
  const char *state = arm_string(properties, "availabilityState", "");
  gboolean down = g_ascii_strcasecmp(state, "Unavailable") == 0;
  gboolean up = g_ascii_strcasecmp(state, "Available") == 0 || g_ascii_strcasecmp(state, "Degraded") == 0;
  AzurePlatform platform = { .cause = AZLIN_STOP_UNKNOWN };
  *ret_detail = arm_clean(arm_string(properties, "summary", arm_string(properties, "title", "")));
  platform.detail = **ret_detail != '\0' ? *ret_detail : NULL;
  if (up)
    platform.state = "available";
  if (is_by_customer(properties))
    platform.cause = AZLIN_STOP_REQUESTED; /* nothing is wrong with the hardware then */
  else if (down) {
    platform.state = "unavailable";
    platform.cause = is_by_platform(properties) ? AZLIN_STOP_ENDED : AZLIN_STOP_UNKNOWN;
  }
  return platform;
}

/* ---- what is known already ---- */

static void
known_free(gpointer data)
{
  Known *known = data;
  g_free(known->detail);
  g_free(known);
}

static void
remember(Ask *ask, const AzurePlatform *platform)
{
  Azure *azure = ask->azure;
  Known *known = g_new0(Known, 1);
  *known = (Known){ .at = azure->api->monotonic(azure->host), .power = ask->power, .said = platform != NULL };
  if (platform != NULL) {
    known->platform = *platform;
    known->platform.detail = known->detail = g_strdup(platform->detail);
  }
  if (azure->health_known == NULL)
    azure->health_known = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, known_free);
  g_hash_table_replace(azure->health_known, g_strdup(ask->path), known);
}

/* Of the machine in another state it says nothing. */
static const Known *
recall(Azure *azure, const char *path, AzlinPower power)
{
  const Known *known = azure->health_known != NULL ? g_hash_table_lookup(azure->health_known, path) : NULL;
  gboolean fresh = known != NULL && known->power == power && azure->api->monotonic(azure->host) - known->at < KEPT_US;
  return fresh ? known : NULL;
}

/* ---- one question ---- */

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
  AzurePlatform platform = azure_platform_read(reply->body, &detail);
  const AzurePlatform *said = reply->error == NULL ? &platform : NULL;
  remember(data, said);
  finish(data, said);
}

static void
ask_status(Ask *ask)
{
  ArmCall call = { .method = "GET", .path = ask->path, .version = RESOURCE_HEALTH };
  arm_call(ask->azure, ask->limit, &call, on_status, ask);
}

/* ---- whether there is anybody to ask ---- */

static void
on_known(AzlinOp *wait, gpointer data)
{
  Ask *ask = data;
  Azure *azure = ask->azure;
  if (azure->health_waiting != NULL) /* it ended before that was known */
    g_ptr_array_remove(azure->health_waiting, ask);
  if (azure->api->op_error(wait) == NULL && azure->has_health == 1)
    ask_status(ask);
  else
    finish(ask, NULL);
}

typedef struct {
  Azure *azure;
  AzlinOp *op;
} Question;

static void
on_registration(const ArmReply *reply, gpointer data)
{
  g_autofree Question *question = data;
  Azure *azure = question->azure;
  g_autoptr(GPtrArray) waiting = g_steal_pointer(&azure->health_waiting);
  gboolean registered = g_ascii_strcasecmp(arm_string(reply->body, "registrationState", ""), "Registered") == 0;
  if (reply->error == NULL || reply->status == 404 || reply->status == 403)
    azure->has_health = reply->error == NULL && registered ? 1 : 0;
  for (guint i = 0; i < waiting->len; i++)
    azure->api->op_finish(((Ask *) g_ptr_array_index(waiting, i))->wait);
  azure->api->op_finish(question->op);
}

/* Beside the tree of the first who asks, so that its end does not leave the others without an answer. */
static void
ask_registration(Azure *azure, AzlinOp *op)
{
  Question *question = g_new0(Question, 1);
  g_autofree char *path = g_strdup_printf("/subscriptions/%s/providers/Microsoft.ResourceHealth", azure->subscription);
  ArmCall call = { .method = "GET", .path = path, .version = ARM_RESOURCES };
  question->azure = azure;
  question->op = azure->api->op_new_detached(op, "find Microsoft.ResourceHealth", ASK_MS, NULL, NULL);
  azure->health_waiting = g_ptr_array_new();
  arm_call(azure, question->op, &call, on_registration, question);
}

void
azure_platform_ask(Azure *azure, AzlinOp *op, const char *vm_id, AzlinPower power, AzurePlatformDone done,
                   gpointer data)
{
  g_autofree char *path = g_strdup_printf("%s/providers/Microsoft.ResourceHealth/availabilityStatuses/current", vm_id);
  const Known *known = recall(azure, path, power);
  if (azure->has_health == 0 || known != NULL) {
    done(known != NULL && known->said ? &known->platform : NULL, data);
    return;
  }
  Ask *ask = g_new0(Ask, 1);
  *ask = (Ask){ .azure = azure, .power = power, .done = done, .data = data };
  guint32 limit_ms = azure->api->op_urgent(op) ? URGENT_MS : ASK_MS;
  ask->limit = azure->api->op_new(op, "what the platform says", limit_ms, NULL, NULL);
  ask->path = g_steal_pointer(&path);
  if (azure->has_health == 1) {
    ask_status(ask);
    return;
  }
  ask->wait = azure->api->op_new(ask->limit, "find Microsoft.ResourceHealth", 0, on_known, ask);
  if (azure->health_waiting == NULL)
    ask_registration(azure, op);
  g_ptr_array_add(azure->health_waiting, ask);
}
