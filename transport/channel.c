/* One command on a connection: channel, exec request, standard input, both output streams, exit status or signal. */
#include "private.h"
#include "unread.h"

#include <libssh/callbacks.h>
#include <signal.h>
#include <string.h>

/* libssh keeps ten bytes of each packet free: anything else would make every second packet a tiny one */
#define PACKET (32768 - 10)
#define INPUT_CHUNK (8 * PACKET)

typedef enum { COMMAND_OPENING, COMMAND_STARTING, COMMAND_RUNNING } CommandState;

struct _AzSshCommand {
  AzSshConn *conn; /* a reference */
  int refs;
  gboolean over;   /* finished or cancelled: nothing is called back any more */
  gboolean doomed; /* cancelled before the server said that it runs: it gets its signal as soon as it does */
  CommandState state;
  gint64 asked; /* when the server was asked to run it, monotonic us; 0 = not yet */
  ssh_channel channel;
  struct ssh_channel_callbacks_struct callbacks;
  char *text;
  GBytes *input;
  gsize input_at;
  gboolean eof_sent; /* or not to be sent */
  gboolean paused;
  gsize window;
  gsize allowed;                       /* what the server may still send of stdout */
  guint64 sent, granted, acknowledged; /* of standard input; granted: what the server let us send at first */
  gboolean has_status;
  int status;
  gssize (*peek)(const char **ret_bytes, gpointer data);
  void (*took)(gsize length, gpointer data);
  void (*delivered)(guint64 bytes, gpointer data);
  void (*output)(gboolean is_stderr, const char *bytes, gsize length, gpointer data);
  void (*finished)(const AzSshExit *exit, gpointer data);
  gpointer data;
};

static void
command_unref(AzSshCommand *command)
{
  if (--command->refs > 0)
    return;
  g_clear_pointer(&command->input, g_bytes_unref);
  g_free(command->text);
  g_free(command);
}

static void
on_status(ssh_session session, ssh_channel channel, int status, void *data)
{
  AzSshCommand *command = data;
  command->has_status = TRUE;
  command->status = status & 0xff;
}

static int
signal_number(const char *name)
{
  static const struct {
    const char *name;
    int number;
  } names[] = { { "HUP", SIGHUP },   { "INT", SIGINT },   { "QUIT", SIGQUIT }, { "ILL", SIGILL },   { "ABRT", SIGABRT },
                { "FPE", SIGFPE },   { "KILL", SIGKILL }, { "SEGV", SIGSEGV }, { "PIPE", SIGPIPE }, { "ALRM", SIGALRM },
                { "TERM", SIGTERM }, { "USR1", SIGUSR1 }, { "USR2", SIGUSR2 }, { "BUS", SIGBUS },   { "XCPU", SIGXCPU },
                { "XFSZ", SIGXFSZ }, { "SYS", SIGSYS },   { "TRAP", SIGTRAP } };
  for (guint i = 0; i < G_N_ELEMENTS(names); i++)
    if (g_strcmp0(names[i].name, name) == 0)
      return names[i].number;
  return 127; /* ended by a signal without a name here: 255 */
}

static void
on_signal(ssh_session session, ssh_channel channel, const char *name, int core, const char *message,
          const char *language, void *data)
{
  AzSshCommand *command = data;
  command->has_status = TRUE;
  command->status = 128 + signal_number(name);
}

/* Off the list and its channel given back; the caller still holds a reference. */
static void
retire(AzSshCommand *command)
{
  AzSshConn *conn = command->conn;
  if (command->over)
    return;
  command->over = TRUE;
  gboolean listed = g_ptr_array_remove_fast(conn->commands, command);
  if (command->channel != NULL && conn->session != NULL) {
    ssh_remove_channel_callbacks(command->channel, &command->callbacks);
    ssh_channel_free(command->channel);
  }
  command->channel = NULL;
  conn_unref(conn);
  if (listed)
    command_unref(command);
}

static void
finish(AzSshCommand *command, const AzSshExit *how)
{
  if (command->over)
    return;
  command->refs++;
  retire(command);
  if (!command->doomed)
    command->finished(how, command->data);
  command_unref(command);
}

static void
finish_broken(AzSshCommand *command, const char *detail)
{
  AzSshExit how = { .started = command->state == COMMAND_RUNNING, .detail = detail };
  finish(command, &how);
}

void
channel_lost(AzSshCommand *command, const char *detail)
{
  g_autofree char *text = g_strdup_printf("the connection was lost: %s", detail != NULL ? detail : "no reason given");
  AzSshExit how = { .started = command->state == COMMAND_RUNNING, .lost = TRUE, .detail = text };
  command->channel = NULL; /* went with the session */
  if (!command->over) {
    command->over = TRUE;
    conn_unref(command->conn);
    if (!command->doomed)
      command->finished(&how, command->data);
  }
  command_unref(command); /* the list gave its reference to us */
}

static void
push(AzSshCommand *command, gboolean is_stderr, const char *bytes, int length)
{
  if (!is_stderr)
    command->allowed = window_after(command->allowed, (gsize) length);
  command->output(is_stderr, bytes, (gsize) length, command->data);
}

/* Everything at once: each piece that is read lets libssh ask for 1.28 MB more, however much is waiting. FALSE: the
 * command is over, or its stream has broken. */
static gboolean
drain(AzSshCommand *command, gboolean is_stderr)
{
  char *bytes = window_buffer();
  while (!command->over && (is_stderr || !command->paused)) {
    int n = ssh_channel_read_nonblocking(command->channel, bytes, MAX_WINDOW, is_stderr);
    if (n == SSH_ERROR)
      return FALSE;
    if (n <= 0)
      return TRUE;
    push(command, is_stderr, bytes, n);
  }
  return !command->over;
}

static gboolean
wants_wider(const AzSshCommand *command)
{
  return !command->paused && command->allowed + MAX_WINDOW / 8 <= command->window && command->conn->needs_wider;
}

/* libssh by itself lets the server have 1.28 MB under way, which is 16 MB/s at 80 ms. In steps, since each is a packet.
 */
static void
widen(AzSshCommand *command)
{
  if (command->over || !wants_wider(command))
    return;
  command->allowed = command->window;
  int n = window_open(command->channel, command->window);
  if (n > 0)
    push(command, FALSE, window_buffer(), n);
}

static gboolean
output_pending(AzSshCommand *command)
{
  return (ssh_get_poll_flags(command->conn->session) & SSH_WRITE_PENDING) != 0;
}

static gssize
next_input(AzSshCommand *command, const char **ret_bytes)
{
  gsize size = 0;
  const char *bytes = command->input != NULL ? g_bytes_get_data(command->input, &size) : NULL;
  if (command->input_at < size) {
    *ret_bytes = bytes + command->input_at;
    return (gssize) (size - command->input_at);
  }
  return command->peek != NULL ? command->peek(ret_bytes, command->data) : -1;
}

static void
sent(AzSshCommand *command, gsize length)
{
  gsize size = command->input != NULL ? g_bytes_get_size(command->input) : 0;
  command->sent += length;
  congestion_count(command->conn, length);
  if (command->input_at < size)
    command->input_at += length;
  else
    command->took(length, command->data);
}

/* What the server takes now. */
static gsize
room_for_input(AzSshCommand *command)
{
  gsize window = ssh_channel_window_size(command->channel);
  gsize most = command->conn->most_unread;
  gsize unread = (gsize) command->granted - MIN((gsize) command->granted, window);
  gsize left = most - MIN(most, unread);
  return MIN(MIN(window, left - left % PACKET), INPUT_CHUNK);
}

/* FALSE: nothing more can be sent for now. */
static gboolean
feed_piece(AzSshCommand *command)
{
  const char *bytes = NULL;
  gsize room = room_for_input(command);
  gssize there = next_input(command, &bytes);
  if (command->over)
    return FALSE;
  if (there < 0) {
    command->eof_sent = TRUE;
    ssh_channel_send_eof(command->channel);
  }
  gsize length = MIN(room, (gsize) MAX(there, 0));
  if (length > PACKET)
    length -= length % PACKET;
  int n = length > 0 ? ssh_channel_write(command->channel, bytes, (guint32) length) : 0;
  if (n <= 0)
    return FALSE;
  sent(command, (gsize) n);
  return !command->over;
}

static void
feed(AzSshCommand *command)
{
  if (command->over || command->eof_sent || ssh_channel_is_closed(command->channel))
    return;
  if (command->granted == 0)
    command->granted = ssh_channel_window_size(command->channel);
  /* what libssh cannot send it keeps in memory: hand it more only when the socket took the last piece */
  while (!output_pending(command) && feed_piece(command))
    ;
}

/* The server opens the window again for what its command has read. */
static void
acknowledge(AzSshCommand *command)
{
  if (command->over || command->delivered == NULL || command->sent == 0)
    return;
  guint64 allowed = command->sent + ssh_channel_window_size(command->channel);
  guint64 read = MIN(allowed - MIN(allowed, command->granted), command->sent);
  if (read <= command->acknowledged)
    return;
  command->acknowledged = read;
  command->delivered(read, command->data);
}

static void
run(AzSshCommand *command)
{
  if (!drain(command, FALSE) || !drain(command, TRUE)) {
    if (!command->over && ssh_is_connected(command->conn->session))
      finish_broken(command, "the channel broke");
    return; /* otherwise the connection notices, and ends all its commands */
  }
  widen(command);
  if (command->over)
    return;
  /* it has not ended for us before we have all that it said */
  gboolean more = command->paused && ssh_channel_poll(command->channel, 0) > 0;
  gboolean closed = ssh_channel_is_closed(command->channel) != 0;
  if (!more && (closed || (command->has_status && ssh_channel_is_eof(command->channel)))) {
    if (!ssh_is_connected(command->conn->session) && !command->has_status)
      return;
    AzSshExit how = { .started = TRUE,
                      .ended = command->has_status,
                      .status = command->status,
                      .detail = command->has_status ? NULL : "the command ended without an exit status" };
    finish(command, &how);
    return;
  }
  feed(command);
  acknowledge(command);
}

static void
open_channel(AzSshCommand *command)
{
  int result = ssh_channel_open_session(command->channel);
  if (result == SSH_OK) {
    window_open(command->channel, FIRST_WINDOW);
    command->state = COMMAND_STARTING;
  } else if (result != SSH_AGAIN && ssh_is_connected(command->conn->session)) {
    finish_broken(command, "the server opens no further channel");
  }
}

static void
running(AzSshCommand *command)
{
  AzSshConn *conn = command->conn;
  double rtt_ms = conn_rtt_ms(conn);
  command->state = COMMAND_RUNNING;
  conn->start_us = MIN(conn->start_us, g_get_monotonic_time() - command->asked);
  conn->needs_wider = window_is_small(rtt_ms, conn->start_us);
  if (ssh_get_openssh_version(conn->session) > 0) /* another may say what was read only when half of its window was */
    conn->most_unread = unread_most(rtt_ms * 1000, conn->start_us);
}

static void
start(AzSshCommand *command)
{
  if (command->asked == 0)
    command->asked = g_get_monotonic_time();
  int result = ssh_channel_request_exec(command->channel, command->text);
  if (result == SSH_OK)
    running(command);
  else if (result != SSH_AGAIN && ssh_is_connected(command->conn->session))
    finish_broken(command, "the server refused to run the command");
}

void
channel_drop(AzSshCommand *command)
{
  if (command->over)
    return;
  if (command->state == COMMAND_RUNNING && ssh_channel_is_open(command->channel))
    ssh_channel_request_send_signal(command->channel, "TERM");
  retire(command);
}

void
channel_step(AzSshCommand *command)
{
  command->refs++;
  if (command->state == COMMAND_OPENING)
    open_channel(command);
  if (!command->over && command->state == COMMAND_STARTING)
    start(command);
  if (command->doomed && command->state == COMMAND_RUNNING)
    channel_drop(command);
  if (!command->over && command->state == COMMAND_RUNNING)
    run(command);
  command_unref(command);
}

AzSshCommand *
channel_exec(AzSshConn *conn, const AzSshExec *request)
{
  AzSshCommand *command = g_new0(AzSshCommand, 1);
  *command = (AzSshCommand){
    .conn = conn_ref(conn),
    .refs = 1,
    .text = g_strdup(request->command),
    .input = request->input != NULL ? g_bytes_ref(request->input) : NULL,
    .peek = request->peek,
    .took = request->took,
    .delivered = request->delivered,
    .output = request->output,
    .eof_sent = request->no_eof,
    .window = MAX_WINDOW,
    .allowed = FIRST_WINDOW,
    .finished = request->finished,
    .data = request->data,
  };
  command->channel = spare_take(conn);
  command->state = command->channel != NULL ? COMMAND_STARTING : COMMAND_OPENING;
  if (command->channel == NULL)
    command->channel = ssh_channel_new(conn->session);
  command->callbacks.userdata = command;
  command->callbacks.channel_exit_status_function = on_status;
  command->callbacks.channel_exit_signal_function = on_signal;
  ssh_callbacks_init(&command->callbacks);
  ssh_add_channel_callbacks(command->channel, &command->callbacks);
  g_ptr_array_add(conn->commands, command);
  conn_kick(conn);
  return command;
}

void
channel_cancel(AzSshCommand *command)
{
  if (!command->over && command->state == COMMAND_STARTING)
    command->doomed = TRUE;
  else
    channel_drop(command);
}

void
channel_feed(AzSshCommand *command)
{
  conn_kick(command->conn);
}

void
channel_pause(AzSshCommand *command, gboolean pause)
{
  command->paused = pause;
  if (!pause)
    conn_kick(command->conn);
}

void
channel_set_window(AzSshCommand *command, gsize bytes)
{
  command->window = MIN(bytes, MAX_WINDOW);
  if (wants_wider(command))
    conn_kick(command->conn);
}
