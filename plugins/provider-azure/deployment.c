/* A template deployment that goes on by itself: waited for, or told to stop. */
#include "deployment.h"
#include "arm.h"

#define MAX_WAIT_MS 10000
#define MISSING_LOOKS 5

typedef struct {
  Azure *azure;
  AzlinOp *op;
  char *id;
  gboolean expected, stop;
  guint looks, missing;
  gint64 until; /* monotonic; 0 = no limit */
  AzureDeploymentEnded done;
  gpointer data;
} Wait;

static void look(Wait *wait);

gboolean
azure_state_is_final(const char *state)
{
  static const char *const final[] = { "Succeeded", "Failed", "Canceled", "Deleted" };
  for (gsize i = 0; i < G_N_ELEMENTS(final); i++)
    if (g_ascii_strcasecmp(state, final[i]) == 0)
      return TRUE;
  return FALSE;
}

guint32
azure_wait_ms(guint looks)
{
  return MIN(1000u << MIN(looks, 4), MAX_WAIT_MS);
}

static void
wait_end(Wait *wait, const json_t *deployment, const GError *error)
{
  wait->done(deployment, error, wait->data);
  g_free(wait->id);
  g_free(wait);
}

static void
slept(AzlinOp *op, gpointer data)
{
  Wait *wait = data;
  const GError *error = wait->azure->api->op_error(op);
  if (error)
    wait_end(wait, NULL, error);
  else
    look(wait);
}

static void
look_later(Wait *wait)
{
  const AzlinHostApi *api = wait->azure->api;
  api->sleep(wait->azure->host, azure_wait_ms(wait->looks++), api->op_new(wait->op, "wait", 0, slept, wait));
}

/* 409: it has ended meanwhile. Whatever the answer was, the next look says how it stands. */
static void
cancelled(const ArmReply *reply, gpointer data)
{
  Wait *wait = data;
  if (reply->error && reply->status == 0)
    wait_end(wait, NULL, reply->error);
  else
    look_later(wait);
}

static void
looked(const ArmReply *reply, gpointer data)
{
  Wait *wait = data;
  if (reply->status == 404 && wait->expected && wait->missing++ < MISSING_LOOKS) {
    look_later(wait);
    return;
  }
  if (reply->status == 404 || reply->error) {
    wait_end(wait, NULL, reply->status == 404 ? NULL : reply->error);
    return;
  }
  gboolean over = wait->until && wait->azure->api->monotonic(wait->azure->host) >= wait->until;
  if (over || azure_state_is_final(arm_string(reply->body, "properties.provisioningState", ""))) {
    wait_end(wait, reply->body, NULL);
    return;
  }
  if (!wait->stop) {
    look_later(wait);
    return;
  }
  wait->stop = FALSE;
  g_autofree char *path = g_strconcat(wait->id, "/cancel", NULL);
  const ArmCall call = { .method = "POST", .path = path, .version = ARM_RESOURCES, .once = TRUE };
  arm_call(wait->azure, wait->op, &call, cancelled, wait);
}

static void
look(Wait *wait)
{
  const ArmCall call = { .method = "GET", .path = wait->id, .version = ARM_RESOURCES };
  arm_call(wait->azure, wait->op, &call, looked, wait);
}

static void
begin(Azure *azure, AzlinOp *op, const Wait *how)
{
  Wait *wait = g_new0(Wait, 1);
  *wait = *how;
  wait->azure = azure;
  wait->op = op;
  look(wait);
}

void
azure_deployment_wait(Azure *azure, AzlinOp *op, const char *id, gboolean expected, guint32 limit_ms,
                      AzureDeploymentEnded done, gpointer data)
{
  gint64 until = limit_ms ? azure->api->monotonic(azure->host) + limit_ms * G_GINT64_CONSTANT(1000) : 0;
  begin(azure, op, &(Wait){ .id = g_strdup(id), .expected = expected, .until = until, .done = done, .data = data });
}

void
azure_deployment_stop(Azure *azure, AzlinOp *op, const char *id, gboolean expected, AzureDeploymentEnded done,
                      gpointer data)
{
  begin(azure, op, &(Wait){ .id = g_strdup(id), .expected = expected, .stop = TRUE, .done = done, .data = data });
}
