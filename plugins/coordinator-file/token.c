/* The fence token of a lease: a counter on disk that only rises. */
#include "token.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_DIGITS 20

void
token_fail(GError **error, const char *verb, const char *path)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot %s %s: %s", verb, path, g_strerror(errno));
}

/* A counter that cannot be read must not start again: tokens once given out would come back. */
static gboolean
read_token(const char *path, guint64 *ret_token, GError **error)
{
  char text[MAX_DIGITS + 2] = "";
  char *end = NULL;
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ENOENT) {
    *ret_token = 0;
    return TRUE;
  }
  gssize n = fd >= 0 ? read(fd, text, sizeof text - 1) : -1;
  if (n < 0)
    token_fail(error, "read", path);
  if (fd >= 0)
    close(fd);
  if (n < 0)
    return FALSE;
  *ret_token = g_ascii_strtoull(text, &end, 10);
  if (end != text && strcmp(end, "\n") == 0 && *ret_token < G_MAXUINT64)
    return TRUE;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
              "%s is damaged: write into it a number above every epoch and token that was in use", path);
  return FALSE;
}

static gboolean
write_token(const char *fresh, guint64 token)
{
  g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT "\n", token);
  /* The lock is held, so what stands under this name was left by a process that died. */
  unlink(fresh);
  int fd = open(fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0)
    return FALSE;
  gboolean ok = write(fd, text, strlen(text)) == (gssize) strlen(text) && fsync(fd) == 0;
  return close(fd) == 0 && ok;
}

static gboolean
sync_folder_of(const char *path)
{
  g_autofree char *folder = g_path_get_dirname(path);
  int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  gboolean ok = fd >= 0 && fsync(fd) == 0;
  if (fd >= 0)
    close(fd);
  return ok;
}

gboolean
token_next(const char *path, guint64 *ret_token, GError **error)
{
  g_autofree char *fresh = g_strconcat(path, ".new", NULL);
  guint64 token;
  if (!read_token(path, &token, error))
    return FALSE;
  if (!write_token(fresh, token + 1) || rename(fresh, path) != 0 || !sync_folder_of(path)) {
    token_fail(error, "write", path);
    unlink(fresh);
    return FALSE;
  }
  *ret_token = token + 1;
  return TRUE;
}
