/* coordinator-blob: leases among many hosts, on one blob per key in a container of Azure Storage. */
#include "blob.h"
#include "option.h"
#include <string.h>

static void
locks_free(gpointer data)
{
  Locks *locks = data;
  storage_account_clear(&locks->account);
  g_hash_table_unref(locks->leases);
  g_hash_table_unref(locks->given_up);
  g_free(locks->container);
  g_free(locks);
}

/* As Azure wants container names; "--" is forbidden, too. */
static gboolean
is_container(const char *name)
{
  gsize length = strlen(name);
  return length >= 3 && length <= 63 && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length
         && name[0] != '-' && name[length - 1] != '-' && strstr(name, "--") == NULL;
}

static gboolean
check(const Locks *locks, GError **error)
{
  if (locks->account.endpoint == NULL) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                "no endpoint is set in [coordinator.blob]: https://ACCOUNT.blob.core.windows.net");
    return FALSE;
  }
  if (is_container(locks->container))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "[coordinator.blob] container is no name of a container: 3 to 63 of a-z, 0-9 and single '-' inside");
  return FALSE;
}

static gboolean
init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Locks *locks = g_new0(Locks, 1);
  locks->leases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, locks_lease_free);
  locks->given_up = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
  locks->container = option_string(host, "container");
  if (!storage_account_init(&locks->account, host, "coordinator.blob", "rwc", "co", error) || !check(locks, error)) {
    locks_free(locks);
    return FALSE;
  }
  *ret_self = locks;
  return TRUE;
}

static const AzlinOption options[] = {
  { "endpoint", "s", "", NULL, NULL, STORAGE_ENDPOINT_HELP },
  { "account", "s", "", NULL, NULL, STORAGE_ACCOUNT_HELP },
  { "key-file", "s", "", NULL, NULL, STORAGE_KEY_FILE_HELP },
  { "container", "s", "azlin-locks", NULL, NULL,
    "container of the locks, made on first need; whoever shares locks has the same" },
  { 0 },
};

static const AzlinCoordinator iface = {
  .size = sizeof iface,
  .acquire = locks_acquire,
  .renew = locks_renew,
  .release = locks_release,
  .check = locks_check,
};
static const AzlinBrick brick = {
  .size = sizeof brick,
  .kind = AZLIN_KIND_COORDINATOR,
  .name = "blob",
  .summary = "one azlin at a time among many hosts, by leases on blobs of Azure Storage with a rising token",
  .options = options,
  .init = init,
  .free = locks_free,
  .iface = &iface,
};
AZLIN_PLUGIN_DEFINE("azlin.coordinator-blob", "0.1.0", "MIT", &brick)
