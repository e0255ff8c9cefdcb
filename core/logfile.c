/* Durable append-only line files: each record is chained to the one before, each append is locked and on disk. */
#include "logfile.h"
#include "azlin-plugin.h"
#include "files.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define HASH AZ_LOGFILE_HASH
#define TAIL_BYTES (1 << 20)
#define MAX_COPIES 1000
#define LOCK_TRIES 5000
#define LOCK_PAUSE_US 1000

struct _AzLogfile {
  char *path;
  int fd;
  guint locks;
  gboolean failed;     /* an fsync failed: what the disk holds is unknown until another process reads it */
  guint64 end;         /* length up to which `head` is known */
  char head[HASH + 1]; /* hash of the last record */
};

static void
set_errno(GError **error, const char *verb, const char *path)
{
  int saved = errno;
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "cannot %s %s: %s", verb, path, g_strerror(saved));
}

/* ---- the format ---- */

static void
chain(const char *previous, const char *json, gsize length, char *ret_hash)
{
  g_autoptr(GChecksum) sum = g_checksum_new(G_CHECKSUM_SHA256);
  g_checksum_update(sum, (const guchar *) previous, HASH);
  g_checksum_update(sum, (const guchar *) json, (gssize) length);
  memcpy(ret_hash, g_checksum_get_string(sum), HASH + 1);
}

static void
reset_head(AzLogfile *file)
{
  memset(file->head, '0', HASH);
  file->head[HASH] = '\0';
  file->end = 0;
}

/* "<64 hex digits> <JSON>" without the newline. */
static gboolean
is_record(const char *line, gsize length)
{
  if (length < HASH + 2 || line[HASH] != ' ' || memchr(line, '\0', length) != NULL)
    return FALSE;
  return strspn(line, "0123456789abcdef") == HASH;
}

/* ---- opening and locking ---- */

static gboolean
open_fd(AzLogfile *file, GError **error)
{
  int flags = O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
  file->fd = open(file->path, flags);
  if (file->fd >= 0)
    return TRUE;
  if (errno == ENOENT)
    file->fd = open(file->path, flags | O_CREAT, 0600);
  if (file->fd < 0) {
    set_errno(error, "open", file->path);
    return FALSE;
  }
  return az_files_sync_folder(file->path, error);
}

AzLogfile *
az_logfile_open(const char *path, GError **error)
{
  g_autoptr(AzLogfile) file = g_new0(AzLogfile, 1);
  g_autofree char *folder = g_path_get_dirname(path);
  file->fd = -1;
  file->path = g_strdup(path);
  reset_head(file);
  if (g_mkdir_with_parents(folder, 0700) != 0) {
    set_errno(error, "make", folder);
    return NULL;
  }
  return open_fd(file, error) ? g_steal_pointer(&file) : NULL;
}

void
az_logfile_close(AzLogfile *file)
{
  if (file == NULL)
    return;
  if (file->fd >= 0)
    close(file->fd);
  g_free(file->path);
  g_free(file);
}

/* Another process may have replaced the file (reset) while we waited for its lock. */
static gboolean
is_current(AzLogfile *file)
{
  struct stat ours, named;
  if (fstat(file->fd, &ours) != 0 || lstat(file->path, &named) != 0)
    return FALSE;
  return ours.st_ino == named.st_ino && ours.st_dev == named.st_dev;
}

/* Two bytes: the head of the queue and the file itself, so that one who writes without pause keeps nobody out. */
enum { FILE_BYTE, QUEUE_BYTE };

static gboolean
set_byte(AzLogfile *file, off_t byte, short type)
{
  struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };
  return fcntl(file->fd, F_OFD_SETLK, &lock) == 0;
}

static gboolean
take_byte(AzLogfile *file, off_t byte, GError **error)
{
  for (guint i = 0; i < LOCK_TRIES; i++) {
    if (set_byte(file, byte, F_WRLCK))
      return TRUE;
    if (errno != EAGAIN && errno != EACCES && errno != EINTR) {
      set_errno(error, "lock", file->path);
      return FALSE;
    }
    /* A holder keeps it for one small write; a timer of the main loop would let others see a half-done step. */
    g_usleep(LOCK_PAUSE_US);
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_LOCKED, "%s stays locked by another process", file->path);
  return FALSE;
}

static gboolean
try_lock(AzLogfile *file, GError **error)
{
  if (!take_byte(file, QUEUE_BYTE, error))
    return FALSE;
  gboolean ok = take_byte(file, FILE_BYTE, error);
  set_byte(file, QUEUE_BYTE, F_UNLCK);
  return ok;
}

gboolean
az_logfile_lock(AzLogfile *file, GError **error)
{
  if (file->locks > 0) {
    file->locks++;
    return TRUE;
  }
  for (guint i = 0; i < LOCK_TRIES; i++) {
    if (file->fd >= 0 && !try_lock(file, error))
      return FALSE;
    if (file->fd >= 0 && is_current(file)) {
      file->locks = 1;
      return TRUE;
    }
    if (file->fd >= 0)
      close(file->fd);
    reset_head(file);
    if (!open_fd(file, error))
      return FALSE;
  }
  g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_LOCKED, "%s is replaced again and again", file->path);
  return FALSE;
}

void
az_logfile_unlock(AzLogfile *file)
{
  if (file->locks > 0 && --file->locks == 0 && file->fd >= 0)
    set_byte(file, FILE_BYTE, F_UNLCK);
}

guint64
az_logfile_size(AzLogfile *file)
{
  struct stat st;
  return stat(file->path, &st) == 0 ? (guint64) st.st_size : 0;
}

/* ---- where the next record goes ---- */

static gboolean
read_at(AzLogfile *file, guint64 offset, char *bytes, gsize length, GError **error)
{
  if (az_files_read_all(file->fd, offset, bytes, length))
    return TRUE;
  set_errno(error, "read", file->path);
  return FALSE;
}

/* The bytes of a write that never ended are kept beside the file, then cut off. */
static gboolean
set_aside(AzLogfile *file, guint64 from, const char *bytes, gsize length, GError **error)
{
  g_autofree char *copy = NULL;
  int fd = -1;
  for (guint n = 1; fd < 0 && n < MAX_COPIES; n++) {
    g_free(copy);
    copy = g_strdup_printf("%s.corrupt-%u", file->path, n);
    fd = open(copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0 && errno != EEXIST)
      break;
  }
  if (fd < 0) {
    set_errno(error, "write", copy);
    return FALSE;
  }
  gboolean kept = az_files_write_all(fd, bytes, length) && fsync(fd) == 0;
  if (!kept)
    set_errno(error, "write", copy);
  close(fd);
  if (!kept)
    return FALSE;
  g_warning("%s: %" G_GSIZE_FORMAT " bytes of an unfinished record were moved to %s", file->path, length, copy);
  if (ftruncate(file->fd, (off_t) from) == 0)
    return TRUE;
  set_errno(error, "shorten", file->path);
  return FALSE;
}

/* Looks back from the end for the last whole record. A whole one whose hash is wrong is no torn write: it stays, the
 * chain goes on from the hash it names, and verification shows it. */
static gboolean
find_head(AzLogfile *file, guint64 size, GError **error)
{
  gsize window = (gsize) MIN(size, TAIL_BYTES);
  guint64 base = size - window;
  g_autofree char *tail = g_malloc(window + 1);
  gsize end = window;
  reset_head(file);
  if (!read_at(file, base, tail, window, error))
    return FALSE;
  while (end > 0) {
    const char *newline = memrchr(tail, '\n', end);
    gsize stop = newline != NULL ? (gsize) (newline - tail) : 0;
    const char *before = stop > 0 ? memrchr(tail, '\n', stop) : NULL;
    gsize start = before != NULL ? (gsize) (before - tail) + 1 : 0;
    end = stop + 1;
    if (newline != NULL && is_record(tail + start, stop - start)) {
      memcpy(file->head, tail + start, HASH);
      break;
    }
    end = start;
  }
  if (end == 0 && base > 0) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "%s ends in %u bytes that are no record", file->path,
                TAIL_BYTES);
    return FALSE;
  }
  file->end = base + end;
  return end == window || set_aside(file, file->end, tail + end, window - end, error);
}

static gboolean
seek_head(AzLogfile *file, GError **error)
{
  struct stat st;
  if (fstat(file->fd, &st) != 0) {
    set_errno(error, "read", file->path);
    return FALSE;
  }
  return (guint64) st.st_size == file->end || find_head(file, (guint64) st.st_size, error);
}

gboolean
az_logfile_head(AzLogfile *file, char *ret_head, GError **error)
{
  if (!az_logfile_lock(file, error))
    return FALSE;
  gboolean ok = seek_head(file, error);
  if (ok)
    memcpy(ret_head, file->head, HASH + 1);
  az_logfile_unlock(file);
  return ok;
}

/* ---- appending ---- */

static gboolean
append_locked(AzLogfile *file, const char *json, GError **error)
{
  char hash[HASH + 1];
  if (!seek_head(file, error))
    return FALSE;
  chain(file->head, json, strlen(json), hash);
  g_autofree char *line = g_strdup_printf("%s %s\n", hash, json);
  gsize length = strlen(line);
  if (!az_files_write_all(file->fd, line, length)) {
    set_errno(error, "write", file->path);
    if (ftruncate(file->fd, (off_t) file->end) != 0)
      file->failed = TRUE;
    return FALSE;
  }
  if (fdatasync(file->fd) != 0) {
    set_errno(error, "make durable", file->path);
    /* The kernel may have dropped the dirty pages: a second fsync would lie. Nothing more goes through this file. */
    file->failed = TRUE;
    if (ftruncate(file->fd, (off_t) file->end) != 0)
      g_warning("%s: the record that is not durable could not be taken back", file->path);
    return FALSE;
  }
  file->end += length;
  memcpy(file->head, hash, sizeof hash);
  return TRUE;
}

gboolean
az_logfile_append(AzLogfile *file, const char *json, GError **error)
{
  if (file->failed) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_STORAGE, "%s: an earlier write did not reach the disk", file->path);
    return FALSE;
  }
  if (strchr(json, '\n') != NULL) {
    g_set_error(error, AZLIN_ERROR, AZLIN_ERROR_FAILED, "a record of %s must be one line", file->path);
    return FALSE;
  }
  if (!az_logfile_lock(file, error))
    return FALSE;
  gboolean ok = append_locked(file, json, error);
  az_logfile_unlock(file);
  return ok;
}

gboolean
az_logfile_reserve(AzLogfile *file, gsize bytes, GError **error)
{
  if (!az_logfile_lock(file, error))
    return FALSE;
  off_t end = (off_t) az_logfile_size(file);
  int status = fallocate(file->fd, FALLOC_FL_KEEP_SIZE, end, (off_t) bytes);
  /* Only a full disk matters; a file system that cannot set space aside is served without. */
  gboolean full = status != 0 && (errno == ENOSPC || errno == EDQUOT);
  if (full)
    set_errno(error, "extend", file->path);
  az_logfile_unlock(file);
  return !full;
}

/* ---- reading ---- */

typedef struct {
  char previous[HASH + 1];
  guint64 line, bad_line;
  void (*func)(guint64 line, const char *json, gpointer data);
  gpointer data;
} Scan;

/* Each record is judged against the hash that the one before it names, so one bad line does not hide those after it. */
static void
scan_line(Scan *scan, const char *line, gsize length)
{
  char hash[HASH + 1];
  scan->line++;
  if (!is_record(line, length)) {
    scan->bad_line = scan->bad_line > 0 ? scan->bad_line : scan->line;
    return;
  }
  chain(scan->previous, line + HASH + 1, length - HASH - 1, hash);
  memcpy(scan->previous, line, HASH);
  if (memcmp(hash, line, HASH) == 0)
    scan->func(scan->line, line + HASH + 1, scan->data);
  else if (scan->bad_line == 0)
    scan->bad_line = scan->line;
}

static gboolean
scan_all(AzLogfile *file, Scan *scan, GError **error)
{
  FILE *stream = fopen(file->path, "re");
  char *line = NULL;
  gsize room = 0;
  gssize length;
  if (stream == NULL) {
    set_errno(error, "read", file->path);
    return FALSE;
  }
  while ((length = getline(&line, &room, stream)) > 0) {
    gsize text = (gsize) length - (line[length - 1] == '\n');
    gboolean torn = line[length - 1] != '\n';
    line[text] = '\0';
    if (torn)
      scan->line++;
    if (torn && scan->bad_line == 0)
      scan->bad_line = scan->line;
    if (!torn)
      scan_line(scan, line, text);
  }
  gboolean ok = ferror(stream) == 0;
  if (!ok)
    set_errno(error, "read", file->path);
  free(line);
  fclose(stream);
  return ok;
}

gboolean
az_logfile_foreach(AzLogfile *file, void (*func)(guint64 line, const char *json, gpointer data), gpointer data,
                   guint64 *ret_bad_line, GError **error)
{
  Scan scan = { .func = func, .data = data };
  memset(scan.previous, '0', HASH);
  if (!az_logfile_lock(file, error))
    return FALSE;
  gboolean ok = scan_all(file, &scan, error);
  az_logfile_unlock(file);
  if (ok && ret_bad_line != NULL)
    *ret_bad_line = scan.bad_line;
  return ok;
}

gboolean
az_logfile_read_on(const char *path, AzLogfileCursor *cursor,
                   void (*func)(guint64 line, const char *json, gpointer data), gpointer data, GError **error)
{
  Scan scan = { .func = func, .data = data, .line = cursor->line };
  FILE *stream = fopen(path, "re");
  char *line = NULL;
  gsize room = 0;
  gssize length;
  if (stream == NULL && errno == ENOENT)
    return TRUE;
  if (stream == NULL || fseeko(stream, (off_t) cursor->offset, SEEK_SET) != 0) {
    set_errno(error, "read", path);
    g_clear_pointer(&stream, fclose);
    return FALSE;
  }
  memset(scan.previous, '0', HASH);
  if (cursor->offset > 0)
    memcpy(scan.previous, cursor->previous, HASH);
  /* what has no end yet is being written */
  while ((length = getline(&line, &room, stream)) > 0 && line[length - 1] == '\n') {
    line[length - 1] = '\0';
    scan_line(&scan, line, (gsize) length - 1);
    cursor->offset += (guint64) length;
  }
  cursor->line = scan.line;
  memcpy(cursor->previous, scan.previous, HASH);
  free(line);
  fclose(stream);
  return TRUE;
}

gboolean
az_logfile_reset(AzLogfile *file, GError **error)
{
  g_autofree char *fresh = g_strconcat(file->path, ".new", NULL);
  if (!az_logfile_lock(file, error))
    return FALSE;
  /* A new file, not a truncated one: other processes notice by its inode that what they remember is gone. */
  unlink(fresh);
  int fd = open(fresh, O_RDWR | O_APPEND | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
  struct flock lock = { .l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = FILE_BYTE, .l_len = 1 };
  gboolean ok = fd >= 0 && fcntl(fd, F_OFD_SETLK, &lock) == 0 && rename(fresh, file->path) == 0;
  if (!ok)
    set_errno(error, "replace", file->path);
  if (!ok && fd >= 0)
    close(fd);
  if (ok) {
    close(file->fd);
    file->fd = fd;
    reset_head(file);
    ok = az_files_sync_folder(file->path, error);
  }
  az_logfile_unlock(file);
  return ok;
}
