/* A job key opens rsync into one directory and nothing else, expires, and is gone from both ends after the revocation.
 */
#include "fixture.h"

#include "record.h"

#include <glib/gstdio.h>
#include <string.h>

typedef struct {
  World *world;
  Sshd *source, *target;
  AzlinVm *from, *to;
  char *dir; /* on the target */
} Pair;

static void
set_up(Pair *pair, gconstpointer unused)
{
  pair->world = fixture_world(NULL);
  pair->source = fixture_sshd(pair->world->public_key);
  pair->target = fixture_sshd(pair->world->public_key);
  pair->from = fixture_vm(pair->source);
  pair->to = fixture_vm(pair->target);
  pair->dir = g_build_filename(pair->target->home, "data of o'neill", NULL); /* made by the grant */
}

static void
tear_down(Pair *pair, gconstpointer unused)
{
  fixture_world_free(pair->world);
  fixture_sshd_stop(pair->source);
  fixture_sshd_stop(pair->target);
  az_vm_free(pair->from);
  az_vm_free(pair->to);
  g_free(pair->dir);
}

static GVariant *
grant(Pair *pair, const char *id, guint32 ttl_s)
{
  Wait wait;
  az_remote_grant(pair->world->remote, pair->from, pair->to, id, pair->dir, NULL, NULL, ttl_s, NULL,
                  wait_new(pair->world, 0, &wait));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  return wait.variant;
}

static void
take_back(Pair *pair, const char *id)
{
  Wait wait;
  az_remote_revoke(pair->world->remote, pair->from, pair->to, id, wait_new(pair->world, 0, &wait));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  wait_clear(&wait);
}

/* On the source, with the job's key, as the sync strategy does. */
static int
on_source(Pair *pair, GVariant *facts, const char *script, char **ret_err)
{
  const char *key, *known, *user, *host;
  guint32 port;
  Wait wait;
  g_assert_true(g_variant_lookup(facts, "identity_file", "&s", &key));
  g_assert_true(g_variant_lookup(facts, "known_hosts_file", "&s", &known));
  g_assert_true(g_variant_lookup(facts, "user", "&s", &user));
  g_assert_true(g_variant_lookup(facts, "host", "&s", &host));
  g_assert_true(g_variant_lookup(facts, "port", "u", &port));
  g_autofree char *ssh
      = g_strdup_printf("ssh -F none -i %s -o UserKnownHostsFile=%s -o IdentitiesOnly=yes -o BatchMode=yes "
                        "-o StrictHostKeyChecking=yes -p %u",
                        key, known, port);
  g_autofree char *login = g_strdup_printf("%s@%s", user, host);
  const char *const argv[] = { "sh", "-c", script, "test", ssh, login, NULL };
  AzlinExec request = { .size = sizeof request, .vm = pair->from, .argv = argv };
  az_remote_exec(pair->world->remote, &request, wait_new(pair->world, 0, &wait));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  if (ret_err != NULL)
    *ret_err = bytes_text(wait.err);
  int status = wait.status;
  wait_clear(&wait);
  return status;
}

static char *
authorized_keys(Sshd *sshd)
{
  g_autofree char *file = g_build_filename(sshd->home, ".ssh", "authorized_keys", NULL);
  char *text = NULL;
  g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
  return text;
}

static const char push[]
    = "mkdir -p \"$HOME/src\"; echo hello > \"$HOME/src/file\"; rsync -a -e \"$1\" \"$HOME/src/\" \"$2:/\"";

static void
test_rsync_and_nothing_else(Pair *pair, gconstpointer unused)
{
  g_autoptr(GVariant) facts = grant(pair, "job-1", 600);
  g_autofree char *copied = g_build_filename(pair->dir, "file", NULL);
  g_autofree char *trace = g_build_filename(pair->target->home, "trace", NULL);
  g_autofree char *err = NULL;
  int status = on_source(pair, facts, push, &err);
  g_test_message("rsync: %s", err);
  g_assert_cmpint(status, ==, 0);
  g_assert_true(g_file_test(copied, G_FILE_TEST_IS_REGULAR));
  g_assert_cmpint(on_source(pair, facts, "$1 $2 touch trace", NULL), !=, 0);
  g_assert_cmpint(on_source(pair, facts, "$1 $2 </dev/null", NULL), !=, 0);
  g_assert_false(g_file_test(trace, G_FILE_TEST_EXISTS));
  /* reading back is not part of it, nor is leaving the directory */
  g_assert_cmpint(on_source(pair, facts, "rsync -a -e \"$1\" \"$2:/file\" \"$HOME/back\"", NULL), !=, 0);
  g_assert_cmpint(on_source(pair, facts, "rsync -a -e \"$1\" \"$HOME/src/file\" \"$2:../escaped\"", NULL), !=, 0);
  g_autofree char *escaped = g_build_filename(pair->target->home, "escaped", NULL);
  g_assert_false(g_file_test(escaped, G_FILE_TEST_EXISTS));
  /* no forwarding: it would make the target a way into its network */
  g_assert_cmpint(
      on_source(pair, facts, "timeout 5 $1 -o ExitOnForwardFailure=yes -W 127.0.0.1:22 $2 </dev/null", NULL), !=, 0);
}

/* It is not asked for first: that would be a round trip of each login. */
static void
test_signs_at_once(Pair *pair, gconstpointer unused)
{
  g_autoptr(GVariant) facts = grant(pair, "job-1", 600);
  g_autofree char *err = NULL;
  on_source(pair, facts, "$1 -v $2 </dev/null", &err);
  g_assert_nonnull(strstr(err, "Authenticated to"));
  g_assert_null(strstr(err, "Server accepts key"));
}

static void
test_revoke(Pair *pair, gconstpointer unused)
{
  g_autoptr(GVariant) facts = grant(pair, "job-1", 600);
  g_autoptr(GVariant) other = grant(pair, "job-10", 600);
  g_autofree char *job = g_build_filename(pair->source->home, ".local/state/azlin/jobs/job-1", NULL);
  g_assert_true(g_file_test(job, G_FILE_TEST_IS_DIR));
  take_back(pair, "job-1");
  g_assert_false(g_file_test(job, G_FILE_TEST_EXISTS));
  g_autofree char *keys = authorized_keys(pair->target);
  g_assert_null(strstr(keys, "azlin-job-job-1\n"));
  g_assert_nonnull(strstr(keys, "azlin-job-job-10\n")); /* another job's key stays */
  g_assert_nonnull(strstr(keys, pair->world->public_key));
  g_assert_cmpint(on_source(pair, other, push, NULL), ==, 0);
  take_back(pair, "job-1"); /* again: nothing to do is success */
  take_back(pair, "job-10");
  g_autofree char *after = authorized_keys(pair->target);
  g_assert_null(strstr(after, "azlin-job"));
  g_autofree char *folder = g_build_filename(pair->target->home, ".ssh", NULL);
  g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);
  for (const char *name; (name = g_dir_read_name(dir)) != NULL;)
    g_assert_true(g_str_equal(name, "authorized_keys") || g_str_equal(name, ".azlin-lock"));
}

/* Logged in before it was taken back, begun after it. */
static void
test_begun_too_late(Pair *pair, gconstpointer unused)
{
  g_autoptr(GVariant) facts = grant(pair, "job-6", 600);
  g_autofree char *job = g_build_filename(pair->target->home, ".local/state/azlin/jobs/job-6", NULL);
  g_autofree char *copied = g_build_filename(pair->dir, "file", NULL);
  g_assert_cmpint(g_rmdir(job), ==, 0);
  g_assert_cmpint(on_source(pair, facts, push, NULL), !=, 0);
  g_assert_false(g_file_test(copied, G_FILE_TEST_EXISTS));
}

static void
test_expiry(Pair *pair, gconstpointer unused)
{
  g_autoptr(GVariant) facts = grant(pair, "job-2", 0); /* over at once */
  g_usleep(1100000);                                   /* sshd counts whole seconds */
  g_assert_cmpint(on_source(pair, facts, push, NULL), !=, 0);
}

static const char receiver[] = "printf 'got:%s:%s:' \"$1\" \"$2\"; cat\n";

static void
test_receiver(Pair *pair, gconstpointer unused)
{
  Wait wait;
  az_remote_grant(pair->world->remote, pair->from, pair->to, "job-4", pair->dir, receiver, "run-1", 600, NULL,
                  wait_new(pair->world, 0, &wait));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  g_autoptr(GVariant) facts = g_steal_pointer(&wait.variant);
  g_autofree char *with_folder = g_strdup_printf("got=$(echo data | $1 $2 touch trace)\n"
                                                 "[ \"$got\" = \"got:$(cat <<'EOF'\n%s\nEOF\n):run-1:data\" ]",
                                                 pair->dir);
  g_assert_cmpint(on_source(pair, facts, with_folder, NULL), ==, 0);
  g_autofree char *trace = g_build_filename(pair->target->home, "trace", NULL);
  g_autofree char *job = g_build_filename(pair->target->home, ".local/state/azlin/jobs/job-4", NULL);
  g_assert_false(g_file_test(trace, G_FILE_TEST_EXISTS));
  g_assert_cmpint(on_source(pair, facts, push, NULL), !=, 0); /* rsync is not what it admits */
  g_assert_true(g_file_test(job, G_FILE_TEST_IS_DIR));
  take_back(pair, "job-4");
  g_assert_false(g_file_test(job, G_FILE_TEST_EXISTS));
  g_assert_cmpint(on_source(pair, facts, with_folder, NULL), !=, 0);
}

static void
test_receiver_run(Pair *pair, gconstpointer unused)
{
  static const char *const wrong[] = { NULL, "", "a b", "A", "-x", "../x", "x;y", "x/y" };
  for (guint i = 0; i < G_N_ELEMENTS(wrong); i++) {
    Wait wait;
    az_remote_grant(pair->world->remote, pair->from, pair->to, "job-5", pair->dir, receiver, wrong[i], 600, NULL,
                    wait_new(pair->world, 0, &wait));
    wait_for(&wait);
    g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
    wait_clear(&wait);
  }
}

/* Made is told before admitted; both mean the same key. */
static void
test_made(Pair *pair, gconstpointer unused)
{
  Wait made, admitted;
  az_remote_grant(pair->world->remote, pair->from, pair->to, "job-7", pair->dir, NULL, NULL, 600,
                  wait_new(pair->world, 0, &made), wait_new(pair->world, 0, &admitted));
  wait_for(&made);
  g_assert_no_error(made.error);
  g_assert_null(admitted.variant);
  wait_for(&admitted);
  g_assert_no_error(admitted.error);
  g_assert_true(g_variant_equal(made.variant, admitted.variant));
  g_assert_cmpint(on_source(pair, admitted.variant, push, NULL), ==, 0);
  wait_clear(&made);
  wait_clear(&admitted);
}

static void
test_made_but_not_admitted(Pair *pair, gconstpointer unused)
{
  Wait made, admitted;
  g_autofree char *lock = g_build_filename(pair->target->home, ".ssh/.azlin-lock", NULL);
  g_assert_cmpint(g_mkdir(lock, 0700), ==, 0); /* cannot be written */
  az_remote_grant(pair->world->remote, pair->from, pair->to, "job-8", pair->dir, NULL, NULL, 600,
                  wait_new(pair->world, 0, &made), wait_new(pair->world, 0, &admitted));
  wait_for(&made);
  wait_for(&admitted);
  g_assert_no_error(made.error);
  g_assert_error(admitted.error, AZLIN_ERROR, AZLIN_ERROR_SYNC);
  wait_clear(&made);
  wait_clear(&admitted);
  az_remote_grant(pair->world->remote, pair->from, pair->to, "../job", pair->dir, NULL, NULL, 600,
                  wait_new(pair->world, 0, &made), wait_new(pair->world, 0, &admitted));
  wait_for(&made);
  wait_for(&admitted);
  g_assert_error(made.error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  g_assert_error(admitted.error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  wait_clear(&made);
  wait_clear(&admitted);
}

/* Ten grants at once on the same target: none is lost. */
static void
test_at_once(Pair *pair, gconstpointer unused)
{
  enum { N = 10 };
  Wait waits[N];
  for (int i = 0; i < N; i++) {
    g_autofree char *id = g_strdup_printf("many-%d", i);
    az_remote_grant(pair->world->remote, pair->from, pair->to, id, pair->dir, NULL, NULL, 600, NULL,
                    wait_new(pair->world, 0, &waits[i]));
  }
  for (int i = 0; i < N; i++) {
    wait_for(&waits[i]);
    g_assert_no_error(waits[i].error);
    wait_clear(&waits[i]);
  }
  g_autofree char *keys = authorized_keys(pair->target);
  for (int i = 0; i < N; i++) {
    g_autofree char *mark = g_strdup_printf("azlin-job-many-%d\n", i);
    g_assert_nonnull(strstr(keys, mark));
  }
}

static void
expect_refusal(Pair *pair, const char *id, const char *dir)
{
  Wait wait;
  az_remote_grant(pair->world->remote, pair->from, pair->to, id, dir, NULL, NULL, 60, NULL,
                  wait_new(pair->world, 0, &wait));
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_USAGE);
  wait_clear(&wait);
}

static void
test_hostile_arguments(Pair *pair, gconstpointer unused)
{
  expect_refusal(pair, "job", "relative");
  expect_refusal(pair, "job", "/a\nb");
  expect_refusal(pair, "job", "/a\"b");
  expect_refusal(pair, "job", "/a\\b");
  expect_refusal(pair, "../job", "/tmp");
  expect_refusal(pair, "", "/tmp");
  expect_refusal(pair, "a b", "/tmp");
  expect_refusal(pair, "-rf", "/tmp");
}

static void
test_dead_end(Pair *pair, gconstpointer unused)
{
  Wait wait;
  g_autoptr(GVariant) facts = grant(pair, "job-3", 600);
  g_autofree char *job = g_build_filename(pair->source->home, ".local/state/azlin/jobs/job-3", NULL);
  pair->to->ssh_port = fixture_dead_port();
  az_remote_revoke(pair->world->remote, pair->from, pair->to, "job-3", wait_new(pair->world, 0, &wait));
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NETWORK); /* so that the caller keeps its record */
  g_assert_false(g_file_test(job, G_FILE_TEST_EXISTS));         /* the end that lives is clean all the same */
  wait_clear(&wait);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_unsetenv("SSH_AUTH_SOCK");
#define ADD(name, func) g_test_add("/grant/" name, Pair, NULL, set_up, func, tear_down)
  ADD("rsync-and-nothing-else", test_rsync_and_nothing_else);
  ADD("signs-at-once", test_signs_at_once);
  ADD("revoke", test_revoke);
  ADD("begun-too-late", test_begun_too_late);
  ADD("expiry", test_expiry);
  ADD("receiver", test_receiver);
  ADD("receiver-run", test_receiver_run);
  ADD("made", test_made);
  ADD("made-but-not-admitted", test_made_but_not_admitted);
  ADD("at-once", test_at_once);
  ADD("hostile-arguments", test_hostile_arguments);
  ADD("dead-end", test_dead_end);
  return g_test_run();
}
