/* Finishes its op twice, the second time with another result, and once more as a failure. */
#include "hostile.h"

static void
acquire(gpointer data, const char *key, guint32 ttl_s, AzlinOp *op)
{
  Self *self = data;

  self->host->api->op_finish_variant(op, g_variant_new_uint64(1));
  self->host->api->op_finish_variant(op, g_variant_new_uint64(2));
  self->host->api->op_fail(op, g_error_new_literal(AZLIN_ERROR, AZLIN_ERROR_FAILED, "after all, no"));
}

static const AzlinCoordinator iface
    = { .size = sizeof(AzlinCoordinator), .acquire = acquire, .renew = good_renew, .release = good_release };
static const AzlinBrick brick = GOOD_BRICK("double-callback", &iface);

AZLIN_PLUGIN_DEFINE("test.double-callback", "1.0", "MIT", &brick);
