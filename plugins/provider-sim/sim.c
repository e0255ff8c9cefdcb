/* provider-sim: not written yet. */
#include "azlin-plugin.h"
