/* provider-azure: machines in Microsoft Azure, through Azure Resource Manager's REST API. */
#include "azure.h"
#include "option.h"
#include "arm.h"
#include "catalogue.h"
#include "record.h"
#include <string.h>

static const AzlinOption OPTIONS[] = {
  { "subscription", "s", "", NULL, NULL, "Subscription id; empty: AZURE_SUBSCRIPTION_ID, else the only enabled one" },
  { "resource-group", "s", "", NULL, NULL,
    "Base name of resource groups, the region is added; empty: that of [defaults]" },
  { "cloud", "s", "public", NULL, NULL, "Which Azure: public, china or usgov" },
  { "resource-manager-endpoint", "s", "", NULL, NULL,
    "URL of Azure Resource Manager; empty: that of the cloud; http for a loopback host alone" },
  { "authority-host", "s", "", NULL, NULL,
    "URL where service principals log in; empty: AZURE_AUTHORITY_HOST, else that of the cloud" },
  { "token-audience", "s", "", NULL, NULL, "For whom tokens are asked; empty: the resource manager of the cloud" },
  { "ssh-source", "as", "", NULL, NULL, "Networks (CIDR) that may reach port 22; empty: the whole Internet" },
  { "user-data-file", "s", "", NULL, NULL, "cloud-init file for new machines" },
  { "vm-type", "s", "dev", NULL, NULL, "Value of the tag azlin:vm_type of new machines" },
  { "create", "s", "template", NULL, NULL, "How a machine is made: template (one deployment) or direct (single PUTs)" },
  { "stop-timeout", "u", "5", "0", "600",
    "Seconds that a machine has to shut down before its power is cut; none in a failover" },
  { "resource-health", "s", "stopped", NULL, NULL,
    "When Azure's view of the hardware is read: always, stopped (machines that do not run, or that a failover "
    "looks at) or never" },
  { 0 },
};

static const AzlinProvider PROVIDER = {
  .size = sizeof(AzlinProvider),
  .vm_create = azure_vm_create,
  .vm_get = azure_vm_get,
  .vm_power = azure_vm_power,
  .vm_restart = azure_vm_restart,
  .vm_delete = azure_vm_delete,
  .vm_list = azure_vm_list,
  .vm_tag = azure_vm_tag,
  .preflight = azure_preflight,
  .alternatives = azure_alternatives,
  .vm_isolate = azure_vm_isolate,
};

static const struct {
  const char *name, *authority, *resource_manager;
} CLOUDS[] = {
  { "public", "https://login.microsoftonline.com", "https://management.azure.com" },
  { "china", "https://login.chinacloudapi.cn", "https://management.chinacloudapi.cn" },
  { "usgov", "https://login.microsoftonline.us", "https://management.usgovcloudapi.net" },
};

/* "https://host" or "https://host:port", without a slash at the end; owned. NULL and CONFIG when it may not be used. */
static char *
origin_of(const char *url, const char *where, GError **error)
{
  g_autoptr(GUri) uri = g_uri_parse(url, G_URI_FLAGS_HAS_PASSWORD, NULL);
  const char *scheme = uri != NULL ? g_uri_get_scheme(uri) : "";
  const char *host = uri != NULL && g_uri_get_host(uri) != NULL ? g_uri_get_host(uri) : "";
  g_autofree char *shown = arm_clean(url);
  if (*host == '\0' || g_uri_get_userinfo(uri) != NULL || g_uri_get_query(uri) != NULL
      || g_uri_get_fragment(uri) != NULL || strspn(g_uri_get_path(uri), "/") != strlen(g_uri_get_path(uri))) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s is '%s', which is no URL like https://HOST", where, shown);
    return NULL;
  }
  if (!g_str_equal(scheme, "https") && !(g_str_equal(scheme, "http") && arm_is_loopback(host))) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                "%s is '%s': it must begin with https:// (http:// is for a loopback host alone)", where, shown);
    return NULL;
  }
  const char *brackets = strchr(host, ':') != NULL ? "[]" : "";
  g_autofree char *low = g_ascii_strdown(host, -1);
  g_autofree char *port = g_uri_get_port(uri) > 0 ? g_strdup_printf(":%d", g_uri_get_port(uri)) : g_strdup("");
  return g_strdup_printf("%s://%.1s%s%s%s", scheme, brackets, low, *brackets != '\0' ? "]" : "", port);
}

static gboolean
check_word(Azure *azure, const char *name, const char *const *words, GError **error)
{
  g_autofree char *value = option_string(azure->host, name);
  if (g_strv_contains(words, value))
    return TRUE;
  g_autofree char *all = g_strjoin(", ", words[0], words[1], words[2], NULL);
  g_autofree char *shown = arm_clean(value);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s in [provider.azure] is '%s'; it is one of %s", name, shown,
              all);
  return FALSE;
}

static gboolean
check_words(Azure *azure, GError **error)
{
  static const char *const CLOUD[] = { "public", "china", "usgov", NULL };
  static const char *const CREATE[] = { "template", "direct", NULL };
  static const char *const HEALTH[] = { "always", "stopped", "never", NULL };
  return check_word(azure, "cloud", CLOUD, error) && check_word(azure, "create", CREATE, error)
         && check_word(azure, "resource-health", HEALTH, error);
}

static gboolean
settle_addresses(Azure *azure, GError **error)
{
  g_autofree char *cloud = option_string(azure->host, "cloud");
  g_autofree char *endpoint = option_string(azure->host, "resource-manager-endpoint");
  g_autofree char *authority = option_string(azure->host, "authority-host");
  g_autofree char *audience = option_string(azure->host, "token-audience");
  const char *variable = g_getenv("AZURE_AUTHORITY_HOST");
  const char *where = "authority-host in [provider.azure]";
  gsize i = 0;
  while (i + 1 < G_N_ELEMENTS(CLOUDS) && !g_str_equal(CLOUDS[i].name, cloud))
    i++;
  const char *said = *authority != '\0' ? authority : CLOUDS[i].authority;
  if (*authority == '\0' && variable != NULL && *variable != '\0') {
    said = variable;
    where = "AZURE_AUTHORITY_HOST";
  }
  azure->authority = origin_of(said, where, error);
  if (azure->authority == NULL)
    return FALSE;
  azure->endpoint = origin_of(*endpoint != '\0' ? endpoint : CLOUDS[i].resource_manager,
                              "resource-manager-endpoint in [provider.azure]", error);
  if (azure->endpoint == NULL)
    return FALSE;
  while (g_str_has_suffix(audience, "/"))
    audience[strlen(audience) - 1] = '\0';
  azure->scope = g_strdup_printf("%s/.default", *audience != '\0' ? audience : CLOUDS[i].resource_manager);
  return TRUE;
}

static void
azure_free(gpointer self)
{
  Azure *azure = self;
  g_free(azure->endpoint);
  g_free(azure->authority);
  g_free(azure->scope);
  g_free(azure->subscription);
  g_clear_pointer(&azure->health_known, g_hash_table_unref);
  azure_gets_free(azure->gets);
  catalogue_free(azure->catalogue);
  g_free(azure);
}

static gboolean
azure_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Azure *azure = g_new0(Azure, 1);
  azure->host = host;
  azure->api = host->api;
  azure->has_health = -1;
  if (!check_words(azure, error) || !settle_addresses(azure, error)) {
    azure_free(azure);
    return FALSE;
  }
  azure->identity = (AzlinIdentity){
    .size = sizeof(AzlinIdentity), .origin = azure->endpoint, .authority = azure->authority, .scope = azure->scope
  };
  *ret_self = azure;
  return TRUE;
}

static const AzlinBrick BRICK = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_PROVIDER,
  .name = "azure",
  .summary = "Machines in Microsoft Azure, through its REST API",
  .options = OPTIONS,
  .init = azure_init,
  .free = azure_free,
  .recover = azure_recover,
  .iface = &PROVIDER,
};

AZLIN_PLUGIN_DEFINE("provider-azure", "0.1.0", "MIT", &BRICK)
