/* A brick that ends before its interface. */
#include "hostile.h"

static const AzlinBrick brick = { .size = G_STRUCT_OFFSET(AzlinBrick, iface),
                                  .kind = AZLIN_KIND_COORDINATOR,
                                  .name = "short-brick",
                                  .summary = "for tests",
                                  .init = good_init,
                                  .iface = (gconstpointer) 0x1 };

AZLIN_PLUGIN_DEFINE("test.short-brick", "1.0", "MIT", &brick);
