/* The rule that lets azlin's machines reach each other by SSH where ssh-source closes it to the world. */
#pragma once
#include "azure.h"

/* Brings the rule of all of azlin's security groups up to date, as of a moment after this call; `op` is finished. Calls
 * that come while a round runs share the next one. */
void azure_admit(Azure *azure, AzlinOp *op);
gboolean azure_ssh_is_closed(Azure *azure); /* ssh-source is set */

/* ---- pure ---- */
/* Addresses of azlin's machines in a list of public addresses: sorted, ends NULL; owned. */
char **azure_machine_addresses(const json_t *public_addresses);
/* TRUE: a security group of azlin's that is not open to everybody and whose rule does not say these addresses. */
gboolean azure_rules_are_stale(const json_t *security_group, const char *const *addresses);
