/* The table of operations and their handlers. */
#include "routes.h"
#include "account.h"
#include "catalogue.h"
#include "control.h"
#include "deployment.h"
#include "lifecycle.h"
#include "machine.h"
#include "operation.h"
#include "parts.h"
#include "token.h"
#include "views.h"
#include <string.h>

typedef struct {
  const char *kind; /* a pattern of g_pattern_match_simple(); the first that fits counts */
  void (*handle)(Exchange *exchange);
} Route;

static Route routes[] = {
  { "Token", token_endpoint },
  { "Imds", token_imds },
  { "AppService", token_app_service },
  { "Poll", operation_poll },
  { "SerialLog", machine_handle_serial_log },
  { "ResourceHealth", machine_handle_health },
  { "Subscriptions_List", account_handle_subscriptions },
  { "Subscriptions_Get", account_handle_subscription },
  { "Subscriptions_ListLocations", account_handle_locations },
  { "Providers_List", account_handle_providers },
  { "Providers_Get", account_handle_provider },
  { "Providers_Register", account_handle_register },
  { "ResourceGroups_List", groups_handle_list },
  { "ResourceGroups_Get", groups_handle_get },
  { "ResourceGroups_CheckExistence", groups_handle_get },
  { "ResourceGroups_CreateOrUpdate", groups_handle_put },
  { "ResourceGroups_Update", groups_handle_patch },
  { "ResourceGroups_Delete", groups_handle_delete },
  { "Resources_List*", views_handle_resources },
  { "Tags_*AtScope", tags_handle },
  { "ResourceSkus_List", catalogue_handle_skus },
  { "VirtualMachineSizes_List", catalogue_handle_sizes },
  { "VirtualMachines_ListAvailableSizes", catalogue_handle_sizes },
  { "VirtualMachineImages_*", catalogue_handle_images },
  { "Usage_List", catalogue_handle_compute_usages },
  { "Usages_List", catalogue_handle_network_usages },
  { "Deployments_CreateOrUpdate", deployment_handle_put },
  { "Deployments_Validate", deployment_handle_validate },
  { "Deployments_Get", deployment_handle_get },
  { "Deployments_CheckExistence", deployment_handle_get },
  { "Deployments_ListByResourceGroup", deployment_handle_list },
  { "Deployments_Cancel", deployment_handle_cancel },
  { "Deployments_Delete", deployment_handle_delete },
  { "DeploymentOperations_*", deployment_handle_operations },
  { "Subnets_Get", views_handle_part },
  { "SecurityRules_Get", views_handle_part },
  { "Subnets_List", parts_handle_list },
  { "SecurityRules_List", parts_handle_list },
  { "Subnets_CreateOrUpdate", parts_handle_put },
  { "SecurityRules_CreateOrUpdate", parts_handle_put },
  { "Subnets_Delete", parts_handle_delete },
  { "SecurityRules_Delete", parts_handle_delete },
  { "VirtualMachines_Start", machine_handle_power },
  { "VirtualMachines_PowerOff", machine_handle_power },
  { "VirtualMachines_Deallocate", machine_handle_power },
  { "VirtualMachines_Restart", machine_handle_power },
  { "VirtualMachines_Redeploy", machine_handle_power },
  { "VirtualMachines_RunCommand", machine_handle_run_command },
  { "VirtualMachines_RetrieveBootDiagnosticsData", machine_handle_boot_diagnostics },
  { "VirtualMachines_InstanceView", views_handle_get },
  { "*_CreateOrUpdate", lifecycle_handle_put },
  { "*_Delete", lifecycle_handle_delete },
  { "*_UpdateTags", tags_handle_patch },
  { "*_Update", tags_handle_patch },
  { "*_Get", views_handle_get },
  { "*_List*", views_handle_list },
};

const char *
routes_kind(const char *method, const char *path)
{
  if (g_str_equal(method, "POST") && g_str_has_suffix(path, "/oauth2/v2.0/token"))
    return "Token";
  if (g_str_equal(path, "/metadata/identity/oauth2/token"))
    return "Imds";
  if (g_str_equal(path, "/msi/token"))
    return "AppService";
  if (g_str_has_prefix(path, "/__blob/"))
    return "SerialLog";
  if (g_str_equal(method, "GET") && operation_is_poll(path) && strstr(path, "/deployments/") == NULL)
    return "Poll";
  return strstr(path, "/providers/Microsoft.ResourceHealth/") != NULL ? "ResourceHealth" : NULL;
}

gboolean
routes_control(Exchange *exchange)
{
  static const struct {
    const char *method, *path;
    void (*handle)(Exchange *exchange);
  } table[] = {
    { "POST", "/__control", control_handle },
    { "GET", "/__state", control_handle_state },
    { "GET", "/__log", control_handle_log },
    { "POST", "/__reset", control_handle_reset },
  };
  for (guint i = 0; i < G_N_ELEMENTS(table); i++) {
    if (g_str_equal(table[i].path, exchange->path) && g_str_equal(table[i].method, exchange->method)) {
      table[i].handle(exchange);
      return TRUE;
    }
  }
  return FALSE;
}

static Route *
find_route(const char *kind)
{
  for (guint i = 0; i < G_N_ELEMENTS(routes); i++) {
    if (g_pattern_match_simple(routes[i].kind, kind))
      return &routes[i];
  }
  return NULL;
}

void
routes_dispatch(Exchange *exchange)
{
  static GHashTable *found; /* kind -> Route: 50 patterns a request would be felt */
  if (found == NULL)
    found = g_hash_table_new(g_str_hash, g_str_equal);
  gpointer route = g_hash_table_lookup(found, exchange->kind);
  if (route == NULL) {
    route = find_route(exchange->kind);
    g_hash_table_insert(found, g_strdup(exchange->kind), route);
  }
  if (route != NULL)
    ((Route *) route)->handle(exchange);
}
