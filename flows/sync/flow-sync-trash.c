/* sync: what changes on the target beside the transfer: entries that go to the trash, folders that get their times. */
#include "error.h"
#include "flow-sync-private.h"
#include <string.h>

#define TRASH_MS 1800000u

/* FOLDER RUN, names on standard input. Each entry is renamed into a new folder of its own below
 * FOLDER/.azlin-trash/RUN, which stands open as 9 from the beginning; beside it stands a file with its name. No folder
 * of the target is made again there: one that was thrown away may be a link by now. The entry's folder is entered and
 * asked where it really is, so that no link leads out of the tree. What has gone with a folder above it is no failure.
 * Folders keep their times. What was thrown away more than a week ago goes for good. */
static const char trash_script[]
    = "LC_ALL=C; export LC_ALL; umask 077; cd -- \"$1\" || exit 3; root=$(pwd -P && echo .); root=${root%??}\n"
      "mark=$(stat -c %.9Y .); mkdir -p .azlin-trash && cd -P .azlin-trash || exit 4\n"
      "here=$(pwd -P && echo .); [ \"${here%??}\" = \"${root%/}/.azlin-trash\" ] || exit 4\n"
      "mkdir -p -- \"./$2\" && cd -P -- \"./$2\" || exit 4\n"
      "here=$(pwd -P && echo .); [ \"${here%??}\" = \"${root%/}/.azlin-trash/$2\" ] || exit 4; exec 9<.\n"
      "cd -- \"$root\" || exit 3\n"
      "xargs -0 -r -n 500 sh -c 'root=$0 n=0; for name do n=$((n + 1)) empty=\n"
      "case $name in */) name=${name%/} empty=1 ;; esac\n"
      "folder=${name%/*} base=${name##*/}; want=${folder#.}; want=${root%/}$want; [ -n \"$want\" ] || want=/\n"
      "([ -e \"$root/$name\" ] || [ -L \"$root/$name\" ] || exit 0\n"
      "cd -P -- \"$root/$folder\" && here=$(pwd -P && echo .) && [ \"${here%??}\" = \"$want\" ] || exit 5\n"
      "[ -e \"./$base\" ] || [ -L \"./$base\" ] || exit 0\n"
      "[ -z \"$empty\" ] || { mark=$(stat -c %.9Y .); ! rmdir -- \"./$base\" 2>/dev/null || touch -d \"@$mark\" .; "
      "exit 0; }\n"
      "to=/proc/self/fd/9/$$-$n; mark=$(stat -c %.9Y .) && mkdir -- \"$to\" && printf \"%s\\n\" \"$name\" > "
      "\"$to.name\" &&\n"
      "mv -fT -- \"./$base\" \"$to/$base\" && touch -d \"@$mark\" .) || failed=1\n"
      "done; exit ${failed:-0}' \"$root\"; status=$?\n"
      "find .azlin-trash -mindepth 1 -maxdepth 1 -ctime +7 -execdir rm -rf -- {} + 2>/dev/null\n"
      "touch -d \"@$mark\" .; exit $status\n";

/* FOLDER; "MODE TIME NAME" on standard input. */
static const char folders_script[]
    = "LC_ALL=C; export LC_ALL; cd -- \"$1\" || exit 3; root=$(pwd -P && echo .); root=${root%??}\n"
      "xargs -0 -r -n 500 sh -c 'root=$0; for one do mode=${one%% *} one=${one#* }; time=${one%% *} name=${one#* }\n"
      "want=${name#.}; want=${root%/}$want; [ -n \"$want\" ] || want=/\n"
      "(cd -P -- \"$root/$name\" && here=$(pwd -P && echo .) && [ \"${here%??}\" = \"$want\" ] &&\n"
      "chmod \"$mode\" . && touch -d \"@$time\" .) || failed=1; done; exit ${failed:-0}' \"$root\"\n";

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
  run(pair, trash_script, pair->run, input, op);
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
  run(pair, folders_script, "-", input, op);
}
