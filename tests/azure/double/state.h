/* The report of the world: misdeeds, resources, and what nobody owns any more. */
#pragma once
#include "double.h"

json_t *state_report(Double *world);
