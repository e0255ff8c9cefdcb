/* The symbol of ABI 1, but the field says 7. */
#include "hostile.h"

static const AzlinCoordinator iface = GOOD_IFACE;
static const AzlinBrick brick = GOOD_BRICK("lying-major", &iface);

EXPORTED(azlin_plugin_v1)
    = { sizeof(AzlinPlugin), 7, 3, "test.lying-major", "1.0", "MIT", (const AzlinBrick *const[]){ &brick, NULL } };
