/* provider-static: not written yet. */
#include "azlin-plugin.h"
