/* Which subscription azlin works in: said in the configuration, or the only one that the login sees; asked once. */
#include "arm.h"
#include "option.h"
#include <string.h>

#define ASK_MS 60000
#define MAX_SHOWN 10u
#define HOW_TO_SET "Set subscription in [provider.azure] of azlin.conf, or AZURE_SUBSCRIPTION_ID, to one of the ids"

typedef struct {
  Azure *azure;
  AzlinOp *wait; /* child of the caller's op; ends with the answer */
  AzureReady then;
  gpointer data;
} Waiter;

static void
on_settled(AzlinOp *wait, gpointer data)
{
  g_autofree Waiter *waiter = data;
  Azure *azure = waiter->azure;
  if (azure->waiting != NULL) /* its caller ended before the answer came */
    g_ptr_array_remove(azure->waiting, waiter);
  waiter->then(azure, azure->api->op_error(wait), waiter->data);
}

static void
settle(Azure *azure, const GError *error)
{
  g_autoptr(GPtrArray) waiting = g_steal_pointer(&azure->waiting);
  for (guint i = 0; waiting != NULL && i < waiting->len; i++) {
    Waiter *waiter = g_ptr_array_index(waiting, i);
    if (error != NULL)
      azure->api->op_fail(waiter->wait, g_error_copy(error));
    else
      azure->api->op_finish(waiter->wait);
  }
}

static void
append_line(GString *lines, const json_t *subscription)
{
  g_autofree char *name = arm_clean(arm_string(subscription, "displayName", ""));
  g_autofree char *id = arm_clean(arm_string(subscription, "subscriptionId", ""));
  g_string_append_printf(lines, "%s%s (%s)", lines->len > 0 ? ", " : "", name, id);
}

/* The only enabled one, owned; or NULL and why. */
static char *
choose(Azure *azure, const json_t *all, GError **error)
{
  g_autoptr(GString) shown = g_string_new(NULL);
  const char *only = NULL;
  guint n = 0;
  gsize i;
  json_t *one;
  json_array_foreach(all, i, one)
  {
    if (g_ascii_strcasecmp(arm_string(one, "state", ""), "Enabled") != 0)
      continue;
    only = arm_string(one, "subscriptionId", "");
    if (n++ < MAX_SHOWN)
      append_line(shown, one);
  }
  if (n == 1 && g_uuid_string_is_valid(only))
    return g_ascii_strdown(only, -1);
  if (n > 1) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "the login sees %u subscriptions and none is chosen: %s%s", n,
                shown->str, n > MAX_SHOWN ? ", ..." : "");
    azure->api->error_add_step(*error, HOW_TO_SET);
    return NULL;
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "the login sees no enabled subscription (of %u in all)",
              (guint) json_array_size(all));
  azure->api->error_add_step(*error, "See what the login sees: az account list --all --output table");
  azure->api->error_add_step(*error, "Log in to another account or tenant: az login --tenant TENANT");
  return NULL;
}

static void
on_subscriptions(const ArmReply *reply, gpointer data)
{
  Azure *azure = data;
  g_autoptr(GError) error = reply->error != NULL ? g_error_copy(reply->error) : NULL;
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED)) {
    g_clear_error(&error);
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT, "Azure did not list the subscriptions within %d s",
                        ASK_MS / 1000);
  }
  char *chosen = error == NULL ? choose(azure, reply->body, &error) : NULL;
  if (chosen != NULL) {
    azure->subscription = chosen;
    azure->identity.subscription = chosen;
    azure->subscription_from = "the only enabled one of the login";
  }
  settle(azure, error);
}

static void
on_asked(AzlinOp *ask, gpointer data)
{
}

typedef struct {
  Azure *azure;
  AzlinOp *ask;
} Ask;

static void
on_listed(const ArmReply *reply, gpointer data)
{
  g_autofree Ask *state = data;
  on_subscriptions(reply, state->azure);
  state->azure->api->op_finish(state->ask);
}

/* Beside the tree of the first who asks, so that its end does not leave the others without an answer. */
static void
ask_for_all(Azure *azure, AzlinOp *op)
{
  Ask *state = g_new0(Ask, 1);
  state->azure = azure;
  state->ask = azure->api->op_new_detached(op, "find the subscription", ASK_MS, on_asked, NULL);
  arm_list(azure, state->ask, "/subscriptions", ARM_SUBSCRIPTIONS, on_listed, state);
}

static gboolean
take(Azure *azure, const char *id, const char *where, GError **error)
{
  if (!g_uuid_string_is_valid(id)) {
    g_autofree char *shown = arm_clean(id);
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s is '%s', which is no subscription id (a UUID)", where,
                shown);
    azure->api->error_add_step(*error, "See the subscriptions of the login: az account list --output table");
    return FALSE;
  }
  azure->subscription = g_ascii_strdown(id, -1);
  azure->identity.subscription = azure->subscription;
  azure->subscription_from = where;
  return TRUE;
}

void
azure_ready(Azure *azure, AzlinOp *op, AzureReady then, gpointer data)
{
  g_autofree char *option = option_string(azure->host, "subscription");
  g_autoptr(GError) error = NULL;
  const char *variable = g_getenv("AZURE_SUBSCRIPTION_ID");
  gboolean said = azure->subscription != NULL;
  if (!said && *option != '\0')
    said = take(azure, option, "subscription in [provider.azure]", &error);
  else if (!said && variable != NULL && *variable != '\0')
    said = take(azure, variable, "AZURE_SUBSCRIPTION_ID", &error);
  if (said || error != NULL) {
    then(azure, error, data);
    return;
  }
  Waiter *waiter = g_new0(Waiter, 1);
  *waiter = (Waiter){ .azure = azure, .then = then, .data = data };
  waiter->wait = azure->api->op_new(op, "find the subscription", 0, on_settled, waiter);
  gboolean first = azure->waiting == NULL;
  if (first)
    azure->waiting = g_ptr_array_new();
  g_ptr_array_add(azure->waiting, waiter);
  if (first)
    ask_for_all(azure, op);
}
