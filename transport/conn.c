/* One connection: TCP, key exchange, the pinned host key, authentication, then packets for its commands. */
#include "private.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

/* How often one wake-up may go round while data keeps coming, before other connections have their turn. */
#define MAX_ROUNDS 16

static void on_socket(guint32 events, gpointer data);

AzSshConn *
conn_ref(AzSshConn *conn)
{
  conn->refs++;
  return conn;
}

void
session_end(ssh_session session)
{
  ssh_options_set(session, SSH_OPTIONS_FD, NULL);
  ssh_disconnect(session);
  ssh_free(session);
}

static void
stop_watching(AzSshConn *conn)
{
  gboolean closed = conn->session != NULL && ssh_get_fd(conn->session) == SSH_INVALID_SOCKET;
  watch_drop(g_steal_pointer(&conn->watch), closed);
}

static void
drop_session(AzSshConn *conn)
{
  warm_stop(conn);
  stop_watching(conn);
  g_clear_pointer(&conn->dial, dial_cancel);
  g_clear_pointer(&conn->banner, banner_cancel);
  if (conn->again != NULL) {
    g_source_destroy(conn->again);
    g_clear_pointer(&conn->again, g_source_unref);
  }
  if (conn->agent != NULL) {
    agent_abandon(g_steal_pointer(&conn->agent));
    conn->session = NULL;
  }
  conn->pump = NULL; /* freed with the session, as are the spare ones */
  memset(conn->spare, 0, sizeof conn->spare);
  if (conn->session != NULL) {
    g_clear_pointer(&conn->session, session_end);
  } else if (conn->fd >= 0 && conn->state == CONN_KEX) {
    close(conn->fd);
  }
  conn->fd = -1;
  conn->state = CONN_DEAD;
}

void
conn_unref(AzSshConn *conn)
{
  if (--conn->refs > 0)
    return;
  g_ptr_array_unref(conn->commands);
  g_clear_pointer(&conn->key, key_free);
  g_free(conn->host);
  g_free(conn->user);
  g_free(conn->host_key);
  g_free(conn);
}

/* Tells the owner; he may have closed the connection when this returns. */
static void
report(AzSshConn *conn, AzSshStep step, AzSshOutcome outcome, const char *detail)
{
  if (!conn->closed && conn->event != NULL)
    conn->event(step, outcome, detail, conn->data);
}

static void
fail(AzSshConn *conn, AzSshStep step, AzSshOutcome outcome, const char *why)
{
  g_autofree char *detail = g_strdup(why); /* may be libssh's own text, which goes with the session */
  g_autoptr(GPtrArray) commands = g_steal_pointer(&conn->commands);
  conn->commands = g_ptr_array_new();
  drop_session(conn);
  for (guint i = 0; i < commands->len; i++)
    channel_lost(g_ptr_array_index(commands, i), detail);
  report(conn, step, outcome, detail);
}

/* libssh has one code for all fatal errors; its text tells a hang-up from a protocol error. */
static void
fail_session(AzSshConn *conn, AzSshStep step)
{
  const char *text = ssh_get_error(conn->session);
  gboolean hung_up = g_str_has_prefix(text, "Socket error") || g_str_has_prefix(text, "Received SSH_MSG_DISCONNECT");
  fail(conn, step, hung_up ? AZ_SSH_CLOSED : AZ_SSH_ERROR, *text != '\0' ? text : "the SSH session ended");
}

static char *
server_key(AzSshConn *conn)
{
  ssh_key key = NULL;
  char *base64 = NULL;
  if (ssh_get_server_publickey(conn->session, &key) != SSH_OK)
    return NULL;
  int result = ssh_pki_export_pubkey_base64(key, &base64);
  char *text = result == SSH_OK ? g_strdup_printf("%s %s", ssh_key_type_to_char(ssh_key_type(key)), base64) : NULL;
  ssh_string_free_char(base64);
  ssh_key_free(key);
  return text;
}

/* A comment behind the key material does not count. */
static gboolean
same_key(const char *pinned, const char *seen)
{
  gsize length = strlen(seen);
  return strncmp(pinned, seen, length) == 0 && (pinned[length] == '\0' || pinned[length] == ' ');
}

/* Before anything is said about who we are. FALSE: the connection is gone. */
static gboolean
check_host_key(AzSshConn *conn)
{
  g_autofree char *seen = server_key(conn);
  if (seen == NULL) {
    fail(conn, AZ_SSH_KEX, AZ_SSH_ERROR, "the server showed no usable host key");
    return FALSE;
  }
  if (conn->host_key == NULL) {
    if (conn->trust != NULL && conn->trust(seen, conn->data))
      return TRUE;
    g_autofree char *detail = g_strdup_printf("the host key is not known: %s", seen);
    fail(conn, AZ_SSH_KEX, AZ_SSH_HOST_KEY_UNKNOWN, detail);
    return FALSE;
  }
  if (same_key(conn->host_key, seen))
    return TRUE;
  g_autofree char *detail = g_strdup_printf("the server showed %s, another key is pinned", seen);
  fail(conn, AZ_SSH_KEX, AZ_SSH_HOST_KEY_CHANGED, detail);
  return FALSE;
}

static void
set_string(ssh_session session, enum ssh_options_e option, const char *value)
{
  ssh_options_set(session, option, value);
}

/* Only one type can match the pin, so only that is offered to the server. */
static const char *
host_key_types(const char *pinned)
{
  if (pinned != NULL && g_str_has_prefix(pinned, "ssh-rsa "))
    return "rsa-sha2-512,rsa-sha2-256";
  if (pinned != NULL && g_str_has_prefix(pinned, "ecdsa-sha2-nistp256 "))
    return "ecdsa-sha2-nistp256";
  return "ssh-ed25519";
}

static void
make_session(AzSshConn *conn)
{
  static const char ciphers[]
      = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,chacha20-poly1305@openssh.com,aes128-ctr";
  static const char kex[] = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256";
  gboolean no = FALSE;
  conn->session = ssh_new();
  /* a ProxyCommand in somebody's ssh_config is code; and known_hosts would be read at each connect */
  ssh_options_set(conn->session, SSH_OPTIONS_PROCESS_CONFIG, &no);
  set_string(conn->session, SSH_OPTIONS_SSH_DIR, "/dev/null");
  set_string(conn->session, SSH_OPTIONS_KNOWNHOSTS, "/dev/null/none"); /* cheaper than an empty file */
  set_string(conn->session, SSH_OPTIONS_GLOBAL_KNOWNHOSTS, "/dev/null/none");
  set_string(conn->session, SSH_OPTIONS_HOST, conn->host);
  set_string(conn->session, SSH_OPTIONS_USER, conn->user);
  set_string(conn->session, SSH_OPTIONS_KEY_EXCHANGE, kex);
  set_string(conn->session, SSH_OPTIONS_CIPHERS_C_S, ciphers);
  set_string(conn->session, SSH_OPTIONS_CIPHERS_S_C, ciphers);
  set_string(conn->session, SSH_OPTIONS_HOSTKEYS, host_key_types(conn->host_key));
  ssh_options_set(conn->session, SSH_OPTIONS_FD, &conn->fd);
  ssh_set_blocking(conn->session, 0);
  ssh_set_counters(conn->session, NULL, &conn->received);
}

/* After an answer of "again": wait for what libssh waits for. Watching for output all the time would be a busy loop. */
static void
wait_more(AzSshConn *conn, AzSshStep step)
{
  if (ssh_get_fd(conn->session) == SSH_INVALID_SOCKET) { /* it gave up without an error: no wake-up would ever come */
    fail_session(conn, step);
    return;
  }
  gboolean pending = (ssh_get_poll_flags(conn->session) & SSH_WRITE_PENDING) != 0;
  watch_set(conn->watch, EPOLLIN | (pending ? EPOLLOUT : 0));
}

static void
step_commands(AzSshConn *conn)
{
  g_autoptr(GPtrArray) commands = g_ptr_array_copy(conn->commands, NULL, NULL);
  for (guint i = 0; i < commands->len && conn->state == CONN_READY; i++) {
    AzSshCommand *command = g_ptr_array_index(commands, i);
    if (g_ptr_array_find(conn->commands, command, NULL))
      channel_step(command);
  }
}

/* libssh may take in packets of one command while another is looked at, so go round until nothing new came. */
static void
step_ready(AzSshConn *conn)
{
  uint64_t before;
  guint rounds = 0;
  do {
    before = conn->received.in_bytes;
    if (ssh_channel_poll(conn->pump, 0) == SSH_ERROR) {
      fail_session(conn, AZ_SSH_SESSION);
      return;
    }
    step_commands(conn);
    if (conn->state != CONN_READY)
      return;
    spare_step(conn); /* after the commands: where there is room for few channels, theirs come first */
  } while (conn->received.in_bytes != before && ++rounds < MAX_ROUNDS);
  if (rounds == MAX_ROUNDS)
    conn_kick(conn);
  wait_more(conn, AZ_SSH_SESSION);
}

static void
ready(AzSshConn *conn)
{
  conn->state = CONN_READY;
  conn->pump = ssh_channel_new(conn->session);
  report(conn, AZ_SSH_LOGIN, AZ_SSH_OK, NULL);
  if (conn->state == CONN_READY)
    step_ready(conn);
}

static void
judge_auth(AzSshConn *conn, int result)
{
  if (result == SSH_AUTH_SUCCESS)
    ready(conn);
  else if (result == SSH_AUTH_PARTIAL)
    fail(conn, AZ_SSH_LOGIN, AZ_SSH_AUTH_FAILED, "the server wants a second factor");
  else if (result == SSH_AUTH_DENIED)
    fail(conn, AZ_SSH_LOGIN, AZ_SSH_AUTH_FAILED,
         conn->key != NULL ? "the server refused the key" : "the server refused every key of ssh-agent");
  else
    fail_session(conn, AZ_SSH_LOGIN);
}

static void
on_agent(int result, gpointer data)
{
  AzSshConn *conn = conn_ref(data);
  conn->agent = NULL;
  if (ssh_get_fd(conn->session) != SSH_INVALID_SOCKET)
    conn->watch = watch_add(conn->fd, EPOLLIN, on_socket, conn);
  judge_auth(conn, result);
  conn_unref(conn);
}

static void
step_auth(AzSshConn *conn)
{
  if (conn->key == NULL) {
    if (g_getenv("SSH_AUTH_SOCK") == NULL) {
      fail(conn, AZ_SSH_LOGIN, AZ_SSH_AUTH_FAILED, "there is no key file and no ssh-agent");
      return;
    }
    stop_watching(conn);
    conn->state = CONN_AGENT;
    conn->agent = agent_start(conn->session, on_agent, conn);
    return;
  }
  int result = ssh_userauth_publickey(conn->session, NULL, key_get(conn->key));
  if (result == SSH_AUTH_AGAIN)
    wait_more(conn, AZ_SSH_LOGIN);
  else
    judge_auth(conn, result);
}

static void
step_kex(AzSshConn *conn)
{
  if (conn->session == NULL)
    make_session(conn);
  int result = ssh_connect(conn->session);
  if (result == SSH_AGAIN) {
    wait_more(conn, AZ_SSH_KEX);
    return;
  }
  if (result != SSH_OK) {
    fail_session(conn, AZ_SSH_KEX);
    return;
  }
  if (!check_host_key(conn))
    return;
  report(conn, AZ_SSH_KEX, AZ_SSH_OK, NULL);
  if (conn->closed)
    return;
  conn->state = CONN_AUTH;
  step_auth(conn);
}

static void
step(AzSshConn *conn)
{
  /* sshd writes twice during authentication with Nagle on: a delayed ACK of ours would cost 40 ms each time */
  int one = 1;
  setsockopt(conn->fd, IPPROTO_TCP, TCP_QUICKACK, &one, sizeof one);
  conn_ref(conn);
  if (conn->state == CONN_KEX)
    step_kex(conn);
  else if (conn->state == CONN_AUTH)
    step_auth(conn);
  else if (conn->state == CONN_READY)
    step_ready(conn);
  conn_unref(conn);
}

static void
on_socket(guint32 events, gpointer data)
{
  step(data);
}

static gboolean
on_again(gpointer data)
{
  AzSshConn *conn = data;
  g_clear_pointer(&conn->again, g_source_unref);
  step(conn);
  return G_SOURCE_REMOVE;
}

void
conn_kick(AzSshConn *conn)
{
  if (conn->again != NULL || conn->state != CONN_READY)
    return;
  conn->again = g_idle_source_new();
  g_source_set_priority(conn->again, G_PRIORITY_DEFAULT);
  g_source_set_callback(conn->again, on_again, conn, NULL);
  g_source_attach(conn->again, g_main_context_get_thread_default());
}

static void
on_banner(AzSshOutcome outcome, const char *detail, gpointer data)
{
  AzSshConn *conn = conn_ref(data);
  conn->banner = NULL;
  if (outcome != AZ_SSH_OK)
    fail(conn, AZ_SSH_KEX, outcome, detail);
  else
    report(conn, AZ_SSH_KEX, AZ_SSH_OK, NULL);
  conn_unref(conn);
}

static void
on_dialed(int fd, AzSshOutcome outcome, const char *detail, gpointer data)
{
  AzSshConn *conn = conn_ref(data);
  conn->dial = NULL;
  if (outcome != AZ_SSH_OK) {
    fail(conn, AZ_SSH_TCP, outcome, detail);
  } else {
    conn->fd = fd;
    conn->state = CONN_KEX;
    if (conn->banner_only)
      conn->banner = banner_start(fd, on_banner, conn);
    else
      conn->watch = watch_add(fd, EPOLLIN, on_socket, conn);
    report(conn, AZ_SSH_TCP, AZ_SSH_OK, NULL);
  }
  conn_unref(conn);
}

AzSshConn *
conn_connect(const AzSshConnect *request)
{
  AzSshConn *conn = g_new0(AzSshConn, 1);
  *conn = (AzSshConn){
    .refs = 1,
    .host = g_strdup(request->host),
    .user = g_strdup(request->user),
    .host_key = g_strdup(request->host_key),
    .port = request->port,
    .banner_only = request->banner_only,
    .key = request->key != NULL ? key_ref(request->key) : NULL,
    .trust = request->trust,
    .event = request->event,
    .data = request->data,
    .fd = -1,
    .start_us = G_MAXINT64,
    .most_unread = G_MAXSIZE,
    .needs_wider = TRUE,
    .commands = g_ptr_array_new(),
  };
  conn->dial = dial_start(conn->host, conn->port, on_dialed, conn);
  return conn;
}

void
conn_close(AzSshConn *conn)
{
  if (conn->closed)
    return;
  conn->closed = TRUE;
  while (conn->commands->len > 0)
    channel_drop(g_ptr_array_index(conn->commands, conn->commands->len - 1));
  drop_session(conn);
  conn_unref(conn);
}
