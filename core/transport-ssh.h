/* What core asks of the SSH module: connections that report each step, commands on them, keys; no libssh type crosses.
 */
#pragma once
#include <glib.h>
#define AZ_TRANSPORT_SSH_MODULE "azlin-transport-ssh"
#define AZ_TRANSPORT_SSH_SYMBOL "azlin_transport_ssh_v1"

typedef struct _AzSshKey AzSshKey;         /* a private key, imported once, shared by any number of connections */
typedef struct _AzSshConn AzSshConn;       /* one TCP connection and the SSH session on it */
typedef struct _AzSshCommand AzSshCommand; /* one exec channel */

typedef enum {
  AZ_SSH_TCP,    /* name lookup and TCP connect */
  AZ_SSH_KEX,    /* banner, key exchange, host key accepted */
  AZ_SSH_LOGIN,  /* authenticated */
  AZ_SSH_SESSION /* afterwards: only ever reported when the session is lost */
} AzSshStep;

typedef enum {
  AZ_SSH_OK,
  AZ_SSH_REFUSED,
  AZ_SSH_TIMEOUT, /* the kernel gave up; deadlines of ours belong to the caller */
  AZ_SSH_UNREACHABLE,
  AZ_SSH_CLOSED,
  AZ_SSH_AUTH_FAILED,
  AZ_SSH_HOST_KEY_CHANGED,
  AZ_SSH_HOST_KEY_UNKNOWN,
  AZ_SSH_ERROR /* protocol error, or a resource of this host ran out: no evidence against the machine */
} AzSshOutcome;

typedef struct {
  const char *host; /* numeric address or name */
  guint16 port;
  const char *user;
  const char *host_key; /* pinned "ssh-ed25519 AAAA...", or NULL */
  AzSshKey *key;        /* NULL: the keys of ssh-agent */
  gboolean banner_only; /* KEX ends with the banner, and nothing can be done afterwards but close() */
  /* Asked when nothing is pinned, before any authentication; NULL = no. */
  gboolean (*trust)(const char *host_key, gpointer data);
  /* Once per step that ended, in order. After an outcome other than OK nothing more comes. Every callback may call any
   * function of the table, also close(). Never called from inside connect(). */
  void (*event)(AzSshStep step, AzSshOutcome outcome, const char *detail, gpointer data);
  gpointer data;
} AzSshConnect;

typedef struct {
  gboolean started; /* the server had accepted the command: it may have run */
  gboolean ended;   /* an exit status is known; FALSE = the session was lost or the channel refused */
  gboolean lost;    /* the connection went; its own event follows */
  int status;       /* exit code; 128 + n when a signal ended it */
  const char *detail;
} AzSshExit;

typedef struct {
  const char *command; /* for the remote user's shell */
  GBytes *input;       /* standard input or NULL */
  gboolean no_eof;     /* leave standard input open: saves a packet for a command that never reads it */
  /* What standard input gets after `input`; or NULL. peek() says what there is, valid until took() says how much of it
   * was sent; 0 = nothing yet, feed() when there is; < 0 = the end. */
  gssize (*peek)(const char **ret_bytes, gpointer data);
  void (*took)(gsize length, gpointer data);
  /* So many bytes of standard input in all have been read by the command, as far as the server tells; or NULL. */
  void (*delivered)(guint64 bytes, gpointer data);
  void (*output)(gboolean is_stderr, const char *bytes, gsize length, gpointer data);
  void (*finished)(const AzSshExit *exit, gpointer data); /* once; the command is gone after it */
  gpointer data;
} AzSshExec;

typedef struct {
  gsize size;
  /* Reads a private key. NOT_FOUND when there is no such file; AUTH when it cannot be used (mode, passphrase, format).
   */
  AzSshKey *(*key_load)(const char *private_file, GError **error);
  void (*key_free)(AzSshKey *key);                                    /* connections keep their own reference */
  char *(*key_public)(AzSshKey *key);                                 /* "ssh-ed25519 AAAA...", owned */
  gboolean (*key_generate)(const char *private_file, GError **error); /* new Ed25519 key, 0600; never overwrites */
  AzSshConn *(*connect)(const AzSshConnect *request);
  /* Ends it at once and silently: no callback of it or of its commands comes any more. */
  void (*close)(AzSshConn *conn);
  AzSshCommand *(*exec)(AzSshConn *conn, const AzSshExec *request); /* only after LOGIN ended OK; several at once */
  /* Sends TERM (sshd passes it on except in sessions of root) and closes the channel; finished() does not come. */
  void (*cancel)(AzSshCommand *command);
  void (*feed)(AzSshCommand *command); /* peek() has something now, or the end */
  /* Its output waits on the server as soon as a window of it waits here; what it says on stderr is taken all the same.
   */
  void (*pause)(AzSshCommand *command, gboolean pause);
  /* How much of its output may be under way; 4 MiB until this is called. What is granted already is not taken back. */
  void (*set_window)(AzSshCommand *command, gsize bytes);
  /* Keeps channels open that the next commands run on: they cost one round trip then and not two. */
  void (*keep_spare)(AzSshConn *conn, gboolean keep);
  double (*rtt_ms)(AzSshConn *conn); /* the smallest round trip that the kernel has seen lately; < 0 = unknown */
  /* Sends some 200 KiB that the server ignores, beside what else is sent, so that much can go at once soon after: for
   * long ways alone, and only after LOGIN ended OK. */
  void (*warm)(AzSshConn *conn);
} AzTransportSsh;
