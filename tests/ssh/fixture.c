/* What the SSH tests stand on: real sshds of their own, servers that misbehave, an AzRemote, and ops that are waited
 * for. */
#include "fixture.h"

#include "record.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

char *
fixture_dir(const char *name)
{
  g_autofree char *root = g_build_filename(g_getenv("AZLIN_TEST_DIR"), NULL);
  g_autofree char *template = g_strdup_printf("%s/%s-XXXXXX", root, name);
  g_assert_cmpint(g_mkdir_with_parents(root, 0700), ==, 0);
  g_assert_nonnull(g_mkdtemp(template));
  return g_steal_pointer(&template);
}

static void
run(const char *const *argv)
{
  g_autoptr(GError) error = NULL;
  int status = -1;
  gboolean ok
      = g_spawn_sync(NULL, (char **) (gsize) argv, NULL, G_SPAWN_SEARCH_PATH, NULL, NULL, NULL, NULL, &status, &error);
  g_assert_no_error(error);
  g_assert_true(ok && g_spawn_check_wait_status(status, NULL));
}

guint
fixture_dead_port(void)
{
  g_autoptr(GSocket) socket = g_socket_new(G_SOCKET_FAMILY_IPV4, G_SOCKET_TYPE_STREAM, G_SOCKET_PROTOCOL_TCP, NULL);
  g_autoptr(GInetAddress) loopback = g_inet_address_new_loopback(G_SOCKET_FAMILY_IPV4);
  g_autoptr(GSocketAddress) any = g_inet_socket_address_new(loopback, 0);
  g_assert_true(g_socket_bind(socket, any, FALSE, NULL));
  g_autoptr(GSocketAddress) bound = g_socket_get_local_address(socket, NULL);
  return g_inet_socket_address_get_port(G_INET_SOCKET_ADDRESS(bound));
}

static char *
read_key(const char *file)
{
  g_autofree char *text = NULL;
  g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
  g_auto(GStrv) words = g_strsplit(g_strchomp(text), " ", 3);
  return g_strdup_printf("%s %s", words[0], words[1]);
}

static gboolean
answers(gpointer data)
{
  Sshd *sshd = data;
  g_autoptr(GSocketClient) client = g_socket_client_new();
  g_autoptr(GSocketConnection) connection
      = g_socket_client_connect_to_host(client, "127.0.0.1", (guint16) sshd->port, NULL, NULL);
  return connection != NULL;
}

void
fixture_until(gboolean (*condition)(gpointer), gpointer data)
{
  gint64 end = g_get_monotonic_time() + 10 * G_USEC_PER_SEC;
  while (!condition(data)) {
    g_assert_cmpint(g_get_monotonic_time(), <, end);
    while (g_main_context_iteration(NULL, FALSE))
      ;
    g_usleep(10000);
  }
}

/* root's own login files may be slow or print something, hence another HOME and SHLVL */
static void
write_config(Sshd *sshd, const char *extra)
{
  g_autofree char *file = g_build_filename(sshd->dir, "sshd_config", NULL);
  g_autofree char *text = g_strdup_printf("%sListenAddress 127.0.0.1:%u\nHostKey %s/host_key\nPidFile none\n"
                                          "AuthorizedKeysFile %s/.ssh/authorized_keys\nStrictModes no\nUsePAM no\n"
                                          "PasswordAuthentication no\nKbdInteractiveAuthentication no\nUseDNS no\n"
                                          "PermitRootLogin prohibit-password\nMaxStartups 300:30:600\nMaxSessions 10\n"
                                          "SetEnv SHLVL=5 HOME=%s\nSubsystem sftp internal-sftp\n",
                                          extra, sshd->port, sshd->dir, sshd->home, sshd->home);
  g_assert_true(g_file_set_contents(file, text, -1, NULL));
}

/* A test that aborts leaves no sshd behind. */
static void
die_with_test(gpointer unused)
{
  prctl(PR_SET_PDEATHSIG, SIGTERM);
}

Sshd *
fixture_sshd(const char *public_key)
{
  return fixture_sshd_with(public_key, "");
}

guint
fixture_logins(const Sshd *sshd)
{
  g_autofree char *file = g_build_filename(sshd->dir, "log", NULL);
  g_autofree char *text = NULL;
  guint n = 0;
  g_assert_true(g_file_get_contents(file, &text, NULL, NULL));
  for (const char *at = text; (at = strstr(at, "Accepted publickey")) != NULL; at++)
    n++;
  return n;
}

Sshd *
fixture_sshd_with(const char *public_key, const char *extra)
{
  Sshd *sshd = g_new0(Sshd, 1);
  sshd->dir = fixture_dir("sshd");
  sshd->home = g_build_filename(sshd->dir, "home", NULL);
  sshd->port = fixture_dead_port();
  g_autofree char *ssh = g_build_filename(sshd->home, ".ssh", NULL);
  g_autofree char *keys = g_build_filename(ssh, "authorized_keys", NULL);
  g_autofree char *host_key = g_build_filename(sshd->dir, "host_key", NULL);
  g_autofree char *host_pub = g_strconcat(host_key, ".pub", NULL);
  g_autofree char *config = g_build_filename(sshd->dir, "sshd_config", NULL);
  g_autofree char *log = g_build_filename(sshd->dir, "log", NULL);
  g_autoptr(GError) error = NULL;
  if (getuid() == 0)
    g_mkdir_with_parents("/run/sshd", 0755);
  g_assert_cmpint(g_mkdir_with_parents(ssh, 0700), ==, 0);
  g_assert_true(g_file_set_contents(keys, public_key != NULL ? public_key : "", -1, NULL));
  const char *const keygen[] = { "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host_key, NULL };
  run(keygen);
  sshd->host_key = read_key(host_pub);
  write_config(sshd, extra);
  const char *const argv[] = { "/usr/sbin/sshd", "-D", "-f", config, "-E", log, NULL };
  g_spawn_async(NULL, (char **) (gsize) argv, NULL, G_SPAWN_DO_NOT_REAP_CHILD, die_with_test, NULL, &sshd->pid, &error);
  g_assert_no_error(error);
  fixture_until(answers, sshd);
  return sshd;
}

static gboolean
is_removed(gpointer dir)
{
  const char *const remove[] = { "rm", "-rf", dir, NULL };
  int status = -1;
  return g_spawn_sync(NULL, (char **) (gsize) remove, NULL, G_SPAWN_SEARCH_PATH | G_SPAWN_STDERR_TO_DEV_NULL, NULL,
                      NULL, NULL, NULL, &status, NULL)
         && g_spawn_check_wait_status(status, NULL);
}

/* A child that was just accepted opens the log anew, and makes it where it is gone. */
void
fixture_sshd_stop(Sshd *sshd)
{
  kill(sshd->pid, SIGTERM);
  waitpid(sshd->pid, NULL, 0);
  fixture_until(is_removed, sshd->dir);
  g_free(sshd->dir);
  g_free(sshd->home);
  g_free(sshd->host_key);
  g_free(sshd);
}

AzlinVm *
fixture_vm_at(guint port, const char *host_key)
{
  AzlinVm *vm = az_vm_new("eastus", "vm-1");
  az_vm_set(&vm->public_ip, "127.0.0.1");
  az_vm_set(&vm->ssh_user, g_get_user_name());
  az_vm_set(&vm->host_key, host_key);
  vm->ssh_port = port;
  return vm;
}

AzlinVm *
fixture_vm(const Sshd *sshd)
{
  return fixture_vm_at(sshd->port, sshd->host_key);
}

static gboolean
drip(gpointer data)
{
  Fake *fake = data;
  for (guint i = 0; i < fake->connections->len; i++) {
    GSocket *socket = g_socket_connection_get_socket(g_ptr_array_index(fake->connections, i));
    g_socket_send(socket, "x", 1, NULL, NULL);
  }
  return G_SOURCE_CONTINUE;
}

static gboolean
on_incoming(GSocketService *service, GSocketConnection *connection, GObject *source, gpointer data)
{
  Fake *fake = data;
  static const char banner[] = "SSH-2.0-OpenSSH_9.2p1\r\n";
  static const char garbage[] = "HTTP/1.1 400 Bad Request\r\n\r\n";
  GSocket *socket = g_socket_connection_get_socket(connection);
  fake->accepted++;
  g_socket_set_blocking(socket, FALSE);
  if (fake->kind == FAKE_CLOSE)
    return TRUE;
  if (fake->kind == FAKE_BANNER)
    g_socket_send(socket, banner, strlen(banner), NULL, NULL);
  if (fake->kind == FAKE_GARBAGE)
    g_socket_send(socket, garbage, strlen(garbage), NULL, NULL);
  g_ptr_array_add(fake->connections, g_object_ref(connection));
  return TRUE;
}

Fake *
fixture_fake(FakeKind kind)
{
  Fake *fake = g_new0(Fake, 1);
  fake->kind = kind;
  fake->connections = g_ptr_array_new_with_free_func(g_object_unref);
  fake->service = g_socket_service_new();
  g_socket_listener_set_backlog(G_SOCKET_LISTENER(fake->service), 2048);
  fake->port = g_socket_listener_add_any_inet_port(G_SOCKET_LISTENER(fake->service), NULL, NULL);
  g_assert_cmpuint(fake->port, !=, 0);
  g_signal_connect(fake->service, "incoming", G_CALLBACK(on_incoming), fake);
  g_socket_service_start(fake->service);
  if (kind == FAKE_DRIP)
    fake->drip = g_timeout_add(100, drip, fake);
  return fake;
}

void
fixture_fake_stop(Fake *fake)
{
  if (fake->drip != 0)
    g_source_remove(fake->drip);
  g_socket_service_stop(fake->service);
  g_socket_listener_close(G_SOCKET_LISTENER(fake->service));
  g_object_unref(fake->service);
  g_ptr_array_unref(fake->connections);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  g_free(fake);
}

World *
fixture_world(const char *extra)
{
  g_autoptr(GError) error = NULL;
  World *world = g_new0(World, 1);
  world->dir = fixture_dir("world");
  g_autofree char *config = g_build_filename(world->dir, "azlin.conf", NULL);
  g_autofree char *home = g_build_filename(world->dir, "home", NULL);
  g_autofree char *text = g_strdup_printf("[ssh]\n%s", extra != NULL ? extra : "");
  g_assert_true(g_file_set_contents(config, text, -1, NULL));
  world->config = az_config_load(config, &error);
  g_assert_no_error(error);
  world->paths = az_paths_new(home);
  world->clock = az_clock_new_real();
  g_assert_true(az_paths_ensure(world->paths, NULL));
  g_autofree char *audit = az_paths_file(world->paths, "audit.log");
  world->audit = az_audit_open(audit, &error);
  g_assert_no_error(error);
  world->remote = az_remote_new(world->clock, world->config, world->paths, world->audit);
  az_remote_ensure_key(world->remote, NULL, &world->public_key, NULL, &error);
  g_clear_error(&error); /* a world whose key is broken on purpose has none */
  return world;
}

void
fixture_world_free(World *world)
{
  az_remote_free(world->remote);
  while (g_main_context_iteration(NULL, FALSE))
    ;
  az_audit_close(world->audit);
  az_paths_free(world->paths);
  az_config_free(world->config);
  az_clock_free(world->clock);
  const char *const remove[] = { "rm", "-rf", world->dir, NULL };
  run(remove);
  g_free(world->public_key);
  g_free(world->dir);
  g_free(world);
}

static void
on_done(AzlinOp *op, gpointer data)
{
  Wait *wait = data;
  const AzlinReply *reply = az_op_reply(op);
  wait->over = TRUE;
  wait->error = az_op_error(op) != NULL ? g_error_copy(az_op_error(op)) : NULL;
  wait->variant = az_op_variant(op) != NULL ? g_variant_ref(az_op_variant(op)) : NULL;
  if (reply != NULL) {
    wait->status = reply->status;
    wait->out = g_bytes_ref(reply->out);
    wait->err = g_bytes_ref(reply->err);
  }
}

AzlinOp *
wait_new(World *world, guint32 timeout_ms, Wait *wait)
{
  *wait = (Wait){ 0 };
  return az_op_new_root(world->clock, "test", timeout_ms, NULL, on_done, wait);
}

static gboolean
is_over(gpointer data)
{
  return ((Wait *) data)->over;
}

static gboolean
on_guard(gpointer data)
{
  g_error("an op did not end within 60 s");
  return G_SOURCE_REMOVE;
}

void
wait_for(Wait *wait)
{
  guint guard = g_timeout_add_seconds(60, on_guard, NULL);
  while (!is_over(wait))
    g_main_context_iteration(NULL, TRUE);
  g_source_remove(guard);
}

void
wait_clear(Wait *wait)
{
  g_clear_error(&wait->error);
  g_clear_pointer(&wait->out, g_bytes_unref);
  g_clear_pointer(&wait->err, g_bytes_unref);
  g_clear_pointer(&wait->variant, g_variant_unref);
}

char *
bytes_text(GBytes *bytes)
{
  gsize size;
  const char *data = bytes != NULL ? g_bytes_get_data(bytes, &size) : NULL;
  return g_strndup(data != NULL ? data : "", data != NULL ? size : 0);
}
