/* deployer-parallel: not written yet. */
#include "azlin-plugin.h"
