/* Built against ABI 2: the symbol has another name. */
#include "hostile.h"

static const AzlinCoordinator iface = GOOD_IFACE;
static const AzlinBrick brick = GOOD_BRICK("other-major", &iface);

EXPORTED(azlin_plugin_v2)
    = { sizeof(AzlinPlugin), 2, 0, "test.other-major", "1.0", "MIT", (const AzlinBrick *const[]){ &brick, NULL } };
