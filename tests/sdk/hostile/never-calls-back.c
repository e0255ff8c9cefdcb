/* Takes an op and never finishes it; finishes it on release, long after its deadline. */
#include "hostile.h"

static AzlinOp *forgotten;

static void
acquire(gpointer self, const char *key, guint32 ttl_s, AzlinOp *op)
{
  forgotten = op;
}

static void
release(gpointer data, const char *key, guint64 token, AzlinOp *op)
{
  Self *self = data;

  if (forgotten != NULL)
    self->host->api->op_finish_variant(forgotten, g_variant_new_uint64(3));
  self->host->api->op_finish(op);
}

static const AzlinCoordinator iface
    = { .size = sizeof(AzlinCoordinator), .acquire = acquire, .renew = good_renew, .release = release };
static const AzlinBrick brick = GOOD_BRICK("never-calls-back", &iface);

AZLIN_PLUGIN_DEFINE("test.never-calls-back", "1.0", "MIT", &brick);
