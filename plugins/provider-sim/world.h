/* The simulated world: its machines, its clock and what has happened, kept in one append-only file. */
#pragma once
#include "azlin-plugin.h"

typedef struct {
  char *name, *region, *resource_group, *ssh_user, *id, *host_key, *address;
  guint32 port;
  gint64 created_at;
  gint64 ready_at; /* world time from which it is up; 0 = since long, G_MAXINT64 = never */
  AzlinPower power;
  AzlinStopCause cause;
  gboolean silent;   /* off without a refusal: nothing answers at its address */
  GVariant *tags;    /* a{ss} */
  gboolean isolated; /* cut off its network: whether it runs or not, nobody gets an answer */
} SimVm;

typedef struct _World World;

/* Reads `path`, which need not exist. STORAGE when it cannot be read or made. */
World *world_open(const char *path, GError **error);
void world_close(World *world);

/* Takes in what other processes have written since. */
gboolean world_refresh(World *world, GError **error);
/* Microseconds that have passed in this world before this process looked at it. */
gint64 world_elapsed(World *world);
SimVm *world_find(World *world, const char *name); /* borrowed until the next change or refresh */
GPtrArray *world_machines(World *world);           /* of SimVm, in no order, borrowed; free the array */
guint32 world_used(World *world, const char *key); /* how often world_use() was called */

/* Changes are on disk, as far as the kernel is concerned, when these return: they survive the death of azlin at any
 * instant. They are not synced: a simulated cloud need not survive a power failure. */
gboolean world_put(World *world, gint64 now, const SimVm *vm, GError **error);
gboolean world_remove(World *world, gint64 now, const char *name, GError **error);
gboolean world_use(World *world, gint64 now, const char *key, GError **error);
/* Lets the world's time go on without another change. */
void world_pass(World *world, gint64 now);

SimVm *sim_vm_dup(const SimVm *vm);
void sim_vm_free(SimVm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(SimVm, sim_vm_free)
