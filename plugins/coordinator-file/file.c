/* coordinator-file: not written yet. */
#include "azlin-plugin.h"
