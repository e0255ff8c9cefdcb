/* Commands over real SSH: output, status, input, caps, cancel, deadlines, keys that are refused, sessions that are
 * shared. */
#include "fixture.h"

#include "record.h"

#include <glib/gstdio.h>
#include <string.h>
#include <unistd.h>

typedef struct {
  World *world;
  Sshd *sshd;
  AzlinVm *vm;
} Setup;

static void
set_up(Setup *setup, gconstpointer unused)
{
  setup->world = fixture_world(NULL);
  setup->sshd = fixture_sshd(setup->world->public_key);
  setup->vm = fixture_vm(setup->sshd);
}

static void
tear_down(Setup *setup, gconstpointer unused)
{
  fixture_world_free(setup->world);
  fixture_sshd_stop(setup->sshd);
  az_vm_free(setup->vm);
}

static void
exec_script(Setup *setup, const char *script, GBytes *input, gsize max_output, guint32 timeout_ms, Wait *wait)
{
  const char *const argv[] = { "sh", "-c", script, NULL };
  AzlinExec request
      = { .size = sizeof request, .vm = setup->vm, .argv = argv, .input = input, .max_output = max_output };
  az_remote_exec(setup->world->remote, &request, wait_new(setup->world, timeout_ms, wait));
  wait_for(wait);
}

/* The sshd process of this session: our parent, or the login shell's. */
#define FIND_SSHD "p=$PPID; case $(cat /proc/$p/comm) in sshd*) ;; *) p=$(ps -o ppid= $p) ;; esac; "

static void
test_output(Setup *setup, gconstpointer unused)
{
  Wait wait;
  exec_script(setup, "echo out; echo err >&2; exit 7", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  g_autofree char *out = bytes_text(wait.out);
  g_autofree char *err = bytes_text(wait.err);
  g_assert_cmpstr(out, ==, "out\n");
  g_assert_cmpstr(err, ==, "err\n");
  g_assert_cmpint(wait.status, ==, 7);
  wait_clear(&wait);
}

static void
test_signal(Setup *setup, gconstpointer unused)
{
  Wait wait;
  exec_script(setup, "kill -KILL $$", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  g_assert_cmpint(wait.status, ==, 128 + 9);
  wait_clear(&wait);
}

static void
test_input(Setup *setup, gconstpointer unused)
{
  Wait wait;
  gsize size = 5 * 1024 * 1024; /* more than a channel window, so that it has to be fed in pieces */
  char *bytes = g_malloc(size);
  for (gsize i = 0; i < size; i++)
    bytes[i] = (char) (i * 7 + i / 251);
  g_autoptr(GBytes) input = g_bytes_new_take(bytes, size);
  exec_script(setup, "cat", input, 6 * 1024 * 1024, 0, &wait);
  g_assert_no_error(wait.error);
  g_assert_true(g_bytes_equal(wait.out, input));
  wait_clear(&wait);
}

static void
test_output_cap(Setup *setup, gconstpointer unused)
{
  Wait wait;
  exec_script(setup, "head -c 100000 /dev/zero", NULL, 100000, 0, &wait);
  g_assert_no_error(wait.error);
  g_assert_cmpuint(g_bytes_get_size(wait.out), ==, 100000);
  wait_clear(&wait);
  exec_script(setup, "yes", NULL, 100000, 0, &wait); /* would never end by itself */
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_FAILED);
  g_assert_nonnull(strstr(wait.error->message, "100000 bytes"));
  wait_clear(&wait);
}

static void
test_stderr_cap(Setup *setup, gconstpointer unused)
{
  Wait wait;
  exec_script(setup, "head -c 1000000 /dev/zero >&2; echo done", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  g_autofree char *out = bytes_text(wait.out);
  g_assert_cmpstr(out, ==, "done\n");
  g_assert_cmpuint(g_bytes_get_size(wait.err), ==, 256 * 1024);
  wait_clear(&wait);
}

static void
on_line(const char *line, gpointer data)
{
  g_ptr_array_add(data, g_strdup(line));
}

static void
test_lines(Setup *setup, gconstpointer unused)
{
  Wait wait;
  g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);
  const char *const argv[] = { "printf", "one\\rtwo\\r\\nthree\\n\\nlast", NULL };
  AzlinExec request = { .size = sizeof request, .vm = setup->vm, .argv = argv, .on_line = on_line, .line_data = lines };
  az_remote_exec(setup->world->remote, &request, wait_new(setup->world, 0, &wait));
  wait_for(&wait);
  g_assert_no_error(wait.error);
  g_ptr_array_add(lines, NULL);
  g_autofree char *joined = g_strjoinv("|", (char **) lines->pdata);
  g_assert_cmpstr(joined, ==, "one|two|three||last");
  g_assert_cmpuint(g_bytes_get_size(wait.out), ==, 0);
  wait_clear(&wait);
}

static void
exec_until(Setup *setup, const char *script, gsize max_output, const char *mark, Wait *wait)
{
  const char *const argv[] = { "sh", "-c", script, NULL };
  AzlinExec request = { .size = sizeof request, .vm = setup->vm, .argv = argv, .max_output = max_output };
  az_remote_exec_until(setup->world->remote, &request, mark, wait_new(setup->world, 0, wait));
  wait_for(wait);
}

static gboolean
exists(gpointer data)
{
  g_autofree char *text = NULL;
  return g_file_get_contents(data, &text, NULL, NULL) && *text != '\0';
}

/* The mark comes in two pieces; what follows it is more than may be kept. */
static void
test_until_a_mark(Setup *setup, gconstpointer unused)
{
  Wait wait;
  g_autofree char *file = g_build_filename(setup->sshd->home, "went-on", NULL);
  exec_until(
      setup,
      "printf 'all that counts\\0TH'; sleep 0.3; printf 'E END'; while [ ! -e \"$HOME/go-on\" ]; do sleep 0.1; done;"
      " head -c 100000 /dev/zero; sleep 0.5; echo yes > \"$HOME/went-on\"; exit 7",
      1000, "THE END", &wait);
  g_assert_no_error(wait.error);
  g_assert_cmpint(wait.status, ==, 0);
  g_assert_cmpmem(g_bytes_get_data(wait.out, NULL), g_bytes_get_size(wait.out), "all that counts\0THE END", 23);
  wait_clear(&wait);
  exec_script(setup, "touch \"$HOME/go-on\"", NULL, 0, 0, &wait); /* beside it */
  g_assert_no_error(wait.error);
  wait_clear(&wait);
  fixture_until(exists, file);
  exec_until(setup, "printf 'THE'; printf ' EN'; exit 7", 0, "THE END", &wait); /* it never comes */
  g_assert_no_error(wait.error);
  g_assert_cmpint(wait.status, ==, 7);
  g_assert_cmpuint(g_bytes_get_size(wait.out), ==, 6);
  wait_clear(&wait);
  exec_until(setup, "printf 'THE END'; sleep 60", 0, "THE END", &wait); /* all else may go before it ends */
  g_assert_no_error(wait.error);
  wait_clear(&wait);
}

static gboolean
is_gone(gpointer data)
{
  g_autofree char *text = NULL;
  g_autofree char *pid = NULL;
  if (!g_file_get_contents(data, &pid, NULL, NULL))
    return FALSE;
  g_autofree char *proc = g_strdup_printf("/proc/%s/cmdline", g_strchomp(pid));
  /* a zombie has an empty command line */
  return !g_file_get_contents(proc, &text, NULL, NULL) || *text == '\0';
}

static void
test_cancel(Setup *setup, gconstpointer unused)
{
  Wait wait;
  g_autofree char *file = g_build_filename(setup->sshd->home, "pid", NULL);
  const char *const argv[] = { "sh", "-c", "echo $$ > \"$HOME/pid\"; exec sleep 15", NULL };
  AzlinExec request = { .size = sizeof request, .vm = setup->vm, .argv = argv };
  AzlinOp *op = wait_new(setup->world, 0, &wait);
  az_remote_exec(setup->world->remote, &request, op);
  fixture_until(exists, file);
  az_op_cancel(op, "enough");
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_CANCELLED);
  wait_clear(&wait);
  if (getuid() != 0) /* the remote command was told, too; sshd passes no signals on in sessions of root */
    fixture_until(is_gone, file);
  exec_script(setup, "echo again", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  wait_clear(&wait);
}

static void
test_deadline(Setup *setup, gconstpointer unused)
{
  Wait wait;
  gint64 began = g_get_monotonic_time();
  exec_script(setup, "sleep 1000", NULL, 0, 700, &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_TIMED_OUT);
  g_assert_cmpint(g_get_monotonic_time() - began, <, 5 * G_USEC_PER_SEC);
  wait_clear(&wait);
}

static void
test_sessions_are_shared(Setup *setup, gconstpointer unused)
{
  enum { N = 20 };
  Wait waits[N];
  const char *const argv[] = { "sh", "-c", "sleep 0.2; echo hello", NULL };
  AzlinExec request = { .size = sizeof request, .vm = setup->vm, .argv = argv };
  for (int i = 0; i < N; i++)
    az_remote_exec(setup->world->remote, &request, wait_new(setup->world, 0, &waits[i]));
  for (int i = 0; i < N; i++) {
    wait_for(&waits[i]);
    g_assert_no_error(waits[i].error);
    g_assert_cmpuint(g_bytes_get_size(waits[i].out), ==, 6);
    wait_clear(&waits[i]);
  }
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 3); /* 8 commands a session, since sshd allows 10 */
}

static void
test_idle_session_that_died(Setup *setup, gconstpointer unused)
{
  Wait wait;
  exec_script(setup, FIND_SSHD "echo $p > \"$HOME/sshd-pid\"", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  wait_clear(&wait);
  g_autofree char *file = g_build_filename(setup->sshd->home, "sshd-pid", NULL);
  g_autofree char *pid = NULL;
  g_assert_true(g_file_get_contents(file, &pid, NULL, NULL));
  kill((pid_t) g_ascii_strtoll(g_strstrip(pid), NULL, 10), SIGKILL); /* the sshd of this session */
  exec_script(setup, "echo second", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  wait_clear(&wait);
}

static void
test_lost_while_running(Setup *setup, gconstpointer unused)
{
  Wait wait;
  exec_script(setup, FIND_SSHD "kill -KILL $p; sleep 5", NULL, 0, 0, &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_SSH); /* it may have run: never tried again by itself */
  wait_clear(&wait);
}

static void
test_other_host_key(Setup *setup, gconstpointer unused)
{
  Wait wait;
  az_vm_set(&setup->vm->host_key,
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGx0aGlzIGlzIG5vdCB0aGUga2V5IG9mIHRoaXMgaG9zdA==");
  exec_script(setup, "echo never", NULL, 0, 0, &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_HOST_KEY);
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 0); /* refused before we said who we are */
  wait_clear(&wait);
}

static void
test_unknown_host_key(Setup *setup, gconstpointer unused)
{
  Wait wait;
  az_vm_set(&setup->vm->host_key, NULL);
  exec_script(setup, "echo never", NULL, 0, 0, &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_HOST_KEY);
  g_assert_nonnull(strstr(wait.error->message, setup->sshd->host_key));
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 0);
  g_assert_null(az_remote_trusted_key(setup->world->remote, setup->vm));
  wait_clear(&wait);
}

static void
test_accept_new(Setup *setup, gconstpointer unused)
{
  Wait wait;
  az_vm_set(&setup->vm->host_key, NULL);
  az_remote_set_accept_new(setup->world->remote, TRUE);
  exec_script(setup, "echo hello", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  g_assert_cmpstr(az_remote_trusted_key(setup->world->remote, setup->vm), ==, setup->sshd->host_key);
  g_autofree char *file = az_paths_file(setup->world->paths, "audit.log");
  g_autofree char *audit = NULL;
  g_assert_true(g_file_get_contents(file, &audit, NULL, NULL));
  g_assert_nonnull(strstr(audit, "hostkey.trusted"));
  wait_clear(&wait);
  exec_script(setup, "echo hello", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  g_assert_cmpuint(fixture_logins(setup->sshd), ==, 1); /* it is the same machine as before */
  wait_clear(&wait);
}

static void
test_wrong_key(Setup *setup, gconstpointer unused)
{
  Wait wait;
  Sshd *other = fixture_sshd(NULL);
  g_autoptr(AzlinVm) vm = fixture_vm(other);
  const char *const argv[] = { "true", NULL };
  AzlinExec request = { .size = sizeof request, .vm = vm, .argv = argv };
  az_remote_exec(setup->world->remote, &request, wait_new(setup->world, 0, &wait));
  wait_for(&wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_AUTH);
  wait_clear(&wait);
  fixture_sshd_stop(other);
}

static void
test_refused(Setup *setup, gconstpointer unused)
{
  Wait wait;
  setup->vm->ssh_port = fixture_dead_port();
  exec_script(setup, "true", NULL, 0, 0, &wait);
  g_assert_error(wait.error, AZLIN_ERROR, AZLIN_ERROR_NETWORK);
  wait_clear(&wait);
}

static void
test_key_file_modes(void)
{
  World *world = fixture_world(NULL);
  g_autofree char *file = az_paths_file(world->paths, "keys/id_ed25519");
  g_autoptr(GError) error = NULL;
  GStatBuf info;
  g_assert_cmpint(g_stat(file, &info), ==, 0);
  g_assert_cmpuint(info.st_mode & 0777, ==, 0600);
  g_assert_true(g_str_has_prefix(world->public_key, "ssh-ed25519 "));
  AzRemote *second = az_remote_new(world->clock, world->config, world->paths, world->audit);
  g_autofree char *again = NULL;
  gboolean made = TRUE;
  g_assert_true(az_remote_ensure_key(second, NULL, &again, &made, &error));
  g_assert_false(made);
  g_assert_cmpstr(again, ==, world->public_key);
  az_remote_free(second);
  g_assert_cmpint(g_chmod(file, 0644), ==, 0);
  AzRemote *third = az_remote_new(world->clock, world->config, world->paths, world->audit);
  g_assert_false(az_remote_ensure_key(third, NULL, NULL, NULL, &error));
  g_assert_error(error, AZLIN_ERROR, AZLIN_ERROR_AUTH);
  az_remote_free(third);
  fixture_world_free(world);
}

/* ssh-agent is the way when there is no key file: the key is in an agent alone. */
static void
test_agent(void)
{
  g_autofree char *dir = fixture_dir("agent");
  g_autofree char *socket = g_strdup_printf("/tmp/azlin-agent-%d.sock", (int) getpid()); /* a short path: sun_path */
  g_autofree char *key = g_build_filename(dir, "id", NULL);
  g_autofree char *public_file = g_strconcat(key, ".pub", NULL);
  g_autofree char *public_key = NULL;
  GPid agent = 0;
  const char *const argv[] = { "ssh-agent", "-D", "-a", socket, NULL };
  const char *const keygen[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key, NULL };
  const char *const add[] = { "ssh-add", "-q", key, NULL };
  g_assert_true(g_spawn_async(NULL, (char **) (gsize) argv, NULL,
                              G_SPAWN_SEARCH_PATH | G_SPAWN_DO_NOT_REAP_CHILD | G_SPAWN_STDOUT_TO_DEV_NULL, NULL, NULL,
                              &agent, NULL));
  g_setenv("SSH_AUTH_SOCK", socket, TRUE);
  g_spawn_sync(NULL, (char **) (gsize) keygen, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, NULL, NULL);
  for (int i = 0; i < 100 && g_access(socket, F_OK) != 0; i++)
    g_usleep(20000);
  g_spawn_sync(NULL, (char **) (gsize) add, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL, NULL, NULL,
               NULL, NULL, NULL);
  g_assert_true(g_file_get_contents(public_file, &public_key, NULL, NULL));
  World *world = fixture_world("key-file=/nonexistent/id\n");
  Sshd *sshd = fixture_sshd(public_key);
  g_autoptr(AzlinVm) vm = fixture_vm(sshd);
  Setup setup = { .world = world, .sshd = sshd, .vm = vm };
  Wait wait;
  exec_script(&setup, "echo by agent", NULL, 0, 0, &wait);
  g_assert_no_error(wait.error);
  wait_clear(&wait);
  kill(agent, SIGTERM);
  g_unsetenv("SSH_AUTH_SOCK");
  g_unlink(socket);
  fixture_world_free(world);
  fixture_sshd_stop(sshd);
}

int
main(int argc, char **argv)
{
  g_test_init(&argc, &argv, NULL);
  g_unsetenv("SSH_AUTH_SOCK");
#define ADD(name, func) g_test_add("/remote/" name, Setup, NULL, set_up, func, tear_down)
  ADD("output", test_output);
  ADD("signal", test_signal);
  ADD("input", test_input);
  ADD("output-cap", test_output_cap);
  ADD("stderr-cap", test_stderr_cap);
  ADD("lines", test_lines);
  ADD("until-a-mark", test_until_a_mark);
  ADD("cancel", test_cancel);
  ADD("deadline", test_deadline);
  ADD("sessions-are-shared", test_sessions_are_shared);
  ADD("idle-session-that-died", test_idle_session_that_died);
  ADD("lost-while-running", test_lost_while_running);
  ADD("other-host-key", test_other_host_key);
  ADD("unknown-host-key", test_unknown_host_key);
  ADD("accept-new", test_accept_new);
  ADD("wrong-key", test_wrong_key);
  ADD("refused", test_refused);
  g_test_add_func("/remote/key-file-modes", test_key_file_modes);
  g_test_add_func("/remote/agent", test_agent);
  return g_test_run();
}
