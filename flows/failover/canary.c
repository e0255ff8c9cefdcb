/* The canary: made, put on a machine, read back and checked. */
#include "canary.h"
#include "error.h"
#include <string.h>

#define MAGIC "azlin-canary-1"
#define EXEC_MS 10000
#define MAX_LINE 512

static char *
digest_of(const char *text)
{
  return g_compute_checksum_for_string(G_CHECKSUM_SHA256, text, -1);
}

char *
az_canary_make(gint64 now, const char *nonce)
{
  g_autofree char *time = az_time_to_string(now);
  g_autofree char *head = g_strdup_printf(MAGIC " %s %s", time != NULL ? time : "-", nonce);
  g_autofree char *digest = digest_of(head);
  return g_strdup_printf("%s %s", head, digest);
}

gint64
az_canary_read(const char *line)
{
  g_auto(GStrv) words = g_strsplit(line, " ", 5);
  if (g_strv_length(words) != 4 || strcmp(words[0], MAGIC) != 0)
    return 0;
  g_autofree char *head = g_strjoin(" ", words[0], words[1], words[2], NULL);
  g_autofree char *digest = digest_of(head);
  return strcmp(digest, words[3]) == 0 ? az_time_from_string(words[1]) : 0;
}

/* Constant scripts; the line travels as an argument. The rename keeps a reader from half a file. */
static const char put_script[] = "umask 077; f=\"$HOME/" AZ_CANARY_FILE "\"; printf '%s\\n' \"$1\" > \"$f.$$\" "
                                 "&& mv -f \"$f.$$\" \"$f\"";
static const char get_script[] = "f=\"$HOME/" AZ_CANARY_FILE "\"; [ ! -e \"$f\" ] || head -c 512 \"$f\"";

static void
on_put(AzlinOp *op, gpointer data)
{
  AzlinOp *parent = data;
  const AzlinReply *reply = az_op_reply(op);
  if (az_op_error(op) != NULL)
    az_op_fail(parent, g_error_copy(az_op_error(op)));
  else if (reply->status != 0)
    az_op_fail_new(parent, AZLIN_ERROR_STORAGE, "the canary cannot be written there (status %d)", reply->status);
  else
    az_op_finish(parent);
}

void
az_canary_put(AzEngine *engine, const AzlinVm *vm, const char *line, AzlinOp *op)
{
  const char *argv[] = { "sh", "-c", put_script, "azlin-canary", line, NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv };
  az_engine_exec(engine, &request, az_op_expect(az_op_new(op, "write the canary", EXEC_MS, on_put, op), AZ_OP_REPLY));
}

static void
on_got(AzlinOp *op, gpointer data)
{
  AzlinOp *parent = data;
  const AzlinReply *reply = az_op_reply(op);
  if (az_op_error(op) != NULL) {
    az_op_fail(parent, g_error_copy(az_op_error(op)));
    return;
  }
  if (reply->status != 0) {
    az_op_fail_new(parent, AZLIN_ERROR_STORAGE, "the canary cannot be read there (status %d)", reply->status);
    return;
  }
  gsize size = 0;
  const char *bytes = g_bytes_get_data(reply->out, &size);
  g_autofree char *text = g_strndup(bytes != NULL ? bytes : "", size);
  g_autofree char *line = g_strndup(text, strcspn(text, "\r\n"));
  g_autofree char *valid = g_utf8_make_valid(line, -1);
  az_op_finish_variant(parent, g_variant_new_string(valid));
}

void
az_canary_get(AzEngine *engine, const AzlinVm *vm, AzlinOp *op)
{
  const char *argv[] = { "sh", "-c", get_script, "azlin-canary", NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv, .max_output = MAX_LINE + 1 };
  az_engine_exec(engine, &request, az_op_expect(az_op_new(op, "read the canary", EXEC_MS, on_got, op), AZ_OP_REPLY));
}
