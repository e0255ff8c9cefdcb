/* Runs one call of one provider brick and prints its answer as JSON: what the tests of this suite drive machines with.
 */
#include "engine-private.h"
#include "record.h"
#include "registry.h"
#include <stdlib.h>
#include <string.h>

typedef struct {
  AzEngine *engine;
  const AzlinProvider *provider;
  gpointer self;
  GMainLoop *loop;
  char **words;
  int status;
} Drive;

static GVariant *
describe(const AzlinVm *vm)
{
  GVariantDict dict;
  g_autoptr(GVariant) record = g_variant_ref_sink(az_vm_to_variant(vm));
  g_variant_dict_init(&dict, record);
  g_variant_dict_insert(&dict, "power", "s", az_power_to_string(vm->power));
  g_variant_dict_insert(&dict, "stop_cause", "s", az_stop_cause_to_string(vm->stop_cause));
  return g_variant_dict_end(&dict);
}

static void
print(GVariant *value)
{
  g_autoptr(GVariant) sunk = g_variant_ref_sink(value);
  g_autofree char *text = az_json_from_variant(sunk, 0);
  g_print("%s\n", text);
}

static void
print_all(AzlinOp *op)
{
  gsize n = 0;
  const AzlinVm *const *vms = az_op_vms(op, &n);
  for (gsize i = 0; i < n; i++)
    print(describe(vms[i]));
}

static void
done(AzlinOp *op, gpointer data)
{
  Drive *drive = data;
  const GError *error = az_op_error(op);
  if (error != NULL) {
    g_printerr("%d %s\n", error->code, error->message);
    drive->status = 1;
  } else if (az_op_reply(op) != NULL) {
    gsize length = 0;
    const char *out = g_bytes_get_data(az_op_reply(op)->out, &length);
    g_print("%.*s", (int) length, out != NULL ? out : "");
    drive->status = az_op_reply(op)->status;
  } else if (az_op_vm(op) != NULL)
    print(describe(az_op_vm(op)));
  else if (az_op_variant(op) != NULL) {
    g_autofree char *text = g_variant_print(az_op_variant(op), FALSE);
    g_print("%s\n", text);
  } else
    print_all(op);
  g_main_loop_quit(drive->loop);
}

static AzlinPower
power_from(const char *word)
{
  for (int power = AZLIN_POWER_UNKNOWN; power <= AZLIN_POWER_DEALLOCATED; power++)
    if (strcmp(word, az_power_to_string((AzlinPower) power)) == 0)
      return (AzlinPower) power;
  return AZLIN_POWER_UNKNOWN;
}

static void
create(Drive *drive, AzlinOp *op)
{
  g_autofree char *key = NULL;
  if (!g_file_get_contents(drive->words[4], &key, NULL, NULL))
    key = g_strdup(drive->words[4]);
  AzlinVmSpec spec = {
    .size = sizeof spec,
    .vm_name = drive->words[1],
    .region = drive->words[2],
    .ssh_user = drive->words[3],
    .ssh_public_key = g_strchomp(key),
    .resource_group = "rg",
    .tags = g_variant_ref_sink(g_variant_new_parsed("{'made by': 'drive=1', 'äöü': ''}")),
  };
  drive->provider->vm_create(drive->self, &spec, op);
  g_variant_unref(spec.tags);
}

static void
recover(Drive *drive, AzlinOp *op)
{
  gpointer self = NULL;
  const AzlinBrick *brick = az_registry_brick(az_engine_registry(drive->engine), drive->words[1], &self);
  GVariantDict undo;
  g_variant_dict_init(&undo, NULL);
  g_variant_dict_insert(&undo, "vm_name", "s", drive->words[3]);
  if (drive->words[4] != NULL)
    g_variant_dict_insert(&undo, "want", "u", (guint32) power_from(drive->words[4]));
  g_autoptr(GVariant) facts = g_variant_ref_sink(g_variant_dict_end(&undo));
  brick->recover(self, drive->words[2], facts, op);
}

/* NAME=VALUE is set, -NAME is taken away. */
static void
tag(Drive *drive, const AzlinVm *vm, AzlinOp *op)
{
  GVariantBuilder set;
  g_autoptr(GPtrArray) unset = g_ptr_array_new();
  g_variant_builder_init(&set, G_VARIANT_TYPE("a{ss}"));
  for (char **word = drive->words + 2; *word != NULL; word++) {
    char *equals = strchr(*word, '=');
    if (equals == NULL) {
      g_ptr_array_add(unset, *word + 1);
      continue;
    }
    *equals = '\0';
    g_variant_builder_add(&set, "{ss}", *word, equals + 1);
  }
  g_ptr_array_add(unset, NULL);
  drive->provider->vm_tag(drive->self, vm, g_variant_builder_end(&set), (const char *const *) unset->pdata, op);
}

static void
run_exec(Drive *drive, const AzlinVm *vm, AzlinOp *op)
{
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = (const char *const *) drive->words + 2 };
  drive->provider->vm_exec(drive->self, vm, &request, op);
}

static void
probe(Drive *drive, const AzlinVm *vm, AzlinOp *op)
{
  char **words = drive->words;
  AzlinVm from = { .size = sizeof from, .vm_name = words[2], .region = words[2] != NULL ? words[3] : NULL };
  drive->provider->vm_probe(drive->self, vm, words[2] != NULL ? &from : NULL, op);
}

static void
start(Drive *drive, AzlinOp *op)
{
  char **words = drive->words;
  AzlinVm vm = { .size = sizeof vm, .vm_name = words[1] };
  if (strcmp(words[0], "create") == 0)
    create(drive, op);
  else if (strcmp(words[0], "list") == 0)
    drive->provider->vm_list(drive->self, op);
  else if (strcmp(words[0], "recover") == 0)
    recover(drive, op);
  else if (strcmp(words[0], "power") == 0) {
    vm.id = words[3];
    drive->provider->vm_power(drive->self, &vm, power_from(words[2]), op);
  } else if (strcmp(words[0], "isolate") == 0) {
    vm.id = words[3];
    drive->provider->vm_isolate(drive->self, &vm, strcmp(words[2], "on") == 0, op);
  } else if (strcmp(words[0], "restart") == 0)
    drive->provider->vm_restart(drive->self, &vm, op);
  else if (strcmp(words[0], "tag") == 0)
    tag(drive, &vm, op);
  else if (strcmp(words[0], "exec") == 0)
    run_exec(drive, &vm, op);
  else if (strcmp(words[0], "probe") == 0)
    probe(drive, &vm, op);
  else {
    vm.id = words[2];
    if (strcmp(words[0], "delete") == 0)
      drive->provider->vm_delete(drive->self, &vm, op);
    else
      drive->provider->vm_get(drive->self, &vm, op);
  }
}

static void
print_journal(AzEngine *engine)
{
  g_autoptr(GPtrArray) entries = az_journal_open_entries(az_engine_journal(engine, NULL), NULL);
  for (guint i = 0; entries != NULL && i < entries->len; i++) {
    const AzJournalEntry *entry = g_ptr_array_index(entries, i);
    g_autofree char *undo = g_variant_print(entry->undo, FALSE);
    g_print("%s %s %s\n", entry->owner, entry->what, undo);
  }
}

/* drive HOME PROVIDER create NAME REGION USER KEY | get NAME [ID] | power NAME STATE [ID] | isolate NAME on|off [ID] |
 * restart NAME | delete NAME [ID] | tag NAME TAG=VALUE... -TAG... | list | exec NAME ARGV... | probe NAME [WITNESS
 * REGION] | recover BRICK WHAT NAME [STATE] | journal; the configuration is $AZLIN_CONFIG. */
int
main(int argc, char **argv)
{
  g_autoptr(GError) error = NULL;
  g_autoptr(AzEngine) engine = argc > 3 ? az_engine_new(NULL, argv[1], &error) : NULL;
  Drive drive = { .engine = engine };
  if (engine != NULL && strcmp(argv[3], "journal") == 0) {
    print_journal(engine);
    return 0;
  }
  if (engine != NULL)
    drive.provider = az_engine_lookup(engine, AZLIN_KIND_PROVIDER, argv[2], &drive.self, &error);
  if (drive.provider == NULL) {
    g_printerr("%s\n", error != NULL ? error->message : "usage");
    return 2;
  }
  drive.loop = g_main_loop_new(NULL, FALSE);
  drive.words = argv + 3;
  AzlinOp *root = az_op_new_root(az_engine_clock(engine), argv[3], 0, NULL, done, &drive);
  if (g_getenv("DRIVE_URGENT") != NULL) /* as a failover asks */
    az_op_set_priority(root, AZ_PRIORITY_FAILOVER);
  start(&drive, root);
  gint64 began = az_clock_monotonic(az_engine_clock(engine));
  g_main_loop_run(drive.loop);
  if (g_getenv("DRIVE_TIME") != NULL)
    g_printerr("took %.3f\n", (double) (az_clock_monotonic(az_engine_clock(engine)) - began) / G_USEC_PER_SEC);
  g_main_loop_unref(drive.loop);
  return drive.status;
}
