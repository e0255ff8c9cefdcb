/* Makes a machine in steps that a second run can go on from: record, host key, user key, start. */
#include "create.h"
#include "keys.h"
#include "layout.h"
#include "place.h"
#include "power.h"
#include "process.h"
#include "remove.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_PUBLIC_KEY 16384

typedef struct {
  Local *local;
  AzlinOp *op;
  Machine *machine;
  char *public_key;
  gboolean intended; /* the machine is not complete yet: the journal knows, and a failure removes it */
  guint64 intent_id;
} Create;

static const AzlinHostApi *
api_of(Create *create)
{
  return create->local->host->api;
}

static void
create_free(Create *create)
{
  machine_free(create->machine);
  g_free(create->public_key);
  g_free(create);
}

/* Without waiting, because a cancelled op cannot wait: what is in the way of removal stays in the journal. */
static void
create_fail(Create *create, GError *error)
{
  AzlinOp *op = create->op;
  const AzlinHostApi *api = api_of(create);
  if (create->intended && remove_at_once(create->local, create->machine))
    api->journal_done(create->local->host, create->intent_id);
  create_free(create);
  api->op_fail(op, error);
}

static void
started(AzlinOp *op, gpointer data)
{
  Create *create = data;
  const AzlinHostApi *api = api_of(create);
  const GError *error = api->op_error(op);
  if (error != NULL) {
    create_fail(create, g_error_copy(error));
    return;
  }
  if (create->intended)
    api->journal_done(create->local->host, create->intent_id);
  AzlinVm *vm = machine_to_vm(create->local, create->machine);
  AzlinOp *parent = create->op;
  create_free(create);
  api->op_finish_vm(parent, vm);
  api->vm_free(vm);
}

static void
admit_and_start(Create *create)
{
  GError *error = NULL;
  if (!keys_admit_key(create->machine, create->public_key, &error)) {
    create_fail(create, error);
    return;
  }
  power_start(create->local, create->machine, api_of(create)->op_new(create->op, "start", 0, started, create));
}

static void
key_made(AzlinOp *op, gpointer data)
{
  Create *create = data;
  GError *error = NULL;
  const AzlinReply *reply = api_of(create)->op_reply(op);
  if (api_of(create)->op_error(op) != NULL)
    error = g_error_copy(api_of(create)->op_error(op));
  else if (reply->status != 0) {
    g_autofree char *said = local_said(reply);
    error = g_error_new(AZLIN_ERROR, AZLIN_ERROR_FAILED, "ssh-keygen cannot make a host key for machine %s: %s",
                        create->machine->name, said);
  } else if (keys_read_host_key(create->machine, &error))
    machine_save(create->machine, &error);
  if (error != NULL)
    create_fail(create, error);
  else
    admit_and_start(create);
}

static void
make_host_key(Create *create)
{
  g_autofree char *path = keys_host_key_path(create->machine);
  g_autofree char *keygen = local_find_program(create->local, "ssh-keygen");
  const char *argv[] = { keygen, "-q", "-t", "ed25519", "-N", "", "-C", create->machine->name, "-f", path, NULL };
  AzlinExec request = { .size = sizeof request, .argv = argv };
  /* A file that an interrupted run left half written would make ssh-keygen ask. */
  unlink(path);
  AzlinOp *child = api_of(create)->op_new(create->op, "make a host key", 0, key_made, create);
  api_of(create)->exec(create->local->host, &request, child);
}

static gboolean
make_folder(Create *create, GError **error)
{
  Machine *machine = create->machine;
  if (mkdir(machine->dir, 0700) != 0 && errno != EEXIST) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot make %s: %s", machine->dir, g_strerror(errno));
    return FALSE;
  }
  return machine_lock(machine, error);
}

static gboolean
prepare(Create *create, GError **error)
{
  Machine *machine = create->machine;
  if (machine->address == NULL && !place_choose(create->local, machine, error))
    return FALSE;
  return machine_save(machine, error) && (machine->complete || layout_make(machine, error));
}

static void
create_run(Create *create)
{
  GError *error = NULL;
  const AzlinHostApi *api = api_of(create);
  gboolean adopted = create->machine->complete;
  if (!adopted) {
    GVariantDict undo;
    g_variant_dict_init(&undo, NULL);
    g_variant_dict_insert(&undo, "vm_name", "s", create->machine->name);
    g_variant_dict_insert(&undo, "region", "s", create->machine->region);
    g_autoptr(GVariant) facts = g_variant_ref_sink(g_variant_dict_end(&undo));
    if (!api->journal_intent(create->local->host, create->op, "vm-create", facts, &create->intent_id, &error)) {
      create_fail(create, error);
      return;
    }
  }
  if (!make_folder(create, &error)) {
    /* Somebody else holds the folder: it is not ours to remove. */
    if (!adopted)
      api->journal_done(create->local->host, create->intent_id);
    create_fail(create, error);
    return;
  }
  create->intended = !adopted;
  if (!prepare(create, &error))
    create_fail(create, error);
  else if (create->machine->host_key == NULL)
    make_host_key(create);
  else
    admit_and_start(create);
}

static gboolean
check_user(const char *user, GError **error)
{
  gsize length = user != NULL ? strlen(user) : 0;
  if (length > 0 && length <= 32 && (g_ascii_islower(user[0]) || user[0] == '_')
      && strspn(user, G_CSET_a_2_z "0123456789_-") == length)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
              "the SSH user of a machine has 1 to 32 lower-case letters, digits, '_' or '-', a letter first");
  return FALSE;
}

static gboolean
check_public_key(const char *key, GError **error)
{
  gsize length = key != NULL ? strlen(key) : 0;
  gboolean clean = length > 0 && length <= MAX_PUBLIC_KEY && g_utf8_validate(key, -1, NULL);
  for (const char *p = key; clean && *p != '\0'; p++)
    clean = !g_ascii_iscntrl(*p);
  if (clean)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE, "a machine needs one line of a public SSH key");
  return FALSE;
}

static Machine *
find_or_new(Local *local, const AzlinVmSpec *spec, GError **error)
{
  g_autoptr(GError) inner = NULL;
  g_autoptr(Machine) machine = machine_load(local, spec->vm_name, &inner);
  if (machine == NULL && !g_error_matches(inner, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND)) {
    g_propagate_error(error, g_steal_pointer(&inner));
    return NULL;
  }
  if (machine == NULL)
    return machine_new(local, spec);
  if (strcmp(machine->region, spec->region) == 0 && strcmp(machine->ssh_user, spec->ssh_user) == 0)
    return g_steal_pointer(&machine);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_EXISTS,
              "machine %s exists already, in region %s with user %s; choose another name or delete it first",
              machine->name, machine->region, machine->ssh_user);
  return NULL;
}

void
create_machine(gpointer self, const AzlinVmSpec *spec, AzlinOp *op)
{
  Local *local = self;
  GError *error = NULL;
  Machine *machine = NULL;
  if (machine_check_name(spec->vm_name, &error) && check_user(spec->ssh_user, &error)
      && check_public_key(spec->ssh_public_key, &error) && local_check_programs(local, &error))
    machine = find_or_new(local, spec, &error);
  if (machine == NULL) {
    local->host->api->op_fail(op, error);
    return;
  }
  Create *create = g_new0(Create, 1);
  create->local = local;
  create->op = op;
  create->machine = machine;
  create->public_key = g_strdup(spec->ssh_public_key);
  create_run(create);
}
