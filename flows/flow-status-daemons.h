/* The part of status about the watches that share the regions. */
#pragma once
#include "engine-private.h"

/* Pure: `members` (of AzMember) as status shows them, av of a{sv}, floating; `primary` "" = none stands. `home`: of
 * this azlin, as az_member_records() tells it. */
GVariant *az_status_daemons(const GPtrArray *members, const char *primary, const char *home);
