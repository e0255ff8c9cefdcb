/* A small engine for the storage bricks: a real clock, a home of its own, every call awaited. */
#pragma once
#include "op.h"
#include "record.h"

typedef struct {
  AzlinHost public; /* first, so that the brick's pointer is ours */
  AzlinHostApi table;
  AzClock *clock;
  char *home;
  GString *log; /* what the brick said, one line each */
  const AzlinBrick *brick;
  gpointer self;
} BrickHost;

/* `home` NULL = a fresh folder under $AZLIN_TEST_DIR. */
BrickHost *brick_host_new(const AzlinPlugin *plugin, const char *home);
void brick_host_free(BrickHost *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BrickHost, brick_host_free)
void brick_host_remove_home(BrickHost *host); /* deletes the folder too */

/* One call to a brick: made by one of the starters below, NULL error = success. */
typedef struct {
  GError *error;
  GPtrArray *vms;    /* of AzlinVm */
  GVariant *variant; /* or NULL */
  gboolean done;
} Reply;
void reply_clear(Reply *reply);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reply, reply_clear)
AzlinOp *reply_op(BrickHost *host, Reply *reply, guint32 timeout_ms);
void reply_wait(Reply *reply);

Reply context_list(BrickHost *host);
Reply context_info(BrickHost *host);
Reply context_put(BrickHost *host, const AzlinVm *vm);
Reply context_add(BrickHost *host, const char *region, const char *ip, gboolean primary);
Reply context_forget(BrickHost *host, const char *region);
Reply context_set_primary(BrickHost *host, const char *from, const char *to, guint64 epoch);
guint64 context_epoch(BrickHost *host);
char *context_primary(BrickHost *host);
/* The record of a region, or NULL. */
AzlinVm *context_get(BrickHost *host, const char *region);

char *home_file(BrickHost *host, const char *name);
char *home_read(BrickHost *host, const char *name); /* fails the test if it cannot */
void home_write(BrickHost *host, const char *name, const char *text);
void home_write_bytes(BrickHost *host, const char *name, const char *bytes, gsize length);
gboolean home_has(BrickHost *host, const char *name);
