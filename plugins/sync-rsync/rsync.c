/* sync-rsync: not written yet. */
#include "azlin-plugin.h"
