/* A provider for tests: no region ever has room, and what it says of room is wrong in the way that an option names. */
#include "azlin-plugin.h"

typedef struct {
  AzlinHost *host;
} Liar;

static gboolean
lies(const Liar *liar, const char *how)
{
  g_autoptr(GVariant) value = liar->host->api->option(liar->host, "how");
  return g_str_equal(g_variant_get_string(value, NULL), how);
}

static void
liar_create(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  Liar *liar = self;
  liar->host->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_CAPACITY, "%s is full", spec->region));
}

static void
liar_get(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  Liar *liar = self;
  liar->host->api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "no machine %s", vm->vm_name));
}

static void
liar_list(gpointer self, AzlinOp *op)
{
  Liar *liar = self;
  liar->host->api->op_finish_vms(op, NULL, 0);
}

static void
liar_preflight(gpointer self, const AzlinVmSpec *const *specs, AzlinOp *op)
{
  Liar *liar = self;
  const AzlinHostApi *api = liar->host->api;
  if (lies(liar, "fail"))
    api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_PERMISSION, "nothing may be read"));
  else if (lies(liar, "auth"))
    api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_AUTH, "nobody is logged in"));
  else if (lies(liar, "type") || lies(liar, "places"))
    api->op_finish_variant(op, g_variant_new_string("all is well"));
  else if (lies(liar, "count"))
    api->op_finish_variant(op, g_variant_new_parsed("[{'ok': <false>}, {'ok': <false>}, {'ok': <false>}]"));
  else if (lies(liar, "values"))
    api->op_finish_variant(op, g_variant_new_parsed("[{'ok': <'no'>, 'code': <7>, 'note': <@as []>}]"));
  else
    api->op_finish_variant(op, g_variant_new_parsed("[@a{sv} {}]"));
}

/* The present place, one without a size, one that the policy forbids, one that holds a machine, and never an end. */
static void
liar_alternatives(gpointer self, const AzlinVmSpec *spec, const char *const *regions, AzlinOp *op)
{
  Liar *liar = self;
  GVariantBuilder places;
  if (lies(liar, "places")) {
    liar->host->api->op_finish_variant(op, g_variant_new_uint32(7));
    return;
  }
  g_variant_builder_init(&places, G_VARIANT_TYPE("aa{sv}"));
  g_variant_builder_add_parsed(&places, "{'region': <%s>, 'vm_size': <%s>, 'zone': <''>}", spec->region, spec->vm_size);
  g_variant_builder_add_parsed(&places, "{'region': <%s>}", spec->region);
  g_variant_builder_add_parsed(&places, "{'region': <'eastus'>, 'vm_size': <'Standard_B2s'>}");
  g_variant_builder_add_parsed(&places, "{'region': <'../mars'>, 'vm_size': <'Standard_B2s'>}");
  g_variant_builder_add_parsed(&places, "{'region': <7>, 'vm_size': <8>}");
  g_variant_builder_add_parsed(&places, "@a{sv} {}");
  for (guint i = 0; i < 50; i++) {
    g_autofree char *size = g_strdup_printf("Size%u", i);
    g_variant_builder_add_parsed(&places, "{'region': <%s>, 'vm_size': <%s>}", spec->region, size);
  }
  liar->host->api->op_finish_variant(op, g_variant_builder_end(&places));
}

static gboolean
liar_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Liar *liar = g_new0(Liar, 1);
  liar->host = host;
  *ret_self = liar;
  return TRUE;
}

static const AzlinOption options[] = {
  { "how", "s", "", NULL, NULL, "What is wrong: fail, auth, type, places, count, values; empty: nothing" },
  { 0 },
};

static const AzlinProvider provider = {
  .size = sizeof(AzlinProvider),
  .vm_create = liar_create,
  .vm_get = liar_get,
  .vm_list = liar_list,
  .virtual_time = TRUE,
  .preflight = liar_preflight,
  .alternatives = liar_alternatives,
};

static const AzlinBrick brick = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_PROVIDER,
  .name = "liar",
  .summary = "no room anywhere, and wrong words about it",
  .options = options,
  .init = liar_init,
  .free = g_free,
  .iface = &provider,
};

AZLIN_PLUGIN_DEFINE("test.provider-liar", "1", "MIT", &brick)
