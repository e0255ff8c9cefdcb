/* The list of all flows; a new kind of job is one line here. */
#include "flow.h"

/* clang-format off */
#define FLOWS(X) \
  X(deploy) \
  X(destroy) \
  X(failover) \
  X(failover_replay) \
  X(failover_ack) \
  X(failover_commit) \
  X(failover_pause) \
  X(failover_resume) \
  X(failover_rollback) \
  X(logs) \
  X(recover) \
  X(regions_add) \
  X(regions_health) \
  X(regions_list) \
  X(regions_refresh) \
  X(regions_remove) \
  X(regions_set_primary) \
  X(simulate) \
  X(ssh_config) \
  X(ssh_target) \
  X(status) \
  X(sync) \
  X(sync_verify) \
  X(vm_deallocate) \
  X(vm_delete) \
  X(vm_restart) \
  X(vm_start) \
  X(vm_status) \
  X(vm_stop) \
  X(watch)
/* clang-format on */

#define DECLARE(name) extern const AzFlow az_flow_##name;
FLOWS(DECLARE)

const AzFlow *const *
az_flows(void)
{
#define ADDRESS(name) &az_flow_##name,
  static const AzFlow *const flows[] = { FLOWS(ADDRESS) NULL };
  return flows;
}
