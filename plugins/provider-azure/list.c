/* All machines of the subscription: two lists side by side, a third for addresses, joined by id. */
#include "arm.h"
#include "pieces.h"
#include "record.h"
#include <string.h>

typedef struct {
  Azure *azure;
  json_t *machines; /* holds what the tables borrow */
  GPtrArray *lists; /* of json_t, the other lists */
  AzureInventory inventory;
  GError *error;
  guint left;
  AzureInventoryDone done;
  gpointer data;
} Look;

static char *
key_of(const char *id)
{
  return g_ascii_strdown(id, -1);
}

static void
look_free(Look *look)
{
  json_decref(look->machines);
  g_ptr_array_unref(look->lists);
  g_hash_table_unref(look->inventory.by_id);
  g_hash_table_unref(look->inventory.states);
  g_hash_table_unref(look->inventory.addresses);
  g_clear_error(&look->error);
  g_free(look);
}

static void
one_done(Look *look, const ArmReply *reply)
{
  if (reply->error != NULL && look->error == NULL)
    look->error = g_error_copy(reply->error);
  if (--look->left > 0)
    return;
  look->done(look->error == NULL ? &look->inventory : NULL, look->error, look->data);
  look_free(look);
}

/* Elements of a list by their ids; the elements are kept. */
static void
index_by_id(Look *look, const json_t *list, GHashTable *table)
{
  gsize i;
  json_t *one;
  json_array_foreach(list, i, one)
  {
    const char *id = arm_string(one, "id", "");
    if (*id == '\0')
      continue;
    g_ptr_array_add(look->lists, json_incref(one));
    g_hash_table_replace(table, key_of(id), one);
  }
}

static void
on_machines(const ArmReply *reply, gpointer data)
{
  Look *look = data;
  gsize i;
  json_t *one;
  if (reply->error == NULL) {
    index_by_id(look, reply->body, look->inventory.by_id);
    json_array_foreach(reply->body, i, one) json_array_append(look->machines, one);
  }
  one_done(look, reply);
}

static void
on_states(const ArmReply *reply, gpointer data)
{
  Look *look = data;
  if (reply->error == NULL)
    index_by_id(look, reply->body, look->inventory.states);
  one_done(look, reply);
}

/* The interface that an address is given to: ".../networkInterfaces/NAME/ipConfigurations/..." */
static void
note_address(Look *look, const json_t *address)
{
  const char *text = arm_string(address, "properties.ipAddress", NULL);
  g_autofree char *holder = key_of(arm_string(address, "properties.ipConfiguration.id", ""));
  char *end = strstr(holder, "/ipconfigurations/");
  if (text == NULL || end == NULL || !g_hostname_is_ip_address(text))
    return;
  *end = '\0';
  g_hash_table_replace(look->inventory.addresses, g_steal_pointer(&holder), g_strdup(text));
}

static void
on_addresses(const ArmReply *reply, gpointer data)
{
  Look *look = data;
  gsize i;
  json_t *one;
  if (reply->error == NULL)
    json_array_foreach(reply->body, i, one) note_address(look, one);
  one_done(look, reply);
}

static void
ask(Look *look, AzlinOp *op, const char *what, const char *version, ArmDone done)
{
  g_autofree char *path = g_strdup_printf("/subscriptions/%s/providers/%s", look->azure->subscription, what);
  arm_list(look->azure, op, path, version, done, look);
}

void
azure_inventory(Azure *azure, AzlinOp *op, gboolean with_addresses, AzureInventoryDone done, gpointer data)
{
  Look *look = g_new0(Look, 1);
  *look = (Look){ .azure = azure, .machines = json_array(), .done = done, .data = data };
  look->left = with_addresses ? 3 : 2;
  look->lists = g_ptr_array_new_with_free_func((GDestroyNotify) json_decref);
  look->inventory.machines = look->machines;
  look->inventory.by_id = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  look->inventory.states = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  look->inventory.addresses = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  ask(look, op, "Microsoft.Compute/virtualMachines", ARM_COMPUTE, on_machines);
  ask(look, op, "Microsoft.Compute/virtualMachines?statusOnly=true", ARM_COMPUTE, on_states);
  if (with_addresses)
    ask(look, op, "Microsoft.Network/publicIPAddresses", ARM_NETWORK, on_addresses);
}

gboolean
azure_inventory_record(const AzureInventory *inventory, const json_t *body, const AzlinVm *known, AzureRecord *record)
{
  g_autofree char *id = key_of(arm_string(body, "id", ""));
  g_autofree char *nic = key_of(azure_first_nic(body));
  const json_t *state = g_hash_table_lookup(inventory->states, id);
  const char *address = g_hash_table_lookup(inventory->addresses, nic);
  if (!azure_record_read(record, body, known))
    return FALSE;
  azure_record_read_status(record, arm_member(state, "properties.instanceView"));
  if (address != NULL)
    record->vm.public_ip = address;
  return TRUE;
}

/* ---- vm_list ---- */

typedef struct {
  Azure *azure;
  AzlinOp *op;
} ListAll;

static void
record_free(gpointer data)
{
  azure_record_clear(data);
  g_free(data);
}

static void
on_inventory(const AzureInventory *inventory, const GError *error, gpointer data)
{
  g_autofree ListAll *list = data;
  g_autoptr(GPtrArray) records = g_ptr_array_new_with_free_func(record_free);
  g_autoptr(GPtrArray) vms = g_ptr_array_new();
  gsize i;
  json_t *body;
  if (error != NULL) {
    list->azure->api->op_fail(list->op, g_error_copy(error));
    return;
  }
  json_array_foreach(inventory->machines, i, body)
  {
    if (azure_owner_of(body, NULL) != AZURE_OURS)
      continue;
    AzureRecord *record = g_new0(AzureRecord, 1);
    g_ptr_array_add(records, record);
    if (azure_inventory_record(inventory, body, NULL, record))
      g_ptr_array_add(vms, &record->vm);
  }
  list->azure->api->op_finish_vms(list->op, (const AzlinVm *const *) vms->pdata, vms->len);
}

static void
on_ready(Azure *azure, const GError *error, gpointer data)
{
  ListAll *list = data;
  if (error == NULL) {
    azure_inventory(azure, list->op, TRUE, on_inventory, list);
    return;
  }
  azure->api->op_fail(list->op, g_error_copy(error));
  g_free(list);
}

void
azure_vm_list(gpointer self, AzlinOp *op)
{
  ListAll *list = g_new0(ListAll, 1);
  list->azure = self;
  list->op = op;
  azure_ready(self, op, on_ready, list);
}
