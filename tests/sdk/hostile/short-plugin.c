/* A descriptor that ends before its list of bricks; what stands behind it must never be read. */
#include "hostile.h"

EXPORTED(azlin_plugin_v1)
    = { G_STRUCT_OFFSET(AzlinPlugin, bricks), AZLIN_ABI_MAJOR, 0, "test.short-plugin", "1.0", "MIT",
        (const AzlinBrick *const *) 0x1 };
