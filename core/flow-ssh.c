/* ssh-config and ssh-target: where ssh of this host finds each machine, with pinned keys, following the primary. */
#include "flow-support.h"

void
az_flow_primary_files(AzJob *job, const AzStored *stored, const char *old_primary)
{
}
