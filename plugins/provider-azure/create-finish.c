/* vm_create, once the machine stands: its address, its host key, the other machines' way in, and the record. */
#include "admission.h"
#include "creation.h"
#include "host-key.h"

#define ADDRESS_LOOKS 5
#define ADMISSION_MS 120000

static void look_at_address(Creation *creation);

void
creation_note_address(Creation *creation, const char *text)
{
  g_free(creation->address);
  creation->address = text && g_hostname_is_ip_address(text) ? g_strdup(text) : NULL;
}

/* ---- the record ---- */

static void
finish_with(Creation *creation, const AzlinVm *vm)
{
  const AzlinHostApi *api = creation->azure->api;
  if (!creation_goes_on(creation, NULL))
    return;
  if (creation->journalled)
    api->journal_done(creation->azure->host, creation->intent);
  api->op_finish_vm(creation->op, vm);
  creation_free(creation);
}

static void
finish_new(Creation *creation)
{
  const AzureBlueprint *blueprint = creation->blueprint;
  g_autoptr(GVariant) tags = azure_vm_tags(blueprint);
  const AzlinVm vm = { .size = sizeof vm,
                       .region = blueprint->region,
                       .vm_name = blueprint->vm_name,
                       .public_ip = creation->address,
                       .resource_group = blueprint->resource_group,
                       .provider = "azure",
                       .id = blueprint->names->vm,
                       .ssh_user = blueprint->user,
                       .host_key = creation->host_key,
                       .ssh_port = 22,
                       .created_at = creation->azure->api->now(creation->azure->host),
                       .tags = tags,
                       .power = AZLIN_POWER_RUNNING };
  finish_with(creation, &vm);
}

/* ---- host key and admission, side by side ---- */

static void
part_ended(Creation *creation)
{
  if (--creation->pending > 0)
    return;
  if (!creation->adopted) {
    finish_new(creation);
    return;
  }
  AzlinVm vm = *creation->adopted;
  vm.host_key = creation->host_key;
  finish_with(creation, &vm);
}

static void
on_host_key(const char *key, const char *why_not, gpointer data)
{
  Creation *creation = data;
  creation->host_key = g_strdup(key);
  if (!key && !creation->cut)
    creation->azure->api->log(creation->azure->host, G_LOG_LEVEL_WARNING,
                              "Azure did not give the host key of %s; trust it as first seen with --accept-new: %s",
                              creation->blueprint->vm_name, why_not);
  part_ended(creation);
}

static void
on_admitted(AzlinOp *op, gpointer data)
{
  Creation *creation = data;
  const GError *error = creation->azure->api->op_error(op);
  if (error && !creation->cut)
    creation->azure->api->log(creation->azure->host, G_LOG_LEVEL_WARNING,
                              "azlin's other machines may not reach %s yet: %s", creation->blueprint->vm_name,
                              error->message);
  part_ended(creation);
}

static void
finish_parts(Creation *creation)
{
  const AzlinHostApi *api = creation->azure->api;
  gboolean closed = creation->blueprint->ssh_source != NULL;
  creation->pending = closed ? 2 : 1;
  if (closed)
    azure_admit(creation->azure, api->op_new(creation->op, "let machines in", ADMISSION_MS, on_admitted, creation));
  azure_host_key(creation->azure, creation->op, creation->blueprint->names->vm, on_host_key, creation);
}

/* ---- a new machine ---- */

static void
on_address(const ArmReply *reply, gpointer data)
{
  Creation *creation = data;
  creation_note_address(creation, arm_string(reply->body, "properties.ipAddress", NULL));
  if (!reply->error && !creation->address && !creation->cut && creation->tries < ADDRESS_LOOKS) {
    creation_later(creation, look_at_address);
    return;
  }
  if (creation_goes_on(creation, reply))
    finish_parts(creation);
}

static void
look_at_address(Creation *creation)
{
  const ArmCall call
      = { .method = "GET", .path = creation->blueprint->names->address, .version = ARM_NETWORK, .fresh = TRUE };
  arm_call(creation->azure, creation->op, &call, on_address, creation);
}

static void
warn_if_open(Azure *azure, const AzureBlueprint *blueprint)
{
  if (blueprint->ssh_source || azure->said_open)
    return;
  azure->said_open = TRUE;
  azure->api->log(azure->host, G_LOG_LEVEL_WARNING,
                  "SSH of new machines is open to every address, as az vm create leaves it; [provider.azure] "
                  "ssh-source=ADDRESS/BITS closes it");
}

void
creation_made(Creation *creation)
{
  if (!creation_step(creation, "made"))
    return;
  creation->tries = 0;
  warn_if_open(creation->azure, creation->blueprint);
  if (creation->guest_trouble)
    creation->azure->api->log(creation->azure->host, G_LOG_LEVEL_WARNING,
                              "%s stands, but its guest did not report in time; SSH will tell: %s",
                              creation->blueprint->vm_name, creation->guest_trouble);
  if (creation->address)
    finish_parts(creation);
  else
    look_at_address(creation);
}

/* ---- one that stood before ---- */

static void
on_adopted(AzlinOp *op, gpointer data)
{
  Creation *creation = data;
  const AzlinHostApi *api = creation->azure->api;
  const GError *error = api->op_error(op);
  if (error) {
    creation_fail(creation, g_error_copy(error));
    return;
  }
  if (!creation_goes_on(creation, NULL))
    return;
  const AzlinVm *vm = api->op_vm(op);
  g_clear_pointer(&creation->adopted, api->vm_free);
  creation->adopted = api->vm_dup(vm);
  if (vm->power == AZLIN_POWER_STOPPED || vm->power == AZLIN_POWER_DEALLOCATED)
    azure_vm_power(creation->azure, vm, AZLIN_POWER_RUNNING,
                   api->op_new(creation->op, "start", 0, on_adopted, creation));
  else
    finish_parts(creation);
}

void
creation_adopt(Creation *creation)
{
  const AzureBlueprint *blueprint = creation->blueprint;
  const AzlinVm vm = { .size = sizeof vm,
                       .region = blueprint->region,
                       .vm_name = blueprint->vm_name,
                       .resource_group = blueprint->resource_group,
                       .provider = "azure",
                       .id = blueprint->names->vm,
                       .ssh_user = blueprint->user,
                       .ssh_port = 22 };
  azure_vm_get(creation->azure, &vm, creation->azure->api->op_new(creation->op, "adopt", 0, on_adopted, creation));
}
