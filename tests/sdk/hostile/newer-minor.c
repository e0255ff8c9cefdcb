/* Built against a minor that this engine does not have yet. */
#include "hostile.h"

static const AzlinCoordinator iface = GOOD_IFACE;
static const AzlinBrick brick = GOOD_BRICK("newer-minor", &iface);

EXPORTED(azlin_plugin_v1) = { sizeof(AzlinPlugin),
                              AZLIN_ABI_MAJOR,
                              AZLIN_ABI_MINOR + 1,
                              "test.newer-minor",
                              "1.0",
                              "MIT",
                              (const AzlinBrick *const[]){ &brick, NULL } };
