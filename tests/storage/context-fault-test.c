/* Each file call of a change fails once, at each place: an error to the caller, a readable state, nothing half done. */
#include "brick-host.h"
#include "small-disk.h"
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern const AzlinPlugin azlin_plugin_v1;

/* ---- the linker leads these calls of the brick through here ---- */

typedef enum { CALL_OPEN, CALL_WRITE, CALL_FSYNC, CALL_RENAME, CALL_LINK, CALL_FUTIMENS, CALL_CLOSE, N_CALLS } Call;
static const char *const call_names[] = { "open", "write", "fsync", "rename", "link", "futimens", "close" };
static struct {
  gboolean armed, fired;
  Call call;
  guint countdown;
  int with;
} fault;

static GString *story; /* what the brick did to the disk, while somebody wants to know */

static void
tell(const char *what, const char *path)
{
  g_autofree char *name = g_path_get_basename(path);
  if (story != NULL)
    g_string_append_printf(story, "%s %s\n", what, g_str_has_prefix(name, "home-") ? "folder" : name);
}

static gboolean
fails_now(Call call)
{
  if (!fault.armed || fault.call != call || fault.countdown-- > 0)
    return FALSE;
  fault.armed = FALSE;
  fault.fired = TRUE;
  errno = fault.with;
  return TRUE;
}

#define WRAP(call, name, parameters, arguments, type)                                                                  \
  type __real_##name parameters;                                                                                       \
  type __wrap_##name parameters;                                                                                       \
  type __wrap_##name parameters                                                                                        \
  {                                                                                                                    \
    return fails_now(call) ? (type) -1 : __real_##name arguments;                                                      \
  }
WRAP(CALL_OPEN, open64, (const char *path, int flags, mode_t mode), (path, flags, mode), int)
WRAP(CALL_WRITE, write, (int fd, const void *bytes, size_t length), (fd, bytes, length), ssize_t)
WRAP(CALL_LINK, link, (const char *from, const char *to), (from, to), int)
WRAP(CALL_FUTIMENS, futimens, (int fd, const struct timespec *times), (fd, times), int)

int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_rename(const char *from, const char *to);
int __wrap_rename(const char *from, const char *to);

int
__wrap_fsync(int fd)
{
  g_autofree char *link_path = g_strdup_printf("/proc/self/fd/%d", fd);
  g_autofree char *path = g_file_read_link(link_path, NULL);
  tell("sync", path);
  return fails_now(CALL_FSYNC) ? -1 : __real_fsync(fd);
}

int
__wrap_rename(const char *from, const char *to)
{
  tell("rename to", to);
  return fails_now(CALL_RENAME) ? -1 : __real_rename(from, to);
}

/* A close that fails has closed all the same. */
int __real_close(int fd);
int __wrap_close(int fd);

int
__wrap_close(int fd)
{
  int status = __real_close(fd);
  return fails_now(CALL_CLOSE) ? -1 : status;
}

static void
arm(Call call, guint place, int with)
{
  fault.armed = TRUE;
  fault.fired = FALSE;
  fault.call = call;
  fault.countdown = place;
  fault.with = with;
}

/* ---- every call, every place ---- */

static BrickHost *
make_state(void)
{
  BrickHost *host = brick_host_new(&azlin_plugin_v1, NULL);
  g_auto(Reply) one = context_add(host, "eastus", "1.1.1.1", TRUE);
  g_auto(Reply) two = context_add(host, "westus2", "2.2.2.2", FALSE);
  g_assert_no_error(one.error);
  g_assert_no_error(two.error);
  return host;
}

static gboolean
change_with_fault(Call call, guint place, int with)
{
  BrickHost *host = make_state();
  arm(call, place, with);
  g_auto(Reply) reply = context_set_primary(host, "eastus", "westus2", 1);
  gboolean fired = fault.fired;
  fault.armed = FALSE;
  g_autofree char *primary = context_primary(host);
  guint64 epoch = context_epoch(host);
  g_auto(Reply) list = context_list(host);
  g_assert_no_error(list.error);
  g_assert_cmpuint(list.vms->len, ==, 2);
  if (reply.error == NULL) {
    g_assert_cmpstr(primary, ==, "westus2");
    g_assert_cmpuint(epoch, ==, 2);
  } else {
    g_assert_error(reply.error, AZLIN_ERROR, AZLIN_ERROR_STORAGE);
    /* Only the very last step, the folder's fsync, may fail with the new state already in place. */
    gboolean old_state = g_str_equal(primary, "eastus") && epoch == 1;
    gboolean new_state = g_str_equal(primary, "westus2") && epoch == 2;
    g_assert_true(old_state || (new_state && (call == CALL_FSYNC || call == CALL_OPEN)));
  }
  g_autofree char *fresh = home_file(host, "config.json.new");
  g_assert_cmpint(access(fresh, F_OK), !=, 0);
  g_auto(Reply) again = context_add(host, "uksouth", "3.3.3.3", FALSE);
  g_assert_no_error(again.error);
  brick_host_remove_home(host);
  brick_host_free(host);
  return fired;
}

static void
each_call_fails(gconstpointer data)
{
  Call call = (Call) GPOINTER_TO_UINT(data);
  const int reasons[] = { ENOSPC, EIO, EROFS };
  guint places = 0;
  for (guint i = 0; i < G_N_ELEMENTS(reasons); i++)
    for (places = 0; change_with_fault(call, places, reasons[i]);)
      places++;
  g_test_message("%s: %u places", call_names[call], places);
  g_assert_cmpuint(places, >, 0);
}

/* What a power cut needs: the new bytes before their name, the name before the answer. */
static void
order_on_the_disk(void)
{
  BrickHost *host = make_state();
  story = g_string_new(NULL);
  g_auto(Reply) reply = context_set_primary(host, "eastus", "westus2", 1);
  g_assert_no_error(reply.error);
  g_assert_cmpstr(story->str, ==,
                  "sync config.json.new\nrename to config.json.1\nrename to config.json\nrename to config.json.good\n"
                  "sync folder\n");
  g_string_free(g_steal_pointer(&story), TRUE);
  brick_host_remove_home(host);
  brick_host_free(host);
}

/* A file system that knows no second names: no generation before is kept, all else is as ever. */
static void
no_hard_links(void)
{
  BrickHost *host = make_state();
  arm(CALL_LINK, 0, EPERM);
  g_auto(Reply) moved = context_set_primary(host, "eastus", "westus2", 1);
  g_assert_no_error(moved.error);
  g_assert_true(fault.fired);
  home_write(host, "config.json", "{");
  arm(CALL_LINK, 0, EPERM);
  g_autofree char *primary = context_primary(host);
  g_assert_true(fault.fired);
  g_assert_cmpstr(primary, ==, "westus2");
  g_autofree char *bad = home_read(host, "config.json.corrupt-1");
  g_assert_cmpstr(bad, ==, "{");
  brick_host_remove_home(host);
  brick_host_free(host);
}

/* ---- a full disk, for real ---- */

/* 0 = right, 77 = mounting is forbidden, else what went wrong. */
static int
try_full_disk(const char *mountpoint)
{
  if (!small_disk_mount(mountpoint, "128k"))
    return 77;
  BrickHost *host = brick_host_new(&azlin_plugin_v1, mountpoint);
  g_auto(Reply) one = context_add(host, "eastus", "1.1.1.1", TRUE);
  g_auto(Reply) two = context_add(host, "westus2", "2.2.2.2", FALSE);
  if (one.error != NULL || two.error != NULL)
    return 2;
  small_disk_fill(mountpoint);
  g_auto(Reply) full = context_set_primary(host, "eastus", "westus2", 1);
  if (!g_error_matches(full.error, AZLIN_ERROR, AZLIN_ERROR_STORAGE) || strstr(full.error->message, "No space") == NULL)
    return 3;
  g_autofree char *primary = context_primary(host);
  if (!g_str_equal(primary, "eastus") || context_epoch(host) != 1)
    return 4;
  g_autofree char *ballast = home_file(host, "ballast");
  unlink(ballast);
  g_auto(Reply) free_again = context_set_primary(host, "eastus", "westus2", 1);
  return free_again.error == NULL ? 0 : 5;
}

static void
full_disk(void)
{
  int status = 0;
  BrickHost *host = brick_host_new(&azlin_plugin_v1, NULL);
  pid_t child = fork();
  if (child == 0)
    _exit(try_full_disk(host->home));
  g_assert_cmpint(waitpid(child, &status, 0), ==, child);
  brick_host_remove_home(host);
  brick_host_free(host);
  g_assert_true(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77)
    g_test_skip("mounting a small disk is forbidden here");
  else
    g_assert_cmpint(WEXITSTATUS(status), ==, 0);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  for (guint call = 0; call < N_CALLS; call++) {
    g_autofree char *path = g_strconcat("/context/each-fails/", call_names[call], NULL);
    g_test_add_data_func(path, GUINT_TO_POINTER(call), each_call_fails);
  }
  g_test_add_func("/context/order-on-the-disk", order_on_the_disk);
  g_test_add_func("/context/no-hard-links", no_hard_links);
  g_test_add_func("/context/full-disk", full_disk);
  return g_test_run();
}
