/* The stored record of one machine, and the folder that it lives in. */
#pragma once
#include "local.h"

typedef struct {
  char *dir; /* state_dir/NAME: machine.ini, root/ (the machine's own tree), etc/ and ssh/ (shown to it read-only) */
  char *name, *region, *resource_group, *vm_size, *image, *id;
  char *ssh_user, *host_key, *address;
  guint32 port;
  gint64 created_at;
  GVariant *tags;    /* a{ss} or NULL */
  gboolean complete; /* it has run at least once; until then it may be removed without asking */
  AzlinPower intent; /* what was asked for last */
  int pid;           /* of the process whose end is the machine's end; 0 = look for it */
  guint64 start_ticks;
  char *boot_id;
  int lock_fd;
} Machine;

Machine *machine_new(Local *local, const AzlinVmSpec *spec);
void machine_free(Machine *machine);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Machine, machine_free)

/* Names become folder and host names, so only letters, digits, '.', '_' and '-', 63 at most, no dot in front. */
gboolean machine_check_name(const char *name, GError **error);
char *machine_dir(Local *local, const char *name);
char *machine_path(Machine *machine, const char *below);

/* NOT_FOUND when there is no such machine, STORAGE when its record cannot be read. */
Machine *machine_load(Local *local, const char *name, GError **error);
/* Also checks that the machine is the one that `vm` means: a namesake made later is NOT_FOUND. */
Machine *machine_load_for(Local *local, const AzlinVm *vm, GError **error);
gboolean machine_save(Machine *machine, GError **error);
/* Names of all folders that hold a record, sorted. */
char **machine_names(Local *local);

/* Keeps other azlin processes from changing the machine until machine_free(); LOCKED when one does. */
gboolean machine_lock(Machine *machine, GError **error);

/* The record with live power, as the engine wants it; free with host->api->vm_free(). */
AzlinVm *machine_to_vm(Local *local, Machine *machine);
