/* A plugin that brings nothing. */
#include "hostile.h"

EXPORTED(azlin_plugin_v1)
    = { sizeof(AzlinPlugin), AZLIN_ABI_MAJOR, 0, "test.no-brick", "1.0", "MIT", (const AzlinBrick *const[]){ NULL } };
