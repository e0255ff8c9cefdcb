/* What the SSH tests stand on: real sshds of their own, servers that misbehave, an AzRemote, and ops that are waited
 * for. */
#pragma once
#include "remote.h"

typedef struct {
  char *dir;  /* config, host key, log */
  char *home; /* $HOME of its sessions; authorized_keys is in .ssh */
  char *host_key;
  guint port;
  GPid pid;
} Sshd;

typedef enum {
  FAKE_SILENT,  /* accepts and never says a word */
  FAKE_BANNER,  /* says its banner, then nothing */
  FAKE_DRIP,    /* one byte of a banner that never ends, ten times a second */
  FAKE_CLOSE,   /* accepts and hangs up */
  FAKE_GARBAGE, /* answers with what is no SSH */
  FAKE_RECORD   /* silent; counts what it was sent */
} FakeKind;

typedef struct {
  FakeKind kind;
  guint port;
  guint accepted;
  GSocketService *service;
  GPtrArray *connections;
  guint drip;
} Fake;

/* A long way to a port of this host: each byte arrives `delay_ms` later, in either direction. */
typedef struct {
  guint port;     /* where it begins */
  guint far_port; /* where it leads */
  guint delay_ms;
  guint64 forth; /* bytes that have come in at where it begins */
  GSocketService *service;
  GPtrArray *directions; /* two of each connection */
} Relay;

/* A scratch folder of its own, 0700. */
char *fixture_dir(const char *name);
/* `public_key`: admitted; NULL = nobody. */
Sshd *fixture_sshd(const char *public_key);
Sshd *fixture_sshd_with(const char *public_key, const char *extra); /* lines that go before its own */
void fixture_sshd_stop(Sshd *sshd);
guint fixture_logins(const Sshd *sshd); /* how often somebody has logged in */
Relay *fixture_relay(guint far_port, guint delay_ms);
void fixture_relay_cut(Relay *relay); /* every connection that goes through it now */
void fixture_relay_stop(Relay *relay);
AzlinVm *fixture_vm(const Sshd *sshd);
AzlinVm *fixture_vm_at(guint port, const char *host_key);
Fake *fixture_fake(FakeKind kind);
void fixture_fake_stop(Fake *fake);
guint fixture_dead_port(void); /* nobody listens there */

typedef struct {
  char *dir;
  AzClock *clock;
  AzConfig *config;
  AzPaths *paths;
  AzAudit *audit;
  AzRemote *remote;
  char *public_key; /* of its own key pair */
} World;

/* `extra`: lines for azlin.conf. */
World *fixture_world(const char *extra);
void fixture_world_free(World *world);

/* An op that is waited for: its result stays until wait_free(). */
typedef struct {
  GMainLoop *loop;
  gboolean over;
  GError *error;
  int status;
  GBytes *out, *err;
  GVariant *variant;
} Wait;
AzlinOp *wait_new(World *world, guint32 timeout_ms, Wait *wait);
void wait_for(Wait *wait);
void wait_clear(Wait *wait);
void fixture_until(gboolean (*condition)(gpointer), gpointer data); /* at most 10 s */
char *bytes_text(GBytes *bytes);
