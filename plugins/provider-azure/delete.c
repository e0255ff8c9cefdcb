/* vm_delete: the machine and what hangs on it, then its rules and network, then the group when it is empty and ours. */
#include "admission.h"
#include "arm.h"
#include "remove.h"

#define ADMISSION_MS 120000

typedef struct {
  Azure *azure;
  AzlinOp *op;
  AzlinVm *vm;
  AzureNames *names;
  guint64 intent;
} Deletion;

static void
deletion_free(Deletion *deletion)
{
  deletion->azure->api->vm_free(deletion->vm);
  g_clear_pointer(&deletion->names, azure_names_free);
  g_free(deletion);
}

static void
fail(Deletion *deletion, GError *error)
{
  deletion->azure->api->op_fail(deletion->op, error);
  deletion_free(deletion);
}

/* The machine is gone in any case; an address that stays admitted is told and settled by the next round. */
static void
on_admitted(AzlinOp *op, gpointer data)
{
  Deletion *deletion = data;
  const AzlinHostApi *api = deletion->azure->api;
  if (api->op_error(op))
    api->log(deletion->azure->host, G_LOG_LEVEL_WARNING, "The address of %s may still be let in by other machines: %s",
             deletion->names->vm_name, api->op_error(op)->message);
  api->op_finish(deletion->op);
  deletion_free(deletion);
}

static void
on_removed(const GError *error, gpointer data)
{
  Deletion *deletion = data;
  const AzlinHostApi *api = deletion->azure->api;
  if (error) {
    GError *copy = g_error_copy(error);
    api->error_add_step(copy, "Finish it: azlin recover");
    fail(deletion, copy);
    return;
  }
  api->journal_done(deletion->azure->host, deletion->intent);
  if (azure_ssh_is_closed(deletion->azure)) {
    azure_admit(deletion->azure, api->op_new(deletion->op, "let machines in", ADMISSION_MS, on_admitted, deletion));
    return;
  }
  api->op_finish(deletion->op);
  deletion_free(deletion);
}

static gboolean
announce(Deletion *deletion, const json_t *vm, GError **error)
{
  GVariantDict facts;
  g_autofree char *making = azure_making_of(vm);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "making", "s", making);
  g_variant_dict_insert(&facts, "vm_name", "s", deletion->names->vm_name);
  g_variant_dict_insert(&facts, "vm", "s", deletion->names->vm);
  return deletion->azure->api->journal_intent(deletion->azure->host, deletion->op, "vm-delete",
                                              g_variant_dict_end(&facts), &deletion->intent, error);
}

static void
looked(const AzureSight *sight, gpointer data)
{
  Deletion *deletion = data;
  GError *error = NULL;
  if (sight->error) {
    fail(deletion, g_error_copy(sight->error));
    return;
  }
  if (sight->owner[AZURE_VM] == AZURE_FOREIGN) {
    fail(deletion, g_error_new(AZLIN_ERROR, AZLIN_ERROR_PERMISSION,
                               "%s was not made by azlin: it lacks the tag " AZLIN_TAG_MANAGED "=true, so it stays",
                               deletion->names->vm_name));
    return;
  }
  if (!announce(deletion, sight->vm, &error)) {
    fail(deletion, error);
    return;
  }
  const AzureRemoval removal = { .names = deletion->names, .sight = sight, .group = TRUE };
  azure_remove(deletion->azure, deletion->op, &removal, on_removed, deletion);
}

static void
on_ready(Azure *azure, const GError *error, gpointer data)
{
  Deletion *deletion = data;
  GError *wrong = error ? g_error_copy(error) : NULL;
  if (!wrong)
    deletion->names = azure_names_of_vm(azure, deletion->vm, &wrong);
  if (wrong)
    fail(deletion, wrong);
  else
    azure_look(azure, deletion->op, deletion->names, NULL, looked, deletion);
}

void
azure_vm_delete(gpointer self, const AzlinVm *vm, AzlinOp *op)
{
  Azure *azure = self;
  Deletion *deletion = g_new0(Deletion, 1);
  *deletion = (Deletion){ .azure = azure, .op = op, .vm = azure->api->vm_dup(vm) };
  azure_ready(azure, op, on_ready, deletion);
}
