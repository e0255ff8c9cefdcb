/* vm_create by direct PUTs: rules, network and address side by side, then the interface, then the machine. */
#include "creation.h"
#include "deployment.h"
#include <string.h>

#define MAX_PUTS 4

static void put_vm(Creation *creation);
static void look_at_vm(Creation *creation);

/* ---- rules, network, address ---- */

static void
put_piece(Creation *creation, AzurePiece piece, json_t *body, ArmDone done)
{
  /* only the address has something to tell when it stands */
  const ArmCall call = { .method = "PUT",
                         .path = azure_piece_id(creation->blueprint->names, piece),
                         .version = azure_piece_version(piece),
                         .body = body,
                         .no_final = piece != AZURE_ADDRESS };
  arm_run(creation->azure, creation->op, &call, NULL, done, creation);
}

static void
on_nic(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  if (creation_goes_on(creation, reply) && creation_step(creation, "vm"))
    put_vm(creation);
}

static void
stage_ended(Creation *creation)
{
  if (creation->stage_error)
    creation_fail(creation, g_steal_pointer(&creation->stage_error));
  else if (creation_step(creation, "nic"))
    put_piece(creation, AZURE_NIC, azure_nic_body(creation->blueprint), on_nic);
}

static void
on_piece(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  if (reply->error && !creation->stage_error)
    creation->stage_error = g_error_copy(reply->error);
  if (--creation->pending == 0)
    stage_ended(creation);
}

static void
on_address(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  if (!reply->error)
    creation_note_address(creation, arm_string(reply->body, "properties.ipAddress", NULL));
  on_piece(reply, data);
}

void
creation_by_direct_puts(Creation *creation)
{
  if (!creation_step(creation, "network"))
    return;
  creation->pending = 3;
  put_piece(creation, AZURE_RULES, azure_rules_body(creation->blueprint), on_piece);
  put_piece(creation, AZURE_NETWORK, azure_network_body(creation->blueprint), on_piece);
  put_piece(creation, AZURE_ADDRESS, azure_address_body(creation->blueprint), on_address);
}

/* ---- the machine: put once, and only where none stands; how that went is looked at when the answer is lost ---- */

static void
on_vm(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  if (!creation->cut && reply->error && creation_guest_is_late(reply->code)) {
    creation->guest_trouble = g_strdup(reply->error->message);
    creation_made(creation);
    return;
  }
  gboolean unclear = reply->status == 412 || reply->status == 404 || creation_outcome_unknown(reply);
  if (!creation->cut && unclear)
    look_at_vm(creation);
  else if (creation_goes_on(creation, reply))
    creation_made(creation);
}

static void
put_vm(Creation *creation)
{
  static const char *const only_if_absent[] = { "If-None-Match", "*", NULL };
  const ArmCall call = { .method = "PUT",
                         .path = creation->blueprint->names->vm,
                         .version = ARM_COMPUTE,
                         .body = azure_vm_body(creation->blueprint),
                         .headers = creation->vm_stands ? NULL : only_if_absent,
                         .once = TRUE,
                         .no_final = TRUE };
  arm_run(creation->azure, creation->op, &call, creation_note_url, on_vm, creation);
}

/* "ProvisioningState/failed/AllocationFailed" names the cause of a machine that could not be made. */
static GError *
cause_of_failure(Creation *creation, const json_t *view)
{
  static const char failed[] = "ProvisioningState/failed/";
  const json_t *statuses = json_object_get(view, "statuses");
  for (size_t i = 0; i < json_array_size(statuses); i++) {
    const json_t *status = json_array_get(statuses, i);
    const char *code = arm_string(status, "code", "");
    if (g_ascii_strncasecmp(code, failed, strlen(failed)) != 0)
      continue;
    json_t *body = json_pack("{s:{s:s, s:s}}", "error", "code", code + strlen(failed), "message",
                             arm_string(status, "message", "Azure could not make the machine"));
    GError *error = arm_error(creation->azure, 0, body, NULL);
    json_decref(body);
    return error;
  }
  return g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure could not make %s and does not say why",
                     creation->blueprint->vm_name);
}

static void
on_cause(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  creation_fail(creation, cause_of_failure(creation, reply->body));
}

static void
vm_failed(Creation *creation)
{
  g_autofree char *path = g_strconcat(creation->blueprint->names->vm, "/instanceView", NULL);
  const ArmCall call = { .method = "GET", .path = path, .version = ARM_COMPUTE };
  arm_call(creation->azure, creation->op, &call, on_cause, creation);
}

static void
vm_seen(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  const char *state = arm_string(reply->body, "properties.provisioningState", "");
  if (reply->status == 404 && !creation->cut && creation->tries < MAX_PUTS) {
    creation_later(creation, creation->deployment_accepted ? look_at_vm : put_vm);
    return;
  }
  if (!creation_goes_on(creation, reply))
    return;
  if (azure_owner_of(reply->body, creation->blueprint->op) != AZURE_OURS)
    creation_fail(creation, g_error_new(AZLIN_ERROR, AZLIN_ERROR_EXISTS,
                                        "a machine %s was made by somebody else meanwhile; it was not changed",
                                        creation->blueprint->vm_name));
  else if (!azure_state_is_final(state))
    creation_later(creation, look_at_vm);
  else if (g_ascii_strcasecmp(state, "Succeeded") == 0)
    creation_made(creation);
  else
    vm_failed(creation);
}

static void
look_at_vm(Creation *creation)
{
  const ArmCall call = { .method = "GET", .path = creation->blueprint->names->vm, .version = ARM_COMPUTE };
  arm_call(creation->azure, creation->op, &call, vm_seen, creation);
}
