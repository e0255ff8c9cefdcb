/* A real disk that is soon full: a small tmpfs in a mount namespace of the calling process. */
#include "small-disk.h"
#include <fcntl.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

static gboolean
put_text(const char *path, const char *text)
{
  int fd = open(path, O_WRONLY | O_CLOEXEC);
  gboolean ok = fd >= 0 && write(fd, text, strlen(text)) == (gssize) strlen(text);
  if (fd >= 0)
    close(fd);
  return ok;
}

/* A plain user may mount as root of a namespace of its own. */
static gboolean
own_namespace(void)
{
  g_autofree char *uids = g_strdup_printf("0 %u 1", (guint) geteuid());
  g_autofree char *gids = g_strdup_printf("0 %u 1", (guint) getegid());
  if (geteuid() == 0)
    return unshare(CLONE_NEWNS) == 0;
  return unshare(CLONE_NEWNS | CLONE_NEWUSER) == 0 && put_text("/proc/self/setgroups", "deny")
         && put_text("/proc/self/uid_map", uids) && put_text("/proc/self/gid_map", gids);
}

gboolean
small_disk_mount(const char *folder, const char *size)
{
  g_autofree char *options = g_strdup_printf("size=%s,mode=0700", size);
  return own_namespace() && mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) == 0
         && mount("tmpfs", folder, "tmpfs", 0, options) == 0;
}

void
small_disk_fill(const char *folder)
{
  g_autofree char *path = g_build_filename(folder, "ballast", NULL);
  char block[4096] = { 0 };
  int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  while (write(fd, block, sizeof block) > 0)
    continue;
  while (write(fd, block, 1) > 0)
    continue;
  close(fd);
}
