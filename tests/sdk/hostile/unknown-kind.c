/* A kind that this engine has never heard of. */
#include "hostile.h"

static const AzlinCoordinator iface = GOOD_IFACE;
static const AzlinBrick brick = { .size = sizeof(AzlinBrick),
                                  .kind = (AzlinKind) 99,
                                  .name = "unknown-kind",
                                  .summary = "for tests",
                                  .init = good_init,
                                  .iface = &iface };

AZLIN_PLUGIN_DEFINE("test.unknown-kind", "1.0", "MIT", &brick);
