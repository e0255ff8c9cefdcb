/* config.json on disk: config.json.good is a copy of the newest generation that azlin wrote (an inode of its own, so
 * that no editor reaches it), config.json.1 the generation before. */
#include "store.h"
#include "storage.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_BYTES (64u << 20)
#define MAX_COPIES 1000
#define NEW ".new"

void
store_init(Store *store, AzlinHost *host)
{
  store->host = host;
  store->folder = g_strdup(host->api->home_dir(host));
  store->path = g_build_filename(store->folder, "config.json", NULL);
  store->good = g_strconcat(store->path, ".good", NULL);
  store->previous = g_strconcat(store->path, ".1", NULL);
  store->lock = g_build_filename(store->folder, "config.lock", NULL);
}

void
store_clear(Store *store)
{
  g_free(store->folder);
  g_free(store->path);
  g_free(store->good);
  g_free(store->previous);
  g_free(store->lock);
  g_free(store->told);
}

/* Two bytes of one file. Who wants to change something takes the place at the head of the queue first, then the state;
 * so a process that changes one thing after another cannot keep the others out. */
enum { STATE_BYTE, QUEUE_BYTE };

static gboolean
take_byte(Store *store, int fd, off_t byte, GError **error)
{
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
  if (fcntl(fd, F_OFD_SETLK, &lock) == 0)
    return TRUE;
  if (errno != EAGAIN && errno != EACCES && errno != EINTR)
    storage_fail(error, "lock", store->lock);
  return FALSE;
}

gboolean
store_lock(Store *store, StoreLock *lock, GError **error)
{
  struct flock leave = { .l_type = F_UNLCK, .l_whence = SEEK_SET, .l_start = QUEUE_BYTE, .l_len = 1 };
  if (g_mkdir_with_parents(store->folder, 0700) != 0)
    return storage_fail(error, "make", store->folder);
  if (lock->fd < 0)
    lock->fd = open(store->lock, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock->fd < 0)
    return storage_fail(error, "open", store->lock);
  if (!lock->queued)
    lock->queued = take_byte(store, lock->fd, QUEUE_BYTE, error);
  if (!lock->queued || !take_byte(store, lock->fd, STATE_BYTE, error))
    return FALSE;
  fcntl(lock->fd, F_OFD_SETLK, &leave);
  lock->queued = FALSE;
  return TRUE;
}

void
store_unlock(StoreLock *lock)
{
  if (lock->fd >= 0)
    close(lock->fd);
  lock->fd = -1;
  lock->queued = FALSE;
}

/* ---- reading ---- */

static StoreState
fail_config(GError **error, StoreState state, const char *path, const char *problem)
{
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG, "%s %s", path, problem);
  return state;
}

/* A file that others may write, or that somebody else owns, says nothing about our machines. */
static StoreState
check_file(Store *store, int fd, const char *path, struct stat *st, GError **error)
{
  if (fstat(fd, st) != 0)
    return storage_fail(error, "read", path), STORE_FAILED;
  if (!S_ISREG(st->st_mode))
    return fail_config(error, STORE_FAILED, path, "is no regular file");
  if (st->st_uid != geteuid() && st->st_uid != 0)
    return fail_config(error, STORE_FAILED, path, "belongs to another user");
  if (st->st_size > MAX_BYTES)
    return fail_config(error, STORE_DAMAGED, path, "is larger than 64 MiB");
  if ((st->st_mode & 077) != 0 && fchmod(fd, 0600) != 0)
    store->host->api->log(store->host, G_LOG_LEVEL_WARNING, "%s is open to other users", path);
  return STORE_FINE;
}

static StoreState
read_file(Store *store, const char *path, char **ret_text, struct stat *ret_stat, GError **error)
{
  int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
  if (fd < 0 && errno == ELOOP)
    return fail_config(error, STORE_FAILED, path, "is a symbolic link");
  if (fd < 0)
    return storage_fail(error, "read", path), STORE_FAILED;
  StoreState state = check_file(store, fd, path, ret_stat, error);
  if (state == STORE_FINE) {
    *ret_text = storage_read(fd, (gsize) ret_stat->st_size);
    if (*ret_text == NULL) {
      storage_fail(error, "read", path);
      state = STORE_FAILED;
    }
  }
  close(fd);
  return state;
}

static StoreState
parse_file(Store *store, const char *path, Document **ret_document, GError **error)
{
  struct stat st;
  char *text = NULL;
  g_autofree char *problem = NULL;
  g_autoptr(Document) document = NULL;
  StoreState state = read_file(store, path, &text, &st, error);
  if (state != STORE_FINE)
    return state;
  gsize length = (gsize) st.st_size;
  gint64 mtime = (gint64) st.st_mtim.tv_sec * G_USEC_PER_SEC + st.st_mtim.tv_nsec / 1000;
  gboolean untouched = seal_names_time(text, length, mtime);
  DocumentState parsed = document_parse(text, length, &document, &problem);
  if (document != NULL && document->seal == SEAL_FITS)
    untouched = FALSE;
  if (parsed == DOCUMENT_REFUSED && !untouched)
    return fail_config(error, STORE_FAILED, path, problem);
  if (parsed != DOCUMENT_FINE)
    return fail_config(error, STORE_DAMAGED, path, problem);
  if (untouched)
    return fail_config(error, STORE_DAMAGED, path, "holds other bytes than were written, and nobody edited it");
  *ret_document = g_steal_pointer(&document);
  return STORE_FINE;
}

/* A hand may change anything, and that is taken as it stands; but whoever moves the primary raises the epoch, and
 * neither counter ever falls. */
static void
adopt_edit(Store *store, Document *document)
{
  g_autoptr(Document) good = NULL;
  const AzlinHostApi *api = store->host->api;
  if (document->seal == SEAL_FITS || access(store->good, F_OK) != 0
      || parse_file(store, store->good, &good, NULL) != STORE_FINE)
    return;
  document->generation = MAX(document->generation, good->generation);
  const char *now = document_primary_name(document);
  const char *before = document_primary_name(good);
  if (g_str_equal(now, before)) {
    document->epoch = MAX(document->epoch, good->epoch);
    return;
  }
  document->epoch = MAX(document->epoch, good->epoch + 1);
  if (g_strcmp0(store->told, now) == 0)
    return;
  g_free(store->told);
  store->told = g_strdup(now);
  api->log(store->host, G_LOG_LEVEL_WARNING, "%s was edited by hand: the primary is now %s, azlin had stored %s",
           store->path, *now != '\0' ? now : "none", *before != '\0' ? before : "none");
}

StoreState
store_load(Store *store, Document **ret_document, GError **error)
{
  if (access(store->path, F_OK) != 0 && errno == ENOENT) {
    if (access(store->good, F_OK) == 0 || access(store->previous, F_OK) == 0)
      return fail_config(error, STORE_DAMAGED, store->path, "is gone, but copies of it are there");
    *ret_document = document_new();
    return STORE_FINE;
  }
  StoreState state = parse_file(store, store->path, ret_document, error);
  if (state == STORE_FINE)
    adopt_edit(store, *ret_document);
  return state;
}

gboolean
store_is_being_saved(Store *store)
{
  struct stat st;
  return stat(store->path, &st) == 0 && ABS(g_get_real_time() / G_USEC_PER_SEC - st.st_mtim.tv_sec) <= 1;
}

/* ---- writing ---- */

typedef struct {
  char *path, *fresh;
  int fd;
} NewFile;

static gboolean
begin(NewFile *file, const char *path, const GString *text, gint64 mtime, GError **error)
{
  struct timespec times[2];
  file->path = g_strdup(path);
  file->fresh = g_strconcat(path, NEW, NULL);
  /* One name for all: who holds the lock knows that what stands there was left by a process that died. */
  unlink(file->fresh);
  file->fd = open(file->fresh, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (file->fd < 0)
    return storage_fail(error, "write", file->fresh);
  times[0].tv_sec = times[1].tv_sec = mtime / G_USEC_PER_SEC;
  times[0].tv_nsec = times[1].tv_nsec = (mtime % G_USEC_PER_SEC) * 1000;
  if (!storage_write(file->fd, text->str, text->len) || futimens(file->fd, times) != 0)
    return storage_fail(error, "write", file->fresh);
  return TRUE;
}

static gboolean
make_durable(NewFile *file, GError **error)
{
  int fd = file->fd;
  gboolean synced = fsync(fd) == 0;
  if (!synced)
    storage_fail(error, "make durable", file->fresh);
  file->fd = -1;
  if (close(fd) == 0 || !synced)
    return synced;
  return storage_fail(error, "write", file->fresh);
}

/* Nothing is ever tried again on a file whose fsync failed: it goes, and the next save makes another. */
static void
drop(NewFile *file)
{
  if (file->fd >= 0)
    close(file->fd);
  if (file->fresh != NULL)
    unlink(file->fresh);
  g_free(file->path);
  g_free(file->fresh);
}

static gboolean
no_links(int reason)
{
  return reason == EPERM || reason == EOPNOTSUPP || reason == ENOSYS || reason == EMLINK;
}

/* The generation that is about to be replaced keeps its inode under another name. */
static gboolean
keep_previous(Store *store, GError **error)
{
  g_autofree char *fresh = g_strconcat(store->previous, NEW, NULL);
  unlink(fresh);
  if (link(store->path, fresh) != 0)
    return errno == ENOENT || no_links(errno) ? TRUE : storage_fail(error, "link", fresh);
  gboolean ok = rename(fresh, store->previous) == 0 || storage_fail(error, "replace", store->previous);
  unlink(fresh);
  return ok;
}

static gboolean
replace(Store *store, NewFile *file, NewFile *good, gboolean keep, GError **error)
{
  if (!make_durable(file, error) || (keep && !keep_previous(store, error)))
    return FALSE;
  if (rename(file->fresh, store->path) != 0)
    return storage_fail(error, "replace", store->path);
  /* The copy may reach the disk later: a power cut that costs it leaves config.json, and its seal tells. */
  if (rename(good->fresh, store->good) != 0)
    store->host->api->log(store->host, G_LOG_LEVEL_WARNING, "cannot replace %s: %s", store->good, g_strerror(errno));
  return storage_sync_folder(store->folder, error);
}

/* `keep`: what stands in config.json now is worth a place as the generation before. */
static gboolean
save(Store *store, Document *document, gboolean keep, GError **error)
{
  NewFile file = { .fd = -1 };
  NewFile good = { .fd = -1 };
  gint64 now = g_get_real_time(); /* compared with the file's own time, so never the engine's virtual one */
  document->generation++;
  GString *text = document_print(document, now);
  gboolean ok = begin(&file, store->path, text, now, error) && begin(&good, store->good, text, now, error)
                && replace(store, &file, &good, keep, error);
  drop(&file);
  drop(&good);
  g_string_free(text, TRUE);
  return ok;
}

gboolean
store_save(Store *store, Document *document, GError **error)
{
  g_clear_pointer(&store->told, g_free);
  return save(store, document, TRUE, error);
}

/* ---- restoring ---- */

/* A second name for the damaged file, so that there is no instant without a config.json. Where the file system knows no
 * second names it moves: killed here, the next call finds it gone and restores it as well. */
static char *
keep_damaged(Store *store)
{
  for (guint n = 1; n < MAX_COPIES; n++) {
    char *copy = g_strdup_printf("%s.corrupt-%u", store->path, n);
    if (link(store->path, copy) == 0)
      return copy;
    if (no_links(errno) && access(copy, F_OK) != 0 && rename(store->path, copy) == 0)
      return copy;
    int saved = errno;
    gboolean taken = access(copy, F_OK) == 0;
    g_free(copy);
    errno = saved;
    if (!taken)
      break;
  }
  return NULL;
}

static Document *
newest_copy(Store *store)
{
  g_autoptr(Document) good = NULL;
  g_autoptr(Document) previous = NULL;
  StoreState first = parse_file(store, store->good, &good, NULL);
  StoreState second = parse_file(store, store->previous, &previous, NULL);
  /* Nobody edits a copy: one that is not sealed is damaged, even where it can be read. */
  if (first == STORE_FINE && good->seal != SEAL_FITS)
    first = STORE_DAMAGED;
  if (first == STORE_FINE && (second != STORE_FINE || good->generation >= previous->generation))
    return g_steal_pointer(&good);
  if (second != STORE_FINE)
    return NULL;
  /* One generation may be lost, and with it one move of the primary: tokens given out then must stay the lower ones. */
  previous->epoch += 2;
  return g_steal_pointer(&previous);
}

Document *
store_restore(Store *store, const char *why, GError **error)
{
  g_autoptr(Document) document = newest_copy(store);
  if (document == NULL) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_CONFIG,
                "%s; no earlier generation is left to restore, so mend the file or move it away", why);
    return NULL;
  }
  gboolean exists = access(store->path, F_OK) == 0;
  g_autofree char *kept = exists ? keep_damaged(store) : NULL;
  if (exists && kept == NULL) {
    storage_fail(error, "keep the damaged", store->path);
    return NULL;
  }
  guint64 generation = document->generation;
  if (!save(store, document, FALSE, error))
    return NULL;
  store->host->api->log(store->host, G_LOG_LEVEL_WARNING,
                        "%s; generation %" G_GUINT64_FORMAT " was restored (primary: %s)%s%s", why, generation,
                        *document_primary_name(document) != '\0' ? document_primary_name(document) : "none",
                        kept != NULL ? "; the damaged file is kept as " : "", kept != NULL ? kept : "");
  return g_steal_pointer(&document);
}

/* ---- leftovers ---- */

static gboolean
leftover(const char *path, gboolean remove_it)
{
  g_autofree char *fresh = g_strconcat(path, NEW, NULL);
  return remove_it ? unlink(fresh) == 0 : access(fresh, F_OK) == 0;
}

gboolean
store_has_leftovers(Store *store)
{
  return leftover(store->path, FALSE) || leftover(store->good, FALSE) || leftover(store->previous, FALSE);
}

void
store_remove_leftovers(Store *store)
{
  leftover(store->path, TRUE);
  leftover(store->good, TRUE);
  leftover(store->previous, TRUE);
}
