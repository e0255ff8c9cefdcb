/* An option of a type that no configuration can hold. */
#include "hostile.h"

static const AzlinOption options[] = { { "shape", "a{sv}", NULL, NULL, NULL, "cannot be" }, { 0 } };
static const AzlinCoordinator iface = GOOD_IFACE;
static const AzlinBrick brick = { .size = sizeof(AzlinBrick),
                                  .kind = AZLIN_KIND_COORDINATOR,
                                  .name = "bad-option",
                                  .summary = "for tests",
                                  .options = options,
                                  .init = good_init,
                                  .iface = &iface };

AZLIN_PLUGIN_DEFINE("test.bad-option", "1.0", "MIT", &brick);
