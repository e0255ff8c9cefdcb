/* Virtual machines and disks: what a machine needs, what comes and goes with it. */
#include "catalogue.h"
#include <string.h>

#define VM "Microsoft.Compute/virtualMachines"

static json_t *
interfaces_of(json_t *vm)
{
  return json_at(vm, "properties.networkProfile.networkInterfaces");
}

static void
check_interfaces(Double *world, const char *id, json_t *body, Refusal *refusal)
{
  size_t i;
  json_t *reference;
  if (json_array_size(interfaces_of(body)) == 0)
    refuse(refusal, 400, "InvalidParameter", "The double wants networkProfile.networkInterfaces.");
  json_array_foreach(interfaces_of(body), i, reference)
  {
    const char *nic_id = json_text_at(reference, "id", "");
    const Resource *nic = store_find(world, nic_id);
    if (nic == NULL) {
      reference_missing(world, id, nic_id, refusal);
      continue;
    }
    const char *user = json_text_at(nic->body, "properties.virtualMachine.id", NULL);
    if (!g_str_equal(resource_state(nic), "Succeeded"))
      refuse(refusal, 409, "ReferencedResourceNotProvisioned", "Resource %s is not in Succeeded state.", nic_id);
    else if (user != NULL && !same_text(user, id))
      refuse(refusal, 400, "NicInUse", "Network interface %s is used by %s.", nic_id, user);
    else if (double_now(world) < nic->reserved_until && !same_text(nic->reserved_for, id))
      refuse(refusal, 400, "NicReservedForAnotherVm",
             "Nic(s) in request is reserved for another Virtual Machine for 180 "
             "seconds.");
  }
}

static void
check_login(json_t *body, Refusal *refusal)
{
  static const char *const forbidden[] = { "administrator",
                                           "admin",
                                           "user",
                                           "user1",
                                           "test",
                                           "user2",
                                           "test1",
                                           "user3",
                                           "admin1",
                                           "1",
                                           "123",
                                           "a",
                                           "actuser",
                                           "adm",
                                           "admin2",
                                           "aspnet",
                                           "backup",
                                           "console",
                                           "david",
                                           "guest",
                                           "john",
                                           "owner",
                                           "root",
                                           "server",
                                           "sql",
                                           "support",
                                           "support_388945a0",
                                           "sys",
                                           "test2",
                                           "test3",
                                           "user4",
                                           "user5",
                                           NULL };
  json_t *os = json_at(body, "properties.osProfile");
  const char *user = json_text_at(os, "adminUsername", ""), *data = json_text_at(os, "customData", "");
  g_autofree char *wanted = g_strdup_printf("/home/%s/.ssh/authorized_keys", user);
  size_t i;
  json_t *key;
  if (os == NULL || user[0] == '\0' || g_strv_contains(forbidden, user))
    refuse(refusal, 400, "InvalidParameter", "The Admin Username specified is not allowed.");
  if (strlen(data) / 4 * 3 > 65535)
    refuse(refusal, 400, "InvalidParameter", "Custom data in OSProfile must not exceed 65535 characters.");
  json_array_foreach(json_at(os, "linuxConfiguration.ssh.publicKeys"), i, key)
  {
    const char *text = json_text_at(key, "keyData", "");
    if (g_strcmp0(json_text_at(key, "path", NULL), wanted) != 0)
      refuse(refusal, 400, "InvalidParameter",
             "Destination path for SSH public keys is currently limited to its default "
             "value %s.",
             wanted);
    if (!g_str_has_prefix(text, "ssh-rsa ") && !g_str_has_prefix(text, "ssh-ed25519 "))
      refuse(refusal, 400, "InvalidParameter",
             "The value of parameter linuxConfiguration.ssh.publicKeys.keyData is "
             "invalid.");
  }
}

/* What must not change in a machine that exists. */
static void
check_changes(Double *world, const char *id, json_t *body, Refusal *refusal)
{
  const Resource *present = store_find(world, id);
  static const char *const fixed[]
      = { "properties.osProfile.customData", "properties.osProfile.adminUsername", "properties.osProfile.computerName",
          "properties.storageProfile.imageReference.offer" };
  for (guint i = 0; present != NULL && i < G_N_ELEMENTS(fixed); i++) {
    json_t *value = json_at(body, fixed[i]);
    if (value != NULL && !json_equal(value, json_at(present->body, fixed[i])))
      refuse(refusal, 409, "PropertyChangeNotAllowed", "Changing property '%s' is not allowed.",
             fixed[i] + strlen("properties."));
  }
}

static void
vm_check(Double *world, const char *id, json_t *body, Refusal *refusal)
{
  check_changes(world, id, body, refusal);
  check_login(body, refusal);
  check_interfaces(world, id, body, refusal);
  if (refusal->status == 0)
    catalogue_check_vm(world, id, body, NULL, refusal);
}

static void
make_disk(Double *world, Resource *vm)
{
  json_t *os_disk = json_at(vm->body, "properties.storageProfile.osDisk");
  const char *name = json_text_at(os_disk, "name", NULL);
  g_autofree char *sum = g_compute_checksum_for_string(G_CHECKSUM_MD5, vm->id, -1);
  g_autofree char *made = name != NULL ? g_strdup(name) : g_strdup_printf("%s_OsDisk_1_%s", vm->name, sum);
  g_autofree char *id = g_strdup_printf("%s/providers/Microsoft.Compute/disks/%s", vm->group_id, made);
  json_put_at(os_disk, "name", json_string(made));
  json_put_at(os_disk, "managedDisk.id", json_string(id));
  json_put_at(os_disk, "osType", json_string("Linux"));
  if (json_object_get(os_disk, "diskSizeGB") == NULL)
    json_put_at(os_disk, "diskSizeGB", json_integer(30));
  if (store_find(world, id) != NULL)
    return;
  json_t *body
      = json_pack("{s:s, s:s, s:{s:s}, s:{s:s, s:s, s:i, s:s}}", "location", resource_location(vm), "managedBy", vm->id,
                  "sku", "name", json_text_at(os_disk, "managedDisk.storageAccountType", "Premium_LRS"), "properties",
                  "provisioningState", "Succeeded", "osType", "Linux", "diskSizeGB", 30, "diskState", "Attached");
  json_put_at(body, "properties.creationData", json_pack("{s:s}", "createOption", "FromImage"));
  if (json_object_get(vm->body, "tags") != NULL)
    json_object_set_new(body, "tags", json_deep_copy(json_object_get(vm->body, "tags")));
  store_add(world, id, body)->foreign = vm->foreign;
}

static void
vm_begun(Double *world, Resource *vm)
{
  size_t i;
  json_t *reference;
  g_autofree char *guid = g_uuid_string_random(), *now = double_timestamp();
  if (json_at(vm->body, "properties.vmId") == NULL) {
    json_put_at(vm->body, "properties.vmId", json_string(guid));
    json_put_at(vm->body, "properties.timeCreated", json_string(now));
  }
  g_clear_pointer(&vm->failure, g_free);
  make_disk(world, vm);
  json_array_foreach(interfaces_of(vm->body), i, reference)
  {
    Resource *nic = store_find(world, json_text_at(reference, "id", ""));
    if (nic != NULL)
      json_put_at(nic->body, "properties.virtualMachine", json_pack("{s:s}", "id", vm->id));
  }
}

static void
vm_created(Double *world, Resource *vm)
{
  g_free(vm->power);
  vm->power = g_strdup("running");
}

static void
vm_failed(Double *world, Resource *vm, const char *code)
{
  g_free(vm->failure);
  vm->failure = g_strdup(code);
  if (!g_str_has_prefix(code, "OSProvisioning"))
    return;
  vm_created(world, vm); /* the machine is there; its guest has not reported */
}

static void
release_interface(Double *world, const Resource *vm, json_t *reference)
{
  Resource *nic = store_find(world, json_text_at(reference, "id", ""));
  if (nic == NULL)
    return;
  json_object_del(json_object_get(nic->body, "properties"), "virtualMachine");
  gboolean reserve = vm->failure != NULL && !g_str_has_prefix(vm->failure, "OSProvisioning");
  if (reserve) {
    nic->reserved_until = double_now(world) + (double) json_int_at(world->settings, "nic_reserve_s", 180) * 1000;
    g_free(nic->reserved_for);
    nic->reserved_for = g_strdup(vm->id);
  }
  if (nic->reserved_until > double_now(world))
    return; /* it outlives its machine, however that was wished */
  if (!same_text(json_text_at(reference, "properties.deleteOption", ""), "Delete"))
    return;
  size_t i;
  json_t *configuration;
  g_autoptr(GPtrArray) addresses = g_ptr_array_new();
  json_array_foreach(json_at(nic->body, "properties.ipConfigurations"), i, configuration)
  {
    Resource *address = store_find(world, json_text_at(configuration, "properties.publicIPAddress.id", ""));
    const char *option = json_text_at(configuration, "properties.publicIPAddress.properties.deleteOption", NULL);
    if (address != NULL
        && same_text(option != NULL ? option : json_text_at(address->body, "properties.deleteOption", ""), "Delete"))
      g_ptr_array_add(addresses, address);
  }
  lifecycle_remove(world, nic);
  for (guint j = 0; j < addresses->len; j++)
    lifecycle_remove(world, g_ptr_array_index(addresses, j));
}

static void
vm_deleted(Double *world, Resource *vm)
{
  size_t i;
  json_t *reference;
  json_array_foreach(interfaces_of(vm->body), i, reference) release_interface(world, vm, reference);
  json_t *os_disk = json_at(vm->body, "properties.storageProfile.osDisk");
  Resource *disk = store_find(world, json_text_at(os_disk, "managedDisk.id", ""));
  if (disk == NULL)
    return;
  if (same_text(json_text_at(os_disk, "deleteOption", ""), "Delete")) {
    store_remove(world, disk);
    return;
  }
  json_object_del(disk->body, "managedBy");
  json_put_at(disk->body, "properties.diskState", json_string("Unattached"));
}

static void
disk_may_delete(Double *world, Resource *disk, Refusal *refusal)
{
  const char *owner = json_text_at(disk->body, "managedBy", NULL);
  if (owner != NULL && store_find(world, owner) != NULL)
    refuse(refusal, 409, "OperationNotAllowed", "Disk %s is attached to VM %s.", disk->name, owner);
}

const ResourceKind compute_kinds[] = {
  { .type = VM,
    .upper_case_lists = TRUE,
    .says_creating = TRUE,
    .check = vm_check,
    .begun = vm_begun,
    .created = vm_created,
    .failed = vm_failed,
    .deleted = vm_deleted },
  { .type = "Microsoft.Compute/disks", .upper_case_lists = TRUE, .says_creating = TRUE, .may_delete = disk_may_delete },
  { NULL },
};
