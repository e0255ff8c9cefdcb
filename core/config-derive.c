/* Values that follow from others where nobody set them: several hosts on one etcd share their records there too. */
#include "config-private.h"
#include <string.h>

#define SHARED_CONTEXT "etcd;file"

static gboolean
is_set(AzConfig *config, const char *group, const char *key)
{
  return az_config_origin(config, group, key) != NULL;
}

static char *
derived_context(AzConfig *config, char **ret_origin)
{
  g_autofree char *coordinator = g_key_file_get_string(config->merged, "bricks", "coordinator", NULL);
  if (coordinator == NULL || strcmp(g_strstrip(coordinator), "etcd") != 0)
    return NULL;
  *ret_origin = g_strdup("[bricks] coordinator=etcd");
  return g_strdup(SHARED_CONTEXT);
}

/* [context.etcd] asks the cluster of [coordinator.etcd] unless it names one of its own. */
static char *
derived_option(AzConfig *config, const char *group, const char *key, char **ret_origin)
{
  g_autofree char *other = g_strconcat("coordinator.", group + strlen("context."), NULL);
  char *value = is_set(config, other, key) ? g_key_file_get_value(config->merged, other, key, NULL) : NULL;
  if (value != NULL)
    *ret_origin = g_strdup_printf("[%s]", other);
  return value;
}

void
az_config_derive(AzConfig *config, const char *group, const char *key)
{
  g_autofree char *value = NULL, *origin = NULL;
  if (is_set(config, group, key))
    return;
  if (strcmp(group, "bricks") == 0 && strcmp(key, "context") == 0)
    value = derived_context(config, &origin);
  else if (strcmp(group, "context.etcd") == 0)
    value = derived_option(config, group, key, &origin);
  if (value == NULL)
    return;
  g_key_file_set_value(config->merged, group, key, value);
  g_hash_table_replace(config->origins, g_strdup_printf("%s\n%s", group, key), g_steal_pointer(&origin));
}
