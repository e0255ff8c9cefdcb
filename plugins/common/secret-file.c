/* Secrets that stand in files: read by whoever they belong to, and wiped. */
#include "secret-file.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
secret_wipe(char *secret)
{
  if (secret != NULL)
    explicit_bzero(secret, strlen(secret));
  g_free(secret);
}

static gboolean
only_ours(int fd)
{
  struct stat facts;
  return fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && (facts.st_mode & 077) == 0
         && (facts.st_uid == geteuid() || facts.st_uid == 0);
}

char *
secret_file_read(const char *path, const char *option, gsize max, GError **error)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) {
    int number = errno;
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s %s cannot be read: %s", option, path, g_strerror(number));
    return NULL;
  }
  gboolean ours = only_ours(fd);
  char *text = g_malloc0(max + 1);
  gssize length = ours ? read(fd, text, max) : 0;
  close(fd);
  while (length > 0 && strchr("\r\n", text[length - 1]) != NULL)
    text[--length] = '\0';
  if (ours && length >= 0)
    return text;
  secret_wipe(text);
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s %s %s", option, path,
              ours ? "cannot be read" : "must be a file of yours that nobody else may read (mode 0600)");
  return NULL;
}
