/* Epochs on machines: reads and writes them there, and compares them, so that a stale primary cannot push. */
#include "flow-epoch.h"
#include "error.h"
#include <string.h>

#define SHOWN 64
#define FIRST_EPOCH 1 /* of the first primary: what no switch has touched is of it */

/* Constant scripts; numbers travel as arguments. The rename keeps a reader from half a file. */
static const char write_script[]
    = "umask 077; d=\"$HOME/.local/state/azlin\"; mkdir -p \"$d\" && printf '%s\\n' \"$1\" > \"$d/.$2.$$\" "
      "&& mv -f \"$d/.$2.$$\" \"$d/$2\"";
static const char read_script[] = "d=\"$HOME/.local/state/azlin\"; for f in epoch superseded; do "
                                  "n=$(head -c 32 \"$d/$f\" 2>/dev/null); printf '%s\\n' \"${n%%[!0-9]*}\"; done";

/* ---- reading ---- */

/* What stands there may be anything: what is no number has no say. */
static guint64
number_of(const char *text)
{
  guint64 number = 0;

  return text != NULL && g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT64, &number, NULL) ? number : 0;
}

static void
on_read(AzlinOp *op, gpointer data)
{
  AzlinOp *parent = data;
  gsize length = 0;

  if (az_op_error(op) != NULL) {
    az_op_fail(parent, g_error_copy(az_op_error(op)));
    return;
  }
  const AzlinReply *reply = az_op_reply(op);
  const char *bytes = g_bytes_get_data(reply->out, &length);
  g_autofree char *text = g_strndup(bytes != NULL && reply->status == 0 ? bytes : "", MIN(length, SHOWN));
  g_auto(GStrv) lines = g_strsplit(text, "\n", 3);
  guint64 own = number_of(lines[0]), heard = lines[0] != NULL ? number_of(lines[1]) : 0;
  az_op_finish_variant(parent, g_variant_new("(tt)", own, MAX(own, heard)));
}

void
az_epoch_read(AzEngine *engine, const AzlinVm *vm, AzlinOp *op)
{
  const char *argv[] = { "sh", "-c", read_script, "azlin-epoch-read", NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv };

  az_engine_exec(engine, &request, az_op_new(op, "read the epoch", 0, on_read, op));
}

AzEpochs
az_epoch_result(AzlinOp *op)
{
  AzEpochs epochs = { 0 };

  g_variant_get(az_op_variant(op), "(tt)", &epochs.data, &epochs.told);
  return epochs;
}

/* ---- writing ---- */

static void
on_written(AzlinOp *op, gpointer data)
{
  AzlinOp *parent = data;
  const AzlinReply *reply = az_op_error(op) == NULL ? az_op_reply(op) : NULL;

  if (reply == NULL)
    az_op_fail(parent, g_error_copy(az_op_error(op)));
  else if (reply->status == 0 || reply->status == 127) /* 127: a machine without a shell keeps no epoch */
    az_op_finish(parent);
  else
    az_op_fail_new(parent, AZLIN_ERROR_FAILED, "the machine cannot keep the epoch (status %d)", reply->status);
}

static void
write_number(AzEngine *engine, const AzlinVm *vm, guint64 epoch, const char *file, AzlinOp *op)
{
  g_autofree char *number = g_strdup_printf("%" G_GUINT64_FORMAT, epoch);
  const char *argv[] = { "sh", "-c", write_script, "azlin-epoch", number, file, NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv };

  az_engine_exec(engine, &request, az_op_new(op, "write the epoch", 0, on_written, op));
}

void
az_epoch_write(AzEngine *engine, const AzlinVm *vm, guint64 epoch, AzlinOp *op)
{
  write_number(engine, vm, epoch, "epoch", op);
}

void
az_epoch_supersede(AzEngine *engine, const AzlinVm *vm, guint64 epoch, AzlinOp *op)
{
  write_number(engine, vm, epoch, "superseded", op);
}

/* ---- rules ---- */

gboolean
az_epoch_check(const char *region, guint64 epoch, AzEpochs machine, GError **error)
{
  if (machine.told <= epoch)
    return TRUE;
  GError *behind = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FENCED,
                               "These records are of a stale primary (epoch %" G_GUINT64_FORMAT " < %" G_GUINT64_FORMAT
                               "): %s has seen a later switch than they tell of",
                               epoch, machine.told, region);
  az_error_add_step(behind, "Take over who is primary now: azlin regions refresh");
  g_propagate_error(error, behind);
  return FALSE;
}

guint64
az_epoch_of_data(const char *source, AzEpochs of_source, const char *primary, guint64 epoch)
{
  return g_strcmp0(source, primary) == 0 ? MAX(of_source.data, epoch) : of_source.data;
}

gboolean
az_epoch_may_push(const char *source, AzEpochs of_source, const char *target, AzEpochs of_target, const char *primary,
                  guint64 epoch, GError **error)
{
  if (!az_epoch_check(source, epoch, of_source, error) || !az_epoch_check(target, epoch, of_target, error))
    return FALSE;
  guint64 mine = az_epoch_of_data(source, of_source, primary, epoch);
  if (mine >= of_target.data)
    return TRUE;
  GError *stale = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FENCED,
                              "%s holds the data of a stale primary (epoch %" G_GUINT64_FORMAT " < %" G_GUINT64_FORMAT
                              "): it may not overwrite what stands on %s",
                              source, MAX(mine, FIRST_EPOCH), of_target.data, target);
  az_error_add_step(stale, "Bring it up to date first: azlin sync --source %s --dest %s", target, source);
  az_error_add_step(stale, "Or, where its data is what counts: azlin failover --to %s, then --to %s --sync", source,
                    target);
  g_propagate_error(error, stale);
  return FALSE;
}
