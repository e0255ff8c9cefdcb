/* Keeps the simulated world in an append-only file: one line a change, whatever the number of machines, so that a
 * thousand of them cost a thousand short writes; the file is rewritten when it has grown and nobody else has it open.
 */
#include "world.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define LINE_TYPE "(xsv)"
#define VM_TYPE "(sssssssuxxuuba{ss}b)"
#define VM_TYPE_BEFORE "(sssssssuxxuuba{ss})" /* worlds of azlin 0.1 */
#define MAX_FILE (256 * 1024 * 1024)
#define SPARE_LINES 1000

struct _World {
  char *path;
  int fd;
  goffset offset; /* all up to here is taken in */
  gint64 elapsed;
  guint lines;
  GHashTable *machines; /* name -> SimVm */
  GHashTable *used;     /* key -> count */
};

SimVm *
sim_vm_dup(const SimVm *vm)
{
  SimVm *copy = g_new0(SimVm, 1);
  *copy = *vm;
  copy->name = g_strdup(vm->name);
  copy->region = g_strdup(vm->region);
  copy->resource_group = g_strdup(vm->resource_group);
  copy->ssh_user = g_strdup(vm->ssh_user);
  copy->id = g_strdup(vm->id);
  copy->host_key = g_strdup(vm->host_key);
  copy->address = g_strdup(vm->address);
  copy->tags = vm->tags != NULL ? g_variant_ref(vm->tags) : NULL;
  return copy;
}

void
sim_vm_free(SimVm *vm)
{
  if (vm == NULL)
    return;
  char *strings[] = { vm->name, vm->region, vm->resource_group, vm->ssh_user, vm->id, vm->host_key, vm->address };
  for (gsize i = 0; i < G_N_ELEMENTS(strings); i++)
    g_free(strings[i]);
  g_clear_pointer(&vm->tags, g_variant_unref);
  g_free(vm);
}

static GVariant *
vm_to_variant(const SimVm *vm)
{
  GVariant *tags = vm->tags != NULL ? vm->tags : g_variant_new_array(G_VARIANT_TYPE("{ss}"), NULL, 0);
  return g_variant_new("(sssssssuxxuub@a{ss}b)", vm->name, vm->region, vm->resource_group, vm->ssh_user, vm->id,
                       vm->host_key, vm->address, vm->port, vm->created_at, vm->ready_at, (guint32) vm->power,
                       (guint32) vm->cause, vm->silent, tags, vm->isolated);
}

static SimVm *
vm_from_variant(GVariant *value)
{
  SimVm *vm = g_new0(SimVm, 1);
  guint32 power, cause;
  gboolean whole = g_variant_is_of_type(value, G_VARIANT_TYPE(VM_TYPE));
  const char *format = whole ? "(sssssssuxxuub@a{ss}b)" : "(sssssssuxxuub@a{ss})";
  g_variant_get(value, format, &vm->name, &vm->region, &vm->resource_group, &vm->ssh_user, &vm->id, &vm->host_key,
                &vm->address, &vm->port, &vm->created_at, &vm->ready_at, &power, &cause, &vm->silent, &vm->tags,
                &vm->isolated);
  vm->power = (AzlinPower) MIN(power, AZLIN_POWER_DEALLOCATED);
  vm->cause = (AzlinStopCause) MIN(cause, AZLIN_STOP_ENDED);
  return vm;
}

static void
apply(World *world, const char *kind, GVariant *value)
{
  if (strcmp(kind, "vm") == 0
      && (g_variant_is_of_type(value, G_VARIANT_TYPE(VM_TYPE))
          || g_variant_is_of_type(value, G_VARIANT_TYPE(VM_TYPE_BEFORE)))) {
    SimVm *vm = vm_from_variant(value);
    g_hash_table_replace(world->machines, vm->name, vm);
  } else if (strcmp(kind, "gone") == 0 && g_variant_is_of_type(value, G_VARIANT_TYPE_STRING))
    g_hash_table_remove(world->machines, g_variant_get_string(value, NULL));
  else if (strcmp(kind, "used") == 0 && g_variant_is_of_type(value, G_VARIANT_TYPE("(su)"))) {
    char *key;
    guint32 n;
    g_variant_get(value, "(su)", &key, &n);
    guint32 before = GPOINTER_TO_UINT(g_hash_table_lookup(world->used, key));
    g_hash_table_replace(world->used, key, GUINT_TO_POINTER(before + n));
  }
}

static void
apply_line(World *world, const char *line)
{
  g_autoptr(GVariant) change = g_variant_parse(G_VARIANT_TYPE(LINE_TYPE), line, NULL, NULL, NULL);
  world->lines++;
  /* Half a line, left by a process that was killed while it wrote: that change has not happened. */
  if (change == NULL)
    return;
  gint64 at;
  const char *kind;
  g_autoptr(GVariant) value = NULL;
  g_variant_get(change, "(x&sv)", &at, &kind, &value);
  world->elapsed = MAX(world->elapsed, at);
  apply(world, kind, value);
}

static gboolean
fail(World *world, const char *what, GError **error)
{
  int code = errno;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot %s %s: %s", what, world->path, g_strerror(code));
  return FALSE;
}

gboolean
world_refresh(World *world, GError **error)
{
  struct stat info;
  if (fstat(world->fd, &info) != 0)
    return fail(world, "read", error);
  if (info.st_size <= world->offset)
    return TRUE;
  gsize length = (gsize) (info.st_size - world->offset);
  if (length > MAX_FILE) {
    errno = EFBIG;
    return fail(world, "read", error);
  }
  g_autofree char *text = g_malloc(length + 1);
  ssize_t n = pread(world->fd, text, length, world->offset);
  if (n < 0)
    return fail(world, "read", error);
  text[n] = '\0';
  char *line = text, *end;
  while ((end = memchr(line, '\n', (gsize) (text + n - line))) != NULL) {
    *end = '\0';
    apply_line(world, line);
    line = end + 1;
  }
  world->offset += line - text;
  return TRUE;
}

static gboolean
append(World *world, gint64 now, const char *kind, GVariant *value, GError **error)
{
  g_autoptr(GVariant) change = g_variant_ref_sink(g_variant_new(LINE_TYPE, now, kind, value));
  g_autofree char *text = g_variant_print(change, TRUE);
  g_autofree char *line = g_strconcat(text, "\n", NULL);
  gsize length = strlen(line);
  /* One write: another process never sees, nor leaves, a line inside a line. */
  ssize_t n = write(world->fd, line, length);
  if (n != (ssize_t) length)
    return fail(world, "write", error);
  return world_refresh(world, error);
}

gboolean
world_put(World *world, gint64 now, const SimVm *vm, GError **error)
{
  return append(world, now, "vm", vm_to_variant(vm), error);
}

gboolean
world_remove(World *world, gint64 now, const char *name, GError **error)
{
  return append(world, now, "gone", g_variant_new_string(name), error);
}

gboolean
world_use(World *world, gint64 now, const char *key, GError **error)
{
  return append(world, now, "used", g_variant_new("(su)", key, 1), error);
}

void
world_pass(World *world, gint64 now)
{
  if (now > world->elapsed)
    append(world, now, "time", g_variant_new_string(""), NULL);
}

static void
print_line(GString *text, gint64 at, const char *kind, GVariant *value)
{
  g_autoptr(GVariant) change = g_variant_ref_sink(g_variant_new(LINE_TYPE, at, kind, value));
  g_variant_print_string(change, text, TRUE);
  g_string_append_c(text, '\n');
}

static char *
whole_world(World *world)
{
  GString *text = g_string_new(NULL);
  GHashTableIter iter;
  gpointer key, value;
  g_hash_table_iter_init(&iter, world->machines);
  while (g_hash_table_iter_next(&iter, NULL, &value))
    print_line(text, world->elapsed, "vm", vm_to_variant(value));
  g_hash_table_iter_init(&iter, world->used);
  while (g_hash_table_iter_next(&iter, &key, &value))
    print_line(text, world->elapsed, "used", g_variant_new("(su)", key, GPOINTER_TO_UINT(value)));
  return g_string_free(text, FALSE);
}

static gboolean
is_current(World *world)
{
  struct stat ours, theirs;
  return fstat(world->fd, &ours) == 0 && stat(world->path, &theirs) == 0 && ours.st_ino == theirs.st_ino
         && ours.st_dev == theirs.st_dev;
}

/* Everybody who has the file open holds it shared, so who gets it exclusively is alone with it. */
static gboolean
open_file(World *world, GError **error)
{
  do {
    if (world->fd >= 0)
      close(world->fd);
    world->fd = open(world->path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    /* The wait is that for one rewrite of the file, milliseconds. */
    if (world->fd < 0 || flock(world->fd, LOCK_SH) != 0)
      return fail(world, "open", error);
  } while (!is_current(world));
  return TRUE;
}

static gboolean
take_in_all(World *world, GError **error)
{
  g_hash_table_remove_all(world->machines);
  g_hash_table_remove_all(world->used);
  world->offset = 0;
  world->lines = 0;
  return open_file(world, error) && world_refresh(world, error);
}

/* FALSE: the world has to be read again. */
static gboolean
shrink(World *world)
{
  guint live = g_hash_table_size(world->machines) + g_hash_table_size(world->used);
  struct stat info;
  gboolean torn = fstat(world->fd, &info) == 0 && info.st_size > world->offset;
  if (!torn && world->lines < 2 * live + SPARE_LINES)
    return TRUE;
  if (flock(world->fd, LOCK_EX | LOCK_NB) == 0) {
    /* Alone from here on: what somebody wrote before he left may not have been read yet. */
    if (!world_refresh(world, NULL))
      return FALSE;
    g_autofree char *text = whole_world(world);
    g_file_set_contents_full(world->path, text, -1, G_FILE_SET_CONTENTS_CONSISTENT, 0600, NULL);
  } else if (torn && write(world->fd, "\n", 1) != 1)
    g_debug("the world's last line stays torn");
  return FALSE;
}

World *
world_open(const char *path, GError **error)
{
  World *world = g_new0(World, 1);
  world->path = g_strdup(path);
  world->fd = -1;
  world->machines = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify) sim_vm_free);
  world->used = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
  if (take_in_all(world, error) && (shrink(world) || take_in_all(world, error)))
    return world;
  world_close(world);
  return NULL;
}

void
world_close(World *world)
{
  if (world == NULL)
    return;
  if (world->fd >= 0)
    close(world->fd);
  g_hash_table_unref(world->machines);
  g_hash_table_unref(world->used);
  g_free(world->path);
  g_free(world);
}

gint64
world_elapsed(World *world)
{
  return world->elapsed;
}

SimVm *
world_find(World *world, const char *name)
{
  return g_hash_table_lookup(world->machines, name);
}

GPtrArray *
world_machines(World *world)
{
  GPtrArray *machines = g_ptr_array_new();
  GHashTableIter iter;
  gpointer vm;
  g_hash_table_iter_init(&iter, world->machines);
  while (g_hash_table_iter_next(&iter, NULL, &vm))
    g_ptr_array_add(machines, vm);
  return machines;
}

guint32
world_used(World *world, const char *key)
{
  return GPOINTER_TO_UINT(g_hash_table_lookup(world->used, key));
}
