/* Finishes with a result of another type than the interface says. */
#include "hostile.h"

static void
acquire(gpointer data, const char *key, guint32 ttl_s, AzlinOp *op)
{
  Self *self = data;

  self->host->api->op_finish_variant(op, g_variant_new_string("not a token"));
}

static const AzlinCoordinator iface
    = { .size = sizeof(AzlinCoordinator), .acquire = acquire, .renew = good_renew, .release = good_release };
static const AzlinBrick brick = GOOD_BRICK("wrong-result", &iface);

AZLIN_PLUGIN_DEFINE("test.wrong-result", "1.0", "MIT", &brick);
