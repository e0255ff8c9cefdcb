/* provider-local: not written yet. */
#include "azlin-plugin.h"
