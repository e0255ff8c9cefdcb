/* Writes and reads the keys of a machine without trusting its tree. */
#include "keys.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_KEYS (1024 * 1024)

static gboolean
fail(Machine *machine, const char *what, GError **error)
{
  int code = errno;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot write %s of machine %s: %s", what, machine->name,
              g_strerror(code));
  return FALSE;
}

/* The folder of the user's keys, made if need be. The tree belongs to the machine, which may have made links of any
 * part of it that lead out of it: none is followed. */
static int
open_keys_folder(Machine *machine)
{
  const char *const PARTS[] = { "home", machine->ssh_user, ".ssh" };
  g_autofree char *tree = machine_path(machine, "root");
  int fd = open(tree, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
  for (gsize i = 0; fd >= 0 && i < G_N_ELEMENTS(PARTS); i++) {
    mkdirat(fd, PARTS[i], 0700);
    int next = openat(fd, PARTS[i], O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    close(fd);
    fd = next;
  }
  return fd;
}

static char *
read_keys(int folder)
{
  char *text = g_malloc0(MAX_KEYS + 1);
  int fd = openat(folder, "authorized_keys", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  gsize length = 0;
  ssize_t n = fd < 0 ? 0 : 1;
  while (n > 0 && length < MAX_KEYS && (n = read(fd, text + length, MAX_KEYS - length)) > 0)
    length += (gsize) n;
  if (fd >= 0)
    close(fd);
  return text;
}

static gboolean
replace_keys(int folder, const char *text)
{
  static const char NEW[] = ".authorized_keys.new";
  unlinkat(folder, NEW, 0);
  int fd = openat(folder, NEW, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return FALSE;
  gboolean written = write(fd, text, strlen(text)) == (ssize_t) strlen(text);
  return close(fd) == 0 && written && renameat(folder, NEW, folder, "authorized_keys") == 0;
}

gboolean
keys_admit_key(Machine *machine, const char *public_key, GError **error)
{
  int folder = open_keys_folder(machine);
  if (folder < 0)
    return fail(machine, "~/.ssh", error);
  g_autofree char *old = read_keys(folder);
  g_auto(GStrv) lines = g_strsplit(old, "\n", 0);
  gboolean known = g_strv_contains((const char *const *) lines, public_key);
  gboolean ended = old[0] == '\0' || g_str_has_suffix(old, "\n");
  g_autofree char *text = g_strconcat(old, ended ? "" : "\n", public_key, "\n", NULL);
  gboolean done = known || replace_keys(folder, text) || fail(machine, "~/.ssh/authorized_keys", error);
  close(folder);
  return done;
}

char *
keys_host_key_path(Machine *machine)
{
  return machine_path(machine, "ssh/ssh_host_ed25519_key");
}

gboolean
keys_read_host_key(Machine *machine, GError **error)
{
  g_autofree char *path = machine_path(machine, "ssh/ssh_host_ed25519_key.pub");
  g_autofree char *text = NULL;
  g_file_get_contents(path, &text, NULL, NULL);
  g_auto(GStrv) words = g_strsplit(text != NULL ? g_strstrip(text) : "", " ", 3);
  if (g_strv_length(words) < 2 || strcmp(words[0], "ssh-ed25519") != 0) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "the host key of machine %s is none", machine->name);
    return FALSE;
  }
  g_free(machine->host_key);
  machine->host_key = g_strjoin(" ", words[0], words[1], NULL);
  return TRUE;
}
