/* Loads and stores machine.ini: small, atomic, 0600, and the only thing that says which machines exist. */
#include "machine.h"
#include "process.h"
#include "tagset.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#define GROUP "machine"
#define TAGS "tags"
#define MAX_RECORD (256 * 1024)

static const char *const INTENTS[] = {
  [AZLIN_POWER_UNKNOWN] = "unknown",
  [AZLIN_POWER_RUNNING] = "running",
  [AZLIN_POWER_STOPPED] = "stopped",
  [AZLIN_POWER_DEALLOCATED] = "deallocated",
};

gboolean
machine_check_name(const char *name, GError **error)
{
  gsize length = name != NULL ? strlen(name) : 0;
  if (length > 0 && length <= 63 && g_ascii_isalnum(name[0])
      && strspn(name, G_CSET_a_2_z G_CSET_A_2_Z "0123456789._-") == length)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_USAGE,
              "a machine name has 1 to 63 letters, digits, '.', '_' or '-', and starts with a letter or digit");
  return FALSE;
}

char *
machine_dir(Local *local, const char *name)
{
  g_autofree char *path = g_build_filename(local->host->api->state_dir(local->host), name, NULL);
  return g_canonicalize_filename(path, NULL);
}

char *
machine_path(Machine *machine, const char *below)
{
  return g_build_filename(machine->dir, below, NULL);
}

Machine *
machine_new(Local *local, const AzlinVmSpec *spec)
{
  Machine *machine = g_new0(Machine, 1);
  machine->dir = machine_dir(local, spec->vm_name);
  machine->name = g_strdup(spec->vm_name);
  machine->region = g_strdup(spec->region);
  machine->resource_group = g_strdup(spec->resource_group);
  machine->vm_size = g_strdup(spec->vm_size);
  machine->image = g_strdup(spec->image);
  machine->ssh_user = g_strdup(spec->ssh_user);
  machine->id = g_uuid_string_random();
  machine->created_at = local->host->api->now(local->host);
  machine->tags = tagset_of_new(spec->tags);
  machine->intent = AZLIN_POWER_RUNNING;
  machine->lock_fd = -1;
  return machine;
}

void
machine_free(Machine *machine)
{
  if (machine == NULL)
    return;
  if (machine->lock_fd >= 0)
    close(machine->lock_fd);
  char *strings[]
      = { machine->dir, machine->name,     machine->region,   machine->resource_group, machine->vm_size, machine->image,
          machine->id,  machine->ssh_user, machine->host_key, machine->address,        machine->boot_id };
  for (gsize i = 0; i < G_N_ELEMENTS(strings); i++)
    g_free(strings[i]);
  g_clear_pointer(&machine->tags, g_variant_unref);
  g_free(machine);
}

static GVariant *
load_tags(GKeyFile *file)
{
  g_auto(GStrv) names = g_key_file_get_keys(file, TAGS, NULL, NULL);
  if (names == NULL)
    return NULL;
  GVariantBuilder builder;
  g_variant_builder_init(&builder, G_VARIANT_TYPE("a{ss}"));
  for (gsize i = 0; names[i] != NULL; i++) {
    g_autofree char *value = g_key_file_get_string(file, TAGS, names[i], NULL);
    g_autofree char *name = g_uri_unescape_string(names[i], NULL);
    if (name != NULL && value != NULL)
      g_variant_builder_add(&builder, "{ss}", name, value);
  }
  return g_variant_ref_sink(g_variant_builder_end(&builder));
}

static void
store_tags(GKeyFile *file, GVariant *tags)
{
  GVariantIter iter;
  const char *name, *value;
  g_variant_iter_init(&iter, tags);
  while (g_variant_iter_next(&iter, "{&s&s}", &name, &value)) {
    g_autofree char *key = g_uri_escape_string(name, NULL, FALSE);
    if (key[0] != '\0')
      g_key_file_set_string(file, TAGS, key, value);
  }
}

static AzlinPower
load_intent(GKeyFile *file)
{
  g_autofree char *text = g_key_file_get_string(file, GROUP, "intent", NULL);
  for (gsize i = 0; text != NULL && i < G_N_ELEMENTS(INTENTS); i++)
    if (strcmp(INTENTS[i], text) == 0)
      return (AzlinPower) i;
  return AZLIN_POWER_UNKNOWN;
}

static Machine *
from_key_file(GKeyFile *file, const char *dir, const char *name)
{
  Machine *machine = g_new0(Machine, 1);
  machine->lock_fd = -1;
  machine->dir = g_strdup(dir);
  machine->name = g_strdup(name);
  machine->region = g_key_file_get_string(file, GROUP, "region", NULL);
  machine->resource_group = g_key_file_get_string(file, GROUP, "resource-group", NULL);
  machine->vm_size = g_key_file_get_string(file, GROUP, "size", NULL);
  machine->image = g_key_file_get_string(file, GROUP, "image", NULL);
  machine->id = g_key_file_get_string(file, GROUP, "id", NULL);
  machine->ssh_user = g_key_file_get_string(file, GROUP, "ssh-user", NULL);
  machine->host_key = g_key_file_get_string(file, GROUP, "host-key", NULL);
  machine->address = g_key_file_get_string(file, GROUP, "address", NULL);
  machine->port = (guint32) g_key_file_get_integer(file, GROUP, "port", NULL);
  machine->created_at = g_key_file_get_int64(file, GROUP, "created-at", NULL);
  machine->complete = g_key_file_get_boolean(file, GROUP, "complete", NULL);
  machine->intent = load_intent(file);
  machine->pid = g_key_file_get_integer(file, GROUP, "pid", NULL);
  machine->start_ticks = g_key_file_get_uint64(file, GROUP, "start-ticks", NULL);
  machine->boot_id = g_key_file_get_string(file, GROUP, "boot-id", NULL);
  machine->tags = load_tags(file);
  return machine;
}

Machine *
machine_load(Local *local, const char *name, GError **error)
{
  if (!machine_check_name(name, error))
    return NULL;
  g_autofree char *dir = machine_dir(local, name);
  g_autofree char *path = g_build_filename(dir, "machine.ini", NULL);
  g_autoptr(GKeyFile) file = g_key_file_new();
  g_autoptr(GError) inner = NULL;
  if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &inner)) {
    gboolean gone = g_error_matches(inner, G_FILE_ERROR, G_FILE_ERROR_NOENT)
                    || g_error_matches(inner, G_FILE_ERROR, G_FILE_ERROR_NOTDIR);
    if (gone)
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "there is no machine %s on this host", name);
    else
      g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot read the record of machine %s: %s", name,
                  inner->message);
    return NULL;
  }
  g_autoptr(Machine) machine = from_key_file(file, dir, name);
  if (machine->id != NULL && machine->region != NULL && machine->address != NULL && machine->ssh_user != NULL
      && machine->port >= 1 && machine->port <= 65535 && machine->intent != AZLIN_POWER_UNKNOWN)
    return g_steal_pointer(&machine);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "the record of machine %s lacks a field: %s", name, path);
  return NULL;
}

Machine *
machine_load_for(Local *local, const AzlinVm *vm, GError **error)
{
  g_autoptr(Machine) machine = machine_load(local, vm->vm_name, error);
  if (machine == NULL || vm->id == NULL || vm->id[0] == '\0' || strcmp(vm->id, machine->id) == 0)
    return g_steal_pointer(&machine);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_NOT_FOUND, "machine %s is gone; another one has its name now",
              vm->vm_name);
  return NULL;
}

static void
set_string(GKeyFile *file, const char *key, const char *value)
{
  if (value != NULL)
    g_key_file_set_string(file, GROUP, key, value);
}

gboolean
machine_save(Machine *machine, GError **error)
{
  g_autoptr(GKeyFile) file = g_key_file_new();
  set_string(file, "region", machine->region);
  set_string(file, "resource-group", machine->resource_group);
  set_string(file, "size", machine->vm_size);
  set_string(file, "image", machine->image);
  set_string(file, "id", machine->id);
  set_string(file, "ssh-user", machine->ssh_user);
  set_string(file, "host-key", machine->host_key);
  set_string(file, "address", machine->address);
  g_key_file_set_integer(file, GROUP, "port", (int) machine->port);
  g_key_file_set_int64(file, GROUP, "created-at", machine->created_at);
  g_key_file_set_boolean(file, GROUP, "complete", machine->complete);
  g_key_file_set_string(file, GROUP, "intent", INTENTS[machine->intent]);
  g_key_file_set_integer(file, GROUP, "pid", machine->pid);
  g_key_file_set_uint64(file, GROUP, "start-ticks", machine->start_ticks);
  set_string(file, "boot-id", machine->boot_id);
  if (machine->tags != NULL)
    store_tags(file, machine->tags);
  gsize length = 0;
  g_autofree char *text = g_key_file_to_data(file, &length, NULL);
  g_autofree char *path = machine_path(machine, "machine.ini");
  g_autoptr(GError) inner = NULL;
  GFileSetContentsFlags flags = G_FILE_SET_CONTENTS_CONSISTENT | G_FILE_SET_CONTENTS_DURABLE;
  if (length <= MAX_RECORD && g_file_set_contents_full(path, text, (gssize) length, flags, 0600, &inner))
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot store the record of machine %s: %s", machine->name,
              inner != NULL ? inner->message : "too large");
  return FALSE;
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
  return strcmp(*(const char *const *) a, *(const char *const *) b);
}

char **
machine_names(Local *local)
{
  g_autoptr(GPtrArray) names = g_ptr_array_new_with_free_func(g_free);
  const char *folder = local->host->api->state_dir(local->host);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  const char *name;
  while (dir != NULL && (name = g_dir_read_name(dir)) != NULL) {
    g_autofree char *record = g_build_filename(folder, name, "machine.ini", NULL);
    if (machine_check_name(name, NULL) && g_file_test(record, G_FILE_TEST_IS_REGULAR))
      g_ptr_array_add(names, g_strdup(name));
  }
  g_ptr_array_sort(names, compare_names);
  g_ptr_array_add(names, NULL);
  return (char **) g_ptr_array_free(g_steal_pointer(&names), FALSE);
}

gboolean
machine_lock(Machine *machine, GError **error)
{
  if (machine->lock_fd >= 0)
    return TRUE;
  /* The folder itself is locked: no lock file is left behind, and the kernel lets go when the process dies. */
  int fd = open(machine->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) == 0) {
    machine->lock_fd = fd;
    return TRUE;
  }
  int code = errno;
  if (fd >= 0)
    close(fd);
  if (code == EWOULDBLOCK)
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_LOCKED, "another azlin is working on machine %s", machine->name);
  else
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot lock machine %s: %s", machine->name, g_strerror(code));
  return FALSE;
}

AzlinVm *
machine_to_vm(Local *local, Machine *machine)
{
  gboolean alive = process_of_machine(machine) > 0;
  gboolean ended = !alive && machine->intent == AZLIN_POWER_RUNNING;
  AzlinPower off = ended ? AZLIN_POWER_STOPPED : machine->intent;
  AzlinVm vm = {
    .size = sizeof vm,
    .region = machine->region,
    .vm_name = machine->name,
    .public_ip = machine->address,
    .resource_group = machine->resource_group,
    .provider = "local",
    .id = machine->id,
    .ssh_user = machine->ssh_user,
    .host_key = machine->host_key,
    .ssh_port = machine->port,
    .created_at = machine->created_at,
    .status = alive   ? "ok"
              : ended ? "down"
                      : "stopped",
    .tags = machine->tags,
    .power = alive ? AZLIN_POWER_RUNNING : off,
    .stop_cause = alive   ? AZLIN_STOP_UNKNOWN
                  : ended ? AZLIN_STOP_ENDED
                          : AZLIN_STOP_REQUESTED,
  };
  return local->host->api->vm_dup(&vm);
}
