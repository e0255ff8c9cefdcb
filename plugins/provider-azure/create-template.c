/* vm_create by one template deployment: Azure checks all of it before anything exists, and keeps the order. */
#include "creation.h"
#include "deployment.h"

#define MAX_PUTS 4

static void put(Creation *creation);
static void follow(Creation *creation);

static void
take_outputs(Creation *creation, const json_t *deployment)
{
  creation_note_address(creation, arm_string(deployment, "properties.outputs.ip.value", NULL));
}

static void
guest_is_late(Creation *creation, const char *message)
{
  creation->guest_trouble = g_strdup(message);
  creation_made(creation);
}

static void
on_deployed(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  if (creation->cut) {
    creation_goes_on(creation, reply);
    return;
  }
  if (!reply->error) {
    creation->deployment_over = TRUE;
    take_outputs(creation, reply->body);
    creation_made(creation);
    return;
  }
  if (creation_guest_is_late(reply->code)) {
    guest_is_late(creation, reply->error->message);
    return;
  }
  if (g_str_equal(reply->code, "DeploymentActive") || creation_outcome_unknown(reply)
      || (reply->status == 404 && creation->deployment_accepted)) {
    follow(creation);
    return;
  }
  creation->deployment_over = !creation->deployment_accepted; /* refused, so that none runs */
  creation_fail(creation, g_error_copy(reply->error));
}

/* ---- a deployment of that name that runs without an answer of ours to its PUT ---- */

static gboolean
is_of_this_run(const Creation *creation, const json_t *deployment)
{
  AzureOwner owner = azure_owner_of(deployment, creation->blueprint->op);
  return owner == AZURE_OURS || owner == AZURE_FOREIGN; /* where tags of deployments are not kept, none come back */
}

static void
end_followed(Creation *creation, const json_t *deployment)
{
  g_autofree char *code = NULL;
  const char *state = arm_string(deployment, "properties.provisioningState", "");
  if (g_ascii_strcasecmp(state, "Succeeded") == 0) {
    creation->deployment_over = TRUE;
    take_outputs(creation, deployment);
    creation_made(creation);
    return;
  }
  g_autoptr(GError) error = arm_error(creation->azure, 200, json_object_get(deployment, "properties"), &code);
  creation->deployment_over = TRUE;
  if (creation_guest_is_late(code))
    guest_is_late(creation, error->message);
  else
    creation_fail(creation, g_steal_pointer(&error));
}

static void
put_again(Creation *creation, const GError *why)
{
  if (creation->tries < MAX_PUTS)
    creation_later(creation, put);
  else
    creation_fail(creation, why ? g_error_copy(why)
                                : g_error_new(AZLIN_ERROR, AZLIN_ERROR_NETWORK,
                                              "Azure did not take the deployment of %s; it was sent %u times",
                                              creation->blueprint->vm_name, creation->tries));
}

static void
followed(const json_t *deployment, const GError *error, gpointer data)
{
  Creation *creation = data;
  if (error) {
    creation_fail(creation, g_error_copy(error));
    return;
  }
  if (!creation_goes_on(creation, NULL))
    return;
  if (deployment && is_of_this_run(creation, deployment))
    end_followed(creation, deployment);
  else
    put_again(creation, NULL);
}

static void
follow(Creation *creation)
{
  azure_deployment_wait(creation->azure, creation->op, creation->blueprint->names->deployment,
                        creation->deployment_accepted, 0, followed, creation);
}

/* Sent once: what becomes of a request whose answer is lost is found out by looking, never by sending it again. */
static void
put(Creation *creation)
{
  const ArmCall call = { .method = "PUT",
                         .path = creation->blueprint->names->deployment,
                         .version = ARM_RESOURCES,
                         .body = azure_deployment_body(creation->blueprint),
                         .once = TRUE };
  creation->deployment_sent = TRUE;
  creation->deployment_accepted = FALSE;
  arm_run(creation->azure, creation->op, &call, creation_note_url, on_deployed, creation);
}

void
creation_by_template(Creation *creation)
{
  if (creation_step(creation, "deployment"))
    put(creation);
}
