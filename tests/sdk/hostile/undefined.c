/* Needs a function that no library and no core gives: binding now, not at the first call, must refuse it. */
#include "hostile.h"

void az_no_such_function(void);

static void
broken_release(gpointer self, const char *key, guint64 token, AzlinOp *op)
{
  az_no_such_function();
}

static const AzlinCoordinator iface
    = { .size = sizeof(AzlinCoordinator), .acquire = good_acquire, .renew = good_renew, .release = broken_release };
static const AzlinBrick brick = GOOD_BRICK("undefined", &iface);

AZLIN_PLUGIN_DEFINE("test.undefined", "1.0", "MIT", &brick);
