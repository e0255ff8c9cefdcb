/* coordinator-file: leases on one host as locked files, which the kernel takes back when their process dies. */
#include "lease.h"
#include "token.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MAX_KEY 100
#define HOLDER_BYTES 128

typedef struct {
  AzlinHost *host;
  GHashTable *leases; /* key -> Lease */
} Coordinator;

typedef struct {
  int fd; /* its lock is the lease */
  guint64 token;
} Lease;

static void
lease_free(gpointer data)
{
  Lease *lease = data;
  /* Who held it last is nobody's business any more; the file stays, as removing it would race with the next holder. */
  if (ftruncate(lease->fd, 0) != 0)
    g_debug("cannot empty a lock file: %s", g_strerror(errno));
  close(lease->fd);
  g_free(lease);
}

/* ---- files ---- */

/* One file name per key: what is no plain character becomes %XX, what is too long its hash. */
static char *
file_name(const char *key)
{
  g_autoptr(GString) name = g_string_new(NULL);
  for (const guchar *c = (const guchar *) key; *c != '\0'; c++)
    if (g_ascii_isalnum(*c) || *c == '-' || *c == '_' || (*c == '.' && name->len > 0))
      g_string_append_c(name, (char) *c);
    else
      g_string_append_printf(name, "%%%02X", *c);
  if (name->len <= MAX_KEY)
    return g_strdup(name->str);
  return g_compute_checksum_for_string(G_CHECKSUM_SHA256, key, -1);
}

static char *
path_of(Coordinator *self, const char *key, const char *suffix)
{
  g_autofree char *name = file_name(key);
  return g_strconcat(self->host->api->state_dir(self->host), "/", name, suffix, NULL);
}

static void
write_holder(Coordinator *self, int fd)
{
  g_autoptr(GDateTime) now = g_date_time_new_from_unix_utc(self->host->api->now(self->host) / G_USEC_PER_SEC);
  g_autofree char *time = g_date_time_format(now, "%Y-%m-%dT%H:%M:%SZ");
  g_autofree char *text = g_strdup_printf("process %d since %s\n", (int) getpid(), time);
  /* Only a hint for people: the lock itself is what counts. */
  if (ftruncate(fd, 0) != 0 || pwrite(fd, text, strlen(text), 0) < 0)
    self->host->api->log(self->host, G_LOG_LEVEL_DEBUG, "cannot note the holder: %s", g_strerror(errno));
}

static GError *
held_by_another(int fd, const char *key)
{
  char text[HOLDER_BYTES];
  gssize n = pread(fd, text, sizeof text - 1, 0);
  text[MAX(n, 0)] = '\0';
  g_strdelimit(text, "\n", '\0');
  gboolean known = g_str_has_prefix(text, "process ") && g_str_is_ascii(text);
  return lease_held(key, known ? text : "another process");
}

static int
open_locked(const char *path, const char *key, GError **error)
{
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET };
  int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) {
    token_fail(error, "open", path);
    return -1;
  }
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
    return fd;
  if (errno == EAGAIN || errno == EACCES)
    g_propagate_error(error, held_by_another(fd, key));
  else
    token_fail(error, "lock", path);
  close(fd);
  return -1;
}

/* ---- the interface ---- */

static void
coordinator_acquire(gpointer data, const char *key, guint32 ttl_s, AzlinOp *op)
{
  Coordinator *self = data;
  const AzlinHostApi *api = self->host->api;
  GError *error = NULL;
  guint64 token = 0;
  if (key == NULL || *key == '\0') {
    api->op_fail(op, g_error_new(AZLIN_ERROR, AZLIN_ERROR_USAGE, "a lease needs a key"));
    return;
  }
  g_autofree char *path = path_of(self, key, ".lock");
  g_autofree char *counter = path_of(self, key, ".token");
  int fd = open_locked(path, key, &error);
  if (fd >= 0 && !token_next(counter, &token, &error)) {
    close(fd);
    fd = -1;
  }
  if (fd < 0) {
    api->op_fail(op, error);
    return;
  }
  Lease *lease = g_new0(Lease, 1);
  lease->fd = fd;
  lease->token = token;
  write_holder(self, fd);
  g_hash_table_replace(self->leases, g_strdup(key), lease);
  api->op_finish_variant(op, g_variant_new_uint64(token));
}

/* The lock cannot pass to another while this process lives, so time alone never ends a lease here. */
static void
coordinator_renew(gpointer data, const char *key, guint64 token, AzlinOp *op)
{
  Coordinator *self = data;
  const AzlinHostApi *api = self->host->api;
  Lease *lease = g_hash_table_lookup(self->leases, key);
  if (lease != NULL && lease->token == token) {
    api->op_finish(op);
    return;
  }
  api->op_fail(op, lease_lost(key, token, "is not held any more"));
}

static void
coordinator_release(gpointer data, const char *key, guint64 token, AzlinOp *op)
{
  Coordinator *self = data;
  Lease *lease = g_hash_table_lookup(self->leases, key);
  if (lease != NULL && lease->token == token)
    g_hash_table_remove(self->leases, key);
  self->host->api->op_finish(op);
}

static gboolean
coordinator_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Coordinator *self = g_new0(Coordinator, 1);
  self->host = host;
  self->leases = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, lease_free);
  *ret_self = self;
  return TRUE;
}

static void
coordinator_free(gpointer data)
{
  Coordinator *self = data;
  g_hash_table_unref(self->leases);
  g_free(self);
}

static const AzlinCoordinator iface = {
  .size = sizeof(AzlinCoordinator),
  .acquire = coordinator_acquire,
  .renew = coordinator_renew,
  .release = coordinator_release,
};

static const AzlinBrick brick = {
  .size = sizeof(AzlinBrick),
  .kind = AZLIN_KIND_COORDINATOR,
  .name = "file",
  .summary = "one azlin at a time on this host, by locked files with a rising token",
  .init = coordinator_init,
  .free = coordinator_free,
  .iface = &iface,
};

AZLIN_PLUGIN_DEFINE("coordinator-file", "0.1.0", "MIT", &brick)
