/* sync: what changes on the target beside the transfer: entries that go to the trash, folders that get their times. */
#include "error.h"
#include "flow-sync-private.h"
#include <string.h>

#define TRASH_MS 1800000u

static void
on_ran(AzlinOp *op, gpointer data)
{
  AzlinOp *outer = data;
  const AzlinReply *reply = az_op_reply(op);
  if (az_op_error(op) != NULL) {
    az_op_fail(outer, g_error_copy(az_op_error(op)));
    return;
  }
  if (reply->status == 0) {
    az_op_finish(outer);
    return;
  }
  g_autofree char *words = az_flow_first_words(reply->err);
  az_op_fail_new(outer, AZLIN_ERROR_FAILED, "%s", *words != 0 ? words : "no reason given");
}

static void
run(AzSyncPair *pair, const char *script, const char *run, GByteArray *input, AzlinOp *op)
{
  const char *argv[] = { "sh", "-c", script, "sh", pair->scan.place->folder, run, NULL };
  g_autoptr(GBytes) bytes = g_byte_array_free_to_bytes(input);
  AzlinExec request = { .size = sizeof request, .vm = pair->target, .argv = argv, .input = bytes };
  az_engine_exec(pair->sync->engine, &request, az_op_new(op, "target", TRASH_MS, on_ran, op));
}

void
az_sync_trash(AzSyncPair *pair, GPtrArray *entries, gboolean whole, AzlinOp *op)
{
  GByteArray *input = g_byte_array_new();
  for (guint i = 0; i < entries->len; i++) {
    const AzEntry *entry = g_ptr_array_index(entries, i);
    g_autofree char *name = g_strconcat(entry->name, entry->type == 'd' && !whole ? "/" : "", NULL);
    az_listing_append(input, name);
  }
  run(pair, az_sync_trash_script, pair->run, input, op);
}

void
az_sync_fix_folders(AzSyncPair *pair, GPtrArray *entries, AzlinOp *op)
{
  GByteArray *input = g_byte_array_new();
  for (guint i = 0; i < entries->len; i++) {
    const AzEntry *entry = g_ptr_array_index(entries, i);
    guint64 distance = entry->mtime < 0 ? -(guint64) entry->mtime : (guint64) entry->mtime;
    g_autofree char *what
        = g_strdup_printf("%04o %s%" G_GUINT64_FORMAT ".%09" G_GUINT64_FORMAT " %s", entry->mode,
                          entry->mtime < 0 ? "-" : "", distance / 1000000000, distance % 1000000000, entry->name);
    az_listing_append(input, what);
  }
  run(pair, az_sync_folders_script, "-", input, op);
}
