/* Actions on machines, and the host key that run-command and the serial log tell. */
#include "machine.h"
#include "lifecycle.h"
#include "settings.h"
#include "token.h"
#include "views.h"
#include <string.h>

static const struct {
  const char *kind, *during, *after;
} powers[] = {
  { "VirtualMachines_Start", "starting", "running" },
  { "VirtualMachines_PowerOff", "stopping", "stopped" },
  { "VirtualMachines_Deallocate", "deallocating", "deallocated" },
  { "VirtualMachines_Restart", "running", "running" },
  { "VirtualMachines_Redeploy", "running", "running" },
};

/* The machine of "{vm}/action"; NULL = answered with 404. */
static Resource *
find_machine(Exchange *exchange)
{
  g_autofree char *id = g_uri_unescape_string(exchange->path, NULL);
  *strrchr(id, '/') = '\0';
  Resource *vm = store_find(exchange->world, id);
  if (vm == NULL)
    exchange_error(exchange, 404, "ResourceNotFound",
                   "The Resource 'Microsoft.Compute/virtualMachines/%s' was not found.", id_name(id));
  else if (!g_str_equal(exchange->kind, "VirtualMachines_RetrieveBootDiagnosticsData"))
    lifecycle_note_outside(exchange->world, exchange->method, exchange->target, id, NULL);
  return vm;
}

static void
power_ended(Double *world, Operation *operation, gpointer data)
{
  Resource *vm = store_find(world, operation->resource_id);
  if (vm == NULL)
    return;
  g_free(vm->power);
  vm->power = g_strdup(operation->error == NULL ? powers[GPOINTER_TO_UINT(data)].after : vm->power_before);
}

static gboolean
power_is_refused(Exchange *exchange, const Resource *vm)
{
  if (vm->deleting || (vm->operation != NULL && g_str_equal(resource_state(vm), "Creating")))
    exchange_error(exchange, 409, "OperationNotAllowed",
                   "The operation is not allowed on VM '%s' in its present state.", vm->name);
  else if (vm->operation != NULL)
    exchange_error(exchange, 409, "AnotherOperationInProgress", "Another operation on VM '%s' is in progress.",
                   vm->name);
  else if (g_str_equal(exchange->kind, "VirtualMachines_Restart") && g_strcmp0(vm->power, "running") != 0)
    exchange_error(exchange, 409, "OperationNotAllowed",
                   "Operation 'restart' is not allowed on VM '%s' since the VM is "
                   "not running.",
                   vm->name);
  return exchange->answered;
}

void
machine_handle_power(Exchange *exchange)
{
  Resource *vm = find_machine(exchange);
  if (vm == NULL || power_is_refused(exchange, vm))
    return;
  guint row = 0;
  while (!g_str_equal(powers[row].kind, exchange->kind))
    row++;
  g_free(vm->power_before);
  vm->power_before = g_steal_pointer(&vm->power);
  vm->power = g_strdup(powers[row].during);
  Operation *operation
      = operation_start(exchange->world, vm, NULL, settings_duration(exchange->world, "power", vm->type),
                        exchange->faults, power_ended, GUINT_TO_POINTER(row));
  operation_headers(exchange, operation, json_true_at(exchange->world->settings, "async_header"), TRUE);
  exchange_json(exchange, 202, NULL);
}

/* An OpenSSH public key whose 32 bytes follow from the machine, so that it stays what it is. */
static char *
host_key(Double *world, const Resource *vm)
{
  static const guint8 head[] = { 0, 0, 0, 11, 's', 's', 'h', '-', 'e', 'd', '2', '5', '5', '1', '9', 0, 0, 0, 32 };
  const char *fixed = json_text_at(json_object_get(world->settings, "host_keys"), vm->name, NULL);
  if (fixed != NULL)
    return g_strdup(fixed);
  guint8 blob[sizeof head + 32];
  gsize length = 32;
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_checksum_update(sum, (const guchar *) json_text_at(vm->body, "properties.vmId", vm->id), -1);
  memcpy(blob, head, sizeof head);
  g_checksum_get_digest(sum, blob + sizeof head, &length);
  g_autofree char *text = g_base64_encode(blob, sizeof blob);
  return g_strdup_printf("ssh-ed25519 %s root@%s", text, vm->name);
}

void
machine_handle_run_command(Exchange *exchange)
{
  Double *world = exchange->world;
  Resource *vm = find_machine(exchange);
  if (vm == NULL)
    return;
  if (!g_str_equal(json_text_at(exchange->body, "commandId", ""), "RunShellScript")) {
    exchange_error(exchange, 400, "InvalidParameter", "The command is not known for Linux machines.");
    return;
  }
  if (vm->operation != NULL || g_strcmp0(vm->power, "running") != 0) {
    exchange_error(exchange, 409, "OperationNotAllowed", "Cannot run a command on VM '%s', which is not running.",
                   vm->name);
    return;
  }
  g_autofree char *key = host_key(world, vm);
  Operation *operation = operation_start(world, vm, NULL, settings_duration(world, "runCommand", vm->type),
                                         exchange->faults, NULL, NULL);
  json_t *message = json_text_f("Enable succeeded: \n[stdout]\n%s\n\n[stderr]\n", key);
  operation->result = json_pack("{s:[{s:s, s:s, s:s, s:o}]}", "value", "code", "ProvisioningState/succeeded", "level",
                                "Info", "displayStatus", "Provisioning succeeded", "message", message);
  operation_headers(exchange, operation, json_true_at(world->settings, "async_header"), TRUE);
  exchange_json(exchange, 202, NULL);
}

void
machine_handle_boot_diagnostics(Exchange *exchange)
{
  Resource *vm = find_machine(exchange);
  if (vm == NULL)
    return;
  g_autofree char *id = g_uri_escape_string(vm->id, NULL, FALSE);
  json_t *body = json_object();
  json_object_set_new(body, "consoleScreenshotBlobUri", json_text_f("%s/__blob/screenshot?vm=%s", exchange->base, id));
  json_object_set_new(body, "serialConsoleLogBlobUri",
                      json_text_f("%s/__blob/serial?vm=%s&sv=2021-12-02&sig=c2VjcmV0", exchange->base, id));
  exchange_json(exchange, 200, body);
}

void
machine_handle_serial_log(Exchange *exchange)
{
  token_forbid(exchange, "blob of the boot diagnostics");
  const char *id = exchange_query(exchange, "vm");
  const Resource *vm = id != NULL ? store_find(exchange->world, id) : NULL;
  if (vm == NULL || !g_str_has_suffix(exchange->path, "/serial")) {
    exchange_text(exchange, 404, "application/xml", "<Error><Code>BlobNotFound</Code></Error>", -1);
    return;
  }
  g_autofree char *key = host_key(exchange->world, vm);
  g_autofree char *log = g_strdup_printf(
      "[    0.000000] Linux version 5.15.0-azure\r\n-----BEGIN SSH HOST KEY KEYS-----\r\n%s\r\n"
      "-----END SSH HOST KEY KEYS-----\r\n[   12.345678] cloud-init[777]: Cloud-init finished\r\n\r\n%s login: ",
      key, vm->name);
  exchange_text(exchange, 200, "application/octet-stream", log, -1);
}

void
machine_handle_health(Exchange *exchange)
{
  json_t *registered = json_object_get(exchange->world->settings, "resource_health");
  if (json_array_size(registered) == 0) {
    exchange_blame(exchange, "Microsoft.ResourceHealth is asked, but providers GET does not say that it is registered");
    if (!exchange->answered)
      exchange_error(exchange, 409, "MissingSubscriptionRegistration",
                     "The subscription is not registered to use namespace 'Microsoft.ResourceHealth'.");
    return;
  }
  const char *state = json_string_value(json_array_get(registered, 0));
  json_t *properties = json_pack("{s:s, s:s, s:s, s:s}", "availabilityState", state, "summary", "As the test wished",
                                 "reasonType", "", "occuredTime", "2026-11-01T00:00:00Z");
  json_object_update(properties, json_array_get(registered, 1));
  exchange_json(exchange, 200,
                json_pack("{s:s, s:s, s:s, s:o}", "id", exchange->path, "name", "current", "type",
                          "Microsoft.ResourceHealth/AvailabilityStatuses", "properties", properties));
}
