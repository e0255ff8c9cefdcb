/* A correct little coordinator; each hostile plugin spoils exactly one thing of it by overriding a macro. */
#pragma once
#include <azlin-plugin.h>

typedef struct {
  AzlinHost *host;
} Self;

static inline gboolean
good_init(AzlinHost *host, gpointer *ret_self, GError **error)
{
  Self *self = g_new0(Self, 1);

  self->host = host;
  *ret_self = self;
  return TRUE;
}

static inline void
good_free(gpointer self)
{
  g_free(self);
}

static inline void
good_acquire(gpointer data, const char *key, guint32 ttl_s, AzlinOp *op)
{
  Self *self = data;

  self->host->api->op_finish_variant(op, g_variant_new_uint64(1));
}

static inline void
good_renew(gpointer data, const char *key, guint64 token, AzlinOp *op)
{
  Self *self = data;

  self->host->api->op_finish_variant(op, g_variant_new_uint64(token));
}

static inline void
good_release(gpointer data, const char *key, guint64 token, AzlinOp *op)
{
  Self *self = data;

  self->host->api->op_finish(op);
}

#define GOOD_IFACE                                                                                                     \
  {                                                                                                                    \
    .size = sizeof(AzlinCoordinator), .acquire = good_acquire, .renew = good_renew, .release = good_release            \
  }
#define GOOD_BRICK(_name, _iface)                                                                                      \
  {                                                                                                                    \
    .size = sizeof(AzlinBrick), .kind = AZLIN_KIND_COORDINATOR, .name = _name, .summary = "for tests",                 \
    .init = good_init, .free = good_free, .iface = _iface                                                              \
  }
/* The descriptor by hand, to be able to lie in it. */
#define EXPORTED(_symbol)                                                                                              \
  __attribute__((visibility("default"))) extern const AzlinPlugin _symbol;                                             \
  const AzlinPlugin _symbol
