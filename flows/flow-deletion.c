/* A deletion ends with the record: what a killed azlin deleted, but not yet forgot, recover takes off the record. */
#include "flow-deletion.h"
#include "error.h"
#include "flow-support.h"

#define VM_TIMEOUT_MS 60000

guint64
az_deletion_begin(AzEngine *engine, const AzlinVm *vm)
{
  g_autoptr(GError) error = NULL;
  GVariantDict facts;
  guint64 id = 0;
  AzJournal *journal = az_engine_journal(engine, &error);
  g_variant_dict_init(&facts, NULL);
  g_variant_dict_insert(&facts, "region", "s", vm->region);
  g_variant_dict_insert(&facts, "vm_name", "s", vm->vm_name);
  g_autoptr(GVariant) undo = g_variant_ref_sink(g_variant_dict_end(&facts));
  if (!journal || !az_journal_intent(journal, AZ_DELETION_OWNER, "vm-delete", undo, &id, &error))
    g_warning("journal: %s", error->message);
  return id;
}

static const char *
fact(const AzJournalEntry *entry, const char *key)
{
  const char *text = "";
  g_variant_lookup(entry->undo, key, "&s", &text);
  return text;
}

static gboolean
is_refusal(const GError *error)
{
  return g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_PERMISSION)
         || g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_SUPPORTED);
}

void
az_deletion_end(AzEngine *engine, guint64 note, const GError *error)
{
  g_autoptr(GError) unwritten = NULL;
  if (note == 0 || (error && !is_refusal(error)))
    return;
  AzJournal *journal = az_engine_journal(engine, &unwritten);
  if (!journal || !az_journal_done(journal, note, &unwritten))
    g_warning("journal: %s", unwritten->message);
}

/* ---- recover ---- */

typedef struct {
  AzEngine *engine;
  AzlinOp *op;
  char *region, *vm_name;
} Mend;

static void
mend_free(Mend *mend)
{
  g_free(mend->region);
  g_free(mend->vm_name);
  g_free(mend);
}

static void
finish(Mend *mend, const char *what)
{
  az_op_finish_variant(mend->op,
                       g_variant_new_take_string(g_strdup_printf("%s in %s %s", mend->vm_name, mend->region, what)));
  mend_free(mend);
}

static void
fail(Mend *mend, const GError *error)
{
  az_op_fail(mend->op, g_error_copy(error));
  mend_free(mend);
}

static void
on_forgotten(AzlinOp *op, gpointer data)
{
  Mend *mend = data;
  const GError *error = az_op_error(op);
  if (error && !g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND)) {
    fail(mend, error);
    return;
  }
  az_flow_forget_verdicts(mend->engine, mend->region);
  finish(mend, "is gone and was taken off the record");
}

static void
on_live(AzlinOp *op, gpointer data)
{
  Mend *mend = data;
  const GError *error = az_op_error(op);
  if (g_error_matches(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND))
    az_flow_forget(mend->engine, mend->op, mend->region, on_forgotten, mend);
  else if (error)
    fail(mend, error);
  else
    finish(mend, "stands and stays on record");
}

static void
on_stored(AzlinOp *op, gpointer data)
{
  Mend *mend = data;
  gsize n = 0;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  if (az_op_error(op)) {
    fail(mend, az_op_error(op));
    return;
  }
  for (gsize i = 0; i < n; i++)
    if (g_strcmp0(vms[i]->region, mend->region) == 0 && g_strcmp0(vms[i]->vm_name, mend->vm_name) == 0) {
      az_flow_vm_get(mend->engine, mend->op, vms[i], VM_TIMEOUT_MS, on_live, mend);
      return;
    }
  finish(mend, "is off the record");
}

void
az_deletion_recover(AzEngine *engine, const AzJournalEntry *entry, AzlinOp *op)
{
  Mend *mend = g_new(Mend, 1);
  *mend = (Mend){ engine, op, g_strdup(fact(entry, "region")), g_strdup(fact(entry, "vm_name")) };
  az_flow_list(engine, op, on_stored, mend);
}
