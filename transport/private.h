/* What the files of the SSH module share: a connection, its commands, keys. */
#pragma once
#include "banner.h"
#include "dial.h"
#include "watch.h"

#include <libssh/libssh.h>

typedef enum {
  CONN_DIALING,
  CONN_KEX,
  CONN_AUTH,
  CONN_AGENT, /* a thread has the session; nobody else may touch it */
  CONN_READY,
  CONN_DEAD
} ConnState;

/* as many as commands of one run begin at the same moment */
#define MAX_SPARE 3

typedef struct {
  ssh_channel channel; /* or NULL */
  gboolean open;
} Spare;

struct _AzSshConn {
  int refs;
  ConnState state;
  gboolean closed; /* by the owner: no callback any more */
  gboolean banner_only;
  char *host, *user, *host_key;
  guint16 port;
  AzSshKey *key;
  gboolean (*trust)(const char *host_key, gpointer data);
  void (*event)(AzSshStep step, AzSshOutcome outcome, const char *detail, gpointer data);
  gpointer data;
  Dial *dial;
  Banner *banner; /* instead of a session */
  int fd;         /* libssh owns it once the session exists */
  Watch *watch;
  ssh_session session;
  Spare spare[MAX_SPARE];
  guint most_spare; /* to be kept */
  ssh_channel pump; /* never opened: reading from it lets libssh take in packets while no command runs */
  struct ssh_counter_struct received;
  GPtrArray *commands; /* of AzSshCommand, each holds a reference of its own while it is in the list */
  GSource *again;
  struct _Agent *agent;
  struct _Warm *warm;
  guint64 sent;         /* of commands' input */
  gint64 start_us;      /* in which the server has begun a command at best; G_MAXINT64 = none yet */
  gsize most_unread;    /* of a command's input at the server, G_MAXSIZE = no bound */
  gboolean needs_wider; /* streams of its commands need a wider window than libssh's own */
};

AzSshConn *conn_connect(const AzSshConnect *request);
void conn_close(AzSshConn *conn);
AzSshConn *conn_ref(AzSshConn *conn);
void conn_unref(AzSshConn *conn);
/* Says goodbye, closes the socket and frees all of it. libssh leaves a socket open that it was handed by option; once
 * it does not know that any more, it closes it, unless it has done so already. */
void session_end(ssh_session session);
/* Goes on with the session on the main loop soon, also when its socket stays silent. */
void conn_kick(AzSshConn *conn);

double conn_rtt_ms(AzSshConn *conn);

/* So much more of somebody's input was sent: from some amount on it is worth a word to the kernel. */
void congestion_count(AzSshConn *conn, gsize bytes);
/* A step now and then from the main loop, until it is warm or stopped. */
void warm_start(AzSshConn *conn);
void warm_stop(AzSshConn *conn);

/* How much a server may send that nobody has read yet: at most, and before anything has come. */
#define MAX_WINDOW (4 * 1024 * 1024)
#define FIRST_WINDOW (1024 * 1024)
char *window_buffer(void); /* MAX_WINDOW bytes for whoever reads at the moment */
/* Lets the server send so much; what has come meanwhile is in window_buffer(), that many bytes; <= 0 = nothing. */
int window_open(ssh_channel channel, gsize bytes);
/* Whether a stream of the server's needs more under way than libssh lets it have by itself. `rtt_ms`: as TCP sees it, <
 * 0 = unknown; `start_us`: in which the server has begun a command at best. */
gboolean window_is_small(double rtt_ms, gint64 start_us);
/* What of `allowed` bytes is left when `length` have been read, with what libssh grants by itself. */
gsize window_after(gsize allowed, gsize length);

void spare_keep(AzSshConn *conn, gboolean keep);
void spare_step(AzSshConn *conn);
ssh_channel spare_take(AzSshConn *conn); /* an open one, the caller's; or NULL */

AzSshCommand *channel_exec(AzSshConn *conn, const AzSshExec *request);
/* The caller hears nothing more; the server is told to end the command, if need be as soon as it has begun it. */
void channel_cancel(AzSshCommand *command);
void channel_drop(AzSshCommand *command); /* the same, now: the connection goes */
void channel_feed(AzSshCommand *command);
void channel_pause(AzSshCommand *command, gboolean pause);
void channel_set_window(AzSshCommand *command, gsize bytes);
/* One step of a command as far as it goes without waiting. */
void channel_step(AzSshCommand *command);
/* The session is lost: the command ends with `detail`. */
void channel_lost(AzSshCommand *command, const char *detail);

AzSshKey *key_load(const char *private_file, GError **error);
AzSshKey *key_ref(AzSshKey *key);
void key_free(AzSshKey *key);
char *key_public(AzSshKey *key);
gboolean key_generate(const char *private_file, GError **error);
ssh_key key_get(AzSshKey *key);

/* Authenticates with the keys of ssh-agent in a thread, since libssh talks to the agent in blocking calls. `done` runs
 * on the main loop with an SSH_AUTH_* value. */
struct _Agent *agent_start(ssh_session session, void (*done)(int result, gpointer data), gpointer data);
/* Nothing is called back any more; the session is freed as soon as the thread lets go of it. */
void agent_abandon(struct _Agent *agent);
