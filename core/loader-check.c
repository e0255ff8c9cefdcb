/* The ABI checks: a plugin's descriptor is measured against this engine's and copied to full size before it is used. */
#include "loader.h"
#include <string.h>

#define MAX_BRICKS 16
#define MAX_OPTIONS 256

/* Structs of ABI 1.0 had these sizes and no plugin may be shorter; what is appended later stays out of them. */
#define END_OF(type, member) (G_STRUCT_OFFSET(type, member) + sizeof(((type *) NULL)->member))
#define PLUGIN_1_0 END_OF(AzlinPlugin, bricks)
#define BRICK_1_0 END_OF(AzlinBrick, iface)

typedef struct {
  gsize offset;
  const char *name;
} Slot;
#define SLOT(type, member)                                                                                             \
  {                                                                                                                    \
    G_STRUCT_OFFSET(type, member), #member                                                                             \
  }

static const Slot provider_slots[] = { SLOT(AzlinProvider, vm_get), SLOT(AzlinProvider, vm_list), { 0 } };
static const Slot deployer_slots[] = { SLOT(AzlinDeployer, deploy), { 0 } };
static const Slot failover_slots[] = { SLOT(AzlinFailover, decide), { 0 } };
static const Slot sync_slots[] = { SLOT(AzlinSync, score), SLOT(AzlinSync, transfer), { 0 } };
static const Slot context_slots[]
    = { SLOT(AzlinContext, list),        SLOT(AzlinContext, put),  SLOT(AzlinContext, forget),
        SLOT(AzlinContext, set_primary), SLOT(AzlinContext, info), { 0 } };
static const Slot coordinator_slots[]
    = { SLOT(AzlinCoordinator, acquire), SLOT(AzlinCoordinator, renew), SLOT(AzlinCoordinator, release), { 0 } };

static const struct {
  const char *name;
  gsize size;
  const Slot *required;
} kinds[] = {
  [AZLIN_KIND_PROVIDER] = { "provider", sizeof(AzlinProvider), provider_slots },
  [AZLIN_KIND_DEPLOYER] = { "deployer", sizeof(AzlinDeployer), deployer_slots },
  [AZLIN_KIND_FAILOVER] = { "failover", sizeof(AzlinFailover), failover_slots },
  [AZLIN_KIND_SYNC] = { "sync", sizeof(AzlinSync), sync_slots },
  [AZLIN_KIND_CONTEXT] = { "context", sizeof(AzlinContext), context_slots },
  [AZLIN_KIND_COORDINATOR] = { "coordinator", sizeof(AzlinCoordinator), coordinator_slots },
};

static gboolean refuse(GError **error, const char *file, const char *format, ...) G_GNUC_PRINTF(3, 4);

static gboolean
refuse(GError **error, const char *file, const char *format, ...)
{
  g_autofree char *text = NULL;
  va_list args;

  va_start(args, format);
  text = g_strdup_vprintf(format, args);
  va_end(args);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "plugin %s %s", file, text);
  return FALSE;
}

static gboolean
is_name(const char *text)
{
  return text != NULL && *text != '\0' && strlen(text) <= 64
         && strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == strlen(text);
}

static gboolean
check_option(const char *file, const AzlinBrick *brick, const AzlinOption *option, GError **error)
{
  static const char *const types[] = { "s", "as", "b", "u", "d", "t", NULL };

  if (!is_name(option->name))
    return refuse(error, file, "declares an option of %s whose name is not made of a-z, 0-9 and '-'", brick->name);
  if (option->type == NULL || !g_strv_contains(types, option->type))
    return refuse(error, file, "declares option %s of %s with an unknown type", option->name, brick->name);
  return TRUE;
}

static gboolean
check_options(const char *file, const AzlinBrick *brick, GError **error)
{
  gsize n = 0;

  for (const AzlinOption *option = brick->options; option != NULL && option->name != NULL; option++) {
    if (!check_option(file, brick, option, error))
      return FALSE;
    if (++n > MAX_OPTIONS)
      return refuse(error, file, "declares more than %d options for %s", MAX_OPTIONS, brick->name);
  }
  return TRUE;
}

static gboolean
check_slots(const char *file, const AzlinBrick *brick, GError **error)
{
  gsize size = *(const gsize *) brick->iface;

  for (const Slot *slot = kinds[brick->kind].required; slot->name != NULL; slot++) {
    gpointer function = NULL;
    if (slot->offset + sizeof function > size)
      return refuse(error, file,
                    "has a short interface for %s-%s: %" G_GSIZE_FORMAT " bytes end before the required slot %s",
                    kinds[brick->kind].name, brick->name, size, slot->name);
    memcpy(&function, (const char *) brick->iface + slot->offset, sizeof function);
    if (function == NULL)
      return refuse(error, file, "brings %s-%s without the required slot %s", kinds[brick->kind].name, brick->name,
                    slot->name);
  }
  return TRUE;
}

static gboolean
check_brick(const char *file, const AzlinBrick *brick, GError **error)
{
  if (brick->size < BRICK_1_0)
    return refuse(error, file, "has a short brick descriptor: %" G_GSIZE_FORMAT " bytes, ABI 1.0 has %" G_GSIZE_FORMAT,
                  brick->size, (gsize) BRICK_1_0);
  if (brick->kind < AZLIN_KIND_PROVIDER || brick->kind > AZLIN_KIND_COORDINATOR)
    return refuse(error, file, "brings a brick of an unknown kind (%d)", (int) brick->kind);
  if (!is_name(brick->name))
    return refuse(error, file, "brings a %s whose name is not made of a-z, 0-9 and '-'", kinds[brick->kind].name);
  if (brick->summary == NULL)
    return refuse(error, file, "brings %s-%s without a summary", kinds[brick->kind].name, brick->name);
  if (brick->init == NULL)
    return refuse(error, file, "brings %s-%s without init", kinds[brick->kind].name, brick->name);
  if (brick->iface == NULL)
    return refuse(error, file, "brings %s-%s without an interface", kinds[brick->kind].name, brick->name);
  return check_options(file, brick, error) && check_slots(file, brick, error);
}

static gboolean
check_bricks(const char *file, const AzlinPlugin *plugin, GError **error)
{
  if (plugin->bricks == NULL || plugin->bricks[0] == NULL)
    return refuse(error, file, "brings no brick");
  for (gsize i = 0; plugin->bricks[i] != NULL; i++) {
    if (i == MAX_BRICKS)
      return refuse(error, file, "brings more than %d bricks", MAX_BRICKS);
    if (!check_brick(file, plugin->bricks[i], error))
      return FALSE;
    for (gsize j = 0; j < i; j++)
      if (plugin->bricks[j]->kind == plugin->bricks[i]->kind
          && g_str_equal(plugin->bricks[j]->name, plugin->bricks[i]->name))
        return refuse(error, file, "brings %s-%s twice", kinds[plugin->bricks[i]->kind].name, plugin->bricks[i]->name);
  }
  return TRUE;
}

static gboolean
check_plugin(const char *file, const AzlinPlugin *plugin, GError **error)
{
  if (plugin->size < PLUGIN_1_0)
    return refuse(error, file, "has a short descriptor: %" G_GSIZE_FORMAT " bytes, ABI 1.0 has %" G_GSIZE_FORMAT,
                  plugin->size, (gsize) PLUGIN_1_0);
  if (plugin->abi_major != AZLIN_ABI_MAJOR)
    return refuse(error, file, "was built for ABI %u.%u; this azlin speaks ABI %u", plugin->abi_major,
                  plugin->abi_minor, AZLIN_ABI_MAJOR);
  if (plugin->abi_minor > AZLIN_ABI_MINOR)
    return refuse(error, file, "was built for the newer ABI %u.%u; this azlin has %u.%u", plugin->abi_major,
                  plugin->abi_minor, AZLIN_ABI_MAJOR, AZLIN_ABI_MINOR);
  if (plugin->id == NULL || plugin->version == NULL || plugin->license == NULL)
    return refuse(error, file, "has a descriptor without id, version or license");
  return check_bricks(file, plugin, error);
}

/* A copy of `size` bytes of which the struct behind `from` fills as many as it says it has. */
static gpointer
padded(gconstpointer from, gsize size)
{
  gpointer copy = g_malloc0(size);

  memcpy(copy, from, MIN(size, *(const gsize *) from));
  *(gsize *) copy = size;
  return copy;
}

gconstpointer
az_loader_iface(const AzlinBrick *brick)
{
  static GHashTable *copies; /* address in the plugin -> full-size copy; plugins stay mapped, so both live for ever */
  gpointer copy;

  if (*(const gsize *) brick->iface >= kinds[brick->kind].size)
    return brick->iface;
  if (copies == NULL)
    copies = g_hash_table_new(NULL, NULL);
  copy = g_hash_table_lookup(copies, brick->iface);
  if (copy == NULL) {
    copy = padded(brick->iface, kinds[brick->kind].size);
    g_hash_table_insert(copies, GSIZE_TO_POINTER((gsize) brick->iface), copy);
  }
  return copy;
}

static const AzlinBrick *
copy_brick(const AzlinBrick *brick)
{
  AzlinBrick *copy = padded(brick, sizeof *brick);

  copy->iface = az_loader_iface(brick);
  return copy;
}

AzlinPlugin *
az_loader_adopt(const char *file, const AzlinPlugin *plugin, GError **error)
{
  AzlinPlugin *copy;
  const AzlinBrick **bricks;
  gsize n = 0;

  if (!check_plugin(file, plugin, error))
    return NULL;
  while (plugin->bricks[n] != NULL)
    n++;
  bricks = g_new0(const AzlinBrick *, n + 1);
  for (gsize i = 0; i < n; i++)
    bricks[i] = copy_brick(plugin->bricks[i]);
  copy = padded(plugin, sizeof *plugin);
  copy->bricks = bricks;
  return copy;
}
