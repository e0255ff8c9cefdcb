/* An interface that ends before a slot which ABI 1.0 requires. */
#include "hostile.h"

static const AzlinCoordinator iface = { .size = G_STRUCT_OFFSET(AzlinCoordinator, release),
                                        .acquire = good_acquire,
                                        .renew = good_renew,
                                        .release = (void (*)(gpointer, const char *, guint64, AzlinOp *)) 0x1 };
static const AzlinBrick brick = GOOD_BRICK("short-iface", &iface);

AZLIN_PLUGIN_DEFINE("test.short-iface", "1.0", "MIT", &brick);
