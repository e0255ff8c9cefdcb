/* Runs the selected context brick alone, by commands on standard input: what the tests keep records with. */
#include "lines.h"
#include "record.h"
#include <string.h>

typedef struct {
  AzEngine *engine;
  const AzlinContext *brick;
  gpointer self;
  char *key; /* of the lease that all acts under; NULL = none */
  guint64 token;
} Drive;

static void
say_records(AzlinOp *op)
{
  gsize n = 0;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  for (gsize i = 0; i < n; i++)
    g_print(" %s/%s/%s%s", vms[i]->region, vms[i]->vm_name, vms[i]->status, vms[i]->is_primary ? "*" : "");
}

/* "ok", "ok" with a number, a document or records; or "TYPE MESSAGE": a line per command. */
static void
on_done(AzlinOp *op, gpointer data)
{
  if (az_op_error(op) != NULL) {
    lines_say_error(az_op_error(op));
    return;
  }
  GVariant *value = az_op_variant(op);
  g_autofree char *text = value != NULL ? g_variant_print(value, FALSE) : NULL;
  g_print("ok");
  if (text != NULL)
    g_print(" %s", text);
  say_records(op);
  g_print("\n");
}

static const char *
name(const char *word)
{
  return word != NULL && strcmp(word, "-") != 0 ? word : "";
}

/* `n` records r00000/vm, r00001/vm, ... in one call: put_all, or put_status with a time. */
static void
write_many(Drive *drive, guint n, const char *status, guint64 seconds, AzlinOp *op)
{
  g_autoptr(GPtrArray) vms = g_ptr_array_new_with_free_func((GDestroyNotify) az_vm_free);
  for (guint i = 0; i < n; i++) {
    g_autofree char *region = g_strdup_printf("r%05u", i);
    AzlinVm *vm = az_vm_new(region, "vm");
    az_vm_set(&vm->status, status != NULL ? status : "unknown");
    vm->last_health_check = (gint64) seconds * G_USEC_PER_SEC;
    g_ptr_array_add(vms, vm);
  }
  if (status != NULL)
    drive->brick->put_status(drive->self, (const AzlinVm *const *) vms->pdata, n, op);
  else
    drive->brick->put_all(drive->self, (const AzlinVm *const *) vms->pdata, n, op);
}

static void
write_one(Drive *drive, char **words, guint n, AzlinOp *op)
{
  g_autoptr(AzlinVm) vm = az_vm_new(name(words[1]), n > 2 ? name(words[2]) : "vm");
  const AzlinVm *list[] = { vm };
  if (strcmp(words[0], "status") == 0) {
    az_vm_set(&vm->status, n > 3 ? words[3] : "ok");
    vm->last_health_check = (gint64) lines_number(n > 4 ? words[4] : "1") * G_USEC_PER_SEC;
    drive->brick->put_status(drive->self, list, 1, op);
    return;
  }
  az_vm_set(&vm->status, "unknown");
  vm->is_primary = n > 3 && strcmp(words[3], "primary") == 0;
  drive->brick->put(drive->self, vm, op);
}

/* put R VM [primary] | status R VM STATUS SECONDS | put-many N | status-many N STATUS SECONDS | list | info | forget R
 * | primary FROM TO EPOCH | raise EPOCH | fence KEY TOKEN; "-" = no region */
static void
obey(const char *line, gpointer data)
{
  Drive *drive = data;
  g_auto(GStrv) words = g_strsplit(line, " ", 5);
  guint n = g_strv_length(words);
  AzlinOp *op = az_op_new_root(az_engine_clock(drive->engine), words[0], 120000, NULL, on_done, drive);
  if (drive->key != NULL)
    az_op_set_fence(op, "etcd", drive->key, drive->token);
  if (strcmp(words[0], "put") == 0 || strcmp(words[0], "status") == 0)
    write_one(drive, words, n, op);
  else if (strcmp(words[0], "put-many") == 0)
    write_many(drive, (guint) lines_number(words[1]), NULL, 0, op);
  else if (strcmp(words[0], "status-many") == 0)
    write_many(drive, (guint) lines_number(words[1]), words[2], lines_number(words[3]), op);
  else if (strcmp(words[0], "list") == 0)
    drive->brick->list(drive->self, op);
  else if (strcmp(words[0], "info") == 0)
    drive->brick->info(drive->self, op);
  else if (strcmp(words[0], "forget") == 0)
    drive->brick->forget(drive->self, words[1], op);
  else if (strcmp(words[0], "primary") == 0)
    drive->brick->set_primary(drive->self, name(words[1]), name(words[2]), lines_number(words[3]), op);
  else if (strcmp(words[0], "raise") == 0)
    drive->brick->raise_epoch(drive->self, lines_number(words[1]), op);
  else if (strcmp(words[0], "fence") == 0) {
    g_free(drive->key);
    drive->key = g_strdup(words[1]);
    drive->token = lines_number(words[2]);
    az_op_finish(op);
  } else
    az_op_fail_new(op, AZLIN_ERROR_USAGE, "no such command: %s", words[0]);
}

int
main(int argc, char **argv)
{
  Drive drive = { 0 };
  drive.brick = lines_brick(AZLIN_KIND_CONTEXT, &drive.engine, &drive.self);
  if (drive.brick != NULL)
    lines_serve(obey, &drive);
  az_engine_free(drive.engine);
  g_free(drive.key);
  return drive.brick != NULL ? 0 : 2;
}
