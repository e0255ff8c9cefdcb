/* A name that would leave the folder of its state. */
#include "hostile.h"

static const AzlinCoordinator iface = GOOD_IFACE;
static const AzlinBrick brick = GOOD_BRICK("../../escape", &iface);

AZLIN_PLUGIN_DEFINE("test.bad-name", "1.0", "MIT", &brick);
