/* One machine as it is now: its instance view, its address when that is not known, what the platform says of it. */
#include "arm.h"
#include "option.h"
#include "record.h"

typedef struct {
  Azure *azure;
  AzlinOp *op;
  AzlinVm *known;
  AzureNames *names;
  char *nic, *address;
} Get;

static void
get_free(Get *get)
{
  get->azure->api->vm_free(get->known);
  g_clear_pointer(&get->names, azure_names_free);
  g_free(get->nic);
  g_free(get->address);
  g_free(get);
}

static void
fail(Get *get, const GError *error)
{
  get->azure->api->op_fail(get->op, g_error_copy(error));
  get_free(get);
}

/* ---- the platform ---- */

static void
on_platform(const AzurePlatform *platform, gpointer data)
{
  Get *get = data;
  AzlinVm vm = *get->known;
  if (get->address != NULL)
    vm.public_ip = get->address;
  if (platform != NULL) {
    vm.platform = platform->state;
    vm.platform_detail = platform->detail;
    gboolean off = vm.power == AZLIN_POWER_STOPPED || vm.power == AZLIN_POWER_DEALLOCATED;
    if (off && platform->cause != AZLIN_STOP_UNKNOWN)
      vm.stop_cause = platform->cause;
  }
  get->azure->api->op_finish_vm(get->op, &vm);
  get_free(get);
}

static gboolean
wants_platform(Get *get)
{
  g_autofree char *when = option_string(get->azure->host, "resource-health");
  gboolean suspect = get->known->power != AZLIN_POWER_RUNNING || get->azure->api->op_urgent(get->op);
  return g_str_equal(when, "always") || (g_str_equal(when, "stopped") && suspect);
}

static void
ask_platform(Get *get)
{
  if (wants_platform(get))
    azure_platform_ask(get->azure, get->op, get->names->vm, get->known->power, on_platform, get);
  else
    on_platform(NULL, get);
}

/* ---- the address ---- */

static void ask_address(Get *get, const char *id, gboolean stands);

static void
on_nic(const ArmReply *reply, gpointer data)
{
  Get *get = data;
  const json_t *first = json_array_get(arm_member(reply->body, "properties.ipConfigurations"), 0);
  const char *id = arm_string(first, "properties.publicIPAddress.id", NULL);
  if (reply->error == NULL && arm_id_is_sane(id)) /* what is in use stands, even where a read may still miss it */
    ask_address(get, id, TRUE);
  else
    ask_platform(get);
}

static void
on_address(const ArmReply *reply, gpointer data)
{
  Get *get = data;
  const char *address = arm_string(reply->body, "properties.ipAddress", NULL);
  if (reply->error == NULL && address != NULL && g_hostname_is_ip_address(address))
    get->address = g_strdup(address);
  if (reply->status == 404 && get->nic != NULL) { /* made by somebody else, with names of its own, or just now */
    g_autofree char *nic = g_steal_pointer(&get->nic);
    ArmCall call = { .method = "GET", .path = nic, .version = ARM_NETWORK, .fresh = TRUE };
    arm_call(get->azure, get->op, &call, on_nic, get);
    return;
  }
  ask_platform(get);
}

static void
ask_address(Get *get, const char *id, gboolean stands)
{
  ArmCall call = { .method = "GET", .path = id, .version = ARM_NETWORK, .fresh = stands };
  arm_call(get->azure, get->op, &call, on_address, get);
}

/* ---- the machine ---- */

/* What the list or the machine itself says is `vm`; its interface is `nic`. */
static void
go_on(Get *get, const AzlinVm *vm, const char *nic)
{
  AzlinVm *now = get->azure->api->vm_dup(vm);
  get->azure->api->vm_free(get->known);
  get->known = now;
  get->nic = arm_id_is_sane(nic) ? g_strdup(nic) : NULL;
  if (now->public_ip == NULL || *now->public_ip == '\0')
    ask_address(get, get->names->address, FALSE);
  else
    ask_platform(get);
}

static void
on_machine(const ArmReply *reply, gpointer data)
{
  Get *get = data;
  g_auto(AzureRecord) record = { 0 };
  if (reply->error != NULL) {
    fail(get, reply->error);
    return;
  }
  if (!azure_record_read(&record, reply->body, get->known)) {
    g_autoptr(GError) error
        = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "Azure answered with something that is not the machine %s",
                      get->names->vm_name);
    fail(get, error);
    return;
  }
  go_on(get, &record.vm, azure_first_nic(reply->body));
}

static void
on_ready(Azure *azure, const GError *problem, gpointer data)
{
  Get *get = data;
  g_autoptr(GError) error = problem != NULL ? g_error_copy(problem) : NULL;
  if (error == NULL)
    get->names = azure_names_of_vm(azure, get->known, &error);
  if (error != NULL) {
    fail(get, error);
    return;
  }
  g_autofree char *path = g_strdup_printf("%s?$expand=instanceView", get->names->vm);
  ArmCall call = { .method = "GET", .path = path, .version = ARM_COMPUTE };
  arm_call(azure, get->op, &call, on_machine, get);
}

void
azure_get_one(Azure *azure, const AzlinVm *known, AzlinOp *op)
{
  Get *get = g_new0(Get, 1);
  *get = (Get){ .azure = azure, .op = op, .known = azure->api->vm_dup(known) };
  azure_ready(azure, op, on_ready, get);
}

void
azure_get_from(Azure *azure, const AzureInventory *inventory, const AzlinVm *known, AzlinOp *op)
{
  g_autoptr(GError) error = NULL;
  g_auto(AzureRecord) record = { 0 };
  g_autoptr(AzureNames) names = azure_names_of_vm(azure, known, &error);
  if (names == NULL) {
    azure->api->op_fail(op, g_steal_pointer(&error));
    return;
  }
  g_autofree char *key = g_ascii_strdown(names->vm, -1);
  const json_t *body = g_hash_table_lookup(inventory->by_id, key);
  if (body == NULL || !azure_inventory_record(inventory, body, known, &record)) { /* lists are some seconds old */
    azure_get_one(azure, known, op);
    return;
  }
  Get *get = g_new0(Get, 1);
  *get = (Get){ .azure = azure, .op = op, .known = azure->api->vm_dup(known), .names = g_steal_pointer(&names) };
  go_on(get, &record.vm, azure_first_nic(body));
}
