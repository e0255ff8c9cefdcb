/* coordinator-file: one holder at a time, tokens that only rise, leases that die with their process. */
#include "brick-host.h"
#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern const AzlinPlugin azlin_plugin_v1;

typedef struct {
  BrickHost *host;
} Fixture;

static void
set_up(Fixture *fixture, gconstpointer data)
{
  fixture->host = brick_host_new(&azlin_plugin_v1, NULL);
}

static void
tear_down(Fixture *fixture, gconstpointer data)
{
  brick_host_remove_home(fixture->host);
  brick_host_free(fixture->host);
}

static Reply
acquire(BrickHost *host, const char *key)
{
  const AzlinCoordinator *iface = host->brick->iface;
  Reply reply = { 0 };
  iface->acquire(host->self, key, 60, reply_op(host, &reply, 0));
  reply_wait(&reply);
  return reply;
}

static Reply
renew(BrickHost *host, const char *key, guint64 token)
{
  const AzlinCoordinator *iface = host->brick->iface;
  Reply reply = { 0 };
  iface->renew(host->self, key, token, reply_op(host, &reply, 0));
  reply_wait(&reply);
  return reply;
}

static void
release(BrickHost *host, const char *key, guint64 token)
{
  const AzlinCoordinator *iface = host->brick->iface;
  g_auto(Reply) reply = { 0 };
  iface->release(host->self, key, token, reply_op(host, &reply, 0));
  reply_wait(&reply);
  g_assert_no_error(reply.error);
}

static guint64
must_acquire(BrickHost *host, const char *key)
{
  g_auto(Reply) reply = acquire(host, key);
  g_assert_no_error(reply.error);
  return g_variant_get_uint64(reply.variant);
}

static void
one_holder(Fixture *fixture, gconstpointer data)
{
  g_autoptr(BrickHost) other = brick_host_new(&azlin_plugin_v1, fixture->host->home);
  g_autofree char *me = g_strdup_printf("is held by process %d since 20", (int) getpid());
  guint64 token = must_acquire(fixture->host, "deploy/azlin-vms");
  g_auto(Reply) refused = acquire(other, "deploy/azlin-vms");
  g_assert_error(refused.error, AZLIN_ERROR, AZLIN_ERROR_LOCKED);
  g_assert_nonnull(strstr(refused.error->message, me));
  g_auto(Reply) again = acquire(fixture->host, "deploy/azlin-vms");
  g_assert_error(again.error, AZLIN_ERROR, AZLIN_ERROR_LOCKED);
  g_auto(Reply) another_key = acquire(other, "deploy/azlin-vms2");
  g_assert_no_error(another_key.error);
  release(fixture->host, "deploy/azlin-vms", token);
  g_assert_cmpuint(must_acquire(other, "deploy/azlin-vms"), >, token);
}

static void
renew_checks_the_token(Fixture *fixture, gconstpointer data)
{
  guint64 token = must_acquire(fixture->host, "k");
  g_auto(Reply) right = renew(fixture->host, "k", token);
  g_assert_no_error(right.error);
  g_auto(Reply) wrong = renew(fixture->host, "k", token + 1);
  g_assert_error(wrong.error, AZLIN_ERROR, AZLIN_ERROR_FENCED);
  release(fixture->host, "k", token);
  g_auto(Reply) late = renew(fixture->host, "k", token);
  g_assert_error(late.error, AZLIN_ERROR, AZLIN_ERROR_FENCED);
}

static void
release_is_idempotent(Fixture *fixture, gconstpointer data)
{
  release(fixture->host, "never held", 7);
  guint64 first = must_acquire(fixture->host, "k");
  release(fixture->host, "k", first);
  release(fixture->host, "k", first);
  guint64 second = must_acquire(fixture->host, "k");
  release(fixture->host, "k", first);
  g_auto(Reply) still = renew(fixture->host, "k", second);
  g_assert_no_error(still.error);
}

static void
dies_with_its_process(Fixture *fixture, gconstpointer data)
{
  int ends[2];
  guint64 token = 0;
  g_assert_cmpint(pipe(ends), ==, 0);
  pid_t child = fork();
  if (child == 0) {
    BrickHost *mine = brick_host_new(&azlin_plugin_v1, fixture->host->home);
    guint64 held = must_acquire(mine, "k");
    if (write(ends[1], &held, sizeof held) != sizeof held)
      _exit(1);
    for (;;)
      pause();
  }
  g_assert_cmpint(read(ends[0], &token, sizeof token), ==, sizeof token);
  g_auto(Reply) refused = acquire(fixture->host, "k");
  g_assert_error(refused.error, AZLIN_ERROR, AZLIN_ERROR_LOCKED);
  kill(child, SIGKILL);
  g_assert_cmpint(waitpid(child, NULL, 0), ==, child);
  g_assert_cmpuint(must_acquire(fixture->host, "k"), ==, token + 1);
  close(ends[0]);
  close(ends[1]);
}

static void
keys_are_file_names(Fixture *fixture, gconstpointer data)
{
  const char *const keys[] = { "a/b", "a%2Fb", "../../etc/passwd", ".hidden", "a b\n", "\xc3\xa9" };
  g_autofree char *long_key = g_strnfill(5000, 'x');
  g_auto(Reply) empty = acquire(fixture->host, "");
  g_assert_error(empty.error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  for (guint i = 0; i < G_N_ELEMENTS(keys); i++)
    g_assert_cmpuint(must_acquire(fixture->host, keys[i]), ==, 1);
  g_assert_cmpuint(must_acquire(fixture->host, long_key), ==, 1);
  g_assert_true(home_has(fixture->host, "a%2Fb.lock"));
  g_assert_true(home_has(fixture->host, "a%252Fb.lock"));
  g_assert_true(home_has(fixture->host, "%2E.%2F..%2Fetc%2Fpasswd.lock"));
}

static void
damaged_counter_is_refused(Fixture *fixture, gconstpointer data)
{
  const char *const damaged[] = { "", "x\n", "7", "99999999999999999999999\n" };
  for (guint i = 0; i < G_N_ELEMENTS(damaged); i++) {
    home_write(fixture->host, "k.token", damaged[i]);
    g_auto(Reply) reply = acquire(fixture->host, "k");
    g_assert_error(reply.error, AZLIN_ERROR, AZLIN_ERROR_CONFIG);
  }
  home_write(fixture->host, "k.token", "41\n");
  g_assert_cmpuint(must_acquire(fixture->host, "k"), ==, 42);
}

#define ADD(name) g_test_add("/coordinator/" #name, Fixture, NULL, set_up, name, tear_down)

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  ADD(one_holder);
  ADD(renew_checks_the_token);
  ADD(release_is_idempotent);
  ADD(dies_with_its_process);
  ADD(keys_are_file_names);
  ADD(damaged_counter_is_refused);
  return g_test_run();
}
