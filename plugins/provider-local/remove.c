/* Removes machines: the folder leaves its name in one step, so that half of a machine is never seen. */
#include "remove.h"
#include "layout.h"
#include "power.h"
#include "process.h"
#include <errno.h>
#include <stdio.h>
#include <string.h>

typedef struct _Remove Remove;
struct _Remove {
  Local *local;
  Machine *machine;
  AzlinOp *op;
  char *trash;
  gboolean opened;
  void (*after)(Remove *self); /* once the trash is empty */
};

static void
remove_end(Remove *self, GError *error)
{
  const AzlinHostApi *api = self->local->host->api;
  AzlinOp *op = self->op;
  machine_free(self->machine);
  g_free(self->trash);
  g_free(self);
  if (error != NULL)
    api->op_fail(op, error);
  else
    api->op_finish(op);
}

/* One name per machine: a removal that was interrupted is found again under it. */
static char *
trash_path(Local *local, const char *name)
{
  g_autofree char *hidden = g_strconcat(".removed-", name, NULL);
  return g_build_filename(local->host->api->state_dir(local->host), hidden, NULL);
}

static void remove_trash(Remove *self);

static void
opened_up(AzlinOp *op, gpointer data)
{
  remove_trash(data);
}

/* A plain user cannot empty folders that a machine made read-only; they are opened up then, once. */
static void
open_up(Remove *self)
{
  const char *argv[] = { "chmod", "-R", "u+rwX", "--", self->trash, NULL };
  AzlinExec request = { .size = sizeof request, .argv = argv };
  AzlinOp *child = self->local->host->api->op_new(self->op, "open the folders", 0, opened_up, self);
  self->opened = TRUE;
  self->local->host->api->exec(self->local->host, &request, child);
}

static void
tree_removed(AzlinOp *op, gpointer data)
{
  Remove *self = data;
  const AzlinHostApi *api = self->local->host->api;
  const GError *cut = api->op_error(op);
  gboolean left = cut == NULL && api->op_reply(op)->status != 0;
  if (left && !self->opened)
    open_up(self);
  else if (cut != NULL)
    remove_end(self, g_error_copy(cut));
  else if (left)
    remove_end(self,
               g_error_new(AZLIN_ERROR, AZLIN_ERROR_STORAGE, "machine %s is off, but part of its files is left in %s",
                           self->machine->name, self->trash));
  else
    self->after(self);
}

static void
remove_trash(Remove *self)
{
  const char *argv[] = { "rm", "-rf", "--", self->trash, NULL };
  AzlinExec request = { .size = sizeof request, .argv = argv };
  AzlinOp *child = self->local->host->api->op_new(self->op, "remove the files", 0, tree_removed, self);
  self->local->host->api->exec(self->local->host, &request, child);
}

static gboolean
move_away(Machine *machine, const char *trash, GError **error)
{
  if (rename(machine->dir, trash) == 0 || errno == ENOENT)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot remove machine %s: %s", machine->name,
              g_strerror(errno));
  return FALSE;
}

static void
all_removed(Remove *self)
{
  remove_end(self, NULL);
}

static void
trash_is_free(Remove *self)
{
  GError *error = NULL;
  self->after = all_removed;
  if (move_away(self->machine, self->trash, &error))
    remove_trash(self);
  else
    remove_end(self, error);
}

static void
stopped(AzlinOp *op, gpointer data)
{
  Remove *self = data;
  const GError *error = self->local->host->api->op_error(op);
  if (error != NULL) {
    remove_end(self, g_error_copy(error));
    return;
  }
  /* What an earlier, interrupted removal has left is in the way of the new name. */
  self->after = trash_is_free;
  if (g_file_test(self->trash, G_FILE_TEST_IS_DIR))
    remove_trash(self);
  else
    trash_is_free(self);
}

void
remove_machine(Local *local, Machine *machine, AzlinOp *op)
{
  Remove *self = g_new0(Remove, 1);
  self->local = local;
  self->machine = machine;
  self->op = op;
  self->trash = trash_path(local, machine->name);
  power_stop(local, machine, local->host->api->op_new(op, "stop", 0, stopped, self));
}

gboolean
remove_at_once(Local *local, Machine *machine)
{
  g_autofree char *trash = trash_path(local, machine->name);
  process_kill_all(machine);
  if (!move_away(machine, trash, NULL))
    return FALSE;
  return !g_file_test(trash, G_FILE_TEST_EXISTS) || layout_remove_tree(trash);
}

Machine *
remove_find(Local *local, const char *name)
{
  g_autofree char *dir = machine_dir(local, name);
  g_autofree char *trash = trash_path(local, name);
  if (!g_file_test(dir, G_FILE_TEST_IS_DIR) && !g_file_test(trash, G_FILE_TEST_IS_DIR))
    return NULL;
  Machine *machine = g_new0(Machine, 1);
  machine->dir = g_steal_pointer(&dir);
  machine->name = g_strdup(name);
  machine->lock_fd = -1;
  return machine;
}
