/* The stage that a copy leaves at a target when it does not end well: removed at once, or from the journal's record. */
#include "landing.h"
#include "staging.h"

#define MAY_TAKE_MS 30000

typedef struct {
  Blob *blob;
  AzlinOp *op;
  AzlinVm *vm;
} Drop;

static void
on_dropped(AzlinOp *op, gpointer data)
{
  Drop *drop = data;
  const AzlinHostApi *api = drop->blob->api;
  GError *error = api->op_error(op) != NULL ? g_error_copy(api->op_error(op)) : NULL;
  if (error == NULL && api->op_reply(op)->status != 0)
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_SYNC, "it resists (exit %d)", api->op_reply(op)->status);
  if (error != NULL) {
    api->log(drop->blob->host, G_LOG_LEVEL_INFO, "the folder .azlin-partial on %s could not be taken away: %s",
             drop->vm->region, error->message);
    api->op_fail(drop->op, error);
  } else {
    api->op_finish(drop->op);
  }
  api->vm_free(drop->vm);
  g_free(drop);
}

void
blob_stage_drop(Blob *blob, const AzlinVm *vm, const char *folder, const char *run, AzlinOp *op)
{
  g_autoptr(GPtrArray) argv = landing_drop_argv(folder, run);
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = (const char *const *) argv->pdata };
  Drop *drop = g_new0(Drop, 1);
  *drop = (Drop){ .blob = blob, .op = op, .vm = blob->api->vm_dup(vm) };
  blob->api->exec(blob->host, &request, blob->api->op_new(op, "drop the stage", MAY_TAKE_MS, on_dropped, drop));
}

/* ---- the journal ---- */

GVariant *
blob_stage_facts(const AzlinVm *vm, const char *folder, const char *run)
{
  GVariantDict facts;
  const struct {
    const char *name, *value;
  } fields[] = {
    { "region", vm->region },
    { "vm_name", vm->vm_name },
    { "public_ip", vm->public_ip },
    { "provider", vm->provider },
    { "id", vm->id },
    { "resource_group", vm->resource_group },
    { "ssh_user", vm->ssh_user },
    { "host_key", vm->host_key },
    { "folder", folder },
    { "run", run },
  };
  g_variant_dict_init(&facts, NULL);
  for (gsize i = 0; i < G_N_ELEMENTS(fields); i++)
    if (fields[i].value != NULL)
      g_variant_dict_insert(&facts, fields[i].name, "s", fields[i].value);
  g_variant_dict_insert(&facts, "ssh_port", "u", vm->ssh_port);
  return g_variant_dict_end(&facts);
}

static const char *
word(GVariant *facts, const char *name)
{
  const char *value = NULL;
  g_variant_lookup(facts, name, "&s", &value);
  return value;
}

void
blob_stage_recover(Blob *blob, GVariant *facts, AzlinOp *op)
{
  const char *folder = word(facts, "folder"), *run = word(facts, "run");
  AzlinVm vm = { .size = sizeof vm,
                 .region = word(facts, "region"),
                 .vm_name = word(facts, "vm_name"),
                 .public_ip = word(facts, "public_ip"),
                 .provider = word(facts, "provider"),
                 .id = word(facts, "id"),
                 .resource_group = word(facts, "resource_group"),
                 .ssh_user = word(facts, "ssh_user"),
                 .host_key = word(facts, "host_key") };
  g_variant_lookup(facts, "ssh_port", "u", &vm.ssh_port);
  if (vm.region != NULL && vm.vm_name != NULL && folder != NULL && run != NULL)
    blob_stage_drop(blob, &vm, folder, run, op);
  else
    blob->api->op_finish(op);
}
