/* Nothing is wrong with this one: what the others are compared with. */
#include "hostile.h"

static const AzlinCoordinator iface = GOOD_IFACE;
static const AzlinBrick brick = GOOD_BRICK("good", &iface);

AZLIN_PLUGIN_DEFINE("test.good", "1.0", "MIT", &brick);
