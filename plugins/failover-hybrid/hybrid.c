/* failover-hybrid: not written yet. */
#include "azlin-plugin.h"
