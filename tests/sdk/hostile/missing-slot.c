/* Everything has its full size, but a required slot is NULL. */
#include "hostile.h"

static const AzlinCoordinator iface
    = { .size = sizeof(AzlinCoordinator), .acquire = good_acquire, .release = good_release };
static const AzlinBrick brick = GOOD_BRICK("missing-slot", &iface);

AZLIN_PLUGIN_DEFINE("test.missing-slot", "1.0", "MIT", &brick);
